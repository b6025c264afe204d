"""The commands of data_scripts, run in this process."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from piumar_lib.data import load_npz
from piumar_lib.data.synthetic import FACTORS, make_clips, make_people

FOLDER = Path(__file__).parents[1] / "data_scripts"


def command(name: str):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


make, check = command("make_synthetic_people"), command("check_sequences")


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "people.npz"


def test_written_clips_are_the_librarys_own(out, capsys):
    assert make(["--people", "4", "--clips-each", "6", "--seed", "3", "--out", str(out)]) == 0
    data, expected = load_npz(out), make_clips(make_people(4, 3), 6, 3)
    assert (data.x == expected.x).all() and (data.y == expected.y).all()
    assert (data.person == expected.person).all() and data.rate == 12.5
    assert data.class_names == expected.class_names
    printed = capsys.readouterr().out
    assert str(out) in printed and "clips per person: 6 to 6, median 6" in printed


def test_options_reach_the_generator(out):
    few = ["--people", "3", "--clips-each", "5", "--out", str(out)]
    arguments = ["--actions", "all", "--frames", "20", "--absolute", "--off", "tempo", "bones"]
    assert make(few + arguments) == 0
    data = load_npz(out)
    assert data.classes == 52 and data.x.shape == (15, 20, 34)
    assert np.abs(data.x.mean(1)).max() > 1, "absolute joints are not centred"
    assert make(few + ["--off", *FACTORS, "--force"]) == 0
    off = make_clips(make_people(3, 0, scale=dict.fromkeys(FACTORS, 0)), 5, 0)
    assert (load_npz(out).x == off.x).all()


def test_overwriting_needs_force(out, capsys):
    few = ["--people", "2", "--clips-each", "2", "--out", str(out)]
    assert make(few) == 0
    before = out.read_bytes()
    assert make([*few, "--seed", "1"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert make([*few, "--seed", "1", "--force"]) == 0
    assert out.read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--people", "0"], "error: n: 0"),
        (["--clips-each", "0"], "error: clips_each: 0"),
        (["--frames", "1"], "error: frames: 1"),
    ],
)
def test_bad_numbers_end_in_one_line_and_no_file(out, capsys, arguments, message):
    assert make([*arguments, "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(message) and error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("arguments", [[], ["--out", "a.npz", "--off", "speed"]])
def test_bad_usage_is_explained(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        make(arguments)
    assert stop.value.code == 2 and "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("main", [make, check])
def test_help(main, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    assert ".npz" in capsys.readouterr().out


def test_check_reports_what_is_in_a_good_file(tmp_path, capsys):
    path = tmp_path / "own.npz"
    person = np.array(["ann", "ann", "ann", "bob", "bob", "bob", "cid", "cid"])
    x = np.random.default_rng(0).standard_normal((8, 10, 3))
    np.savez(
        path, X=x, y=[0, 1, 0, 0, 1, 0, 0, 0], person=person,
        lengths=[10, 5, 8, 10, 6, 10, 9, 9], class_names=["nod", "wave"], rate=20.0,
    )  # fmt: skip
    assert check([str(path), "--few", "3"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for part in (
        "good to use", "clips: 8", "frames: 10", "real frames: 5 to 10, median 9",
        "rate: 20 Hz, so 0.25 to 0.5 s", "channels: 3", "people: 3",
        "clips per person: 2 to 3, median 3", "classes: 2", "under 3 people: wave (2)",
    ):  # fmt: skip
        assert part in printed


@pytest.mark.parametrize("spoil", ["person", "X", "none"])
def test_check_says_what_is_wrong(tmp_path, capsys, spoil):
    path = tmp_path / "own.npz"
    arrays = {"X": np.zeros((2, 4, 3)), "y": [0, 1], "person": [0, 1]}
    message = {"person": "has no array person", "X": "x: shape", "none": "no such file"}[spoil]
    if spoil == "person":
        del arrays["person"]
    if spoil == "X":
        arrays["X"] = np.zeros((2, 4))
    if spoil != "none":
        np.savez(path, **arrays)
    assert check([str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and message in captured.err and not captured.out


X = np.random.default_rng(0).standard_normal((60, 24, 3)).astype(np.float32)
Y, PERSON = np.arange(60) % 4, np.arange(60) // 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"person": 0 * PERSON}, "has one person. This takes at least 3"),
        ({"person": PERSON // 3}, "has 2 people. This takes at least 3"),
        ({"y": 0 * Y}, "has one class. This takes at least 2"),
        ({"X": X[:, :1]}, "has one frame in its longest clip"),
        ({"X": np.repeat(X, 100, axis=1)}, "has clips of 2,400 frames"),
        ({"X": X * np.float32(1e37)}, "too large to compute with in float32"),
        ({"X": X * 0}, "nothing moves"),
    ],
)
def test_check_never_calls_good_what_cannot_be_used(tmp_path, capsys, changes, message):
    path = tmp_path / "own.npz"
    np.savez(path, **{"X": X, "y": Y, "person": PERSON} | changes)
    assert check([str(path)]) == 1
    captured = capsys.readouterr()
    assert not captured.out and captured.err.count("\n") == 1
    assert captured.err.startswith("error: ") and f"{path}" in captured.err and message in captured.err


@pytest.mark.parametrize("codes", [[1001, 2005, 3007, 9999], [10, 20, 30, 20_000_000], [1, 2, 3, 4]])
def test_check_counts_the_classes_of_codes(tmp_path, capsys, codes):
    path = tmp_path / "own.npz"
    np.savez(path, X=X * np.float32(1e-9), y=np.array(codes)[Y], person=PERSON)
    assert check([str(path), "--few", "99"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "classes: 4" in printed and f"under 99 people: {codes[0]} (6), " in printed


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert make(["--people", "3", "--clips-each", "20", "--out", "~/people.npz"]) == 0
    assert check(["~/people.npz"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["people.npz"]


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("make_synthetic_people", ["--seed", "-1"], "--seed: -1 is too small. Choose 0 or more"),
        ("make_synthetic_ma52", ["--seed", "-1"], "--seed: -1 is too small. Choose 0 or more"),
        ("make_synthetic_ma52", ["--workers", "0"], "--workers: 0 is too small. Choose 1 or more"),
        ("make_synthetic_ma52", ["--device", "tpu9"], "--device: tpu9 cannot be used here"),
        ("make_synthetic_ma52", ["--out", "~no-such-user/x"], "no-such-user/x: Could not determine"),
    ],
)
def test_options_that_cannot_be_are_named(tmp_path, capsys, name, arguments, words):
    with pytest.raises(SystemExit) as stop:
        command(name)(["--out", str(tmp_path / "out"), *arguments])
    assert stop.value.code == 2 and words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
