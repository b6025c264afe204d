"""Poses from video: what an estimator sees, whom it follows, and that no clip and no work gets lost."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from slow import slow_but
from test_video import make_video

from piumar_lib.data.joints import MEDIAPIPE
from piumar_lib.data.skeleton import JOINTS, POSES
from piumar_lib.ma52 import standin
from piumar_lib.ma52.pose_error import ALL, main, pose_errors
from piumar_lib.ma52.prepare import estimator_program
from piumar_lib.ma52.prepare.engines import ENGINES, Engine, Estimator, EstimatorError, find_command
from piumar_lib.ma52.prepare.extract import extract, shrunk_size, videos_below
from piumar_lib.ma52.prepare.index import make_index, write_index
from piumar_lib.ma52.prepare.one_person import PATIENCE, OnePerson
from piumar_lib.ma52.prepare.poses import ClipPoses, join, read_poses
from piumar_lib.ma52.prepare.verify import verify
from piumar_lib.ma52.prepare.video import VideoError
from piumar_lib.ma52.standin.estimate import true_joints
from piumar_lib.ma52.standin.render import make_looks, render, to_pixels

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "data_scripts" / "extract_poses.py"
spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
extract_poses = importlib.util.module_from_spec(spec)
spec.loader.exec_module(extract_poses)
RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)
FAKE = Engine("fake", "fake 1.0", ("nose", "left eye", "right eye"))
STEADY = np.arange(8) / 25
real = pytest.mark.skipif(
    not ENGINES["mediapipe"].folder.is_dir(), reason="needs the pose estimator: make poses-env"
)


def fake(tmp_path, problem="", said=None):
    said = said or {"version": FAKE.version, "joints": len(FAKE.joints)}
    program = str(ROOT / "tests" / "fake_estimator.py")
    return [sys.executable, program, json.dumps(said), problem, str(tmp_path / "log")]


def fake_python(tmp_path, problem=""):
    """An interpreter that runs the fake whatever program it is given; it passes for mediapipe."""
    said = {"version": ENGINES["mediapipe"].version, "joints": len(MEDIAPIPE)}
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\nexec {shlex.join(fake(tmp_path, problem, said))}\n")
    path.chmod(0o755)
    return path


def looked_at(tmp_path):
    log = tmp_path / "log"
    return len(log.read_text().splitlines()) if log.is_file() else 0


def squares(corners, color=RED, size=16, width=96, height=120):
    """Pictures with a square whose upper left corner is at ``corners``."""
    pictures = np.zeros((len(corners), height, width, 3), np.uint8)
    for picture, (x, y) in zip(pictures, corners, strict=True):
        picture[y : y + size, x : x + size] = color
    return pictures


def moving(frames, start=(8, 16), step=(4, 2)):
    return np.array(start) + np.arange(frames)[:, None] * step


def run(folder, tmp_path, **how):
    return extract(videos_below(folder), tmp_path / "poses.safetensors", FAKE, fake(tmp_path), **how)


@pytest.fixture
def folder(tmp_path):
    """A reader's own clips, one of them in a folder below."""
    folder = tmp_path / "Übung 1"
    (folder / "am Tisch").mkdir(parents=True)
    make_video(folder / "a.mp4", squares(moving(8)), STEADY)
    make_video(folder / "am Tisch" / "b ä.mp4", squares(moving(5, (40, 60), (-2, 3))), STEADY[:5])
    (folder / "notes.txt").write_text("no video")
    return folder


def test_joints_are_where_they_are_in_the_video(folder, tmp_path):
    result = run(folder, tmp_path, workers=2)
    read = read_poses(tmp_path / "poses.safetensors")
    assert read.names == ("a.mp4", "am Tisch/b ä.mp4") and read.joints == FAKE.joints
    assert read.size.tolist() == [[96, 120]] * 2 and read.rate.tolist() == pytest.approx([25, 25])
    assert "fake 1.0" in read.source and not result.bad and result.frames == 13
    xy, score = read.clip("a.mp4")
    for joint, within in enumerate((0.5, 8, 15.5)):
        np.testing.assert_allclose(xy[:, joint], moving(8) + within, atol=0.6)
    np.testing.assert_allclose(score, [[1, 0.5, 1]] * 8)
    xy, _ = read.clip("am Tisch/b ä.mp4")
    np.testing.assert_allclose(xy[:, 1], moving(5, (40, 60), (-2, 3)) + 8, atol=0.6)
    assert not (tmp_path / "poses.safetensors.parts").exists()


