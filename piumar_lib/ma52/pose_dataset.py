"""Clips of a file of poses as tensors, all in memory, so that no processes have to read them.

Each clip is measured in its own torso lengths from the middle of its hips, both as the median over its
frames. This removes position and distance to the camera, and preserves proportions, posture and
amplitude. The common scaling of each clip to its smallest and largest coordinates would remove the size
of the body, and would depend on how far the hands happen to reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from piumar_lib.data.joints import mirror, parents
from piumar_lib.ma52.labelled_clips import LabelledClips
from piumar_lib.ma52.prepare.index import Clip
from piumar_lib.ma52.prepare.poses import Poses

SHOULDERS = 0.76  # default distance in torso lengths, if no hip was found
MOST_MISSING = 0.05  # fraction of clips that a file of poses may lack


class PoseDataset(LabelledClips):
    """Clips of a file of poses.

    So many ``frames`` are read of each clip; ``scores`` adds the estimator's confidence of each joint to
    its place. A split's names choose the clips from the index.

    Attributes:
        left_out: Names of wanted clips that the file does not hold, or in which no torso was found.
        joints: Names of the joints.
        tree: Parent of each joint; -1 for the root.
        mirror: The mirror image of each joint, ``(joints,)``.
        about: Description of the clips in records: the source of the poses.

    Raises:
        ValueError: If the file lacks more than one clip in twenty, or none is left.
    """

    def __init__(
        self,
        poses: Poses,
        clips: Iterable[Clip],
        frames: int = 32,
        views: int = 1,
        scores: bool = False,
    ) -> None:
        self.joints, self.scores, self.about = poses.joints, scores, f"poses ({poses.source}), "
        self.tree = tuple(parents(poses.joints).tolist())
        self.mirror = torch.from_numpy(mirror(poses.joints))
        self.frames = frames
        super().__init__(self._measure(poses, list(clips)), views)

    def _measure(self, poses: Poses, clips: list[Clip]) -> list[Clip]:
        """Keep every clip that can be measured; return them."""
        missing = [clip.name for clip in clips if clip.name not in poses.rows]
        if len(missing) > MOST_MISSING * len(clips):
            raise ValueError(
                f"poses: {len(missing)} of {len(clips)} clips are not in the file, {missing[0]} is the "
                "first. Make it from the same clips as the index: prepare_ma52.py poses."
            )
        self.left_out = missing
        there, kept = [], []
        for clip in clips:
            if clip.name in poses.rows:
                measured = measure(*poses.clip(clip.name), poses.joints, self.tree)
                if measured is None:
                    self.left_out.append(clip.name)
                    continue
                there.append(clip)
                kept.append(measured if self.scores else measured[..., :2])
        if not kept:
            raise ValueError(
                f"poses: no torso was found in any of {len(clips)} clips. Look at them: their poses "
                "need shoulders, and hips if these are in the picture."
            )
        self.lengths = torch.tensor([len(clip) for clip in kept])
        self.start = self.lengths.cumsum(0) - self.lengths
        self.rows = torch.from_numpy(np.concatenate(kept)).flatten(1)  # (frames of all, channels)
        return there

    def __getitem__(self, number: int) -> dict[str, Any]:
        """A view: ``pose``, float32 ``(frames, channels)``, and what `LabelledClips.known` says."""
        place, view = divmod(number, self.views)
        within = torch.full((1, self.frames), (view + 0.5) / self.views)
        pose = self.read(torch.tensor([place]), moments(within))[0]
        return {"pose": pose, **self.known(place)}

    def read(self, places: Tensor, at: Tensor) -> Tensor:
        """Clips at times between their frames, by linear interpolation: ``(batch, time, channels)``.

        Args:
            places: Numbers of clips, shape ``(batch,)``.
            at: Moments, 0 at the beginning of a clip and 1 at its end, ``(batch, time)``.
        """
        last = (self.lengths[places] - 1)[:, None]
        # A frame lasts for a while; it shows the middle of that time.
        position = (at * (last + 1) - 0.5).clamp_min(0).minimum(last)
        left = position.floor().long().minimum((last - 1).clamp_min(0))
        row = self.start[places][:, None] + left  # (B, T)
        following = torch.where(last > 0, row + 1, row)
        return torch.lerp(self.rows[row], self.rows[following], (position - left)[..., None])

    def some_clips(self, most: int = 4096) -> Tensor:
        """Clips as in evaluation, ``(clips, frames, channels)``; at most so many, evenly spaced."""
        places = torch.linspace(0, len(self.clips) - 1, min(most, len(self.clips))).round().long()
        return self.read(places, moments(torch.full((len(places), self.frames), 0.5)))

    def inputs(self, item: dict[str, Tensor], size: int, device: torch.device) -> Tensor:
        """A batch of items as the backbone takes it, on the device; there is no ``size`` to bring to."""
        return item["pose"].to(device)


def moments(within: Tensor) -> Tensor:
    """One time in each of equal stretches of a clip, from 0 to 1, rising, ``(batch, time)``.

    ``within`` says where in its stretch each lies, from 0 to 1, in the same shape.
    """
    time = within.shape[1]
    return (torch.arange(time) + within) / time


def measure(
    xy: np.ndarray, score: np.ndarray, joints: Sequence[str], tree: Sequence[int]
) -> np.ndarray | None:
    """A clip in torso lengths from the middle of its hips; of the neck, if no hip is seen.

    Args:
        xy, score: As in `piumar_lib.ma52.prepare.poses.ClipPoses`.
        joints, tree: Names of the joints, and the parent of each.

    Returns:
        Places and scores, float32 ``(frames, joints, 3)``; where a joint was not found, the result of
        `fill_gaps`, with score 0. None if the clip shows no torso.
    """
    found = np.isfinite(xy).all(-1)
    filled = fill_gaps(xy, found)
    hips, neck = _middle(filled, joints, "hip", "hip"), _middle(filled, joints, "shoulder", "neck")
    center = np.median(neck if np.isnan(hips).any() else hips, axis=0)
    unit = float(np.median(np.linalg.norm(neck - hips, axis=-1)))
    if np.isnan(unit) and {"left shoulder", "right shoulder"} <= {*joints}:
        sides = (filled[:, joints.index(f"{side} shoulder")] for side in ("left", "right"))
        unit = float(np.median(np.linalg.norm(np.subtract(*sides), axis=-1))) / SHOULDERS
    if not (np.isfinite(unit) and unit > 0 and np.isfinite(center).all()):
        return None
    placed = place_missing((filled - center) / unit, tree)
    return np.concatenate([placed, np.where(found, score, 0)[..., None]], -1).astype(np.float32)


def fill_gaps(xy: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Fill in joints that were not found by linear interpolation over time.

    Before the first and after the last frame in which it was found, a joint is constant; one that was
    never found remains NaN. Shapes are ``(frames, joints, 2)`` and ``(frames, joints)``.
    """
    time = np.arange(len(xy))[:, None]
    before = np.maximum.accumulate(np.where(found, time, -1))  # (T, J): frame that last showed it
    after = np.minimum.accumulate(np.where(found, time, len(xy))[::-1])[::-1]
    never, first, last = before[-1] < 0, before < 0, after == len(xy)
    before, after = np.where(first, after, before), np.where(last, before, after)
    before, after = (np.where(never, 0, at)[..., None] for at in (before, after))
    share = (time[..., None] - before) / np.maximum(after - before, 1)
    a, b = np.take_along_axis(xy, before, 0), np.take_along_axis(xy, after, 0)
    return a + share * (b - a)


def place_missing(xy: np.ndarray, tree: Sequence[int]) -> np.ndarray:
    """Place joints that were never found at their parents, and the root at the origin."""
    if not np.isnan(xy[0]).any():
        return xy
    placed = xy.copy()
    for joint in range(len(tree)):
        chain = [joint]
        while np.isnan(xy[0, chain[-1], 0]) and tree[chain[-1]] >= 0:
            chain.append(tree[chain[-1]])
        placed[:, joint] = np.nan_to_num(xy[:, chain[-1]])
    return placed


def _middle(xy: np.ndarray, joints: Sequence[str], pair: str, alone: str) -> np.ndarray:
    """The middle of a pair of joints, else the one joint there; NaN if unseen. ``(frames, 2)``."""
    for names in ((f"left {pair}", f"right {pair}"), (alone,)):
        if {*names} <= {*joints}:
            middle = np.mean([xy[:, joints.index(name)] for name in names], axis=0)
            if not np.isnan(middle).any():
                return middle
    return np.full((len(xy), 2), np.nan)
