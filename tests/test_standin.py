"""The stand-in for MA-52: the published layout, the same from any number of processes, resumable."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from forks import in_forks

from piumar_lib.data.labels import ACTIONS, CLIPS
from piumar_lib.ma52 import standin
from piumar_lib.ma52.prepare.cache import CacheSettings, cached_path, make_cache, read_entries
from piumar_lib.ma52.prepare.index import make_index, read_index
from piumar_lib.ma52.prepare.verify import verify
from piumar_lib.ma52.prepare.video import write_mp4
from piumar_lib.ma52.standin.cache import write_cache

SCRIPT = Path(__file__).parents[1] / "data_scripts" / "make_synthetic_ma52.py"
PLAN = standin.plan(clips=40, people=5, width=64, seed=3)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("standin") / "ma52"
    assert standin.write(folder, PLAN, progress=False) == 40
    return folder


def listed(root: Path, split: str) -> list[list[str]]:
    return [line.split() for line in (root / f"{split}_list_videos.txt").read_text().splitlines()]


def fingerprints(root: Path) -> dict[str, str]:
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


# The plan


def test_the_whole_stand_in_has_the_published_counts():
    plan = standin.plan()
    visible = plan.split != "test"
    assert {s: int((plan.split == s).sum()) for s in CLIPS} == CLIPS
    assert len({*plan.name}) == len(plan) == 22422
    assert len({*plan.person}) == 205 and len({*plan.person[visible]}) == 186
    assert not {*plan.person[visible]} & {*plan.person[~visible]}
    assert {*plan.person[plan.split == "val"]} <= {*plan.person[visible]}
    sessions = {name[:7] for name in plan.name[visible]}
    assert 850 < len(sessions) < 930, "MA-52 has 908"
    counts = np.bincount(plan.person[visible])
    assert counts.min() > 10 and counts.max() < 600 and 50 < np.median(counts) < 90
    frequency = np.bincount(plan.action, minlength=52)
    assert frequency.argmax() in (5, 9, 19, 21, 33) and frequency.min() < 30 < 1000 < frequency.max()
    assert plan.frames.min() == 45 and plan.frames.max() == 75


def test_another_seed_is_another_stand_in():
    one, two, other = (standin.plan(40, 5, 64, seed) for seed in (3, 3, 4))
    assert all((getattr(one, k) == getattr(two, k)).all() for k in ("action", "name", "split", "frames"))
    assert (one.action != other.action).any() and (one.frames != other.frames).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"people": 2}, "people: 2 of them cannot fill"),
        ({"clips": 30, "people": 10}, "clips: 30 for 10 people. Ask for at least 40"),
        ({"width": 63}, "width: 63 pixels. Ask for an even number"),
        ({"width": 16}, "width: 16"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        standin.plan(**{"clips": 40, "people": 5, "width": 64} | options)


# The files


def test_lists_have_the_published_form_and_name_every_clip(root):
    for split in CLIPS:
        text = (root / f"{split}_list_videos.txt").read_text()
        assert not text.endswith("\n")
        lines = listed(root, split)
        assert {name for name, _ in lines} == {path.name for path in (root / split).iterdir()}
        form = r"test\d{4}\.mp4" if split == "test" else r"\d{4}_\d{2}_\d{4}\.mp4"
        assert all(re.fullmatch(form, name) for name, _ in lines)
    assert {label for _, label in listed(root, "test")} == {"0"}
    assert {int(label) for _, label in listed(root, "train")} <= set(range(52))
    names = (root / "label_name.txt").read_text().splitlines()
    assert names == [f"{k}\t{name}" for k, name in enumerate(ACTIONS)]


def test_lists_say_who_did_what(root):
    rows = {str(name): k for k, name in enumerate(PLAN.name)}
    for name, label in listed(root, "train") + listed(root, "val"):
        row = rows[name]
        assert (int(name[:4]) - 1, int(label)) == (PLAN.person[row], PLAN.action[row])
    assert len(listed(root, "train")) == (PLAN.split == "train").sum()
    truth = json.loads((root / "standin.json").read_text())["test clips: person and action"]
    for name, (person, action) in truth.items():
        assert (person, action) == (PLAN.person[rows[name]], PLAN.action[rows[name]])


def test_clips_are_coded_as_those_of_ma52(root):
    for row in (0, 17, 39):
        path = root / str(PLAN.split[row]) / str(PLAN.name[row])
        with av.open(path) as container:
            stream = container.streams.video[0]
            codec = stream.codec_context
            assert (codec.name, codec.profile, codec.pix_fmt) == ("h264", "Main", "yuv420p")
            assert (stream.width, stream.height, stream.average_rate) == (64, 76, 30)
            frames = list(container.decode(stream))
        assert len(frames) == PLAN.frames[row]
        kinds = "".join(av.video.frame.PictureType(frame.pict_type).name for frame in frames)
        assert kinds.startswith("IBPBPBP") and kinds.count("I") == 1
        film = np.stack([frame.to_ndarray(format="rgb24") for frame in frames]).astype(float)
        moving = np.abs(film - film.mean(0)).max((0, 3)) > 20
        assert 0 < moving.mean() < 0.4, "somebody moves before a still wall"


def test_a_clip_shows_its_person_and_action(root):
    """Two clips of a person have one shirt; other people wear other ones."""

    def shirt(row):
        with av.open(root / str(PLAN.split[row]) / str(PLAN.name[row])) as container:
            first = next(container.decode(video=0)).to_ndarray(format="rgb24")
        return first[36:40, 30:34].mean((0, 1))

    same = [np.flatnonzero(PLAN.person == p)[:2] for p in range(3)]
    shirts = np.array([[shirt(row) for row in pair] for pair in same])
    assert np.abs(shirts[:, 0] - shirts[:, 1]).max() < 12
    assert all(np.abs(shirts[a, 0] - shirts[b, 0]).max() > 20 for a, b in ((0, 1), (0, 2), (1, 2)))


def test_processes_and_a_killed_run_change_nothing(root, tmp_path, monkeypatch):
    again = tmp_path / "again"
    standin.write(again, PLAN, progress=False)
    assert fingerprints(again) == fingerprints(root)
    lost = [again / str(PLAN.split[row]) / str(PLAN.name[row]) for row in (3, 4, 20, 39)]
    for path in lost:
        path.unlink()
    monkeypatch.setattr(standin.videos, "in_parallel", in_forks)
    assert standin.write(again, PLAN, workers=2, progress=False) == 4
    assert fingerprints(again) == fingerprints(root)


def test_a_folder_of_something_else_is_left_alone(root, tmp_path):
    other = standin.plan(clips=40, people=5, width=64, seed=4)
    with pytest.raises(ValueError, match="holds a stand-in made with .*'seed': 3.* Name another folder"):
        standin.write(root, other, progress=False)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no stand-in"):
        standin.write(tmp_path, PLAN, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((3, 32, 32, 3)), "float64 of shape .* is not uint8"),
        (np.zeros((3, 32, 32), np.uint8), r"is not uint8 \(time, height, width, 3\)"),
        (np.zeros((3, 32, 31, 3), np.uint8), "31 x 32 pixels. h264 needs even numbers"),
    ],
)
def test_frames_that_cannot_be_written_are_refused(frames, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_mp4(tmp_path / "clip.mp4", frames)
    assert not list(tmp_path.iterdir())


def test_a_clip_of_a_killed_run_is_not_taken_for_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_mp4(tmp_path / "clip.mp4", np.zeros((3, 32, 32, 3), np.uint8))
    assert not (tmp_path / "clip.mp4").exists()


# The command

spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
make_synthetic_ma52 = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_synthetic_ma52)


def test_the_command_says_what_it_would_do_and_does_it(tmp_path, capsys):
    arguments = ["--clips", "16", "--people", "4", "--width", "32", "--out", str(tmp_path / "ma52")]
    assert make_synthetic_ma52.main([*arguments, "--dry-run"]) == 0
    assert not list(tmp_path.iterdir())
    assert "16 clips (8 train, 4 val, 4 test) of 4 people, 32 x 38 pixels" in capsys.readouterr().out
    for written in (16, 0):
        assert make_synthetic_ma52.main([*arguments, "--workers", "1"]) == 0
        assert f"{written} clips written, {16 - written} were already there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--clips", "3", "--people", "3"], "error: clips: 3 for 3 people"),
        (["--width", "99"], "error: width: 99 pixels"),
        (["--width", "1000000", "--clips", "1000", "--people", "40"], "GB free. Make it smaller"),
    ],
)
def test_the_command_explains_what_is_wrong(arguments, message, tmp_path, capsys):
    assert make_synthetic_ma52.main([*arguments, "--out", str(tmp_path / "ma52")]) == 1
    assert message in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_the_command_says_how_large_a_cache_would_be(tmp_path, capsys, monkeypatch):
    """Not how large the videos would be, for which the disk may have no room."""
    usage = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    arguments = ["--cache", "--dry-run", "--out", str(tmp_path / "cache")]
    arguments += ["--clips", "1000", "--people", "40"]
    assert make_synthetic_ma52.main(arguments) == 0 and not list(tmp_path.iterdir())
    assert capsys.readouterr().out == (
        "1000 clips of 40 people, 16 frames of 128 pixels: about 0.8 GB\n"
    )
    assert make_synthetic_ma52.main([*arguments, "--size", "33"]) == 1
    assert "size: 33 pixels. Choose an even number" in capsys.readouterr().err


# Straight into a cache


def test_a_film_into_the_cache_is_what_coding_and_decoding_would_leave(
    tmp_path, kill_often, monkeypatch
):
    plan = standin.plan(24, 4, 96, seed=3)
    standin.write(tmp_path / "ma52", plan, progress=False)
    clips = make_index(tmp_path / "ma52", verify(tmp_path / "ma52").entries)
    settings = CacheSettings(48, form="raw", frames=8)
    long = {k.name: k for k in make_cache(tmp_path / "ma52", clips, tmp_path / "long", settings)}
    assert write_cache(tmp_path / "short", plan, 48, 8, progress=False) == 24
    short = {k.name: k for k in read_entries(tmp_path / "short")}
    assert set(short) == set(long) and all(k.found for k in short.values())
    rows = {c.name: c for c in read_index(tmp_path / "short" / "index.csv")}
    for clip in clips:
        same = replace(rows[clip.name], bytes=clip.bytes, sha256=clip.sha256)
        assert same == clip, "but for the file, the index is the same"
        a, b = (
            np.load(cached_path(tmp_path / n, clip.split, clip.name, settings)).astype(float)
            for n in ("long", "short")
        )
        assert a.shape == b.shape == (8, 48, 48, 3)
        # Coding, another resizer and a box that is rounded otherwise: a few grey levels, and edges.
        assert np.median(np.abs(a - b)) < 4
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.93
    assert write_cache(tmp_path / "short", plan, 48, 8, progress=False) == 0
    with pytest.raises(ValueError, match="was made with"):
        write_cache(tmp_path / "short", plan, 64, 8)
    # Killed, and from two processes: the same bytes.
    killed = tmp_path / "killed"
    kill_often(lambda: write_cache(killed, plan, 48, 8, progress=False), 0.5, lambda: None)
    monkeypatch.setattr(standin.cache, "in_parallel", in_forks)
    write_cache(killed, plan, 48, 8, workers=2, progress=False)
    for clip in clips:
        pair = [cached_path(f, clip.split, clip.name, settings) for f in (killed, tmp_path / "short")]
        assert pair[0].read_bytes() == pair[1].read_bytes()
    assert {*read_entries(killed)} == {*short.values()}
