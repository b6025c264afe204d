"""Which clips each step of a training sees."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from piumar_lib.ma52.config import TrainConfig


class Draws:
    """Which clips each step sees, and with which seed each of them is varied.

    All follows from seed and step, so that a training can begin at any step, and so that however many
    processes share a step they see the same clips, varied alike.

    Args:
        labels: Actions of the training clips, shape ``(clips,)``.
        config: ``batch``, ``accumulate``, ``balanced``, ``epochs`` and ``seed`` count.
        processes, process: How many share each step, and which of them this is.

    Raises:
        ValueError: If there are fewer clips than a batch, or a batch cannot be dealt evenly.
    """

    def __init__(
        self, labels: Tensor, config: TrainConfig, processes: int = 1, process: int = 0
    ) -> None:
        if len(labels) < config.batch:
            raise ValueError(f"batch: {config.batch} of {len(labels)} clips. Choose a smaller one.")
        if config.batch % (config.accumulate * processes):
            raise ValueError(
                f"batch: {config.batch} cannot be dealt to {processes} processes in "
                f"{config.accumulate} parts. Choose a multiple of {config.accumulate * processes}."
            )
        self.config, self.processes, self.process = config, processes, process
        self.steps_per_epoch = len(labels) // config.batch
        self.total = self.steps_per_epoch * config.epochs
        self.clips, self.odds = len(labels), None
        if config.balanced:
            odds = 1 / labels.bincount().double()[labels].numpy()
            self.odds = odds / odds.sum()

    def epoch(self, epoch: int) -> np.ndarray:
        """Clips in the order in which an epoch sees them; those beyond the last whole batch rest."""
        rng = np.random.default_rng([self.config.seed, epoch])
        seen = self.steps_per_epoch * self.config.batch
        if self.odds is None:
            return rng.permutation(self.clips)[:seen]
        return rng.choice(self.clips, seen, p=self.odds)

    def parts(self, start: int) -> Iterator[list[tuple[int, int]]]:
        """This process's parts of each step from ``start`` on: pairs of clip and seed."""
        batch, size = self.config.batch, self.config.batch // self.config.accumulate
        order, of_epoch = np.empty(0, int), -1
        for step in range(start, self.total):
            if step // self.steps_per_epoch != of_epoch:
                of_epoch = step // self.steps_per_epoch
                order = self.epoch(of_epoch)
            first = step % self.steps_per_epoch * batch
            for part in range(self.config.accumulate):
                places = range(part * size + self.process, (part + 1) * size, self.processes)
                seeds = (self.config.seed << 48) + step * batch
                yield [(int(order[first + k]), seeds + k) for k in places]
