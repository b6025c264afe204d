"""Clips of a cache as tensors: the frames that are read, and their labels.

Pictures stay uint8 until they are on the device (`piumar_lib.ma52.transforms`): this moves a quarter of
the bytes, and the processes that read do not compute.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from piumar_lib.ma52.labelled_clips import LabelledClips
from piumar_lib.ma52.prepare.cache import CacheEntry, cached_path, read_entries, read_raw, read_settings
from piumar_lib.ma52.prepare.index import Clip
from piumar_lib.ma52.prepare.video import read_frames
from piumar_lib.ma52.transforms import draw_augmentation, to_input
from piumar_lib.support.files import as_path


def frame_indices(
    total: int, frames: int, view: int = 0, views: int = 1, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Indices of frames to read: one from each of ``frames`` equal segments of the clip.

    Args:
        total: Frames of the clip.
        frames: How many to read; of a shorter clip some are read twice.
        view, views: Without ``rng``, the ``view``-th of ``views`` evenly shifted choices; a single
            one reads the middle of each stretch.
        rng: Draw a moment within each stretch.

    Returns:
        Rising frame numbers, shape ``(frames,)``.

    Raises:
        ValueError: If a number is invalid.
    """
    if total < 1 or frames < 1 or not 0 <= view < views:
        raise ValueError(
            f"total, frames, view, views: {total}, {frames}, {view}, {views} do not go together. "
            "Choose total and frames from 1, and view from 0 to views - 1."
        )
    where = np.full(frames, (view + 0.5) / views) if rng is None else rng.random(frames)
    return np.minimum(((np.arange(frames) + where) * total / frames).astype(int), total - 1)


class ClipDataset(LabelledClips):
    """Clips of a cache.

    So many ``frames`` are read of each clip; to ``train``, they are drawn at random, and ``views`` must
    be 1. A split's names choose the clips from the index.

    Attributes:
        left_out: Names of wanted clips that the cache could not decode.
        about: What a record says of the clips: nothing, if they are video.

    Raises:
        FileNotFoundError: If the folder holds no cache.
        ValueError: If clips are missing from the cache, or none is left.
    """

    def __init__(
        self,
        folder: str | Path,
        clips: Iterable[Clip],
        frames: int = 16,
        views: int = 1,
        train: bool = False,
    ) -> None:
        self.folder, self.settings, self.about = as_path(folder), read_settings(folder), ""
        self.frames, self.train = frames, train
        if train and views != 1:
            raise ValueError(f"views: {views}. Choose 1 for training.")
        kept = {k.name: k for k in read_entries(self.folder)}
        clips = list(clips)
        missing = [clip.name for clip in clips if clip.name not in kept]
        if missing:
            raise ValueError(
                f"{folder}: {len(missing)} clips are not in the cache, {missing[0]} is the first. "
                "Finish it: prepare_ma52.py cache."
            )
        self.left_out = [clip.name for clip in clips if kept[clip.name].fault]
        super().__init__((clip for clip in clips if not kept[clip.name].fault), views)
        if not self.clips:
            raise ValueError(f"clips: none of {len(clips)} can be read. Look into {folder}/bad.csv.")
        self.kept = [kept[clip.name] for clip in self.clips]

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        """A view of a clip.

        Args:
            key: The view's number. In training also a pair of the clip's number and the seed of what is
                drawn, so that a clip is varied the same way in any process and at any time.

        Returns:
            ``video``, uint8 ``(frames, height, width, 3)``, and what `LabelledClips.known` says. In
            training also ``augmentation``, for `piumar_lib.ma52.transforms.to_input`.
        """
        number, seed = key if isinstance(key, tuple) else (key, int(torch.randint(2**62, ())))
        place, view = divmod(number, self.views)
        kept = self.kept[place]
        rng = np.random.default_rng(seed) if self.train else None
        at = frame_indices(kept.frames, self.frames, view, self.views, rng)
        item = {"video": torch.from_numpy(self.read(kept, at)), **self.known(place)}
        return item if rng is None else item | {"augmentation": draw_augmentation(rng)}

    def read(self, kept: CacheEntry, at: np.ndarray) -> np.ndarray:
        """The frames ``at`` of a clip, ``(frames, height, width, 3)``."""
        path = cached_path(self.folder, kept.split, kept.name, self.settings)
        if self.settings.form == "raw":
            return read_raw(path, at)
        different, back = np.unique(at, return_inverse=True)
        return read_frames(path, which=different.tolist())[back]

    def inputs(self, item: dict[str, Tensor], size: int, device: torch.device) -> Tensor:
        """A batch of items as the backbone takes it in evaluation, on the device."""
        return to_input(item["video"].to(device), size)
