"""Joints by name: layouts, mirror images and trees, judged by properties and public tables."""

from __future__ import annotations

import numpy as np
import pytest

from piumar_lib.data import skeleton
from piumar_lib.data.joints import (
    ABOVE,
    COCO,
    HALPE,
    LAYOUTS,
    MEDIAPIPE,
    MMN,
    OPENPOSE,
    mirror,
    parents,
    pick,
    root,
    shared,
)

ANY = pytest.mark.parametrize("joints", LAYOUTS.values(), ids=LAYOUTS)
# Pairs of the 68 points of a face, as 300-W's users flip it.
FACE_FLIP = [
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1),
]  # fmt: skip


def subsets(count=200):
    """Random choices of known joints, in random order."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield [str(name) for name in rng.permutation([*ABOVE])[: rng.integers(1, 60)]]


def assert_tree(joints):
    above = parents(joints)
    assert (above == -1).sum() == 1 and joints[int(above.argmin())] == root(joints)
    for joint in range(len(joints)):
        steps = 0
        while joint >= 0:
            joint, steps = above[joint], steps + 1
            assert steps <= len(joints), "a circle"


def test_layouts_have_as_many_joints_as_their_name_says():
    assert {*LAYOUTS} == {17, 28, 33, 44, 136}
    for joints in LAYOUTS.values():
        assert len({*joints}) == len(joints) and {*joints} <= {*ABOVE}


@ANY
def test_mirroring_twice_changes_nothing_and_no_left_joint_stays(joints):
    order = mirror(joints)
    assert (order[order] == np.arange(len(joints))).all()
    for index, joint in enumerate(joints):
        sided = joint.startswith(("left ", "right "))
        assert sided == (order[index] != index)
        assert joint.split(" ")[1:] == joints[order[index]].split(" ")[1:] or not sided


def test_mirror_images_as_published():
    np.testing.assert_array_equal(mirror(COCO), skeleton.MIRROR)
    np.testing.assert_array_equal(mirror(HALPE)[26:94] - 26, FACE_FLIP)
    hands = np.arange(94, 136)
    np.testing.assert_array_equal(mirror(HALPE)[94:], np.roll(hands, 21))
    # PCAN's lists, which forget fingertips: 18 to 22 of joint 7, 23 to 27 of joint 4.
    right, left = [2, 3, 4, 8, 9, 10, 14, 16], [5, 6, 7, 11, 12, 13, 15, 17]
    order = mirror(OPENPOSE)
    assert order[right].tolist() == left and order[[18, 19, 20, 21, 22]].tolist() == [23, 24, 25, 26, 27]


def test_half_a_pair_cannot_be_mirrored():
    with pytest.raises(ValueError, match="must contain 'right wrist', got 2 joints without it"):
        mirror(["nose", "left wrist"])
    with pytest.raises(ValueError, match="more than once"):
        mirror(["nose", "nose"])


@ANY
def test_each_layout_is_a_tree(joints):
    assert_tree(joints)


def test_any_choice_of_joints_is_a_tree():
    for joints in subsets():
        assert_tree(joints)


@ANY
def test_the_tree_of_a_mirror_image_is_the_mirror_image_of_the_tree(joints):
    order, above = mirror(joints), parents(joints)
    assert [above[order[k]] for k in range(len(joints))] == [order[p] if p >= 0 else -1 for p in above]


def test_a_joint_hangs_on_the_nearest_that_is_there():
    def above(joint, *joints):
        return joints[parents(joints)[joints.index(joint)]]

    assert above("left wrist", "left wrist", "neck", "left elbow", "left shoulder") == "left elbow"
    assert above("left wrist", "left wrist", "neck", "left shoulder") == "left shoulder"
    assert above("left thumb tip", "neck", "left thumb tip", "left wrist") == "left wrist"
    assert above("left hip", "neck", "left shoulder", "left hip") == "left shoulder"
    assert above("left hip", "neck", "left shoulder", "left hip", "hip") == "hip"
    assert above("right wrist", "left wrist", "right wrist") == "left wrist"
    assert (root(HALPE), root(COCO), root(["left knee", "right eye"])) == ("neck", "nose", "right eye")


def test_limbs_of_coco_are_bones():
    bones = {frozenset(bone) for bone in enumerate(parents(COCO)) if bone[1] >= 0}
    limbs = {frozenset(limb) for limb in skeleton.LIMBS}
    assert limbs - bones == {frozenset({5, 6}), frozenset({11, 12})}, "what closes the trunk"
    assert bones - limbs == {frozenset({0, 5}), frozenset({0, 6})}, "what holds the head"


def test_bones_of_openpose_and_mmn_are_those_of_their_authors():
    pcan = [(4, 3), (3, 2), (7, 6), (6, 5), (13, 12), (12, 11), (10, 9), (9, 8), (11, 5), (8, 2), (5, 1),
            (2, 1), (0, 1), (15, 0), (14, 0), (17, 15), (16, 14), *((k, 4) for k in range(23, 28)),
            *((k, 7) for k in range(18, 23))]  # fmt: skip
    assert dict(pcan) == {k: p for k, p in enumerate(parents(OPENPOSE)) if p >= 0}
    left = [(9, 32), *((32, k) for k in range(33, 38))]
    right = [(10, 38), *((38, k) for k in range(39, 44))]
    above = parents(MMN)
    assert all(above[child] == parent for parent, child in left + right)


def test_mmn_s_joints_are_those_its_predecessor_picks_from_halpe():
    face = [26 + k for k in (28, 33, 36, 45, 51, 57)]
    hands = [hand + k for hand in (94, 115) for k in (0, 4, 8, 12, 16, 20)]
    assert pick(HALPE, MMN).tolist() == [*range(26), *face, *hands]


def test_every_layout_can_be_reduced_to_coco():
    for joints in LAYOUTS.values():
        assert [joints[k] for k in pick(joints, COCO)] == list(COCO)
        assert {*shared(COCO, joints)} == {*COCO}
    assert shared(MEDIAPIPE, OPENPOSE) == tuple(joint for joint in MEDIAPIPE if joint in COCO)
    with pytest.raises(ValueError, match="'neck', got 17 joints without it and 10 others"):
        pick(COCO, OPENPOSE)


def test_unknown_joints_are_named():
    with pytest.raises(ValueError, match="'left wing' has no place in the body"):
        parents(["nose", "left wing"])
    with pytest.raises(ValueError, match="must be one or more"):
        parents([])
