"""Public pose files: built key by key as their loaders read them, joined with an index, and spoilt."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from piumar_lib.data.joints import COCO, HALPE, MMN, OPENPOSE, pick
from piumar_lib.ma52.prepare.index import Clip, read_index, write_index
from piumar_lib.ma52.prepare.pose_files import gather
from piumar_lib.ma52.prepare.pose_sources import find_files
from piumar_lib.ma52.prepare.poses import read_poses
from piumar_lib.ma52.prepare.splits import leave_people_out

SCRIPT = Path(__file__).parents[1] / "data_scripts" / "prepare_ma52.py"
spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
prepare_ma52 = importlib.util.module_from_spec(spec)
spec.loader.exec_module(prepare_ma52)

RNG = np.random.default_rng(0)
FRAMES = 6
CLIPS = [  # name, split, action
    ("0003_01_0001", "train", 9), ("0003_02_0001", "train", 0), ("0004_01_0001", "train", 51),
    ("0003_01_0002", "val", 3), ("test0000", "test", 0), ("test0001", "test", 0),
]  # fmt: skip


def drawn(joints: int, frames: int = FRAMES) -> np.ndarray:
    """Joints of one person, ``(frames, joints, 2)``."""
    return RNG.uniform(100, 900, (frames, joints, 2)).astype(np.float32)


def with_score(xy: np.ndarray) -> list[float]:
    """Joints of a frame as COCO's results have them: x, y, score, x, y, score ..."""
    return np.pad(xy, ((0, 0), (0, 1)), constant_values=1).ravel().tolist()


def openpose(name="0003_01_0001", label=9, frames=FRAMES, **other):
    """An entry as mmaction2's PoseDataset and PCAN's pipeline read it."""
    return {
        "frame_dir": name,
        "label": label,
        "img_shape": (1296, 1080),
        "original_shape": (1296, 1080),
        "total_frames": frames,
        "keypoint": drawn(28, frames)[None].astype(np.float16),
        "keypoint_score": RNG.uniform(0.1, 1, (1, frames, 28)).astype(np.float16),
    } | other


def halpe(name="0003_01_0001", joints=136):
    """An annotation as MMN's feeder reads it: ``keypoint[0]`` is (T, joints, 2)."""
    return {"frame_dir": name, "keypoint": [drawn(joints)]}


