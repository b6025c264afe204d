"""The cache: where the person is, which pixels are kept, and that no kill leaves half a clip."""

from __future__ import annotations

import csv
import errno
import importlib.util
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from forks import in_forks

from piumar_lib.data.actions import all_actions
from piumar_lib.data.synthetic import make_clips, make_people
from piumar_lib.ma52 import standin
from piumar_lib.ma52.prepare import cache
from piumar_lib.ma52.prepare.cache import (
    CacheSettings,
    cached_path,
    make_cache,
    read_entries,
    read_settings,
)
from piumar_lib.ma52.prepare.crop import (
    WHOLE,
    Box,
    find_person,
    foreground,
    square_about,
    square_in_the_middle,
)
from piumar_lib.ma52.prepare.index import make_index, write_index
from piumar_lib.ma52.prepare.verify import verify
from piumar_lib.ma52.prepare.video import read_frames, write_mp4
from piumar_lib.ma52.standin.render import VIEW, make_looks, render

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "data_scripts" / "prepare_ma52.py"
spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
prepare_ma52 = importlib.util.module_from_spec(spec)
spec.loader.exec_module(prepare_ma52)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("download") / "ma52"
    standin.write(folder, standin.plan(clips=24, people=4, width=96, seed=2), progress=False)
    return folder


@pytest.fixture(scope="module")
def clips(root):
    return make_index(root, verify(root).entries)


SMALL = CacheSettings(size=48)


# Where the person is


def test_the_person_is_found_where_the_joints_are():
    n, width, height = 12, 108, 130
    acted = make_clips(make_people(n, 0, all_actions()), 1, 0, centered=False).x.reshape(n, 32, 17, 2)
    looks = make_looks(n, 0)
    film = render(acted[:, ::8], looks, np.arange(n), width, height).numpy()
    unit = looks.size * width / VIEW
    hips = np.array([width / 2, height / 2 + 0.2 * width / VIEW]) + looks.place * width / VIEW
    joints = hips[:, None, None] + unit[:, None, None, None] * acted[:, ::8]
    for k in range(n):
        box = find_person(film[k])
        near = np.array([box.left * width, box.top * height, box.right * width, box.bottom * height])
        low, high = joints[k].min((0, 1)), joints[k].max((0, 1))
        outside = np.array([*(low - near[:2]), *(near[2:] - high)])
        # Joints lie inside the body: the box reaches beyond them, by no more than limbs are thick.
        assert (outside > 0).all() and (outside < 0.4 * unit[k]).all()


def test_a_wall_lit_from_one_side_and_its_noise_are_no_person():
    x, y = np.arange(60)[None, :, None], np.arange(72)[:, None, None]
    wall = 120 + x + 0.5 * y + np.zeros(3)
    noisy = wall + np.random.default_rng(0).normal(0, 3, (4, 72, 60, 3))
    film = noisy.clip(0, 255).astype(np.uint8)
    assert not foreground(film).any() and find_person(film) is None


def stage(*things):
    """Frames of a grey wall with rectangles (top, bottom, left, right) on it, 100 x 80 pixels."""
    film = np.full((2, 100, 80, 3), 180, np.uint8)
    for top, bottom, left, right in things:
        film[:, top:bottom, left:right] = (40, 60, 120)
    return film


def test_the_largest_thing_is_the_person():
    assert find_person(stage((20, 70, 30, 50), (5, 12, 60, 68))) == Box(30 / 80, 0.2, 50 / 80, 0.7)


@pytest.mark.parametrize(
    "film",
    [stage((10, 13, 40, 43)), stage((5, 95, 8, 72)), stage((40, 60, 0, 80)), stage()],
    ids=["too small", "too large", "from side to side", "nothing"],
)
def test_what_cannot_be_a_person_is_none(film):
    assert find_person(film) is None


def test_a_person_who_moves_is_inside_at_all_moments():
    film = np.concatenate([stage((20, 70, 30, 50))[:1], stage((20, 70, 35, 62))[:1]])
    assert find_person(film) == Box(30 / 80, 0.2, 62 / 80, 0.7)


