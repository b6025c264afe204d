"""Sampling of the clips of each training step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from piumar_lib.batch import Labels
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.sampler import batches


class BatchSampler:
    """Samples the clips of each step, and a seed for the augmentation of each.

    Both are functions of seed and step, so that training can resume at any step, and does not depend on
    the number of processes that share a step.

    Args:
        labels: Classes and people of the training clips.
        config: ``batch_size``, ``grad_accum_steps``, ``balanced``, ``epochs`` and ``seed`` count.
        people: Number of people in each batch, see `batches`; None draws regardless of people.
        processes, process: Number of processes that share each step, and which of them this is.

    Raises:
        ValueError: If there are fewer clips than a batch, a batch cannot be dealt evenly, or sampling by
            people and by actions is combined.
    """

    def __init__(
        self,
        labels: Labels,
        config: TrainConfig,
        people: int | None = None,
        processes: int = 1,
        process: int = 0,
    ) -> None:
        batch, parts = config.batch_size, config.grad_accum_steps
        if len(labels) < batch:
            raise ValueError(f"batch_size: {batch} of {len(labels)} clips. Choose a smaller one.")
        if batch % (parts * processes):
            raise ValueError(
                f"batch_size: {batch} cannot be dealt to {processes} processes in {parts} parts. "
                f"Choose a multiple of {parts * processes}."
            )
        if config.balanced and people is not None:
            raise ValueError(
                f"balanced: {config.method} draws a batch from {people} people, whatever they do. "
                "Leave balanced at False."
            )
        self.config, self.people, self.processes, self.process = config, people, processes, process
        self.clips, self.person, self.odds = len(labels), labels.person.cpu(), None
        self.steps_per_epoch = self.clips // batch if people is None else len(self._of_people(0))
        self.total = self.steps_per_epoch * config.epochs
        if config.balanced:
            y = labels.y.cpu()
            odds = 1 / y.bincount().double()[y].numpy()
            self.odds = odds / odds.sum()

    def epoch(self, epoch: int) -> np.ndarray:
        """Places of the clips of each step of an epoch, ``(steps_per_epoch, batch_size)``."""
        if self.people is not None:
            return np.stack(self._of_people(epoch))
        rng = np.random.default_rng([self.config.seed, epoch])
        seen = self.steps_per_epoch * self.config.batch_size  # the incomplete batch is left out
        if self.odds is None:
            drawn = rng.permutation(self.clips)[:seen]
        else:
            drawn = rng.choice(self.clips, seen, p=self.odds)
        return drawn.reshape(self.steps_per_epoch, -1)

    def steps(self, first: int, end: int | None = None) -> Iterator[list[tuple[int, int]]]:
        """This process's clips of each step, as pairs of place and seed.

        Steps are counted from 0: from ``first`` on, until before ``end``, or to the last.
        """
        batch, places, of_epoch = self.config.batch_size, np.empty((0, 0), int), -1
        for step in range(first, self.total if end is None else end):
            epoch, row = divmod(step, self.steps_per_epoch)
            if epoch != of_epoch:
                of_epoch, places = epoch, self.epoch(epoch)
            seeds = (self.config.seed << 48) + step * batch
            mine = range(self.process, batch, self.processes)
            yield [(int(places[row, k]), seeds + k) for k in mine]

    def _of_people(self, epoch: int) -> list[np.ndarray]:
        """The batches of an epoch, each from a few people and of exactly the batch's size."""
        rng = np.random.default_rng([self.config.seed, epoch])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(mix(self.config.seed, epoch))
            dealt = batches(self.person, self.config.batch_size, self.people)
        return [_exactly(self.config.batch_size, places.numpy(), rng) for places in dealt]


def _exactly(size: int, places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``size`` of the clips: some are left out if there are more, or repeated if there are fewer."""
    kept = np.resize(rng.permutation(len(places)), size)
    return places[np.sort(kept)]  # sorted by person, so that each process gets some of each


def mix(*numbers: int) -> int:
    """A seed of 64 bits that differs for any other numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
