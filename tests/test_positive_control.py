"""The positive control: its data, and that group robustness wins where it must."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from piumar_lib.data import spurious
from piumar_lib.evidence import positive_control as control

FOUR = ("ERM", "true groups", "style groups", "random groups")


def spectra(data):
    return np.abs(np.fft.rfft(data.x[:, :, :2], axis=1)).mean(2)


def offsets(data):
    return data.x[:, :, 2:].mean((1, 2))


def score(features, data):
    """Accuracy on the second half of a classifier that has seen the first."""
    features, half = features.reshape(len(data), -1), len(data) // 2
    return LogisticRegression().fit(features[:half], data.y[:half]).score(features[half:], data.y[half:])


def test_the_offset_agrees_with_so_many_clips_of_each_class():
    data = spurious.make_clips(1500, 0)
    assert np.bincount(data.person).tolist() == [38, 712, 38, 712]  # 2 * class + agrees
    assert np.array_equal(data.person // 2, data.y)
    seen = (offsets(data) > 0) == data.y
    assert np.array_equal(seen, data.person % 2)
    even = spurious.make_clips(400, 0, agreement=0.5)
    assert np.bincount(even.person).tolist() == [100] * 4


def test_the_class_is_in_the_frequency_and_the_offset_is_a_trap():
    fair = spurious.make_clips(800, 3, agreement=0.5)
    rng = np.random.default_rng(0)
    fair = fair.take(rng.permutation(len(fair)))
    assert score(spectra(fair), fair) > 0.95
    assert abs(score(offsets(fair), fair) - 0.5) < 0.08
    trap = spurious.make_clips(800, 3)
    assert ((offsets(trap) > 0) == trap.y).mean() == pytest.approx(0.95, abs=0.005)


def test_clips_are_determined_by_their_seed():
    first, same, other = (spurious.make_clips(20, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.x, same.x) and not np.array_equal(first.x, other.x)
    assert first.x.shape == (20, 32, 4)


@pytest.mark.parametrize(
    ("clips", "agreement", "message"),
    [(1, 0.5, "clips: 1 cannot show two classes"), (9, 1.2, r"agreement: must be in \[0, 1\], got 1.2")],
)
def test_impossible_data_is_refused(clips, agreement, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        spurious.make_clips(clips, 0, agreement)


def test_style_groups_recover_what_true_groups_gain_and_random_ones_do_not():
    rows = control.positive_control((0, 1), FOUR, progress=False)
    assert [(r["seed"], r["row"]) for r in rows] == [(seed, row) for seed in (0, 1) for row in FOUR]
    worst = {name: np.mean([r["worst"] for r in rows if r["row"] == name]) for name in FOUR}
    assert worst["true groups"] > worst["ERM"] + 0.1
    assert control.recovered(rows, "style groups") >= 2 / 3
    assert control.recovered(rows, "random groups") <= 1 / 4
    again = control.positive_control((1,), ("style groups",), progress=False)
    assert again[0] == rows[6]


def test_recovered_by_hand():
    worst = {"ERM": (0.4, 0.6), "true groups": (0.9, 0.9), "style groups": (0.8, 0.8)}
    rows = [{"row": name, "worst": w} for name, pair in worst.items() for w in pair]
    assert control.recovered(rows, "style groups") == pytest.approx(0.75)
    assert control.recovered(rows, "ERM") == 0 and control.recovered(rows, "true groups") == 1


def test_the_command_writes_records_that_say_how_they_were_made(tmp_path, monkeypatch):
    monkeypatch.setattr(control, "_judge", lambda seed, row: {"row": row, "seed": seed, "device": "a"})
    out = tmp_path / "rows.jsonl"
    arguments = ["--out", str(out), "--seeds", "3", "4"]
    monkeypatch.setattr(sys, "argv", [control.__file__, *arguments])
    control.provenance.cache_clear()
    assert control.main(arguments) == 0
    control.provenance.cache_clear()
    records = [json.loads(line) for line in out.read_text().splitlines()]
    expected = [(seed, row) for seed in (3, 4) for row in control.OBJECTIVES]
    assert [(r["seed"], r["row"]) for r in records] == expected
    command = f"python -m piumar_lib.evidence.positive_control --out {out} --seeds 3 4"
    assert records[0]["command"] == command
    assert {"commit", "versions", "device"} <= {*records[0]}
