"""Batches of video on the device, for the training loop."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from piumar_lib.batch import Batch
from piumar_lib.ma52.batch_sampler import BatchSampler
from piumar_lib.ma52.clips import count_workers
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.dataset import ClipDataset
from piumar_lib.ma52.transforms import to_input


class VideoBatches:
    """Reads clips, moves them to the device, and augments them if the method does.

    ``size`` is the side of what the backbone sees, in pixels, and ``waited`` how many seconds were spent
    waiting for clips so far.
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
            num_workers=count_workers(self.data, self.config.workers),
            pin_memory=self.device.type == "cuda" and self._may_pin(),
        ))  # fmt: skip
        while True:
            began = time.perf_counter()
            if (item := next(loader, None)) is None:
                return
            item = {name: value.to(self.device, non_blocking=True) for name, value in item.items()}
            self.waited += time.perf_counter() - began
            yield Batch(self._to_input(item), item["action"], item["person"], item["clip"])

    def _may_pin(self) -> bool:
        """Whether the system lets batches be locked in memory, from where a GPU copies them faster."""
        clips = self.config.batch_size // self.sampler.processes
        return can_pin(clips * self.data[0, 0]["video"].nbytes)

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


def can_pin(size: int, count: int = 3) -> bool:
    """Whether ``count`` times ``size`` bytes can be locked in memory; if not, a note is printed.

    If the limit is low (``ulimit -l``), a `DataLoader` that locks its batches fails in a separate
    thread. From ordinary memory batches are copied a little more slowly.
    """
    try:
        held = [torch.empty(size, dtype=torch.uint8).pin_memory() for _ in range(count)]
    except RuntimeError as error:
        warnings.warn(
            f"pin_memory: {count} times {size / 2**20:.1f} MB cannot be locked in memory here "
            f"({str(error).splitlines()[0]}). It goes on without, a little slower; ulimit -l says how "
            "much may be locked.",
            stacklevel=2,
        )
        return False
    return len(held) == count