def test_the_square_holds_the_person_with_a_margin():
    box = square_about(Box(0.4, 0.3, 0.6, 0.7), 100, 200, margin=0.1)  # 20 x 80 pixels
    pixels = np.array(box) * (100, 200, 100, 200)
    assert np.allclose(pixels, (2, 52, 98, 148))  # side 96 about (50, 100)
    corner = square_about(Box(0.0, 0.0, 0.2, 0.2), 100, 200, margin=0.1)
    assert corner.left == corner.top == 0 and np.isclose(corner.right * 100, corner.bottom * 200)
    assert square_about(WHOLE, 100, 200) == square_in_the_middle(100, 200) == Box(0, 0.25, 1, 0.75)


# Reading


def test_a_part_of_a_frame_is_cut_out_and_shrunk(tmp_path):
    film = np.zeros((6, 64, 96, 3), np.uint8)
    film[:, 16:48, 32:64] = 200
    write_mp4(tmp_path / "a.mp4", film, crf=1)
    whole = read_frames(tmp_path / "a.mp4")
    assert whole.shape == (6, 64, 96, 3) and np.abs(whole.astype(int) - film).mean() < 2
    bright = read_frames(tmp_path / "a.mp4", Box(1 / 3, 0.25, 2 / 3, 0.75), size=16, which=[1, 4])
    assert bright.shape == (2, 16, 16, 3) and bright[:, 2:-2, 2:-2].min() > 190
    half = read_frames(tmp_path / "a.mp4", size=32)
    assert half.shape == (6, 32, 48, 3)
    means = film.reshape(6, 32, 2, 48, 2, 3).mean((2, 4))
    assert np.abs(half - means).mean() < 3, "pixels are averages over what they cover"


def test_frames_are_those_that_were_asked_for(tmp_path):
    film = np.full((9, 32, 32, 3), 20 * np.arange(9)[:, None, None, None], np.uint8)
    write_mp4(tmp_path / "a.mp4", film, crf=1)
    levels = read_frames(tmp_path / "a.mp4", which=[0, 3, 8])[:, 16, 16, 0].astype(int)
    assert np.abs(levels - (0, 60, 160)).max() < 6
    with pytest.raises(ValueError, match=r"frames \[9\] are not there"):
        read_frames(tmp_path / "a.mp4", which=[2, 9])


# Keeping


@pytest.mark.parametrize("form", cache.FORMS)
def test_every_clip_is_kept_whole_and_about_the_person(root, clips, tmp_path, form):
    settings = replace(SMALL, form=form)
    kept = make_cache(root, clips, tmp_path, settings)
    assert [k.name for k in kept] == [c.name for c in clips]
    assert all(k.found and not k.fault for k in kept) and read_settings(tmp_path) == settings
    for k, clip in zip(kept, clips, strict=True):
        assert k.frames == clip.frames and k.split == clip.split
        path = cached_path(tmp_path, k.split, k.name, settings)
        film = np.load(path) if form == "raw" else read_frames(path)
        assert film.shape == (clip.frames, 48, 48, 3) and film.dtype == np.uint8
        box = Box(k.left, k.top, k.right, k.bottom)
        assert 0.3 < box.right - box.left < 1
        expected = read_frames(root / clip.split / clip.name, box, 48)[:, :48, :48]
        assert np.abs(film.astype(int) - expected).mean() < (0.5 if form == "raw" else 4)
    assert not (tmp_path / "bad.csv").exists()


def test_keyframes_are_close_so_that_a_part_can_be_read_fast(root, clips, tmp_path):
    make_cache(root, clips[:1], tmp_path, SMALL)
    with av.open(cached_path(tmp_path, clips[0].split, clips[0].name, SMALL)) as container:
        frames = list(container.decode(video=0))
    assert [k for k, f in enumerate(frames) if f.key_frame] == list(range(0, clips[0].frames, 8))
    assert av.video.frame.PictureType.B not in {f.pict_type for f in frames}


def test_the_middle_and_fewer_frames_can_be_asked_for(root, clips, tmp_path):
    settings = replace(SMALL, crop="middle", frames=16, form="raw")
    kept = make_cache(root, clips[:3], tmp_path, settings)
    for k, clip in zip(kept, clips, strict=False):
        assert not k.found and k.frames == 16
        film = np.load(cached_path(tmp_path, k.split, k.name, settings))
        middle = square_in_the_middle(clip.width, clip.height)
        at = np.linspace(0, clip.frames - 1, 16).round().astype(int)
        whole = read_frames(root / clip.split / clip.name, middle, 48)[:, :48, :48]
        assert (film == whole[at]).all()


