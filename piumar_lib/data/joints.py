"""Joints by name: layouts of pose estimators, mirroring, and the parent of each joint.

    order = mirror(joints)             # then x = width - x[order]: a mirrored person
    above = parents(joints)            # a bone is the joint minus its parent
    kept = pick(HALPE, COCO)           # 136 joints to 17

A joint has the same name in all layouts, and the name of a paired joint begins with "left " or "right ",
from the person's own perspective. So mirroring and parents follow from the names, for any subset of
joints. PCAN's flip, which lists pairs by number, swaps 16 of the 28 joints: its fingertips stay on the
wrong hand.

Sources. OpenPose body in the order of COCO with the neck at 1; 18 to 22 have parent 7 and 23 to 27
parent 4 in PCAN's configuration (`kunli-cs/PCAN`), which does not name the fingers: thumb to little
finger is OpenPose's own order. Halpe-136 after Fang et al., "AlphaPose", PAMI 2023, with the 68 points
of the face in the order of 300-W. The 44 of MMN (`momiji-bit/MMN`, ``feeders/feeder_ma52.py``) are 26 of
the body, 6 of the face and 6 of each hand, in Halpe's order: its bones agree with the points that its
predecessor picks from the 136 by number (`momiji-bit/Skeleton-Based-Micro-Action-Recognition`).
MediaPipe's 33 landmarks after its documentation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from piumar_lib.data.skeleton import JOINTS

COCO = JOINTS
SIDES = {"left ": "right ", "right ": "left "}
FINGERS = ("thumb", "index finger", "middle finger", "ring finger", "little finger")


def _hand(side: str) -> tuple[str, ...]:
    """21 joints: the root, then each finger from the palm to its tip."""
    fingers = (f"{side} {finger} {joint}" for finger in FINGERS for joint in (1, 2, 3, "tip"))
    return (f"{side} hand root", *fingers)


def _numbered(name: str, numbers: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"{name} {number}" for number in numbers)


def _tips(side: str) -> tuple[str, ...]:
    return tuple(f"{side} {finger} tip" for finger in FINGERS)


FACE = (
    *_numbered("right contour", range(1, 9)), "chin", *_numbered("left contour", range(8, 0, -1)),
    *_numbered("right eyebrow", range(1, 6)), *_numbered("left eyebrow", range(5, 0, -1)),
    *_numbered("nose bridge", range(1, 5)),
    "right nostril 1", "right nostril 2", "nose base", "left nostril 2", "left nostril 1",
    "right eye outer", "right upper eyelid 1", "right upper eyelid 2",
    "right eye inner", "right lower eyelid 2", "right lower eyelid 1",
    "left eye inner", "left upper eyelid 2", "left upper eyelid 1",
    "left eye outer", "left lower eyelid 1", "left lower eyelid 2",
    "right mouth corner", "right upper lip 1", "right upper lip 2", "upper lip",
    "left upper lip 2", "left upper lip 1", "left mouth corner",
    "left lower lip 1", "left lower lip 2", "lower lip", "right lower lip 2", "right lower lip 1",
    "right inner mouth corner", "right inner upper lip", "inner upper lip", "left inner upper lip",
    "left inner mouth corner", "left inner lower lip", "inner lower lip", "right inner lower lip",
)  # fmt: skip
_BODY = (
    *COCO, "head", "neck", "hip", "left big toe", "right big toe", "left small toe", "right small toe",
    "left heel", "right heel",
)  # fmt: skip
HALPE = (*_BODY, *FACE, *_hand("left"), *_hand("right"))
MMN = (
    *_BODY,
    "nose bridge 2", "nose base", "right eye outer", "left eye outer", "upper lip", "lower lip",
    "left hand root", *_tips("left"), "right hand root", *_tips("right"),
)  # fmt: skip
OPENPOSE = (
    "nose", "neck", "right shoulder", "right elbow", "right wrist",
    "left shoulder", "left elbow", "left wrist", "right hip", "right knee", "right ankle",
    "left hip", "left knee", "left ankle", "right eye", "left eye", "right ear", "left ear",
    *_tips("left"), *_tips("right"),
)  # fmt: skip
MEDIAPIPE = (
    "nose", "left eye inner", "left eye", "left eye outer",
    "right eye inner", "right eye", "right eye outer", "left ear", "right ear",
    "left mouth corner", "right mouth corner", "left shoulder", "right shoulder",
    "left elbow", "right elbow", "left wrist", "right wrist", "left pinky", "right pinky",
    "left index", "right index", "left thumb", "right thumb", "left hip", "right hip",
    "left knee", "right knee", "left ankle", "right ankle", "left heel", "right heel",
    "left foot index", "right foot index",
)  # fmt: skip
LAYOUTS = {len(layout): layout for layout in (COCO, OPENPOSE, MEDIAPIPE, MMN, HALPE)}

# Candidates for a joint's parent, the nearest first; "*" is its own side. Each joint comes after all of
# its candidates, so any subset of joints forms a tree.
_ABOVE = {
    "neck": (), "nose": ("neck",), "head": ("neck", "nose"), "* shoulder": ("neck", "nose"),
    "hip": ("neck", "nose"), "* hip": ("hip", "* shoulder"), "* eye": ("nose",), "* ear": ("* eye",),
    "* elbow": ("* shoulder",), "* wrist": ("* elbow",), "* knee": ("* hip",), "* ankle": ("* knee",),
    "* heel": ("* ankle",), "* big toe": ("* ankle",), "* small toe": ("* big toe",),
    "* foot index": ("* ankle",),
    "* eye inner": ("* eye",), "* eye outer": ("* eye",),
    "* upper eyelid 1": ("* eye",), "* upper eyelid 2": ("* eye",),
    "* lower eyelid 1": ("* eye",), "* lower eyelid 2": ("* eye",),
    "* eyebrow 1": ("* eye",), **{f"* eyebrow {k}": (f"* eyebrow {k - 1}",) for k in range(2, 6)},
    "nose bridge 1": ("nose",), **{f"nose bridge {k}": (f"nose bridge {k - 1}",) for k in range(2, 5)},
    "nose base": ("nose",), "* nostril 2": ("nose base",), "* nostril 1": ("* nostril 2",),
    "upper lip": ("nose base",), "lower lip": ("upper lip",), "chin": ("lower lip",),
    "inner upper lip": ("upper lip",), "inner lower lip": ("lower lip",),
    "* upper lip 2": ("upper lip",), "* upper lip 1": ("* upper lip 2",),
    "* lower lip 2": ("lower lip",), "* lower lip 1": ("* lower lip 2",),
    "* mouth corner": ("* upper lip 1",), "* inner mouth corner": ("* mouth corner",),
    "* inner upper lip": ("inner upper lip",), "* inner lower lip": ("inner lower lip",),
    "* contour 1": ("* ear",), **{f"* contour {k}": (f"* contour {k - 1}",) for k in range(2, 9)},
    "* hand root": ("* wrist",), "* pinky": ("* wrist",), "* index": ("* wrist",),
    "* thumb": ("* wrist",),
} | {
    f"* {finger} {joint}": (f"* {finger} {before}" if before else "* hand root",)
    for finger in FINGERS
    for before, joint in ((0, 1), (1, 2), (2, 3), (3, "tip"))
}  # fmt: skip


def _both_sides() -> dict[str, tuple[str, ...]]:
    """The table with "*" expanded to both sides."""
    table = {}
    for name, above in _ABOVE.items():
        for side in ("left", "right") if "*" in name else ("",):
            table[name.replace("*", side)] = tuple(other.replace("*", side) for other in above)
    return table


ABOVE = _both_sides()


def other_side(joint: str) -> str:
    """The joint of the other side of the body: "right wrist" of "left wrist", and "nose" of "nose"."""
    for side, other in SIDES.items():
        if joint.startswith(side):
            return other + joint.removeprefix(side)
    return joint


def mirror(joints: Sequence[str]) -> np.ndarray:
    """Permutation ``(joints,)`` that exchanges left and right; to mirror a person, also negate x.

    Applied twice it is the identity.

    Raises:
        ValueError: If only one joint of a pair is given, or a name is given twice.
    """
    return pick(joints, [other_side(joint) for joint in joints])


def pick(joints: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Indices ``(wanted,)`` in ``joints``: ``xy[:, pick(HALPE, COCO)]`` has COCO's joints.

    Raises:
        ValueError: If one is missing, or occurs more than once.
    """
    place = {joint: index for index, joint in enumerate(joints)}
    if len(place) < len(joints):
        raise ValueError("joints: one occurs more than once. Give each name once.")
    if missing := [joint for joint in wanted if joint not in place]:
        raise ValueError(
            f"joints: must contain {missing[0]!r}, got {len(joints)} joints without it"
            f"{f' and {len(missing) - 1} others' if len(missing) > 1 else ''}. Ask for fewer joints."
        )
    return np.array([place[joint] for joint in wanted], dtype=int)


