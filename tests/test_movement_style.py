"""Tempo, onset and amplitude from poses: against known movements, and against the stand-in's truth."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from piumar_lib.data.actions import all_actions
from piumar_lib.data.joints import COCO
from piumar_lib.data.skeleton import POSES
from piumar_lib.data.synthetic import FACTORS, make_clips, make_people
from piumar_lib.ma52 import standin
from piumar_lib.ma52.movement_style import (
    REFERENCE,
    MovementStyle,
    ReferencePeople,
    find_movement,
    measure_standin,
    measure_style,
    median_of,
    read_reference,
    true_styles,
)
from piumar_lib.ma52.pose_tracks import Track
from piumar_lib.ma52.standin.poses import write_standin_poses

RATE = 30.0


def moving(onset, tempo, reach, seconds=2.4, rate=RATE, noise=0.004, seed=0):
    """The right wrist goes there and back, in a body 100 pixels from neck to hips; noise as given."""
    time = np.arange(round(seconds * rate)) / rate
    phase = np.clip((time - onset) / tempo, 0, 1)
    xy = np.repeat(POSES[None], len(time), 0)
    xy[:, COCO.index("right wrist"), 1] -= reach * np.sin(np.pi * phase) ** 2
    xy += noise * np.random.default_rng(seed).standard_normal(xy.shape)
    return Track("me", COCO, 100 * xy + 300, np.ones(xy.shape[:2]), rate)


@pytest.mark.parametrize("onset", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("tempo", [0.6, 1.2])
@pytest.mark.parametrize("rate", [25.0, 60.0])
def test_a_known_movement_is_found(onset, tempo, rate):
    seen = measure_style(moving(onset, tempo, 0.3, rate=rate))
    # Its first and last tenth are slow, and smoothing blurs both ends by a tenth of a second.
    assert seen.onset == pytest.approx(onset, abs=0.2)
    assert seen.tempo == pytest.approx(tempo, abs=0.3)
    assert 0.7 * 0.3 < seen.amplitude < 1.05 * 0.3  # smoothing takes most from a brief movement


def test_amplitude_is_counted_in_torso_lengths_whatever_the_pixels():
    one = moving(0.4, 1.0, 0.2)
    far = replace(one, xy=0.3 * one.xy + [50, 10])
    np.testing.assert_allclose(measure_style(one), measure_style(far), rtol=1e-6)
    twice = measure_style(moving(0.4, 1.0, 0.4))
    assert twice.amplitude / measure_style(one).amplitude == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize("seed", range(5))
def test_the_cut_is_the_most_likely_one_of_all(seed):
    rng = np.random.default_rng(seed)
    speed = np.r_[rng.random(9), 5 + rng.random(12), rng.random(7)]
    assert find_movement(speed, 3) == (9, 21)
    noise = rng.exponential(size=15)
    costs = {}
    for a in range(16):
        for b in range(a + 4, 16):
            inside, outside = noise[a:b], np.r_[noise[:a], noise[b:]]
            if not len(outside) or outside.mean() <= inside.mean():
                v, w = inside.mean() + 0.03**2, (outside.mean() if len(outside) else 0) + 0.03**2
                costs[a, b] = len(inside) * np.log(v) + len(outside) * np.log(w)
    assert find_movement(noise, 4) == min(costs, key=costs.get)


def test_clips_that_hold_no_single_movement_are_named():
    with pytest.raises(ValueError, match=r"me: must last at most 4 s, .* got 4\.5 s. Cut a clip"):
        measure_style(moving(1, 1, 0.1, seconds=4.5))
    with pytest.raises(ValueError, match="me: 9 frames hold no movement. Give a second or more"):
        measure_style(moving(0, 0.1, 0.1, seconds=0.3))
    nobody = moving(0.2, 0.5, 0.1)
    with pytest.raises(ValueError, match="me: no torso was found. Record shoulders"):
        measure_style(replace(nobody, xy=np.full_like(nobody.xy, np.nan)))
    with pytest.raises(ValueError, match="styles: must be those of one or more clips, got none"):
        median_of([])


def test_percentiles_count_smaller_values_and_half_of_equal_ones():
    reference = ReferencePeople(
        "us", tuple(MovementStyle(k, 2 * k, 7) for k in range(10)), (1,) * 10, MovementStyle(1, 1, 1)
    )
    assert reference.percentiles(MovementStyle(3, 100, 7)) == (35, 100, 50)
    assert median_of(reference.styles) == (4.5, 9, 7)


def test_a_reference_survives_writing_and_a_damaged_file_is_named(tmp_path):
    reference = ReferencePeople(
        "us",
        (MovementStyle(1.25, 0.5, 0.125), MovementStyle(2, 1, 0.25)),
        (3, 4),
        MovementStyle(0.5, 0.25, 1),
    )
    reference.write(tmp_path / "us.json")
    assert read_reference(tmp_path / "us.json") == reference
    held = json.loads((tmp_path / "us.json").read_text())
    for change in ({"tempo": [1]}, {"tempo": "no"}, {"clips": []}, {"agreement": {"tempo": 1}}):
        (tmp_path / "bad.json").write_text(json.dumps(held | change))
        with pytest.raises(ValueError, match=r"bad\.json: damaged .* Take the file as the course"):
            read_reference(tmp_path / "bad.json")


# The stand-in's truth


def test_truth_is_what_clips_are_made_with(monkeypatch):
    """Without noise and without a spread from clip to clip, clips show it exactly."""
    monkeypatch.setattr("piumar_lib.data.synthetic.JITTER", 0)
    monkeypatch.setattr("piumar_lib.data.synthetic.NOISE", 0)
    only = dict.fromkeys(FACTORS, 0.0) | dict.fromkeys(MovementStyle._fields, 1.0)
    swings = tuple(action for action in all_actions() if action.course.startswith("swing"))
    made, people = make_people(12, 4, swings, only), true_styles(12, seed=4)
    clips = make_clips(made, 3, 0, frames=150, rate=RATE)
    way = np.abs(clips.x - clips.x[:, :1]).max(-1)
    moves = np.abs(np.diff(clips.x, axis=1)).max(-1) > 1e-6
    first, last = moves.argmax(1), 149 - moves[:, ::-1].argmax(1)
    fields = np.array([np.abs(action.field).max() for action in swings])[clips.y]
    # Both swings get as far as their course does: 0.81 and 0.92 of the field.
    for k, p in enumerate(clips.person):
        assert first[k] / RATE == pytest.approx(people[p].onset, abs=2 / RATE)
        expected = min(people[p].onset + people[p].tempo, 149 / RATE)
        assert last[k] / RATE == pytest.approx(expected, abs=3 / RATE)
        assert way[k].max() / fields[k] == pytest.approx(people[p].amplitude, rel=0.25)


def test_people_are_ordered_as_they_truly_are(tmp_path):
    """By some 25 clips each, as in the committed file; by ten clips each it is noticeably less."""
    write_standin_poses(tmp_path, standin.plan(clips=1400, people=36, seed=7), progress=False)
    reference = measure_standin(tmp_path)
    assert (
        len(reference.styles) < 36
        and max(reference.clips) == 25
        and reference.source == "stand-in, seed 7"
    )
    for name, said in read_reference().agreement._asdict().items():
        # The standard error of a rank correlation of 33 people is about 0.17.
        assert getattr(reference.agreement, name) == pytest.approx(said, abs=0.35), name
    assert reference.agreement.onset > 0.3 and reference.agreement.amplitude > 0.6


def test_the_committed_people_are_those_of_the_benchmark():
    reference = read_reference(REFERENCE)
    assert len(reference.styles) == 186 and reference.source == "stand-in, seed 0"
    tempo, onset, amplitude = (np.median(reference.values(name)) for name in MovementStyle._fields)
    assert 0.3 < tempo < 2 and 0.1 < onset < 1.2 and 0.03 < amplitude < 0.5
