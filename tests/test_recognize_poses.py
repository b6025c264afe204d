"""Recognition on poses: what is read, who is taken, which windows, and the course's own model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from piumar_lib.data.joints import COCO, LAYOUTS
from piumar_lib.data.labels import ACTIONS
from piumar_lib.data.skeleton import POSES
from piumar_lib.ma52 import course_model, standin
from piumar_lib.ma52.__main__ import main
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.course_model import load_course_model, read_course_record
from piumar_lib.ma52.evaluate import predict
from piumar_lib.ma52.model import build_model
from piumar_lib.ma52.pose_dataset import PoseDataset
from piumar_lib.ma52.pose_tracks import Track, is_pose_file, read_tracks
from piumar_lib.ma52.prepare.crop import find_people
from piumar_lib.ma52.prepare.index import read_index
from piumar_lib.ma52.prepare.poses import ClipPoses, join, read_poses, write_poses
from piumar_lib.ma52.prepare.video import write_mp4
from piumar_lib.ma52.recognize import read_recording
from piumar_lib.ma52.recognize_poses import Unseen, keep_joints, recognize_poses
from piumar_lib.ma52.recognize_wording import say_majority, say_track, say_trained_on
from piumar_lib.ma52.standin.poses import make_poses

ROOT = Path(__file__).parents[1]
HELD_OUT = 24  # people of the fresh stand-in


@pytest.fixture(scope="module")
def model():
    return load_course_model()


@pytest.fixture(scope="module")
def fresh():
    """Poses of a small stand-in of other people than those the model was trained on."""
    plan = standin.plan(clips=700, people=HELD_OUT, seed=11)
    return plan, make_poses(plan)


def track_of(poses, name):
    row = poses.rows[name]
    return Track(name, poses.joints, *poses.clip(name), float(poses.rate[row]))


def a_body(frames=60, seed=0, size=100.0, x=300.0):
    """A seated body whose right wrist moves, in pixels, and its scores."""
    rng = np.random.default_rng(seed)
    joints = np.repeat(POSES[None] * size + [x, 400], frames, 0)
    joints[:, COCO.index("right wrist"), 1] -= 0.3 * size * np.sin(np.arange(frames) / 6)
    return joints + 0.3 * rng.standard_normal(joints.shape), np.full((frames, 17), 0.9)


def a_track(frames=60, rate=30.0, **changes):
    return Track(**{"name": "me", "joints": COCO, "rate": rate, **changes},
                 **dict(zip(("xy", "score"), a_body(frames), strict=True)))  # fmt: skip


# Reading


def test_what_an_extraction_wrote_is_read_clip_by_clip(posed):
    poses = read_poses(posed.poses)
    tracks, faults = read_tracks(posed.poses)
    assert [track.name for track in tracks] == list(poses.names) and not faults
    np.testing.assert_array_equal(tracks[3].xy, poses.clip(tracks[3].name)[0])
    assert tracks[3].rate == 30 and not tracks[3].assumed and tracks[3].people == ()
    assert read_tracks(posed.poses, rate=25)[0][0].rate == 25
    with pytest.raises(ValueError, match=r"person: .*holds one person of each clip, number 0.* got 1"):
        read_tracks(posed.poses, person=1)
    with pytest.raises(ValueError, match="rate: must be frames a second, a number above 0, got 0"):
        read_tracks(posed.poses, rate=0)


def write_results(path, people):
    """COCO's results: an entry for each person and frame."""
    results = [
        {"image_id": f"me/{frame:06d}.jpg", "category_id": 1, "score": 0.9,
         "keypoints": np.concatenate([xy[frame], score[frame, :, None]], -1).ravel().tolist()}
        for xy, score in people for frame in range(len(xy))
    ]  # fmt: skip
    path.write_text(json.dumps(results))
    return path


