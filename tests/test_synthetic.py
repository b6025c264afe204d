"""The seated skeleton, MA-52's actions as movements of it, and the people who make them."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy import stats

from piumar_lib.data import actions, labels, synthetic
from piumar_lib.data.skeleton import _BONES, JOINTS, LIMBS, MIRROR, POSES, rest_pose
from piumar_lib.data.synthetic import FACTORS, clips_per_person, make_clips, make_people

OFF = dict.fromkeys(FACTORS, 0)
# What make_people draws for a factor; those left out take effect clip by clip.
TRAIT = {
    "direction": {"direction"}, "comotion": {"comotion"}, "handedness": {"left"},
    "tremor": {"tremor_amplitude"}, "sway": {"sway_amplitude"}, "bones": {"pose"},
    "posture": {"pose"}, "habits": {"habits"},
}  # fmt: skip


def joints(clips) -> np.ndarray:
    """Clips as joints ``(n, frames, 17, 2)``."""
    return clips.x.reshape(len(clips), -1, len(JOINTS), 2)


def bone_lengths(pose: np.ndarray) -> np.ndarray:
    """Lengths of the bones that end in each joint, shape ``(n, 17)``."""
    lengths = np.zeros(pose.shape[:2])
    for joint, parent in _BONES:
        neck = pose[:, 5:7].mean(1)
        start = pose[:, parent] if parent >= 0 else (0.0 if parent == -1 else neck)
        lengths[:, joint] = np.linalg.norm(pose[:, joint] - start, axis=1)
    return lengths


# ---------------------------------------------------------------- skeleton


def test_mirroring_twice_changes_nothing_and_swaps_left_and_right():
    assert (MIRROR[MIRROR] == np.arange(17)).all()
    for joint, name in enumerate(JOINTS):
        swap = {"left": "right", "right": "left"}
        assert JOINTS[MIRROR[joint]] == " ".join(swap.get(word, word) for word in name.split())
    assert (POSES[MIRROR] * (-1, 1) == POSES).all(), "the usual pose is symmetric"


def test_limbs_and_bones_name_every_joint_once():
    assert sorted(joint for joint, _ in _BONES) == list(range(17))
    assert {joint for limb in LIMBS for joint in limb} == set(range(17))


def test_usual_bones_and_no_turn_give_the_usual_pose():
    pose = rest_pose(np.ones((3, 17)), np.zeros((3, 17)))
    np.testing.assert_allclose(pose, np.broadcast_to(POSES, pose.shape), atol=1e-12)


def test_left_and_right_bones_are_equally_long():
    rng = np.random.default_rng(0)
    lengths = bone_lengths(rest_pose(np.exp(0.2 * rng.standard_normal((50, 17))), np.zeros((50, 17))))
    np.testing.assert_allclose(lengths, lengths[:, MIRROR], rtol=1e-12)
    assert lengths[:, 7].std() > 0.05, "arms differ between people"


def test_posture_turns_bones_without_stretching_them():
    rng = np.random.default_rng(1)
    bones = np.exp(0.1 * rng.standard_normal((50, 17)))
    straight = rest_pose(bones, np.zeros((50, 17)))
    turned = rest_pose(bones, rng.standard_normal((50, 17)))
    np.testing.assert_allclose(bone_lengths(turned), bone_lengths(straight), rtol=1e-9)
    assert np.abs(turned - straight).max() > 0.3


def test_a_turned_upper_arm_takes_the_forearm_along():
    angles = np.zeros((1, 17))
    angles[0, 7] = 0.3
    usual, turned = POSES, rest_pose(np.ones((1, 17)), angles)[0]
    c, s = np.cos(0.3), np.sin(0.3)
    for joint, parent in ((7, 5), (9, 7)):
        dx, dy = usual[joint] - usual[parent]
        expected = (c * dx - s * dy, s * dx + c * dy)
        np.testing.assert_allclose(turned[joint] - turned[parent], expected, atol=1e-12)
    np.testing.assert_allclose(turned[[8, 10]], usual[[8, 10]], atol=1e-12)


def test_torso_stays_the_unit():
    pose = rest_pose(np.full((1, 17), 1.3), np.zeros((1, 17)))
    np.testing.assert_allclose(pose[:, 5:7], POSES[None, 5:7])


# ---------------------------------------------------------------- actions


def test_all_actions_are_ma52s_with_its_long_tail():
    every = actions.all_actions()
    assert tuple(action.name for action in every) == labels.ACTIONS
    frequency = {action.name: action.frequency for action in every}
    assert frequency["nodding"] == 1283
    assert frequency["turning around"] == 9 and frequency["covering face"] == 6
    ordered = sorted(frequency.values())
    assert ordered[-5:] == [456, 497, 962, 1193, 1283] and ordered[:5] == [6, 9, 20, 20, 25]
    assert sum(ordered) == pytest.approx(11_250, abs=50)
    assert [a.frequency for a in actions.all_actions()] == [a.frequency for a in every]


def test_fields_are_tiny_but_there():
    for action in actions.all_actions():
        size = np.linalg.norm(action.field, axis=1)
        assert action.field.shape == (17, 2)
        assert 0.01 < size.max() < 0.24, action.name


def test_fields_move_the_part_that_the_action_names():
    moved = {a.name: set(np.flatnonzero(np.abs(a.field).sum(1))) for a in actions.all_actions()}
    assert moved["nodding"] == {0, 1, 2, 3, 4}
    assert moved["shaking legs"] == {14, 16}
    assert moved["patting legs"] == {9, 10}
    legs = set(range(11, 17))
    for k, name in enumerate(labels.ACTIONS):
        if labels.BODY_PARTS[labels.body_part(k)] == "lower limb":
            assert moved[name] <= legs, name
        if labels.BODY_PARTS[labels.body_part(k)] == "head":
            assert not moved[name] & legs, name


def test_left_and_right_move_mirrored():
    spread = next(a for a in actions.all_actions() if a.name == "spread legs").field
    np.testing.assert_allclose(spread[MIRROR] * (-1, 1), spread)
    assert spread[15, 0] > 0 > spread[16, 0], "her left leg goes to the image's right"


@pytest.mark.parametrize("kind", sorted(actions._COURSES))
def test_courses_start_at_rest(kind):
    phase = np.linspace(0, 1, 101)[None]
    share = actions.course(np.array([kind]), phase)
    assert share.shape == (1, 101) and share.dtype == np.float32
    assert share[0, 0] == 0 and np.abs(share).max() > 0.7
    assert share[0, -1] == pytest.approx(1 if kind == "hold" else 0, abs=1e-6)
    assert np.abs(np.diff(share)).max() < 0.25, "a course does not jump"


def test_each_clip_runs_its_own_course():
    kinds = np.array(["hold", "bump", "hold"])
    phase = np.linspace(0, 1, 9) ** np.array([[1.0], [0.5], [2.0]])
    together = actions.course(kinds, phase)
    for k, kind in enumerate(kinds):
        assert (together[k] == actions.course(np.array([kind]), phase[k : k + 1])[0]).all()


def test_unknown_course_is_named():
    with pytest.raises(ValueError, match="kind: .*jump.*Choose from bump"):
        actions.course(np.array(["jump", "hold"]), np.zeros((2, 3)))


def test_teaching_pairs_share_their_field_but_not_their_course():
    teaching = {a.name: a for a in actions.teaching_actions()}
    assert len(teaching) == 12 and {a.frequency for a in teaching.values()} == {1.0}
    pairs = [
        ("bowing head", "nodding"), ("turning head", "shaking head"), ("retracting arms", "waving"),
        ("touching nose", "scratching or touching face"), ("tiptoe", "shaking legs"),
    ]  # fmt: skip
    for one, other in pairs:
        assert (teaching[one].field == teaching[other].field).all()
        assert teaching[one].course != teaching[other].course


# ---------------------------------------------------------------- people


def test_same_seed_same_people_same_clips_and_other_seeds_others():
    people, again = make_people(6, 3), make_people(6, 3)
    for field in fields(people):
        if isinstance(getattr(people, field.name), np.ndarray):
            assert (getattr(people, field.name) == getattr(again, field.name)).all(), field.name
    one, two = make_clips(people, 5, 8), make_clips(again, 5, 8)
    assert (one.x == two.x).all() and (one.y == two.y).all()
    assert (make_people(6, 4).tempo != people.tempo).all()
    assert (make_clips(people, 5, 9).x != one.x).any(axis=(1, 2)).all()


@pytest.mark.parametrize("factor", FACTORS)
def test_switching_a_factor_off_redraws_no_other(factor):
    usual, without = make_people(20, 1), make_people(20, 1, scale={factor: 0})
    arrays = {f.name for f in fields(usual) if isinstance(getattr(usual, f.name), np.ndarray)}
    changed = {n for n in arrays if (getattr(usual, n) != getattr(without, n)).any()}
    assert changed == TRAIT.get(factor, set())
    assert without.scale == usual.scale | {factor: 0}


@pytest.mark.parametrize("factor", ["tempo", "onset", "asymmetry", "amplitude", "direction", "comotion"])
def test_style_of_movement_leaves_the_rest_alone(factor):
    # In frame 0 nobody has begun to move: pose, tremor, sway and noise alone are seen.
    usual = make_clips(make_people(20, 1), 10, 2, centered=False)
    without = make_clips(make_people(20, 1, scale={factor: 0}), 10, 2, centered=False)
    assert (usual.y == without.y).all()
    assert (usual.x[:, 0] == without.x[:, 0]).all()
    assert (usual.x[:, -1] != without.x[:, -1]).any()


def test_tremor_off_changes_trembling_joints_only():
    people = make_people(20, 1)
    usual = make_clips(people, 10, 2)
    difference = joints(usual) - joints(make_clips(make_people(20, 1, scale={"tremor": 0}), 10, 2))
    trembles = people.tremor_joints[usual.person]
    moved = np.abs(difference).max(axis=(1, 3))
    assert moved[~trembles].max() < 1e-6
    assert (moved[trembles] > 1e-4).all()


def test_with_everything_off_everyone_does_the_same(monkeypatch):
    monkeypatch.setattr(synthetic, "NOISE", 0.0)
    clips = make_clips(make_people(10, 0, scale=OFF), 30, 0)
    for k in range(clips.classes):
        mine = joints(clips.take(clips.y == k))
        mirrored = mine[:, :, MIRROR] * (-1, 1)
        same = np.abs(mine - mine[0]).max(axis=(1, 2, 3)) < 1e-6
        other_side = np.abs(mirrored - mine[0]).max(axis=(1, 2, 3)) < 1e-6
        assert (same | other_side).all(), clips.class_names[k]
        assert np.abs(mine[0]).max() > 0.01


def test_tempo_changes_how_long_a_movement_lasts(monkeypatch):
    monkeypatch.setattr(synthetic, "NOISE", 0.0)
    monkeypatch.setattr(synthetic, "JITTER", 0.0)
    people = replace(make_people(2, 0, scale=OFF | {"tempo": 1}), tempo=np.array([-1.0, 1.0]))
    clips = make_clips(people, 60, 0, frames=64)
    moving = (np.abs(np.diff(clips.x, axis=1)).max(2) > 1e-5).sum(1)
    slow, fast = (np.median(moving[clips.person == k]) for k in (0, 1))
    assert slow / fast == pytest.approx(np.exp(2 * 0.55), rel=0.15)


def test_styles_have_heavy_tails():
    people = make_people(20_000, 0)
    for factor in ("tempo", "onset", "asymmetry", "amplitude"):
        assert stats.kurtosis(getattr(people, factor)) > 1, factor
    assert stats.kurtosis(np.log(people.tremor_amplitude)) > 1
    assert np.abs(people.tempo).max() == 5


def test_half_strength_is_half_the_spread():
    full, half = make_people(50, 0), make_people(50, 0, scale={"direction": 0.5, "sway": 0.5})
    np.testing.assert_allclose(half.direction, 0.5 * full.direction)
    np.testing.assert_allclose(half.sway_amplitude, 0.5 * full.sway_amplitude)


def test_handed_people_mirror_the_action(monkeypatch):
    monkeypatch.setattr(synthetic, "NOISE", 0.0)
    people = make_people(8, 0, scale={"tremor": 0, "sway": 0})
    right, left = (
        joints(make_clips(replace(people, left=np.full(8, side)), 10, 0)) for side in (0.0, 1.0)
    )
    np.testing.assert_allclose(left, right[:, :, MIRROR] * (-1, 1), atol=1e-7)


def test_most_people_prefer_a_side():
    left = make_people(2000, 0).left
    assert ((left < 0.1) | (left > 0.9)).mean() > 0.4
    assert (make_people(20, 0, scale={"handedness": 0}).left == 0.5).all()


def test_habits_change_what_people_do():
    def spread(habits: float) -> float:
        clips = make_clips(make_people(30, 0, scale={"habits": habits}), 100, 0)
        shares = [np.bincount(clips.y[clips.person == p], minlength=12) / 100 for p in range(30)]
        return float(np.abs(np.array(shares) - 1 / 12).sum(1).mean() / 2)

    assert spread(0) < 0.2 < 0.4 < spread(1)


def test_habits_are_probabilities_and_average_to_the_frequencies():
    people = make_people(3000, 0, actions.all_actions())
    np.testing.assert_allclose(people.habits.sum(1), 1)
    assert people.habits.min() >= 0
    frequency = np.array([action.frequency for action in actions.all_actions()])
    average = people.habits.mean(0)
    assert average.argmax() == labels.ACTIONS.index("nodding")
    assert np.corrcoef(average, frequency)[0, 1] > 0.98


def test_two_hundred_and_five_people_do_all_actions_with_a_long_tail():
    clips = make_clips(make_people(205, 0, actions.all_actions()), 20, 0, frames=16)
    assert len(clips.people) == 205 and clips.classes == 52 and len(clips) == 4100
    counts = np.bincount(clips.y, minlength=52)
    assert labels.ACTIONS[counts.argmax()] == "nodding"
    assert np.sort(counts)[-5:].sum() > 0.3 * len(clips)
    assert np.median(counts) < 0.02 * len(clips)


def test_partners_are_two_other_actions():
    for n in (3, 12):
        partners = make_people(50, 0, actions.teaching_actions()[:n]).partners
        mine = np.arange(n)[None]
        assert (partners[..., 0] != mine).all() and (partners[..., 1] != mine).all()
        assert (partners[..., 0] != partners[..., 1]).all()
        assert partners.min() >= 0 and partners.max() < n


def test_partners_move_along_with_their_own_action(monkeypatch):
    monkeypatch.setattr(synthetic, "NOISE", 0.0)
    people = make_people(1, 0, scale=OFF)
    partners = (np.arange(12)[:, None] + [3, 7])[None] % 12
    people = replace(people, partners=partners, comotion=np.ones((1, 12, 2)), left=np.zeros(1))
    clips = make_clips(people, 150, 0)
    field = np.stack([np.abs(action.field).sum(1) > 0 for action in people.actions])
    for k in range(12):
        moved = np.abs(joints(clips.take(clips.y == k))).max(axis=(0, 1, 3)) > 1e-4
        assert (moved == (field[k] | field[(k + 3) % 12] | field[(k + 7) % 12])).all()


def test_two_actions_are_enough():
    clips = make_clips(make_people(4, 0, actions.teaching_actions()[:2]), 20, 0)
    assert set(clips.y) == {0, 1}


def test_clips_are_centred_or_absolute():
    people = make_people(5, 0)
    centered, absolute = (make_clips(people, 6, 0, centered=c) for c in (True, False))
    assert np.abs(centered.x.mean(1)).max() < 1e-6
    np.testing.assert_allclose(absolute.x - absolute.x.mean(1, keepdims=True), centered.x, atol=1e-6)
    distance = joints(absolute).mean(1) - people.pose[absolute.person]
    assert np.abs(distance).mean() < 0.05, "people sit in their own pose"


def test_clips_say_who_what_and_how_fast():
    people = make_people(3, 0)
    clips = make_clips(people, np.array([2, 0, 5]), 0, frames=20, person_offset=100)
    assert clips.person.tolist() == [100] * 2 + [102] * 5
    assert clips.x.shape == (7, 20, 34) and clips.x.dtype == np.float32 and clips.rate == 12.5
    assert clips.class_names == tuple(a.name for a in actions.teaching_actions())


@pytest.mark.parametrize("n", [1, 40, 205])
def test_clips_are_shared_unevenly_but_completely(n):
    counts = clips_per_person(n, 100 * n, seed=0)
    assert counts.shape == (n,) and counts.sum() == 100 * n and counts.min() >= 1
    assert (counts == clips_per_person(n, 100 * n, seed=0)).all()
    if n == 205:
        assert counts.max() > 2.5 * np.median(counts) and np.median(counts) < 90


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_people(0, 0), "n: 0 .*at least 1"),
        (lambda: make_people(3, 0, actions.teaching_actions()[:1]), "actions: 1 .*at least 2"),
        (
            lambda: make_people(3, 0, scale={"speed": 0}),
            "scale: .* must be one of tempo, .*, got 'speed'",
        ),
        (lambda: make_people(3, 0, scale={"tempo": -1}), "scale: tempo=-1 .*Choose"),
        (lambda: make_people(3, 0, scale={"sway": np.nan}), "scale: sway=nan .*Choose"),
        (lambda: make_clips(make_people(3, 0), 0, 0), "clips_each: 0 .*at least 1"),
        (lambda: make_clips(make_people(3, 0), [1, -1, 3], 0), "clips_each: .*at least 1"),
        (lambda: make_clips(make_people(3, 0), [1, 2], 0), r"clips_each: shape \(2,\) .*Give one"),
        (lambda: make_clips(make_people(3, 0), 2.5, 0), "clips_each: .*float64.*Give one"),
        (lambda: make_clips(make_people(3, 0), 2, 0, frames=3), "frames: 3 .*at least 4"),
        (lambda: clips_per_person(5, 4, 0), "total: 4 .*at least one"),
        (lambda: clips_per_person(0, 4, 0), "total: 4 clips for 0 people"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_faster_camera_sees_the_same_movement():
    people = make_people(4, 0)
    slow = make_clips(people, 5, 1, frames=20, centered=False)
    fast = make_clips(people, 5, 1, frames=39, centered=False, rate=25.0)
    assert (slow.rate, fast.rate) == (12.5, 25.0) and (slow.y == fast.y).all()
    difference = fast.x[:, ::2] - slow.x
    assert np.abs(difference).max() < 7 * synthetic.NOISE, "equal but for the noise of both"
    with pytest.raises(ValueError, match="rate: 0 frames per second show nothing"):
        make_clips(people, 5, 1, rate=0)