def test_large_frames_are_shrunk_and_joints_are_in_pixels_of_the_video(folder, tmp_path):
    whole = run(folder, tmp_path).poses.clip("a.mp4")[0]
    shrunk = extract(
        videos_below(folder), tmp_path / "small.safetensors", FAKE, fake(tmp_path), at_most=60
    ).poses.clip("a.mp4")[0]
    np.testing.assert_allclose(shrunk[:, 1], whole[:, 1], atol=1)
    assert np.abs(shrunk[:, 0] - whole[:, 0]).max() > 0.4, "its pixels are twice as large"


def test_the_longer_side_is_what_is_shrunk():
    assert shrunk_size(1080, 1296, 720) == (600, 720) == shrunk_size(1296, 1080, 720)[::-1]
    assert shrunk_size(216, 260, 720) == (216, 260), "nothing is enlarged"


def test_a_turned_video_is_seen_upright(tmp_path):
    """A quarter clockwise sends what is x to the right to y down, and y down to the left."""
    (tmp_path / "own").mkdir()
    corners = moving(8)
    make_video(tmp_path / "own" / "a.mp4", squares(corners), STEADY, axes=(0, 1, -1, 0))
    poses = run(tmp_path / "own", tmp_path).poses
    assert poses.size.tolist() == [[120, 96]]
    expected = np.stack([120 - (corners[:, 1] + 8), corners[:, 0] + 8], axis=-1)
    np.testing.assert_allclose(poses.clip("a.mp4")[0][:, 1], expected, atol=0.6)


def test_a_clip_of_varying_rate_gives_poses_that_are_even_in_time(tmp_path):
    """The square moves at a steady speed, though many frames are at the start, and few behind."""
    (tmp_path / "own").mkdir()
    times = np.r_[np.arange(20) * 0.02, 0.4 + np.arange(20) * 0.06]
    corners = np.stack([np.round(8 + 40 * times), np.full(40, 20)], axis=1).astype(int)
    make_video(tmp_path / "own" / "a.mkv", squares(corners), times)
    poses = run(tmp_path / "own", tmp_path).poses
    rate = float(poses.rate[0])
    assert rate == pytest.approx(39 / times[-1], rel=0.01)
    x = poses.clip("a.mkv")[0][:, 1, 0]
    np.testing.assert_allclose(x, 16 + 40 * np.arange(40) / rate, atol=0.03 * 40 + 1)
    assert np.abs(corners[:, 0] + 8 - (16 + 40 * np.arange(40) / rate)).max() > 5, "not by themselves"


def test_one_of_two_people_is_followed(tmp_path):
    """The larger one of the first frame, also where the other is larger later on."""
    (tmp_path / "own").mkdir()
    pictures = squares(moving(8), size=20)
    for k, picture in enumerate(pictures):
        picture[70 : 80 + 4 * k, 60 : 70 + 4 * k] = GREEN
    pictures[5, :60] = 0  # the one who is followed is not seen for a moment
    make_video(tmp_path / "own" / "a.mp4", pictures, STEADY)
    xy, score = run(tmp_path / "own", tmp_path).poses.clip("a.mp4")
    seen = np.arange(8) != 5
    np.testing.assert_allclose(xy[seen, 1], (moving(8) + 10)[seen], atol=0.7)
    assert np.isnan(xy[5]).all() and (score[5] == 0).all()


def person_at(x, height=50.0):
    return np.array([(x, 0, 1), (x + 20, height / 2, 1), (x, height, 1)])


def test_who_is_too_far_away_is_somebody_else_until_patience_ends():
    one = OnePerson()
    assert one(np.empty((0, 3, 3))) is None
    assert one(np.stack([person_at(0, 30), person_at(500)]))[0, 0] == 500
    assert one(np.stack([person_at(530), person_at(490)]))[0, 0] == 490
    assert [one(person_at(100)[None]) for _ in range(PATIENCE)] == [None] * PATIENCE
    assert one(person_at(100)[None])[0, 0] == 100


