"""Batches of video on the device, as the training loop takes them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from piumar_lib.batch import Batch
from piumar_lib.ma52.batch_sampler import BatchSampler
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.dataset import ClipDataset
from piumar_lib.ma52.transforms import to_input


class VideoBatches:
    """Reads clips, moves them to the device, and varies them if the method augments.

    Args:
        data: Training clips.
        sampler: Which of them each step sees.
        config: ``workers`` counts, and what is said about augmentation.
        size: Side of what the backbone sees, in pixels.
        device: Where to train.

    Attributes:
        waited: Seconds that were spent waiting for clips so far.
    """

    def __init__(
        self,
        data: ClipDataset,
        sampler: BatchSampler,
        config: TrainConfig,
        size: int,
        device: torch.device,
    ) -> None:
        self.data, self.sampler, self.config = data, sampler, config
        self.size, self.device, self.waited = size, device, 0.0

    def read(self, first: int, end: int | None = None) -> Iterator[Batch]:
        """This process's batch of each step, see `BatchSampler.steps`."""
        loader = iter(DataLoader(
            self.data,
            batch_sampler=self.sampler.steps(first, end),
            num_workers=self.config.workers,
            pin_memory=self.device.type == "cuda",
        ))  # fmt: skip
        while True:
            began = time.perf_counter()
            if (item := next(loader, None)) is None:
                return
            item = {name: value.to(self.device, non_blocking=True) for name, value in item.items()}
            self.waited += time.perf_counter() - began
            yield Batch(self._to_input(item), item["action"], item["person"], item["clip"])

    @torch.no_grad()
    def _to_input(self, item: dict[str, Tensor]) -> Tensor:
        """Video ``(batch, time, 3, size, size)``."""
        config = self.config
        if not config.is_augmented:
            return to_input(item["video"], self.size)
        strength = config.hyperparameters["augmentation_strength"]
        return to_input(
            item["video"],
            self.size,
            item["augmentation"],
            min_scale=max(0.01, 1 - strength * (1 - config.min_scale)),
            color_jitter=strength * config.color_jitter,
            hflip=config.hflip,
        )
