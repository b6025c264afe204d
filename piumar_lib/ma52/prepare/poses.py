"""One file of poses: where a person's joints are, in every frame of every clip.

    poses = read_poses("build/ma52/poses.safetensors")
    xy, score = poses.clip("0003_01_0001.mp4")  # (frames, joints, 2) and (frames, joints)

Poses come from published files, from an estimator that looks at video, or from the stand-in. All of
them end up here, with one set of names for joints. The frames of all clips follow one another.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from piumar_lib.support.checkpoint import write_tensors
from piumar_lib.support.files import as_path

REMEDY = "Make it again: prepare_ma52.py poses --help"
_TENSORS = ("xy", "score", "start", "size", "rate")


@dataclass(frozen=True)
class ClipPoses:
    """Poses of one clip.

    Attributes:
        name: Name of the clip, as in the index: ``"0003_01_0001.mp4"``.
        xy: Pixels to the right and down, ``(frames, joints, 2)``; NaN where a joint was not found.
        score: Confidence of the estimator, 0 to 1, ``(frames, joints)``; 0 where a joint was not found.
        size: Width and height of a frame in pixels; 0 and 0 where the source does not say.
        rate: Frames a second; NaN where the source does not say.
    """

    name: str
    xy: np.ndarray
    score: np.ndarray
    size: tuple[int, int] = (0, 0)
    rate: float = math.nan

    @property
    def found(self) -> float:
        """Fraction of frames with the person in them."""
        return float(np.isfinite(self.xy).any((1, 2)).mean())


@dataclass(frozen=True)
class Poses:
    """Poses of clips; their frames follow one another.

    Attributes:
        names: Names of the clips.
        joints: Names of the joints, those of COCO as in `piumar_lib.data.skeleton.JOINTS`. What comes in
            pairs begins with "left " or "right ".
        xy, score: As in `ClipPoses`, float32 ``(frames of all clips, joints, 2)`` and ``(frames of all
            clips, joints)``.
        start: First row of each clip, and after the last one the number of rows, int64 ``(clips + 1,)``.
        size, rate: As in `ClipPoses`, int64 ``(clips, 2)`` and float32 ``(clips,)``.
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


def join(clips: Sequence[ClipPoses], joints: Sequence[str], source: str) -> Poses:
    """Poses of several clips; ``joints`` and ``source`` are those of `Poses`.

    Raises:
        ValueError: If there is no clip, or shapes do not go together.
    """
    if not clips:
        raise ValueError("clips: there is none. Give one or more.")
    return Poses(
        tuple(clip.name for clip in clips),
        tuple(joints),
        torch.from_numpy(np.concatenate([clip.xy for clip in clips]).astype(np.float32)),
        torch.from_numpy(np.concatenate([clip.score for clip in clips]).astype(np.float32)),
        torch.tensor([0] + [len(clip.xy) for clip in clips]).cumsum(0),
        torch.tensor([clip.size for clip in clips], dtype=torch.int64),
        torch.tensor([clip.rate for clip in clips], dtype=torch.float32),
        source,
    )


def write_poses(path: str | Path, poses: Poses) -> None:
    """Write ``poses`` atomically.

    Raises:
        ValueError: If the path does not end in ``.safetensors``.
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
    with _opened(path) as (_, about):
        return tuple(about["joints"])


def read_poses(path: str | Path) -> Poses:
    """Read what `write_poses` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or holds something else.
    """
    with _opened(path) as (file, about):
        tensors = {name: file.get_tensor(name) for name in _TENSORS}
        return Poses(tuple(about["names"]), tuple(about["joints"]), source=about["source"], **tensors)


@contextmanager
def _opened(path: str | Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A file of poses and what its header says; what is wrong with either is named."""
    from safetensors import SafetensorError, safe_open

    path = as_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no poses. {REMEDY}")
    try:
        with safe_open(path, "pt") as file:
            yield file, json.loads((file.metadata() or {})["poses"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: no poses, or damaged ({error}). {REMEDY}") from error