def test_bad_clips_are_listed_and_the_others_are_there(folder, tmp_path, capsys):
    (folder / "page.mp4").write_text("<html>sign in")
    make_video(folder / "dark.mp4", squares(moving(8), (0, 0, 0)), STEADY)
    make_video(folder / "white.mp4", np.full((3, 120, 96, 3), 255, np.uint8), STEADY[:3])
    seldom = squares(moving(8))
    seldom[3:] = 0
    make_video(folder / "z.mp4", seldom, STEADY)
    out = tmp_path / "poses.safetensors"
    options = [str(folder), "--out", str(out), "--python", str(fake_python(tmp_path))]
    assert extract_poses.main([*options, "--workers", "1"]) == 1
    said = capsys.readouterr()
    assert "3 clips, 21 frames, the person found in 76.2 % of them" in said.out
    assert "note: z.mp4: the person was found in 38 % of its frames" in said.out
    assert "left out: dark.mp4: no person was found in any of its 8 frames" in said.err
    with (tmp_path / "poses.bad.csv").open(encoding="utf-8", newline="") as file:
        listed = dict(csv.reader(file))
    assert listed.keys() == {"clip", "dark.mp4", "page.mp4", "white.mp4"}
    assert "web page" in listed["page.mp4"]
    assert "ended (exit code 1): white pictures hurt" in listed["white.mp4"]
    assert read_poses(out).names == ("a.mp4", "am Tisch/b ä.mp4", "z.mp4")

    before = looked_at(tmp_path)
    for name in ("page.mp4", "dark.mp4", "white.mp4"):
        make_video(folder / name, squares(moving(8)), STEADY)
    assert extract_poses.main(options) == 0
    assert looked_at(tmp_path) - before == 3, "the others are kept"
    assert extract_poses.main([*options[:-1], str(fake_python(tmp_path, "no start"))]) == 0
    assert looked_at(tmp_path) - before == 3, "nothing is to do, so nothing starts"
    assert len(read_poses(out)) == 6 and not (tmp_path / "poses.bad.csv").exists()


def test_a_clip_that_changed_is_done_again(folder, tmp_path):
    run(folder, tmp_path)
    before = looked_at(tmp_path)
    make_video(folder / "a.mp4", squares(moving(8, (30, 16))), STEADY)
    later = time.time() + 10
    os.utime(folder / "a.mp4", (later, later))
    poses = run(folder, tmp_path).poses
    assert looked_at(tmp_path) - before == 1
    np.testing.assert_allclose(poses.clip("a.mp4")[0][:, 1], moving(8, (30, 16)) + 8, atol=0.6)


@pytest.mark.parametrize("whole", [0, 1, 3])
def test_a_clip_that_breaks_off_leaves_nothing_to_the_next_one(tmp_path, whole):
    def breaks_off():
        yield from squares(moving(whole), GREEN)
        raise VideoError("a.mp4", "damaged clip", f"it breaks off after {whole} frames")

    with Estimator(FAKE, fake(tmp_path)) as estimator:
        with pytest.raises(VideoError, match="breaks off"):
            estimator.estimate(breaks_off())
        xy, score = estimator.estimate(squares(moving(5, (40, 60))))
    np.testing.assert_allclose(xy[:, 1], moving(5, (40, 60)) + 8)
    assert (score > 0).all()


def test_no_clip_with_a_person_writes_no_file(tmp_path):
    (tmp_path / "own").mkdir()
    make_video(tmp_path / "own" / "a.mp4", squares(moving(8), (0, 0, 0)), STEADY)
    result = run(tmp_path / "own", tmp_path)
    assert result.poses is None and [*result.bad] == ["a.mp4"]
    assert not (tmp_path / "poses.safetensors").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("how", slow_but([signal.SIGKILL], [signal.SIGKILL, signal.SIGINT]))
def test_a_killed_run_goes_on_and_leaves_no_process(tmp_path, how):
    folder, out = tmp_path / "own", tmp_path / "poses.safetensors"
    folder.mkdir()
    for k in range(6):
        make_video(folder / f"{k}.mp4", squares(moving(8, (8 + k, 16))), STEADY)
    command = [sys.executable, str(SCRIPT), str(folder), "--out", str(out), "--workers", "1"]
    command += ["--python", str(fake_python(tmp_path, "slow"))]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT)
    parts = tmp_path / "poses.safetensors.parts"
    until = time.time() + 60
    while len([*parts.glob("*.npz")]) < 2 and time.time() < until:
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(how)
    assert process.wait(20) == (130 if how == signal.SIGINT else -signal.SIGKILL)
    _, alive = psutil.wait_procs(children, 10)
    assert children and not alive
    assert not out.exists() and 2 <= len([*parts.glob("*.npz")]) < 6
    done = len([*parts.glob("*.npz")])
    (tmp_path / "log").unlink()
    videos = videos_below(folder)
    mediapipe = ENGINES["mediapipe"]
    result = extract(videos, out, mediapipe, [str(fake_python(tmp_path))])
    assert looked_at(tmp_path) == 6 - done
    for k in range(6):
        np.testing.assert_allclose(
            result.poses.clip(f"{k}.mp4")[0][:, 1], moving(8, (8 + k, 16)) + 8, atol=0.6
        )


