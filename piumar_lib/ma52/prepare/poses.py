"""One file of poses: where a person's joints are, in every frame of every clip.

    poses = read_poses("build/ma52/poses.safetensors")
    xy, score = poses.clip("0003_01_0001.mp4")  # (frames, joints, 2) and (frames, joints)

Poses come from published files, from an estimator that looks at video, or from the stand-in. All of
them end up here, with one set of names for joints. The frames of all clips follow one another.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from piumar_lib.support.checkpoint import write_tensors
from piumar_lib.support.files import as_path

REMEDY = "Make it again: prepare_ma52.py poses --help"
_TENSORS = ("xy", "score", "start", "size", "rate")


@dataclass(frozen=True)
class Poses:
    """Poses of clips.

    Attributes:
        names: Names of the clips, as in the index: ``"0003_01_0001.mp4"``.
        joints: Names of the joints, those of COCO as in `piumar_lib.data.skeleton.JOINTS`. What comes in
            pairs begins with "left " or "right ".
        xy: Pixels to the right and down, float32 ``(frames of all clips, joints, 2)``; NaN where a joint
            was not found.
        score: Confidence of the estimator, 0 to 1, ``(frames of all clips, joints)``; 0 where a joint
            was not found.
        start: First row of each clip, and after the last one the number of rows, int64 ``(clips + 1,)``.
        size: Width and height of each clip's frames in pixels, int64 ``(clips, 2)``; 0 where the source
            does not say.
        rate: Frames a second of each clip, ``(clips,)``; NaN where the source does not say.
        source: Where the poses come from, in a few words.

    Raises:
        ValueError: If shapes do not go together.
    """

    names: tuple[str, ...]
    joints: tuple[str, ...]
    xy: Tensor
    score: Tensor
    start: Tensor
    size: Tensor
    rate: Tensor
    source: str

    def __post_init__(self) -> None:
        rows, clips = len(self.xy), len(self.names)
        shapes = {
            "xy": (rows, len(self.joints), 2),
            "score": (rows, len(self.joints)),
            "start": (clips + 1,),
            "size": (clips, 2),
            "rate": (clips,),
        }
        for name, shape in shapes.items():
            if (given := tuple(getattr(self, name).shape)) != shape:
                raise ValueError(f"{name}: must have shape {shape}, got {given}.")
        if self.start[0] != 0 or self.start[-1] != rows or (self.start.diff() < 1).any():
            raise ValueError(f"start: must rise from 0 to {rows}, a frame or more a clip.")
        if len(set(self.names)) != clips:
            twice, _ = Counter(self.names).most_common(1)[0]
            raise ValueError(f"names: {twice} occurs more than once. Keep one of its clips.")

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def rows(self) -> dict[str, int]:
        """The number of each clip, by name."""
        return {name: row for row, name in enumerate(self.names)}

    def clip(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Joints of a clip, ``(frames, joints, 2)``, and their scores, ``(frames, joints)``.

        Raises:
            KeyError: If there is no such clip.
        """
        row = self.rows[name]
        frames = slice(int(self.start[row]), int(self.start[row + 1]))
        return self.xy[frames].numpy(), self.score[frames].numpy()


def join(clips: Sequence[tuple[str, np.ndarray, np.ndarray]], joints: Sequence[str],
         size: Sequence[tuple[int, int]], rate: Sequence[float], source: str) -> Poses:  # fmt: skip
    """Poses from one array a clip.

    Args:
        clips: Name, joints ``(frames, joints, 2)`` and scores ``(frames, joints)`` of each.
        joints, source: See `Poses`.
        size: Width and height of each, pixels.
        rate: Frames a second of each.

    Raises:
        ValueError: If there is no clip, or shapes do not go together.
    """
    if not clips:
        raise ValueError("clips: there is none. Give one or more.")
    lengths = torch.tensor([0] + [len(xy) for _, xy, _ in clips])
    return Poses(
        tuple(name for name, _, _ in clips),
        tuple(joints),
        torch.from_numpy(np.concatenate([xy for _, xy, _ in clips]).astype(np.float32)),
        torch.from_numpy(np.concatenate([score for _, _, score in clips]).astype(np.float32)),
        lengths.cumsum(0),
        torch.tensor(size, dtype=torch.int64).reshape(-1, 2),
        torch.tensor(rate, dtype=torch.float32),
        source,
    )


def write_poses(path: str | Path, poses: Poses) -> None:
    """Write ``poses`` atomically.

    Args:
        path: Ends in ``.safetensors``.
        poses: Poses to write.

    Raises:
        ValueError: If the path has another ending.
        OSError: If it cannot be written.
    """
    path = as_path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"path: must end in .safetensors, got {path.name}. Give it that ending.")
    about = {"names": list(poses.names), "joints": list(poses.joints), "source": poses.source}
    tensors = {name: getattr(poses, name).contiguous() for name in _TENSORS}
    write_tensors(path, tensors, {"poses": json.dumps(about)})


def read_joints(path: str | Path) -> tuple[str, ...]:
    """The names of the joints in a file of poses, without its arrays.

    Raises:
        FileNotFoundError, ValueError: If there is no such file, or it holds something else.
    """
    from safetensors import SafetensorError, safe_open

    path = as_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no poses. {REMEDY}")
    try:
        with safe_open(path, "pt") as file:
            return tuple(json.loads((file.metadata() or {})["poses"])["joints"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: no poses, or damaged ({error}). {REMEDY}") from error


def read_poses(path: str | Path) -> Poses:
    """Read what `write_poses` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or holds something else.
    """
    from safetensors import SafetensorError, safe_open

    path = as_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no poses. {REMEDY}")
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})["poses"])
            tensors = {name: file.get_tensor(name) for name in _TENSORS}
        return Poses(tuple(about["names"]), tuple(about["joints"]), source=about["source"], **tensors)
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: no poses, or damaged ({error}). {REMEDY}") from error
