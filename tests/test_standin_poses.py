"""The stand-in's poses: where joints are in pixels, an estimator's errors, and the published files."""

from __future__ import annotations

import importlib.util
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from piumar_lib.data.joints import COCO, HALPE, LAYOUTS, OPENPOSE, mirror, pick
from piumar_lib.data.skeleton import POSES
from piumar_lib.ma52 import standin
from piumar_lib.ma52.prepare.index import read_index
from piumar_lib.ma52.prepare.pose_files import gather
from piumar_lib.ma52.prepare.poses import read_poses
from piumar_lib.ma52.standin.estimate import Detector, blur, estimate
from piumar_lib.ma52.standin.points import derive
from piumar_lib.ma52.standin.poses import FORMS, make_poses, write_pose_files, write_standin_poses
from piumar_lib.ma52.standin.render import make_looks, render, to_pixels
from piumar_lib.ma52.standin.videos import acted

DATA_SCRIPTS = Path(__file__).parents[1] / "data_scripts"
PLAN = standin.plan(clips=60, people=5, width=216, seed=3)
# Everything that can go wrong does so often enough to be seen in few clips.
POOR = Detector(hard=0.2, dropped=0.1, lost=0.05, bystanders=0.3)
PERFECT = Detector(jitter=0, hard=0, dropped=0, lost=0, bystanders=0)