@pytest.mark.parametrize(
    ("problem", "said", "words"),
    [
        ("no start", None, "does not start: ImportError: libGL.so.1 is not there. Make its environment"),
        (
            "ends at once",
            None,
            "does not start: out of memory. Make its environment anew: make",
        ),
        ("offline", None, "name or service not known. Connect to the internet once"),
        ("", {"version": "fake 0.9", "joints": 3}, "version must be fake 1.0, got fake 0.9. Make its"),
        ("", {"version": "fake 1.0", "joints": 17}, "joints must be 3, got 17. Make its"),
    ],
)
def test_an_estimator_that_does_not_suit_is_named(folder, tmp_path, problem, said, words):
    with pytest.raises(EstimatorError, match=words):
        extract(videos_below(folder), tmp_path / "p.safetensors", FAKE, fake(tmp_path, problem, said))
    assert looked_at(tmp_path) == 0


def test_a_missing_environment_is_told_with_the_command_that_makes_it(folder, tmp_path, capsys):
    command = [str(folder), "--out", str(tmp_path / "p.safetensors"), "--python", "nowhere/python"]
    for engine, remedy in (("mediapipe", "make poses-env"), ("rtmlib", "make poses-env ENGINE=rtmlib")):
        assert extract_poses.main([*command, "--engine", engine]) == 1
        said = capsys.readouterr().err
        assert said.endswith(f"Make it: {remedy}\n") and "nowhere/python" in said


def test_other_poses_are_never_overwritten(folder, tmp_path):
    run(folder, tmp_path)
    with pytest.raises(ValueError, match="holds poses by fake 1.0, frames of at most 720 pixels, not"):
        run(folder, tmp_path, at_most=100)
    (folder / "a.mp4").unlink()
    with pytest.raises(ValueError, match=r"holds a\.mp4, which is not among the videos"):
        run(folder, tmp_path)
    with pytest.raises(ValueError, match=r"must end in \.safetensors, got poses\.npz"):
        extract(videos_below(folder), tmp_path / "poses.npz", FAKE, fake(tmp_path))


