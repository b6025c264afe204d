"""Batches of poses on the device, for the training loop."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from piumar_lib.batch import Batch
from piumar_lib.ma52.batch_sampler import BatchSampler
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.pose_dataset import PoseDataset, moments
from piumar_lib.ma52.pose_transforms import draw, vary, warp


class PoseBatches:
    """Selects clips, augments them if the method does, and moves them to the device.

    ``waited`` is how many seconds were spent on it so far.
    """

    def __init__(
        self, data: PoseDataset, sampler: BatchSampler, config: TrainConfig, device: torch.device
    ) -> None:
        self.data, self.sampler, self.config, self.device = data, sampler, config, device
        self.labels, self.persons, self.waited = data.labels(), data.persons(), 0.0

    def read(self, first: int, end: int | None = None) -> Iterator[Batch]:
        """This process's batch of each step, see `BatchSampler.steps`."""
        for pairs in self.sampler.steps(first, end):
            began = time.perf_counter()
            places = torch.tensor([place for place, _ in pairs])
            x = self._look_up(places, [seed for _, seed in pairs])
            parts = (x, self.labels[places], self.persons[places], places)
            batch = Batch(*(part.to(self.device) for part in parts))
            self.waited += time.perf_counter() - began
            yield batch

    def _look_up(self, places: Tensor, seeds: Sequence[int]) -> Tensor:
        """Clips at random times, augmented if the method does: ``(batch, time, channels)``."""
        data, config = self.data, self.config
        draws = draw(seeds, data.frames, len(data.joints))
        at = moments(draws.moment)
        if not config.is_augmented:
            return data.read(places, at)
        strength = config.hyperparameters["augmentation_strength"]
        at = warp(at, draws.speed, strength * config.time_warp)
        varied = vary(
            data.read(places, at).unflatten(2, (len(data.joints), -1)),
            draws,
            data.mirror,
            config.hflip,
            strength * config.rotation,
            strength * config.size_jitter,
            strength * config.joint_jitter,
        )
        return varied.flatten(2)
