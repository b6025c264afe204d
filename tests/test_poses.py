"""One file of poses: what is written is read, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from piumar_lib.data.skeleton import JOINTS
from piumar_lib.ma52.prepare.poses import ClipPoses, join, read_poses, write_poses
from piumar_lib.support.checkpoint import write_tensors


@pytest.fixture
def poses():
    rng = np.random.default_rng(0)
    clips = []
    for name, frames in (("0003_01_0001.mp4", 5), ("0004_01_0001.mp4", 1)):
        xy = rng.normal(size=(frames, 17, 2))
        xy[0, 3] = np.nan
        clips.append(ClipPoses(name, xy, rng.random((frames, 17)), (64, 80), 30.0))
    clips[1] = replace(clips[1], size=(60, 70), rate=np.nan)
    return join(clips, JOINTS, "drawn")


def test_what_is_written_is_read(poses, tmp_path):
    write_poses(tmp_path / "poses.safetensors", poses)
    read = read_poses(tmp_path / "poses.safetensors")
    assert (read.names, read.joints, read.source) == (poses.names, poses.joints, poses.source)
    for name in ("xy", "score", "start", "size", "rate"):
        np.testing.assert_array_equal(getattr(read, name), getattr(poses, name))
    xy, score = read.clip("0004_01_0001.mp4")
    np.testing.assert_array_equal(xy, poses.xy[5:])
    np.testing.assert_array_equal(score, poses.score[5:])


def test_bad_files_are_named(poses, tmp_path):
    path = tmp_path / "poses.safetensors"
    with pytest.raises(FileNotFoundError, match=r"no poses\. Make it again"):
        read_poses(path)
    with pytest.raises(ValueError, match=r"must end in \.safetensors, got poses\.pkl. Give"):
        write_poses(tmp_path / "poses.pkl", poses)
    write_tensors(path, {"xy": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"poses\.safetensors: no poses, or damaged"):
        read_poses(path)
    write_poses(path, poses)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"poses\.safetensors: no poses, or damaged"):
        read_poses(path)


def test_shapes_must_go_together():
    with pytest.raises(ValueError, match="there is none"):
        join([], JOINTS, "drawn")
    clip = ClipPoses("a.mp4", np.zeros((2, 17, 2)), np.zeros((2, 17)))
    with pytest.raises(ValueError, match=r"xy: must have shape \(2, 1, 2\), got \(2, 17, 2\)"):
        join([clip], ["nose"], "drawn")
    with pytest.raises(ValueError, match=r"names: a\.mp4 occurs more than once. Keep one"):
        join([clip, clip], JOINTS, "drawn")
    with pytest.raises(ValueError, match="must rise from 0 to 2"):
        join([clip, ClipPoses("b.mp4", clip.xy[:0], clip.score[:0])], JOINTS, "drawn")