def test_what_is_no_folder_of_videos_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        videos_below(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no video in it"):
        videos_below(tmp_path)
    (tmp_path / "train_list_videos.txt").write_text("a.mp4 1")
    with pytest.raises(ValueError, match="prepare_ma52.py index"):
        videos_below(tmp_path)


def test_the_clips_of_an_index_keep_its_names(tmp_path, capsys):
    root = tmp_path / "ma52"
    standin.write(root, standin.plan(clips=12, people=3, width=64), progress=False)
    clips = make_index(root, verify(root).entries)
    write_index(tmp_path / "index.csv", clips)
    (root / clips[3].split / clips[3].name).unlink()
    out = tmp_path / "poses.safetensors"
    options = [str(root), "--index", str(tmp_path / "index.csv"), "--out", str(out)]
    assert extract_poses.main([*options, "--dry-run", "--python", "nowhere/python"]) == 0
    assert "would hold poses of 12 clips, about" in capsys.readouterr().out
    options += ["--python", str(fake_python(tmp_path))]
    assert extract_poses.main(options) == 1
    said = capsys.readouterr().err
    assert f"left out: {clips[3].name}" in said and "no such file" in said


def test_an_answer_fits_into_a_pipe(tmp_path):
    """However many people are in the picture."""

    class Crowd:
        joints = 2

        def begin(self):
            pass

        def __call__(self, frame):
            crowd = np.zeros((500, 2, 3), np.float32)
            crowd[:, :, 2] = np.arange(500)[:, None]
            return crowd

    answers = BytesIO()
    head = estimator_program.SIZE.pack(2, 1)
    estimator_program.serve(Crowd(), BytesIO(head + bytes(6)), answers)
    people = np.frombuffer(answers.getvalue()[4:], "<f4").reshape(-1, 2, 3)
    assert people[:, 0, 2].tolist() == [*range(499, 449, -1)] and len(answers.getvalue()) < 1 << 16


def test_mediapipes_answers_are_read(monkeypatch):
    marks = [SimpleNamespace(x=0.5, y=0.25, visibility=0.9)] * 33
    answers = iter([SimpleNamespace(landmark=marks), None])

    class Pose:
        def __init__(self, model_complexity, smooth_landmarks):
            assert model_complexity == 1 and not smooth_landmarks

        def process(self, frame):
            return SimpleNamespace(pose_landmarks=next(answers))

        def reset(self):
            pass

    name = "mediapipe.python.solutions.pose"
    for part in ("mediapipe", "mediapipe.python", "mediapipe.python.solutions"):
        monkeypatch.setitem(sys.modules, part, SimpleNamespace(__path__=[]))
    monkeypatch.setitem(sys.modules, name, SimpleNamespace(Pose=Pose))
    engine = estimator_program.MediaPipe()
    frame = np.zeros((40, 20, 3), np.uint8)
    np.testing.assert_allclose(engine(frame), np.full((1, 33, 3), (10, 10, 0.9)), rtol=1e-6)
    assert engine(frame).shape == (0, 33, 3)


def test_rtmlibs_answers_are_read(monkeypatch):
    """Blue comes first, nobody is no person of the size of the picture, and scores end at 1."""

    class Body:
        def __init__(self, mode, backend, device):
            pass

        def det_model(self, picture):
            assert picture[0, 0].tolist() == [3, 2, 1] and picture.flags.c_contiguous
            return boxes

        def pose_model(self, picture, bboxes):
            return np.full((len(bboxes), 17, 2), 4.0), np.full((len(bboxes), 17), 1.25)

    monkeypatch.setitem(sys.modules, "rtmlib", SimpleNamespace(Body=Body))
    engine, frame = estimator_program.RTMPose(), np.full((4, 6, 3), (1, 2, 3), np.uint8)
    boxes = [(0, 0, 1, 1), (1, 1, 2, 2)]
    np.testing.assert_array_equal(engine(frame), np.full((2, 17, 3), (4.5, 4.5, 1), np.float32))
    boxes = []
    assert engine(frame).shape == (0, 17, 3)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=[*ENGINES])
def test_the_environment_holds_what_is_asked_for(engine):
    package, version = engine.version.split()
    lines = (ROOT / "data_scripts" / f"poses-{engine.name}.txt").read_text().splitlines()
    assert lines[0] == f"{package}=={version}" and all("==" in line for line in lines)
    made = estimator_program.ENGINES[engine.name]
    assert (made.package, made.joints) == (package, len(engine.joints))


# How exact it is


def test_true_joints_are_where_people_are_painted():
    """The eyes are the darkest round spots of a face whose hair and skin are light."""
    looks = make_looks(4, 3)
    looks.hair[:], looks.skin[:] = 0.9, 0.9
    plan = standin.plan(clips=16, people=4, width=720, seed=3)
    truth = dict(true_joints(plan))
    assert [len(truth[str(name)]) for name in plan.name] == plan.frames.tolist()
    still = POSES[None, None]
    for person in range(4):
        whose = np.array([person])
        film = render(still, looks, whose, 720, 864)[0, 0].float().mean(-1).numpy()
        for eye in to_pixels(still, looks, whose, 720, 864)[0, 0, 1:3]:
            left, top = eye.round().astype(int) - 8
            rows, columns = np.nonzero(film[top : top + 16, left : left + 16] < 90)
            assert len(rows) > 10
            np.testing.assert_allclose((columns.mean() + left, rows.mean() + top), eye - 0.5, atol=0.5)


def test_errors_are_in_torso_lengths():
    """Poses that are off by known pixels; the torso of this person has 100."""
    rng = np.random.default_rng(0)
    truth = {}
    for name in ("a.mp4", "b.mp4"):
        still = rng.uniform(0, 300, (17, 2))
        still[5:7] = (100, 50), (140, 50)
        still[11:13] = (100, 150), (140, 150)
        truth[name] = np.repeat(still[None], 10, axis=0)
        truth[name][:, 9, 0] += np.linspace(0, 90, 10)
    clips = []
    for name, xy in truth.items():
        seen = np.full((10, 33, 2), 777.0)
        seen[:, [MEDIAPIPE.index(joint) for joint in JOINTS]] = xy + (3, 4)
        seen[:5, MEDIAPIPE.index("nose")] = np.nan
        clips.append(ClipPoses(name, seen, np.ones((10, 33))))
    poses = join(clips, MEDIAPIPE, "drawn")
    rows = {row.joint: row for row in pose_errors(poses, truth)}
    assert [*rows] == [*JOINTS, ALL]
    for row in rows.values():
        assert row.median == pytest.approx(0.05, abs=1e-5)
        assert row.ninth_decile == pytest.approx(0.05, abs=1e-5)
        assert row.centered == pytest.approx(0, abs=1e-5)
    assert rows["nose"].found == 0.5 and rows["left eye"].found == 1
    assert rows["left wrist"].moved == pytest.approx(0.25) and rows["right wrist"].moved == 0
    with pytest.raises(ValueError, match=r"truth: has no b\.mp4 of 10 frames"):
        pose_errors(poses, {"a.mp4": truth["a.mp4"], "b.mp4": truth["b.mp4"][:9]})