def command(name: str):
    spec = importlib.util.spec_from_file_location(name, DATA_SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def bodies(count=7):
    rng = np.random.default_rng(0)
    return POSES + 0.1 * rng.standard_normal((count, 17, 2))


# Derived joints


@pytest.mark.parametrize("names", LAYOUTS.values(), ids=LAYOUTS)
def test_derived_joints_mirror_turn_and_grow_with_the_body(names):
    joints = bodies()
    made = derive(joints, names)
    assert made.shape == (7, len(names), 2) and np.isfinite(made).all()
    np.testing.assert_allclose(made[:, pick(names, COCO)], joints, atol=1e-12)
    flip = np.array([-1, 1])
    np.testing.assert_allclose(
        derive(joints[:, mirror(COCO)] * flip, names), made[:, mirror(names)] * flip, atol=1e-12
    )
    turn = 1.7 * np.array([[np.cos(1), np.sin(1)], [-np.sin(1), np.cos(1)]])
    np.testing.assert_allclose(derive(joints @ turn + 5, names), made @ turn + 5, atol=1e-11)


def test_derived_joints_are_where_a_body_has_them():
    at = dict(zip(HALPE, derive(POSES[None], HALPE)[0], strict=True))
    x, y = ({name: place[axis] for name, place in at.items()} for axis in (0, 1))
    assert y["head"] < y["left eyebrow 3"] < y["left eye"] < y["nose"] < y["nose base"] < y["upper lip"]
    assert y["upper lip"] < y["lower lip"] < y["chin"] < y["neck"] < y["hip"] < y["left big toe"]
    assert x["left ear"] >= x["left eye outer"] > x["left eye"] > x["left eye inner"] > x["nose"]
    assert x["right mouth corner"] < x["upper lip"] < x["left mouth corner"]
    np.testing.assert_allclose(at["left contour 1"], at["left ear"], atol=1e-12)
    assert x["left small toe"] > x["left big toe"] > x["right big toe"]
    for side in ("left", "right"):
        wrist = at[f"{side} wrist"]
        reach = [np.linalg.norm(at[f"{side} middle finger {k}"] - wrist) for k in (1, 2, 3, "tip")]
        assert reach == sorted(reach) and reach[0] > 0.05 and reach[-1] < 0.35
        thumb, little = at[f"{side} thumb tip"], at[f"{side} little finger tip"]
        assert np.linalg.norm(thumb - little) > 0.1
    with pytest.raises(ValueError, match="'left wing' cannot be derived"):
        derive(POSES, ["left wing"])


# Pixels


@pytest.mark.parametrize(("width", "height", "view"), [(160, 192, 4.8), (120, 120, 3.0)])
def test_pixels_are_where_the_camera_paints(width, height, view):
    looks, person = make_looks(3, 1), np.array([2, 0])
    joints = np.broadcast_to(POSES, (2, 1, 17, 2)).copy()
    waving = joints.copy()
    wrist = COCO.index("left wrist")
    waving[:, :, wrist] += 0.05, -0.3
    frames = (width, height, view)
    still, moved = (render(at, looks, person, *frames).numpy().astype(int) for at in (joints, waving))
    pixels = to_pixels(np.concatenate([joints, waving], 1), looks, person, *frames)[:, :, wrist]
    for film in range(2):
        differs = np.abs(still[film, 0] - moved[film, 0]).max(-1) > 60
        rows, columns = np.nonzero(differs)
        low, high = pixels[film].min(0), pixels[film].max(0)
        reach = 0.45 * width / view  # the forearm, and the hand beyond the wrist
        assert columns.min() > low[0] - reach and columns.max() < high[0] + reach
        assert rows.min() > low[1] - reach and rows.max() < high[1] + reach
        for column, row in pixels[film].astype(int):
            assert differs[row - 3 : row + 4, column - 3 : column + 4].any()


# The estimator's errors


def test_without_errors_the_true_joints_come_out():
    for found in estimate(PLAN, COCO, PERFECT):
        person, frames = PLAN.person[found.row], PLAN.frames[found.row]
        mine = np.flatnonzero(PLAN.person == person)
        joints = acted(int(person), len(mine), 5, 3).x[np.searchsorted(mine, found.row), :frames]
        looks = make_looks(5, 3)
        true = to_pixels(joints.reshape(1, -1, 17, 2), looks, np.array([person]), 216, PLAN.height)
        assert found.keypoint.shape == (1, frames, 17, 2)
        np.testing.assert_allclose(found.keypoint[0], true[0], atol=1 / 32)
        assert found.score.min() > 0.89


def test_errors_are_as_large_and_as_alike_as_they_are_said_to_be():
    detector = replace(PERFECT, jitter=0.02, memory=0.8, spread=0.3)
    true = np.zeros((400, 60, 3, 2))
    seen, _ = blur(true, ["nose", "left wrist", "left thumb tip"], detector, np.random.default_rng(0))
    # Of a log-normal size: its mean square is exp(2 spread^2).
    expected = 0.02 * np.array([1, 1.8, 2.5]) * np.exp(detector.spread**2)
    np.testing.assert_allclose(seen.std((0, 1, 3)), expected, rtol=0.08)
    alike = (seen[:, 1:] * seen[:, :-1]).sum() / (seen[:, 1:] ** 2).sum()
    assert abs(alike - 0.8) < 0.02


def test_what_is_hard_to_see_has_a_larger_error_and_a_lower_score():
    detector = replace(PERFECT, jitter=0.02, hard=0.3, spread=0)
    true = np.ones((200, 60, 1, 2))
    seen, score = blur(true, ["nose"], detector, np.random.default_rng(0))
    hard = score < 0.6
    error = np.abs(seen - 1).mean(-1)
    assert abs(hard.mean() - 0.3) < 0.03
    assert error[hard].mean() > 3 * error[~hard].mean() and score.min() > 0.3
    runs = np.diff(np.pad(hard[..., 0], ((0, 0), (1, 1))).astype(int), axis=1)
    assert 4.5 < hard.sum() / (runs == 1).sum() < 7, (
        "spells last 6 frames, some cut off by the clip's ends"
    )


def test_joints_frames_and_people_are_lost_and_added_as_often_as_said():
    plan = standin.plan(clips=400, people=8, seed=1)
    found = list(estimate(plan, COCO, replace(POOR, hard=0)))
    assert [clip.row for clip in found] == [*range(400)]
    several = np.array([len(clip.keypoint) for clip in found]) == 2
    assert 0.22 < several.mean() < 0.38
    assert 0.3 < np.mean([clip.main for clip in np.array(found, object)[several]]) < 0.7
    score = np.concatenate([clip.score[clip.main] for clip in found])
    xy = np.concatenate([clip.keypoint[clip.main] for clip in found])
    lost = (score == 0).all(1)
    assert 0.03 < lost.mean() < 0.07 and 0.08 < (score[~lost] == 0).mean() < 0.12
    assert ((xy == 0).all(-1) == (score == 0)).all() and score.max() <= 1
    for clip in np.array(found, object)[several]:
        height = [np.ptp(at[s > 0][:, 1]) for at, s in zip(clip.keypoint, clip.score, strict=True)]
        assert height[clip.main] > 1.3 * height[1 - clip.main]


def test_everything_follows_from_the_seed():
    one, same = make_poses(PLAN, 28, POOR), make_poses(PLAN, 28, POOR)
    np.testing.assert_array_equal(one.xy, same.xy)
    np.testing.assert_array_equal(one.score, same.score)
    other = make_poses(standin.plan(clips=60, people=5, width=216, seed=4), 28, POOR)
    assert other.xy.shape != one.xy.shape or (other.xy != one.xy).any()


# Files


def whose(index):
    return [
        (clip.name, clip.split, clip.person, clip.session, clip.action, clip.frames) for clip in index
    ]


@pytest.mark.parametrize("form", FORMS)
def test_reading_the_published_form_gives_what_is_written_directly(tmp_path, form):
    folder = tmp_path / "Stand-in für Posen"
    files = write_pose_files(folder, PLAN, form, POOR, progress=False)
    assert len(files) == (6 if form == "halpe" else 3) and all(path.is_file() for path in files)
    joints = len(FORMS[form][0])
    write_standin_poses(tmp_path / "direct", PLAN, joints, POOR, progress=False)
    direct, index = (
        read_poses(tmp_path / "direct/poses.safetensors"),
        read_index(tmp_path / "direct/index.csv"),
    )
    for joined in (index, None):
        if form == "coco" and joined is None:
            continue  # results name neither actions nor sizes
        poses, report = gather([folder], joined)
        assert report.usable, report.to_text()
        assert sorted(poses.names) == sorted(direct.names) and poses.joints == direct.joints
        assert sorted(whose(report.clips)) == sorted(whose(index))
        for name in poses.names:
            xy, score = direct.clip(name)
            read = poses.clip(name)
            np.testing.assert_array_equal(read[0], xy)
            np.testing.assert_array_equal(read[1], score > 0 if form == "halpe" else score)
        several = sum(len(clip.keypoint) > 1 for clip in estimate(PLAN, FORMS[form][0], POOR))
        assert report.count("several people") == several > 5
        assert report.lost_frames > 0 and report.lost_joints > 0


def test_files_have_the_keys_that_public_loaders_read(tmp_path):
    write_pose_files(tmp_path, PLAN, "openpose", progress=False)
    test = pickle.loads((tmp_path / "MA52_test.pkl").read_bytes())
    entry = pickle.loads((tmp_path / "MA52_train.pkl").read_bytes())[0]
    assert entry.keys() == {
        "frame_dir", "label", "img_shape", "original_shape", "total_frames", "keypoint", "keypoint_score"
    }  # fmt: skip
    people, frames, joints, axes = entry["keypoint"].shape
    assert (joints, axes) == (len(OPENPOSE), 2) and frames == entry["total_frames"]
    assert entry["keypoint_score"].shape == (people, frames, joints)
    assert entry["img_shape"] == (PLAN.height, PLAN.width)
    assert {clip["label"] for clip in test} == {0} and test[0]["frame_dir"].startswith("test")
    write_pose_files(tmp_path, PLAN, "halpe", progress=False)
    held = pickle.loads((tmp_path / "train_data.pkl").read_bytes())["annotations"]
    keypoint = {entry["frame_dir"]: entry["keypoint"][0] for entry in held}
    for label in pickle.loads((tmp_path / "train_label.pkl").read_bytes()):
        assert keypoint[label["file_name"]].shape[1:] == (136, 2) and 0 <= int(label["label"]) < 52


def test_another_plan_and_an_unknown_form_are_refused(tmp_path):
    write_standin_poses(tmp_path / "a", PLAN, progress=False)
    write_standin_poses(tmp_path / "a", PLAN, progress=False)
    with pytest.raises(ValueError, match="holds a stand-in made with"):
        write_standin_poses(tmp_path / "a", standin.plan(clips=60, people=5, seed=9), progress=False)
    with pytest.raises(ValueError, match="form: must be one of openpose, halpe, coco, got 'bvh'"):
        write_pose_files(tmp_path / "b", PLAN, "bvh")


def test_the_commands_lead_from_nothing_to_poses(tmp_path, capsys):
    make, prepare = command("make_synthetic_ma52"), command("prepare_ma52")
    few = ["--clips", "40", "--people", "5", "--poses"]
    assert make([*few, "--out", str(tmp_path / "a"), "--dry-run"]) == 0
    assert not (tmp_path / "a").exists()
    assert "40 clips of 5 people, 17 joints: about 0.00 GB" in capsys.readouterr().out
    assert make([*few, "--out", str(tmp_path / "a")]) == 0
    assert make([*few, "--out", str(tmp_path / "b"), "--format", "openpose"]) == 0
    assert "MA52_val.pkl: written" in capsys.readouterr().out
    out = tmp_path / "c" / "poses.safetensors"
    assert prepare(["poses", str(tmp_path / "b"), "--out", str(out), "--joints", "17"]) == 0
    assert read_poses(out).joints == read_poses(tmp_path / "a/poses.safetensors").joints == COCO
    assert sorted(whose(read_index(out.with_name("index.csv")))) == sorted(
        whose(read_index(tmp_path / "a/index.csv"))
    )
    split = ["split", str(out.with_name("index.csv")), "--out", str(tmp_path / "splits"), "--folds", "2"]
    assert prepare(split) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--format", "coco"], "are of --poses. Give that, too"),
        (["--joints", "28"], "are of --poses. Give that, too"),
        (["--poses", "--cache"], "--poses goes without --cache"),
        (["--poses", "--format", "coco", "--joints", "28"], "--format without --joints"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path, capsys, options, words):
    with pytest.raises(SystemExit) as stop:
        command("make_synthetic_ma52")([*options, "--out", str(tmp_path / "a")])
    assert stop.value.code == 2 and words in capsys.readouterr().err
