"""Labelled clips: a batch, and the labels of a whole training set."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Labels:
    """Labels of all training clips, whether the clips fit into memory or not.

    Attributes:
        y: Classes, shape ``(n,)``.
        person: Who made each clip, numbered from 0 without gaps, shape ``(n,)``.
    """

    y: Tensor
    person: Tensor

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Batch:
    """Clips on their device: sequences or video; the training loop treats both alike.

    Attributes:
        x: Sequences ``(n, time, channels)``, or video ``(n, time, 3, height, width)``.
        y: Classes, shape ``(n,)``.
        person: Who made each clip, numbered as in `Labels`, shape ``(n,)``.
        index: Index of each clip among all training clips, shape ``(n,)``.
    """

    x: Tensor
    y: Tensor
    person: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: Tensor | slice) -> Batch:
        """The clips at ``rows``, integers or a mask of shape ``(n,)``, or a slice."""
        return Batch(self.x[rows], self.y[rows], self.person[rows], self.index[rows])

    def split(self, parts: int) -> list[Batch]:
        """Split into ``parts`` batches of every ``parts``-th clip, hence of all people."""
        return [self.take(slice(k, None, parts)) for k in range(parts)]