def test_where_nobody_is_found_the_middle_is_kept(root, clips, tmp_path):
    empty = np.full((50, 116, 96, 3), 180, np.uint8)
    (tmp_path / "ma52" / "train").mkdir(parents=True)
    write_mp4(tmp_path / "ma52" / "train" / "0001_01_0001.mp4", empty)
    clip = replace(clips[0], name="0001_01_0001.mp4", split="train", frames=50, height=116)
    (kept,) = make_cache(tmp_path / "ma52", [clip], tmp_path / "cache", SMALL)
    assert not kept.found and not kept.fault
    middle = square_in_the_middle(96, 116)
    assert np.allclose((kept.left, kept.top, kept.right, kept.bottom), middle, atol=1e-5)


def test_bad_clips_are_left_out_by_name_and_tried_again(root, clips, tmp_path):
    broken = Path(shutil.copytree(root, tmp_path / "ma52"))
    victim = broken / clips[3].split / clips[3].name
    victim.write_bytes(b"no video")
    kept = make_cache(broken, clips, tmp_path / "cache", SMALL)
    assert [bool(k.fault) for k in kept] == [k == 3 for k in range(len(clips))]
    with (tmp_path / "cache" / "bad.csv").open(newline="") as file:
        assert [*csv.reader(file)] == [
            ["clip", "fault"],
            [f"{clips[3].split}/{clips[3].name}", "it is damaged, or no video"],
        ]
    shutil.copy(root / clips[3].split / clips[3].name, victim)
    kept = make_cache(broken, clips, tmp_path / "cache", SMALL)
    assert not any(k.fault for k in kept) and not (tmp_path / "cache" / "bad.csv").exists()


def test_nothing_is_decoded_twice_and_processes_change_nothing(root, clips, tmp_path, monkeypatch):
    one, two = tmp_path / "one", tmp_path / "two"
    first = make_cache(root, clips, one, SMALL)
    monkeypatch.setattr(cache, "in_parallel", in_forks)
    assert make_cache(root, clips, two, SMALL, workers=2) == first
    assert contents(one) == contents(two)
    monkeypatch.setattr(cache, "cache_clip", lambda *_: pytest.fail("decoded again"))
    assert make_cache(root, clips, one, SMALL) == first


def contents(folder):
    """All clips of a cache, and its table without its order."""
    paths = [p for p in folder.rglob("*.mp4") if ".part" not in p.name]
    files = {p.relative_to(folder): p.read_bytes() for p in paths}
    return files, sorted((folder / "cache.csv").read_text().splitlines())


def test_a_cache_that_is_killed_twenty_times_ends_like_an_uninterrupted_one(
    root, clips, tmp_path, kill_often
):
    through, killed = tmp_path / "through", tmp_path / "killed"
    began = time.perf_counter()
    expected = make_cache(root, clips, through, SMALL)
    seconds, done, rng = time.perf_counter() - began, set(), random.Random(0)

    def look():
        killed.mkdir(exist_ok=True)
        # A torn line, as if the machine had gone down while writing.
        with (killed / "cache.csv").open("a") as file:
            file.write("0009_01_0001.mp4,tra"[: rng.randrange(20)])
        done.add(len(read_entries(killed)))
        for kept in read_entries(killed):
            film = read_frames(cached_path(killed, kept.split, kept.name, SMALL))
            assert len(film) == kept.frames, "a clip in the table is whole"

    kill_often(lambda: make_cache(root, clips, killed, SMALL), 0.5 * seconds, look)
    assert len(done) >= 2, "killed early and late"
    assert make_cache(root, clips, killed, SMALL) == expected
    assert contents(killed)[0] == contents(through)[0]
    assert {*read_entries(killed)} == {*read_entries(through)}