def write(path: Path, held, protocol=4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        path.write_text(json.dumps(held), encoding="utf-8")
    else:
        path.write_bytes(pickle.dumps(held, protocol))
    return path


def line(name, split="train", action=9, frames=FRAMES):
    person, session = ("", "") if split == "test" else name.split("_")[:2]
    action = -1 if split == "test" else action
    return Clip(f"{name}.mp4", split, person, session, action, "", frames, 30.0, 540, 648, 1, "f00d")


INDEX = [line(*clip) for clip in CLIPS]


@pytest.fixture
def folder(tmp_path):
    """All of the 28-joint set, in a folder with a name that needs care."""
    root = tmp_path / "Größe mit Leerzeichen" / "MA-52_openpose_28kp"
    for split in ("train", "val", "test"):
        write(root / f"MA52_{split}.pkl", [openpose(n, a) for n, s, a in CLIPS if s == split])
    return root


def kinds(report):
    return {(fault.kind, fault.serious) for fault in report.faults}


def only(report, kind=None):
    """The only fault of a report, or the only one of a kind."""
    (fault,) = [fault for fault in report.faults if kind in (None, fault.kind)]
    return fault


# What is published


def test_the_28_joints_of_openpose(folder):
    poses, report = gather([folder], INDEX)
    assert report.usable and not report.faults
    assert poses.names == tuple(clip.name for clip in INDEX) and poses.joints == OPENPOSE
    for split in ("train", "val", "test"):
        for entry in pickle.loads((folder / f"MA52_{split}.pkl").read_bytes()):
            xy, score = poses.clip(f"{entry['frame_dir']}.mp4")
            np.testing.assert_array_equal(xy, entry["keypoint"][0].astype(np.float32))
            np.testing.assert_array_equal(score, entry["keypoint_score"][0].astype(np.float32))
    assert (poses.size.numpy() == (1080, 1296)).all() and (poses.rate == 30).all()


@pytest.mark.parametrize(("joints", "names"), [(136, HALPE), (44, MMN)])
@pytest.mark.parametrize("as_array", [False, True])
def test_the_joints_of_mmn_with_labels_apart(tmp_path, joints, names, as_array):
    entries = {split: [] for split in ("train", "val", "test")}
    for name, split, _ in CLIPS:
        entries[split].append(halpe(name, joints))
    for split, held in entries.items():
        if as_array:
            held = [entry | {"keypoint": np.stack(entry["keypoint"])} for entry in held]
        write(tmp_path / f"MA52/{split}_data.pkl", {"annotations": held})
        labels = [{"file_name": n, "label": a} for n, s, a in reversed(CLIPS) if s == split]
        write(tmp_path / f"MA52/{split}_label.pkl", labels)
    write(tmp_path / "iMiGUE/train_data.pkl", {"annotations": [halpe("x", 22)]})
    poses, report = gather([tmp_path])
    assert report.usable and kinds(report) == {("no scores", False), ("no img_shape", False)}
    assert {clip.name[:-4]: clip.action for clip in report.clips if clip.split != "test"} == {
        name: action for name, split, action in CLIPS if split != "test"
    }
    assert poses.joints == names and (poses.score == 1).all()
    assert poses.rate.isnan().all() and (poses.size == 0).all()
    for held in entries.values():
        for entry in held:
            np.testing.assert_array_equal(
                poses.clip(f"{entry['frame_dir']}.mp4")[0], entry["keypoint"][0]
            )


def test_results_in_coco_s_form(tmp_path):
    xy, score = drawn(17), RNG.uniform(0.1, 1, (FRAMES, 17))
    entries = []
    for frame in (5, 0, 1, 2, 4):  # nobody in frame 3, and in no order
        values = np.concatenate([xy[frame], score[frame, :, None]], axis=1).ravel().tolist()
        key = f"0003_01_0001/{frame:06d}.jpg"
        entries.append({"image_id": key, "category_id": 1, "keypoints": values, "score": 0.9})
    poses, report = gather([write(tmp_path / "results.json", entries)], INDEX[:1])
    assert poses.joints == COCO and report.count("frame without a person") == 1 and report.usable
    read, scores = poses.clip("0003_01_0001.mp4")
    assert np.isnan(read[3]).all() and (scores[3] == 0).all()
    np.testing.assert_allclose(np.delete(read, 3, 0), np.delete(xy, 3, 0), rtol=1e-6)
    np.testing.assert_allclose(np.delete(scores, 3, 0), np.delete(score, 3, 0), rtol=1e-6)


def test_images_by_number_by_name_of_file_and_counted_from_1(tmp_path):
    xy = drawn(17)
    flat = [with_score(frame) for frame in xy]
    by_number = {
        "images": [
            {"id": 70 + k, "file_name": f"a b/0003_01_0001_{k + 1:05d}.png", "width": 640, "height": 480}
            for k in range(FRAMES)
        ],
        "annotations": [{"image_id": 70 + k, "keypoints": values} for k, values in enumerate(flat)],
    }
    in_its_file = [{"image_id": f"{k}.jpg", "keypoints": values} for k, values in enumerate(flat)]
    one_clip = {"keypoints": [np.reshape(values, (17, 3)).tolist() for values in flat], "rate": 25}
    for held, name in ((by_number, "all"), (in_its_file, "0003_01_0001"), (one_clip, "0003_01_0001")):
        poses, report = gather([write(tmp_path / f"{name}.json", held)], INDEX[:1])
        assert report.usable, report.to_text()
        np.testing.assert_allclose(poses.clip("0003_01_0001.mp4")[0], xy, rtol=1e-6)
        assert poses.size.tolist() == [[640, 480]] if name == "all" else [[540, 648]]
        assert poses.rate.tolist() == ([25] if held is one_clip else [30])


@pytest.mark.parametrize("name", ["0003_01_0001/{:012d}.jpg", "0003_01_0001_{:012d}.jpg", "{:012d}"])
def test_images_with_the_twelve_digits_that_coco_has(tmp_path, name):
    xy = drawn(17)
    entries = [
        {"image_id": name.format(k), "keypoints": with_score(frame)} for k, frame in enumerate(xy)
    ]
    poses, report = gather([write(tmp_path / "0003_01_0001.json", entries)], INDEX[:1])
    assert report.usable, report.to_text()
    np.testing.assert_allclose(poses.clip("0003_01_0001.mp4")[0], xy, rtol=1e-6)


def test_a_file_of_all_splits_as_mmaction2_has_it(tmp_path):
    held = {
        "split": {"train": ["0003_01_0001"], "val": ["0003_01_0002"]},
        "annotations": [openpose(), openpose("0003_01_0002", 3)],
    }
    _, report = gather([write(tmp_path / "all.pkl", held)])
    assert [(clip.name, clip.split) for clip in report.clips] == [
        ("0003_01_0001.mp4", "train"), ("0003_01_0002.mp4", "val"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["D:\\clips\\0003_01_0001.avi", "Größe/0003_01_0001", "0003_01_0001.mp4"]
)
def test_names_with_folders_and_endings(tmp_path, name):
    poses, _ = gather([write(tmp_path / "MA52_train.pkl", [openpose(name)])], INDEX[:1])
    assert poses.names == ("0003_01_0001.mp4",)


# Reducing joints, and an index from poses alone


def test_everything_can_be_reduced_to_17_joints(tmp_path, folder):
    write(tmp_path / "MA52/train_data.pkl", {"annotations": [halpe("0009_01_0001")]})
    with pytest.raises(ValueError, match="clips have 28 and 136, .* Reduce them: --joints 17"):
        gather([folder, tmp_path / "MA52"], [*INDEX, line("0009_01_0001")])
    poses, _ = gather([folder, tmp_path / "MA52"], [*INDEX, line("0009_01_0001")], joints=17)
    whole, _ = gather([folder], INDEX)
    assert poses.joints == COCO and len(poses) == 7
    xy, _ = whole.clip("0004_01_0001.mp4")
    np.testing.assert_array_equal(poses.clip("0004_01_0001.mp4")[0], xy[:, pick(OPENPOSE, COCO)])
    with pytest.raises(
        ValueError, match="136 were asked for, but MA52_train.pkl, entry 0, 0003_01_0001.mp4"
    ):
        gather([folder / "MA52_train.pkl"], INDEX, joints=136)


def test_without_an_index_one_is_made_that_can_be_split(folder, tmp_path):
    out = tmp_path / "aus Posen" / "poses.safetensors"
    assert prepare_ma52.main(["poses", str(folder), "--out", str(out)]) == 0
    made = read_index(out.with_name("index.csv"))
    expected = [
        replace(line(*clip), fps=0, width=1080, height=1296, bytes=0, sha256="") for clip in CLIPS
    ]
    expected = [
        replace(clip, part=made[k].part) for k, clip in enumerate(sorted(expected, key=of_split))
    ]
    assert [replace(clip, fps=0) for clip in made] == expected
    assert [clip.part for clip in made[:2]] == ["head", "body"] and np.isnan(made[0].fps)
    assert {clip.name for clip in made} == {*read_poses(out).names}
    assert len(leave_people_out(made, people=1)) == 2
    write_index(out.with_name("index.csv"), INDEX)
    assert prepare_ma52.main(["poses", str(folder), "--out", str(out)]) == 1, "videos' index is kept"
    assert read_index(out.with_name("index.csv")) == INDEX


def of_split(clip):
    return ("train", "val", "test").index(clip.split), clip.name


def test_labels_of_test_clips_are_no_labels(folder):
    _, report = gather([folder])
    assert {clip.action for clip in report.clips if clip.split == "test"} == {-1}
    assert {clip.person for clip in report.clips if clip.split == "test"} == {""}


@pytest.mark.parametrize("label", [0, 99, None, "hidden"])
def test_whatever_a_test_clip_is_labeled_is_not_read(tmp_path, label):
    _, report = gather([write(tmp_path / "MA52_test.pkl", [openpose("test0000", label)])])
    assert report.usable and not report.faults and report.clips[0].action == -1


def test_poses_are_joined_by_name_whatever_their_order(tmp_path):
    entries = [openpose(f"test{k:04d}", 0) for k in (3, 0, 2)]  # one is missing
    poses, _ = gather([write(tmp_path / "MA52_test.pkl", entries)])
    for entry in entries:
        xy, _ = poses.clip(f"{entry['frame_dir']}.mp4")
        np.testing.assert_array_equal(xy, entry["keypoint"][0].astype(np.float32))


# Several people


def test_of_two_people_the_larger_and_more_certain_one_is_chosen(tmp_path):
    entry = openpose()
    near, sure = entry["keypoint"][0], entry["keypoint_score"][0]
    far = near / 3  # a third of the size
    other = entry | {"keypoint": np.stack([far, near]), "keypoint_score": np.stack([sure, sure])}
    poses, report = gather([write(tmp_path / "MA52_train.pkl", [other])], INDEX[:1])
    np.testing.assert_array_equal(poses.clip("0003_01_0001.mp4")[0], near)
    assert only(report).what.startswith("2 people from frame 0; number 1 is the largest")
    assert "clips with several people: 1" in report.to_text()
    other = entry | {
        "keypoint": np.stack([near, near + 1]),
        "keypoint_score": np.stack([sure / 2, sure]),
    }
    poses, _ = gather([write(tmp_path / "MA52_train.pkl", [other])], INDEX[:1])
    np.testing.assert_array_equal(poses.clip("0003_01_0001.mp4")[0], near + 1)


def test_a_second_person_s_empty_place_is_nobody(tmp_path):
    entry = openpose()
    padded = {
        name: np.concatenate([entry[name], 0 * entry[name]]) for name in ("keypoint", "keypoint_score")
    }
    _, report = gather([write(tmp_path / "MA52_train.pkl", [entry | padded])], INDEX[:1])
    assert not report.faults


def test_two_people_in_results_keep_apart(tmp_path):
    near, far = drawn(17), drawn(17) / 4
    entries = [
        {"image_id": f"0003_01_0001/{k}.jpg", "keypoints": with_score(who[k])}
        for k in range(FRAMES)
        for who in ((far, near) if k % 2 else (near, far))
    ]  # fmt: skip
    poses, report = gather([write(tmp_path / "r.json", entries)], INDEX[:1])
    np.testing.assert_allclose(poses.clip("0003_01_0001.mp4")[0], near, rtol=1e-6)
    assert report.count("several people") == 1


def test_a_person_who_is_lost_for_a_frame_is_not_taken_for_the_other(tmp_path):
    near, far = np.repeat(drawn(17, 1), FRAMES, 0), np.repeat(drawn(17, 1), FRAMES, 0) / 4
    entries = [
        {"image_id": f"0003_01_0001/{k}.jpg", "keypoints": with_score(who[k])}
        for k in range(FRAMES)
        for who in ((far,) if k == 3 else (near, far))
    ]
    poses, report = gather([write(tmp_path / "r.json", entries)], INDEX[:1])
    xy, _ = poses.clip("0003_01_0001.mp4")
    assert np.isnan(xy[3]).all() and report.count("frame without a person") == 1
    np.testing.assert_allclose(np.delete(xy, 3, 0), np.delete(near, 3, 0), rtol=1e-6)


# What was not found


def test_what_was_not_found_is_marked_and_told(tmp_path):
    entry = openpose()
    xy, score = entry["keypoint"][0], entry["keypoint_score"][0]
    xy[1, 4] = np.nan, 5
    score[2, 7] = np.nan
    xy[2, 8] = np.inf
    xy[3, 5] = 0
    score[3, 6] = 0
    xy[4] = 0
    xy[5, 0] = 0, 17  # at the left edge: found
    score[0, 0] = 1.5
    poses, report = gather([write(tmp_path / "MA52_train.pkl", [entry])], INDEX[:1])
    read, scores = poses.clip("0003_01_0001.mp4")
    lost = {(1, 4), (2, 7), (2, 8), (3, 5), (3, 6), *((4, joint) for joint in range(28))}
    assert {(int(f), int(j)) for f, j in np.argwhere(np.isnan(read).any(-1))} == lost
    assert {(int(f), int(j)) for f, j in np.argwhere(scores == 0)} == lost
    assert np.isnan(read[1, 4]).all() and scores[0, 0] == 1 and read[5, 0].tolist() == [0, 17]
    said = {fault.kind: fault for fault in report.faults}
    assert said.keys() == {"no numbers", "frame without a person", "joints not found", "scores above 1"}
    assert not any(fault.serious for fault in report.faults)
    assert all(f.where == "MA52_train.pkl, entry 0, 0003_01_0001.mp4" for f in report.faults)
    assert said["no numbers"].what == "3 joints are NaN or infinite, first right wrist in frame 1"
    assert said["frame without a person"].what == "nobody in 1 of 6 frames, first in frame 4"
    assert said["joints not found"].what == "5 of 168, first right wrist in frame 1"
    assert (report.frames, report.lost_frames, report.joints, report.lost_joints) == (6, 1, 140, 5)


# What cannot be used


def ragged_frames():
    frames = [frame.tolist() for frame in drawn(28)]
    frames[3] = frames[3][:27]
    return openpose(keypoint=[frames])


def ragged_scores():
    return openpose(keypoint_score=[[[1] * 28] * 5 + [[1] * 3]])


def ragged_people():
    return openpose(keypoint=[drawn(28), drawn(28, 4)], keypoint_score=None)


EMPTY, NAN = np.zeros((1, 6, 28, 2)), np.full((2, 6, 28, 2), np.nan)
BAD = {  # entry, kind of fault, what is said of it
    "no frame_dir": (openpose(frame_dir=None), "no name", "no frame_dir or name"),
    "no keypoint": (openpose(keypoint=None), "no joints", "no keypoint"),
    "label 52": (openpose(label=52), "label out of range", "label 52"),
    "label -2": (openpose(label=-2), "label out of range", "label -2"),
    "label text": (openpose(label="nodding"), "label out of range", "label 'nodding'"),
    "label 0.5": (openpose(label=0.5), "label out of range", "label 0.5"),
    "label NaN": (openpose(label=float("nan")), "label out of range", "label nan"),
    "25 joints": (openpose(keypoint=drawn(25)[None]), "other joints", "25 joints"),
    "no frame": (openpose(keypoint=EMPTY[:, :0]), "no joints", "keypoint of shape 1 x 0 x 28 x 2"),
    "no person": (openpose(keypoint=[]), "no joints", "keypoint of shape 0"),
    "one axis": (openpose(keypoint=np.zeros(28)), "no joints", "keypoint of shape 28"),
    "ragged frames": (ragged_frames(), "ragged lists", "person 0, frame 3 has 27 joints, the first 28"),
    "ragged people": (ragged_people(), "ragged lists", "person 1 has 4 frames, the first 6 frames"),
    "text": (openpose(keypoint=[[[["a", "b"]] * 28] * 6]), "ragged lists", "holds 'a' instead of a"),
    "few scores": (openpose(keypoint_score=EMPTY[:, 1:, :, 0]), "other scores", "(1, 5, 28) beside"),
    "ragged scores": (ragged_scores(), "ragged lists", "keypoint_score: person 0, frame 5 has 3 joints"),
    "nobody": (openpose(keypoint=EMPTY), "nobody found", "no person in any of 6 frames"),
    "NaN alone": (openpose(keypoint=NAN, keypoint_score=None), "nobody found", "in any of 6 frames"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_named_and_the_rest_is(tmp_path, name):
    entry, kind, what = BAD[name]
    good = openpose("0004_01_0001", 51)
    path = write(tmp_path / "MA52_train.pkl", [entry, good])
    for index in (None, [INDEX[0], INDEX[2]]):
        poses, report = gather([path], index)
        serious = [fault for fault in report.faults if fault.serious]
        if name == "no frame_dir" and index:
            assert serious.pop().where == "train/0003_01_0001.mp4"
        (fault,) = serious
        assert (
            fault.kind == kind and fault.where.startswith("MA52_train.pkl, entry 0, ") and fault.remedy
        )
        assert what in fault.what
        assert poses.names == ("0004_01_0001.mp4",) and not report.usable
        assert json.loads(report.to_json())["clips"] == {"train": 1, "val": 0, "test": 0}


def test_no_size_and_no_scores_are_taken_from_elsewhere(tmp_path):
    entry = openpose(img_shape=None)
    del entry["keypoint_score"]
    poses, report = gather([write(tmp_path / "MA52_train.pkl", [entry])], INDEX[:1])
    assert report.usable and kinds(report) == {("no img_shape", False), ("no scores", False)}
    assert poses.size.tolist() == [[540, 648]] and (poses.score == 1).all()


@pytest.mark.parametrize("form", [tuple, list, np.array])
def test_height_comes_first_in_a_size_of_any_form(tmp_path, form):
    entry = openpose(img_shape=form((1296, 1080)))
    poses, report = gather([write(tmp_path / "MA52_train.pkl", [entry])], INDEX[:1])
    assert not report.faults and poses.size.tolist() == [[1080, 1296]]


def test_total_frames_that_differ_are_told(tmp_path):
    _, report = gather([write(tmp_path / "MA52_train.pkl", [openpose(total_frames=9)])], INDEX[:1])
    assert only(report).what == "6 frames, total_frames says 9" and report.usable


# The index and the poses


def test_clips_that_only_one_of_both_has(tmp_path):
    path = write(tmp_path / "MA52_train.pkl", [openpose(), openpose("0099_01_0001")])
    poses, report = gather([path], INDEX[:2])
    assert [(f.kind, f.where, f.serious) for f in report.faults] == [
        ("not in the index", "MA52_train.pkl, entry 1, 0099_01_0001.mp4", False),
        ("clip without poses", "train/0003_02_0001.mp4", True),
    ]
    assert poses.names == ("0003_01_0001.mp4",)


@pytest.mark.parametrize(("frames", "video"), [(6, 4), (6, 9), (97, 100), (6, 6), (104, 100)])
def test_a_few_frames_more_or_less_are_mended(tmp_path, frames, video):
    entry = openpose(frames=frames)
    poses, report = gather(
        [write(tmp_path / "MA52_train.pkl", [entry])], [line("0003_01_0001", frames=video)]
    )
    xy, score = poses.clip("0003_01_0001.mp4")
    both = min(frames, video)
    assert len(xy) == video and report.usable and len(report.faults) == (frames != video)
    np.testing.assert_array_equal(xy[:both], entry["keypoint"][0, :both])
    assert np.isnan(xy[both:]).all() and (score[both:] == 0).all()


@pytest.mark.parametrize(("frames", "video"), [(6, 2), (6, 10), (93, 100), (50, 100)])
def test_another_length_is_refused(tmp_path, frames, video):
    path = write(tmp_path / "MA52_train.pkl", [openpose(frames=frames)])
    poses, report = gather([path], [line("0003_01_0001", frames=video)])
    assert only(report).what == f"{frames} frames, the video has {video}" and poses is None


def test_results_may_end_before_the_video(tmp_path):
    """A frame without a person has no entry there, so only too many frames are a fault."""
    xy = drawn(17, 50)
    entries = [{"image_id": f"0003_01_0001/{k}", "keypoints": with_score(xy[k])} for k in range(50)]
    path = write(tmp_path / "r.json", entries)
    poses, report = gather([path], [line("0003_01_0001", frames=80)])
    assert report.usable and report.count("length mended") == 1
    read, score = poses.clip("0003_01_0001.mp4")
    np.testing.assert_allclose(read[:50], xy, rtol=1e-6)
    assert len(read) == 80 and np.isnan(read[50:]).all() and (score[50:] == 0).all()
    _, report = gather([path], [line("0003_01_0001", frames=40)])
    assert only(report, "other length").what == "50 frames, the video has 40"


def test_another_label_than_the_index_has_is_refused(tmp_path):
    poses, report = gather([write(tmp_path / "MA52_train.pkl", [openpose(label=10)])], INDEX[:1])
    assert only(report).what == "label 10, the index says 9" and only(report).serious and poses is None


def test_a_clip_that_stands_there_twice_is_told_and_the_first_counts(tmp_path):
    first, second = openpose(), openpose()
    path = write(tmp_path / "MA52_train.pkl", [first, second])
    poses, report = gather([path], INDEX[:1])
    assert only(report).kind == "clip twice" and "entry 0" in only(report).what
    np.testing.assert_array_equal(poses.clip("0003_01_0001.mp4")[0], first["keypoint"][0])


def test_names_without_a_person_and_clips_without_a_label_need_an_index(tmp_path):
    unlabeled = openpose("0001_01_0001")
    del unlabeled["label"]
    path = write(tmp_path / "MA52_train.pkl", [openpose("clip7"), unlabeled])
    poses, report = gather([path])
    assert [fault.kind for fault in report.faults] == [
        "no person in the name",
        "no label",
    ] and poses is None
    assert gather([path], [line("0001_01_0001")])[0].names == ("0001_01_0001.mp4",)


# Files


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_any_protocol_is_read_and_foreign_classes_are_not(tmp_path, protocol):
    class Runs:
        def __reduce__(self):
            return os.system, (f'mkdir "{tmp_path / "trace"}"',)

    path = write(tmp_path / "MA52_train.pkl", [openpose()], protocol)
    assert gather([path], INDEX[:1])[1].usable
    path = write(tmp_path / "MA52_train.pkl", [openpose(label=Runs())], protocol)
    with pytest.raises(ValueError, match=r"MA52_train.pkl: it wants \w+\.system\. .* do not trust"):
        gather([path])
    assert not (tmp_path / "trace").exists()


def test_cut_off_files_are_named(tmp_path, folder):
    path = folder / "MA52_val.pkl"
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(ValueError, match=r"MA52_val.pkl: cut off or damaged after \d+ bytes"):
        gather([folder])
    results = tmp_path / "r.json"
    results.write_text('[{"image_id": "a/1.jpg", "keypoints": [1, 2')
    with pytest.raises(ValueError, match=r"r.json: cut off or damaged .*Write it again"):
        gather([results])
    results.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"r.json: is no text in UTF-8"):
        gather([results])


@pytest.mark.parametrize(
    ("name", "held", "words"),
    [
        ("MA52_train.pkl", {"a": 1}, "holds no list of clips, got dict"),
        ("MA52_train.pkl", [1, 2], "holds no list of clips, got list"),
        ("train_label.pkl", [{"file_name": "a", "label": 1}], "clips without 'keypoint'. Name the file"),
        ("r.json", [[1]], "holds no list of objects"),
        ("r.json", 5, "holds no list of objects"),
        ("r.json", [{"image_id": "a/999999999.jpg", "keypoints": [1, 2, 3]}], "is no number of a frame"),
    ],
)
def test_files_of_another_form_are_named(tmp_path, name, held, words):
    with pytest.raises(ValueError, match=rf"{name}: .*{words}"):
        gather([write(tmp_path / name, held)])


def test_labels_of_another_form_are_named(tmp_path):
    path = write(tmp_path / "train_data.pkl", {"annotations": [halpe()]})
    write(tmp_path / "train_label.pkl", {"0003_01_0001": 9})
    with pytest.raises(ValueError, match="train_label.pkl: holds no list of dicts with file_name"):
        gather([path])


@pytest.mark.parametrize("keypoints", [None, [], [1, 2], "abc", [[1]], [None] * 51, {"x": 1}])
@pytest.mark.parametrize("form", ["image_id", "name"])
def test_no_json_crashes(tmp_path, keypoints, form):
    path = write(tmp_path / "r.json", [{form: "0003_01_0001/1.jpg", "keypoints": keypoints}])
    poses, report = gather([path], INDEX[:1])
    assert poses is None and not report.usable and report.to_text()


def test_an_empty_file_is_told(tmp_path):
    poses, report = gather([write(tmp_path / "MA52_train.pkl", [])])
    assert only(report).kind == "empty file" and poses is None


def test_folders_are_searched_for_known_names(tmp_path, folder):
    for other in ("notes.pkl", "report.json", "train_label.pkl", "._MA52_train.pkl"):
        write(folder / other, [])
    assert [path.name for path in find_files([folder])] == [
        f"MA52_{s}.pkl" for s in ("test", "train", "val")
    ]
    assert find_files([folder / "notes.pkl"]) == [folder / "notes.pkl"]
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        find_files([tmp_path / "none"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no pose file in this folder. It should hold MA52_train.pkl"):
        find_files([tmp_path / "empty"])


# The command


def run(*arguments, index, tmp_path):
    write_index(tmp_path / "index.csv", index)
    return prepare_ma52.main(["poses", *map(str, arguments), "--index", str(tmp_path / "index.csv")])


def test_the_command_writes_what_was_read(folder, tmp_path, capsys):
    out, told = tmp_path / "poses.safetensors", tmp_path / "report.json"
    assert run(folder, "--out", out, "--dry-run", index=INDEX, tmp_path=tmp_path) == 0
    assert not out.exists() and "would hold 6 clips of 28 joints" in capsys.readouterr().out
    arguments = (folder, "--out", out, "--joints", 17, "--json", told)
    assert run(*arguments, index=INDEX, tmp_path=tmp_path) == 0
    printed = capsys.readouterr()
    assert "clips that can be used: 3 train, 1 val, 2 test; of 2 people" in printed.out
    assert f"{out}: 6 clips of 17 joints" in printed.out and "MA52_train.pkl: 100%" in printed.err
    read = read_poses(out)
    assert read.joints == COCO and read.source.startswith("pose files: MA52_test.pkl")
    assert json.loads(told.read_text())["usable"] is True


def test_bad_clips_stop_the_command_unless_left_out(folder, tmp_path, capsys):
    index, out = [*INDEX, line("0007_01_0001")], tmp_path / "poses.safetensors"
    assert run(folder, "--out", out, index=index, tmp_path=tmp_path) == 1
    said = capsys.readouterr().err
    assert "error: clip without poses, 1. Add the file" in said and "--leave-out" in said
    assert not out.exists()
    assert run(folder, "--out", out, "--leave-out", index=index, tmp_path=tmp_path) == 0
    assert len(read_poses(out)) == 6
    nobody = [line("0007_01_0001")]
    assert run(folder, "--out", out, "--leave-out", index=nobody, tmp_path=tmp_path) == 1
    assert "no clip can be used" in capsys.readouterr().err