def test_of_two_people_the_larger_is_taken_unless_the_other_is_asked_for(tmp_path):
    near, far = a_body(size=100, x=200), a_body(size=50, x=500, seed=1)
    path = write_results(tmp_path / "test_results.json", [far, near])
    (track,), _ = read_tracks(path)
    np.testing.assert_allclose(track.xy, near[0], atol=1e-3)
    assert len(track.people) == 2 and track.assumed and track.rate == 30
    other = 1 - track.person
    (chosen,), _ = read_tracks(path, person=other)
    np.testing.assert_allclose(chosen.xy, far[0], atol=1e-3)
    heights = {one.number: one.height for one in track.people}
    assert heights[track.person] == pytest.approx(2 * heights[other], rel=0.1)
    assert {round(one.x, -2) for one in track.people} == {200, 500}
    with pytest.raises(
        ValueError, match=r"person: must be in .*clip me, got 2; person 0: .* pixels high"
    ):
        read_tracks(path, person=2)


def test_both_people_are_told_and_how_to_choose(tmp_path, capsys):
    path = write_results(tmp_path / "test_results.json", [a_body(), a_body(size=50, x=500, seed=1)])
    assert main(["recognize", str(path)]) == 0
    said = capsys.readouterr().out
    assert "person 0 is taken; --person chooses another" in said and "person 1: " in said
    assert "30 frames a second are assumed (--rate)" in said
    assert main(["recognize", str(path), "--person", "1", "--rate", "15"]) == 0
    said = capsys.readouterr().out
    assert "person 1 is taken" in said and "me.mp4: 4.0 s" in said and "assumed" not in said