def shared(joints: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """The joints that two layouts have in common, in the order of the first."""
    return tuple(joint for joint in joints if joint in set(others))


def root(joints: Sequence[str]) -> str:
    """The joint without a parent: the neck, else the nose, else the next one of the table.

    Raises:
        ValueError: If there is no joint, or one without a known name.
    """
    rank = {joint: place for place, joint in enumerate(ABOVE)}
    if unknown := [joint for joint in joints if joint not in rank]:
        raise ValueError(f"joints: {unknown[0]!r} has no place in the body. Take one of joints.LAYOUTS.")
    if not joints:
        raise ValueError("joints: must be one or more, got none.")
    return min(joints, key=rank.__getitem__)


def parents(joints: Sequence[str]) -> np.ndarray:
    """Parent of each joint: the nearest given joint towards the neck, else the root; -1 for the root.

    Returns:
        Indices of a tree, shape ``(joints,)``.

    Raises:
        ValueError: If there is no joint, or one without a known name.
    """
    top, place = root(joints), {joint: index for index, joint in enumerate(joints)}
    above = [-1 if joint == top else place[_nearest(joint, place) or top] for joint in joints]
    return np.array(above, dtype=int)


def _nearest(joint: str, there: dict[str, int]) -> str | None:
    """The nearest given ancestor; direct candidates first, then their own."""
    for other in ABOVE[joint]:
        if other in there:
            return other
    found = (_nearest(other, there) for other in ABOVE[joint])
    return next((other for other in found if other), None)