def test_what_was_measured_takes_the_place_of_the_same_measured_before(tmp_path):
    record = tmp_path / "record.jsonl"
    options = ["--people", "3", "--width", "64", "--build", str(tmp_path), "--out", str(record)]
    options += ["--python", str(fake_python(tmp_path, "anybody"))]
    for clips in (12, 13, 12):
        assert main([*options, "--clips", str(clips)]) == 0
    rows = [json.loads(line) for line in record.read_text().splitlines()]
    assert [row["clips"] for row in rows] == [13] * 18 + [12] * 18
    assert {row["found"] for row in rows} == {1} and {"commit", "versions", "device"} <= rows[0].keys()
    assert min(row["median"] for row in rows) > 0.5, "nobody sits in the corner"


def test_an_estimator_that_finds_nobody_is_not_measured(tmp_path, capsys):
    options = ["--clips", "12", "--people", "3", "--width", "64", "--build", str(tmp_path)]
    out = tmp_path / "record.jsonl"
    assert main([*options, "--out", str(out), "--python", str(fake_python(tmp_path, "nobody"))]) == 1
    assert "12 clips gave no poses" in capsys.readouterr().err and not out.exists()


@real
def test_mediapipe_finds_the_joints_of_the_standin(tmp_path):
    """The same as the record says, on fewer clips: the median is below a tenth of a torso."""
    record = tmp_path / "record.jsonl"
    few = ["--clips", "12", "--people", "3", "--build", str(tmp_path), "--out", str(record)]
    assert main(few) == 0
    rows = {row["joint"]: row for row in map(json.loads, record.read_text().splitlines())}
    assert rows[ALL]["median"] < 0.06 and rows[ALL]["found"] == 1
    assert max(rows[joint]["median"] for joint in JOINTS) < 0.15
    assert rows[ALL]["centered"] < 0.02


@real
def test_mediapipe_begins_each_clip_anew_and_finds_nobody_in_an_empty_room():
    engine = ENGINES["mediapipe"]
    with Estimator(engine, find_command(engine)) as estimator:
        noise = np.random.default_rng(0).integers(90, 110, (3, 120, 96, 3), dtype=np.uint8)
        xy, score = estimator.estimate(noise)
        assert xy.shape == (3, 33, 2) and np.isnan(xy).all() and (score == 0).all()
        looks = make_looks(3, 0)
        film = render(np.zeros((1, 3, 17, 2)) + POSES, looks, np.array([1]), 216)[0].numpy()
        first, _ = estimator.estimate(film)
        again, _ = estimator.estimate(film)
        np.testing.assert_array_equal(first, again)


def test_the_record_meets_the_goals_and_the_readme_says_what_it_says():
    lines = (ROOT / "notebooks" / "results" / "pose-extraction.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    small, large = ([row for row in records if row["width"] == width] for width in (216, 1080))
    for rows in (small, large):
        assert [row["joint"] for row in rows] == [*JOINTS, ALL]
        assert rows[-1]["median"] < 0.1 and "pose_error" in rows[-1]["command"]
        assert rows[-1]["frames_per_processor_second"] > 25
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    said = re.search(
        r"median error is ([\d.]+) torso lengths, and ([\d.]+) once .* move by ([\d.]+) in the", readme
    )
    speed = re.search(
        r"processes (\d+) frames a second at MA-52's size, and (\d+) at 216 pixels", readme
    )
    assert said is not None and speed is not None
    whole = small[-1]
    assert [*said.groups()] == [f"{whole[name]:.3f}" for name in ("median", "centered", "moved")]
    assert [*speed.groups()] == [
        f"{rows[-1]['frames_per_processor_second']:.0f}" for rows in (large, small)
    ]