def test_a_cache_whose_workers_are_killed_with_it_goes_on(root, clips, tmp_path):
    index, killed = tmp_path / "index.csv", tmp_path / "killed"
    write_index(index, clips)
    command = [sys.executable, str(SCRIPT), "cache", str(root), str(index), "--out", str(killed)]
    command += ["--size", "48", "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not read_entries(killed):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert make_cache(root, clips, killed, SMALL) == make_cache(root, clips, tmp_path / "b", SMALL)


# What cannot be


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 31}, "size: 31 pixels. Choose an even number from 32 to 1024"),
        ({"size": 33}, "size: 33 pixels"),
        ({"size": 1026}, "size: 1026"),
        ({"crop": "face"}, "crop, form: 'face', 'mp4' are unknown"),
        ({"form": "gif"}, "crop, form: 'person', 'gif' are unknown"),
        ({"frames": -1}, "frames: -1 cannot be kept"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        CacheSettings(**settings)


def test_a_cache_of_other_settings_is_left_alone(root, clips, tmp_path):
    make_cache(root, clips[:1], tmp_path, SMALL)
    with pytest.raises(ValueError, match="was made with .*size=48.* Name another folder"):
        make_cache(root, clips, tmp_path, replace(SMALL, size=64))
    with pytest.raises(FileNotFoundError, match="no cache. Make one: prepare_ma52.py cache --help"):
        read_settings(tmp_path / "elsewhere")


def test_a_full_disk_is_noticed_beforehand(root, clips, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match="no room, .* 0.0 GB free. Choose another disk, a smaller"):
        make_cache(root, clips, tmp_path / "cache", SMALL)
    assert not read_entries(tmp_path / "cache")


@pytest.mark.parametrize(("form", "low", "high"), [("raw", 1, 1.01), ("mp4", 0.25, 4)])
def test_room_is_estimated(root, clips, tmp_path, form, low, high):
    settings = CacheSettings(size=96, form=form)
    make_cache(root, clips, tmp_path, settings)
    used = sum(p.stat().st_size for p in tmp_path.rglob(f"*{settings.suffix}"))
    assert low < used / cache.estimate_bytes(clips, settings) < high


# The command


def test_the_command_keeps_clips_and_names_bad_ones(root, clips, tmp_path, capsys):
    index, out = tmp_path / "index.csv", tmp_path / "cache"
    write_index(index, clips)
    arguments = ["cache", str(root), str(index), "--out", str(out), "--size", "48", "--workers", "1"]
    assert prepare_ma52.main([*arguments, "--dry-run"]) == 0 and not out.exists()
    assert prepare_ma52.main(arguments) == 0
    said = capsys.readouterr().out
    assert "24 clips as mp4, 48 pixels: about 0.0 GB" in said
    assert "24 clips kept; the person was not found in 0" in said
    missing = replace(clips[0], name="0099_01_0001.mp4")
    write_index(index, [*clips, missing])
    assert prepare_ma52.main(arguments) == 1
    assert f"left out: {missing.split}/0099_01_0001.mp4: " in capsys.readouterr().err


# What is damaged, or cannot be written


@pytest.mark.parametrize("form", cache.FORMS)
def test_a_full_disk_is_no_fault_of_the_clips(root, clips, tmp_path, monkeypatch, capsys, form):
    write_index(tmp_path / "index.csv", clips[:2])
    arguments = ["cache", str(root), str(tmp_path / "index.csv"), "--out", str(tmp_path / "cache"),
                 "--size", "48", "--form", form, "--workers", "1"]  # fmt: skip

    real = av.open

    def full(*arguments, **options):
        if form == "mp4" and "w" not in arguments:  # reading goes on
            return real(*arguments, **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("numpy.save" if form == "raw" else "av.open", full)
    assert prepare_ma52.main(arguments) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: ") and "no room, the disk is full. Make room" in said
    assert read_entries(tmp_path / "cache") == [] and not list(tmp_path.rglob("*.part"))
    monkeypatch.undo()
    assert prepare_ma52.main(arguments) == 0


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("settings.json", "", "settings.json: is damaged .Expecting value.*Delete it; the command"),
        ("settings.json", "[]", "settings.json: is damaged .it holds no object"),
        ("settings.json", '{"pixels": 3}', "settings.json: does not fit this course.*pixels"),
        ("cache.csv", "a,train,x\n", "cache.csv, line 1: is damaged .*Remove this line"),
        ("cache.csv", '\n"a,train\n', "cache.csv, line 1: is damaged"),
        ("cache.csv", b"\xff\n", "cache.csv: is no text in UTF-8"),
    ],
)
def test_a_damaged_cache_is_named(tmp_path, name, text, words):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=words):
        (read_settings if name == "settings.json" else read_entries)(tmp_path)


def test_a_cache_is_found_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    cache.open_cache(tmp_path / "c", SMALL)
    assert read_settings("~/c") == SMALL