def test_what_is_no_pose_file_is_named(tmp_path):
    (tmp_path / "a.json").write_text('[{"name": "me", "keypoints": [[[1, 2, 0.5]]]}]')
    with pytest.raises(ValueError, match=r"a\.json: no clip can be used\. .*1 joints.* Give a layout"):
        read_tracks(tmp_path / "a.json")
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(ValueError, match=r"b\.json: no clip can be used\. It holds none"):
        read_tracks(tmp_path / "b.json")
    (tmp_path / "c.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"c\.safetensors: no poses, or damaged"):
        read_tracks(tmp_path / "c.safetensors")
    assert is_pose_file("a.JSON") and not is_pose_file("a.mp4")


# Recognising


def test_a_clip_gets_the_answer_that_evaluation_gives(model, posed):
    poses, clips = read_poses(posed.poses), [c for c in read_index(posed.index) if c.action >= 0][:6]
    found = predict(model, PoseDataset(poses, clips, model.frames, views=3))
    for row, clip in enumerate(clips):
        seen = recognize_poses(model, track_of(poses, clip.name))
        np.testing.assert_allclose(seen.probabilities[0], found.actions[row], atol=1e-6)
        assert (seen.start[0], len(seen.start)) == (0, 1) and not seen.empty
        assert seen.best(1)[0][0] == ACTIONS[found.actions[row].argmax()]


@pytest.mark.parametrize("rate", [15.0, 30.0, 60.0])
def test_a_long_recording_is_read_through_windows_of_its_own_time(model, rate):
    long = a_track(round(7 * rate), rate)
    seen = recognize_poses(model, long, length=2, stride=1)
    np.testing.assert_allclose(seen.start, np.arange(6))
    np.testing.assert_allclose(seen.end, seen.start + 2)
    rows = slice(round(3 * rate), round(5 * rate))
    alone = Track("cut", COCO, long.xy[rows], long.score[rows], rate)
    np.testing.assert_allclose(
        recognize_poses(model, alone).probabilities[0], seen.probabilities[3], atol=1e-6
    )


def test_other_joints_are_picked_by_name_and_missing_ones_named(model):
    track = a_track()
    order = LAYOUTS[28]  # holds COCO's joints in another order
    xy, score = np.full((60, 28, 2), 5.0), np.ones((60, 28))
    for k, name in enumerate(order):
        if name in COCO:
            xy[:, k], score[:, k] = track.xy[:, COCO.index(name)], track.score[:, COCO.index(name)]
    same = recognize_poses(model, Track("me", order, xy, score, 30.0))
    np.testing.assert_allclose(
        same.probabilities, recognize_poses(model, track).probabilities, atol=1e-6
    )
    with pytest.raises(
        ValueError, match="model: sees 17 joints, and me has 2 without left eye, right eye"
    ):
        keep_joints(Track("me", ("nose", "left ear"), xy[:, :2], score[:, :2], 30.0), model.joints)


def test_windows_without_the_person_have_no_answer(model):
    track = a_track(240)
    track.xy[60:150], track.score[60:150] = np.nan, 0
    track.score[:, COCO.index("left ankle")] = 0
    track.xy[:, COCO.index("left ankle")] = np.nan
    seen = recognize_poses(model, track, length=2, stride=1)
    assert seen.start.tolist() == [0, 1, 4, 5, 6] and seen.empty == ((2, 4), (3, 5))
    said = "\n".join(say_track(seen))
    assert "no answer for 2.0 to 4.0, 3.0 to 5.0 s" in said
    assert "62 % of frames, 16 of 17 joints seen" in said and "left ankle (0 %)" in said
    for frames in (1, 60):
        nobody = a_track(frames)
        nobody.xy[:], nobody.score[:] = np.nan, 0
        with pytest.raises(Unseen, match="me: (is a single pose|the person was found in 0 % of frames)"):
            recognize_poses(model, nobody)
    legs = a_track()
    for k, name in enumerate(COCO):
        if "shoulder" in name or "hip" in name:
            legs.xy[:, k], legs.score[:, k] = np.nan, 0
    with pytest.raises(Unseen, match="me: poses: no torso was found"):
        recognize_poses(model, legs)
    with pytest.raises(ValueError, match="views: 0. Choose 1 or more"):
        recognize_poses(model, track, views=0)


def test_a_model_of_the_other_kind_is_refused_with_a_remedy(model, tmp_path, capsys):
    video = build_model(TrainConfig.make("tiny", cpu=True))
    with pytest.raises(
        ValueError, match="trained on video, and cannot look at poses .me.. Give one of p"
    ):
        recognize_poses(video, a_track())
    write_mp4(tmp_path / "me.mp4", np.zeros((20, 64, 64, 3), np.uint8))
    assert main(["recognize", str(tmp_path / "me.mp4")]) == 1
    assert "trained on poses, and cannot look at video" in capsys.readouterr().err
    assert main(["recognize", str(tmp_path)]) == 1
    assert "is a folder. Give a model's as --checkpoint" in capsys.readouterr().err
    assert main(["recognize", str(tmp_path / "me.mp4"), "--rate", "3"]) == 1
    assert "which has its own times. Leave --rate out" in capsys.readouterr().err


def test_the_command_says_what_the_model_knows_beside_each_answer(posed, tmp_path, capsys):
    poses = read_poses(posed.poses)
    names = poses.names[:2]
    arrays = [(name, *poses.clip(name)) for name in names]
    long = np.concatenate([arrays[0][1]] * 4), np.concatenate([arrays[0][2]] * 4)
    empty = np.full((50, 17, 2), np.nan), np.zeros((50, 17))
    arrays += [("long.mp4", *long), ("empty.mp4", *empty)]
    clips = [ClipPoses(*array, rate=30.0) for array in arrays]
    write_poses(tmp_path / "mine.safetensors", join(clips, COCO, "a test"))
    assert main(["recognize", str(tmp_path / "mine.safetensors"), "--stride", "1"]) == 0
    lines, majority = capsys.readouterr().out.splitlines(), say_majority(read_course_record())
    assert lines[0].startswith("this model was trained on MA-52 layout, poses (stand-in, seed 0)")
    assert "what it says about real people was never validated" in lines[2]
    answers = [
        line for line in lines if "%  " in line and line.split("%  ")[1].split("   ")[0] in ACTIONS
    ]
    first = [line for line in lines if line.endswith(f"({majority})")]
    windows = -(-int(len(long[0]) / 30 - 2) // 1) + 1
    assert len(answers) >= 10 + windows and len(first) == len(answers) - 8
    assert any(line.startswith("empty.mp4: the person was found in 0 % of frames") for line in lines)


def test_a_model_without_a_record_says_so(tmp_path, posed, capsys):
    for name in ("model.json", "model.safetensors"):
        shutil.copyfile(course_model.FOLDER / name, tmp_path / name)
    assert main(["recognize", "--checkpoint", str(tmp_path), str(posed.poses)]) == 0
    said = capsys.readouterr().out
    assert (
        said.startswith("this model was trained on data that are not recorded") and "always" not in said
    )


ALONE = """
import sys
for name in ("av", "mediapipe", "cv2", "transformers"):
    sys.modules[name] = None
from piumar_lib.ma52.__main__ import main
sys.exit(main(["recognize", sys.argv[1]]))
"""


def test_poses_need_no_video_library_and_no_estimator(posed):
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(posed.poses)], capture_output=True, text=True,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("0001_") > 2


# Pixels: two people before a wall


def test_on_video_another_person_can_be_chosen_too(tmp_path):
    film = np.full((30, 96, 128, 3), 200, np.uint8)
    film[:, 30:90, 10:40] = 30
    film[:, 40:80, 80:100] = 60
    near, far = find_people(film[:4])
    assert near.left < 0.1 and near.right < 0.35 and far.left > 0.6
    write_mp4(tmp_path / "two.mp4", film)
    one, other = (read_recording(tmp_path / "two.mp4", 32, person=k) for k in (0, 1))
    assert len(one.people) == 2 and one.box.left < 0.05 and other.box.left > 0.4
    with pytest.raises(
        ValueError, match=r"person: must be one of 2 in .*two.mp4, counted from 0, got 2"
    ):
        read_recording(tmp_path / "two.mp4", 32, person=2)
    assert read_recording(tmp_path / "two.mp4", 32, "middle").people == ()


# The course's model


def test_its_accuracy_is_that_of_the_record_on_fresh_people_too(model, fresh):
    plan, poses = fresh
    record = read_course_record()
    said = record["held out"]["scores"]["action top-1"]
    constant = record["held out"]["majority"]["scores"]["action top-1"]
    truth = dict(zip(plan.name.tolist(), plan.action.tolist(), strict=True))
    right = [
        recognize_poses(model, track_of(poses, name), views=1).probabilities[0].argmax() == truth[name]
        for name in poses.names
    ]
    # 24 people, who differ; the record's own people have a standard deviation of about 0.15.
    assert abs(np.mean(right) - said) < 0.1 and np.mean(right) > constant + 0.2
    assert record["split"]["shared people"] == 0 and record["config"]["seed"] == 0


def test_its_files_are_small_and_name_no_machine():
    sizes = {path.name: path.stat().st_size for path in course_model.FOLDER.iterdir()}
    assert {*sizes} == {"model.safetensors", "model.json", "record.json", "people.json"}
    assert sum(sizes.values()) < 1_000_000
    config = read_course_record()["config"]
    paths = [config[name] for name in ("poses", "index", "split", "out")]
    assert all(not Path(path).is_absolute() for path in paths)
    assert {"command", "commit", "device", "versions"} <= {*read_course_record()}


def test_a_damaged_or_foreign_file_is_refused_by_name(tmp_path):
    own = tmp_path / "own"
    shutil.copytree(course_model.FOLDER, own)
    assert torch.equal(
        load_course_model(own).recognizer.head.weight, load_course_model().recognizer.head.weight
    )
    weights = bytearray((own / "model.safetensors").read_bytes())
    weights[-5] ^= 1  # one bit of one weight, which no format notices
    (own / "model.safetensors").write_bytes(weights)
    with pytest.raises(
        ValueError, match=r"own.model\.safetensors: damaged, or the weights of another m"
    ):
        load_course_model(own)
    (own / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"own.model\.safetensors: is missing. Take the file as"):
        load_course_model(own)
    record = json.loads((own / "record.json").read_text())
    del record["weights"]
    (own / "record.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"own.record\.json: says no hash of the weights"):
        load_course_model(own)


def test_what_a_record_does_not_say_is_not_said():
    assert say_majority(None) == "" and "data that are not recorded" in say_trained_on(None)
    record = read_course_record() | {"data": "MA-52 layout, official"}
    shared = say_trained_on(record | {"split": record["split"] | {"shared people": 3}})
    assert "some of whom it was trained on" in shared and "synthetic" not in shared
