"""Sources of groups of training clips: clusters of style, random groups, or the true people.

All sources have the same interface: they are called between epochs, with each clip's style from the
epoch before. So two sources differ only in how they partition the clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from piumar_lib.batch import Labels
from piumar_lib.support.ranges import RANGES, Count
from piumar_lib.transport import variance_over_time

SAMPLE = 4096  # largest number of clips of a class from which its centres are estimated


class GroupSource(Protocol):
    """Interface of all that partition clips into groups."""

    def find(self, style: Tensor, clips: Labels, seed: int) -> Tensor:
        """Partition clips into groups.

        Args:
            style: Style features of each clip, see `style_of`, shape ``(n, features)``.
            clips: All training clips.
            seed: Seed of all random draws.

        Returns:
            Each clip's group, whole numbers, shape ``(n,)``.
        """


def style_of(frames: Tensor) -> Tensor:
    """Mean and standard deviation over time of each channel, detached.

    From features ``(batch, time, channels)`` to ``(batch, 2 channels)``.
    """
    frames = frames.detach().float()
    return torch.cat([frames.mean(1), variance_over_time(frames).sqrt()], dim=1)


def residual_style(style: Tensor, y: Tensor) -> Tensor:
    """Style ``(n, features)`` minus its class's mean; each feature in units of its standard deviation.

    Double precision, on the CPU, as a Mac's GPU has none. A feature that varies in no class is zero.
    """
    style, y, classes = style.cpu().double(), y.cpu(), int(y.max()) + 1
    total = style.new_zeros(classes, style.shape[1]).index_add(0, y, style)
    residual = style - (total / y.bincount(minlength=classes).clamp_min(1)[:, None])[y]
    spread = residual.std(0, unbiased=False)
    # The rounding errors of a constant feature are not variance.
    return torch.where(spread > 1e-9 * style.abs().amax(0), residual / spread, 0.0)


@dataclass(frozen=True)
class StyleGroups:
    """Clusters of residual style within each class (k-means).

    Clusters are formed within a class, because the question is in which style *an action* is recognised
    worst: across classes, a cluster's risk would mostly reflect which classes it contains.

    Attributes:
        each: Number of groups in a class; fewer where a class has fewer different clips.

    Raises:
        ValueError: If ``each`` is not positive.
    """

    each: Count = 4

    def __post_init__(self) -> None:
        RANGES["Count"].check("each", self.each, "Its default is 4.")

    def find(self, style: Tensor, clips: Labels, seed: int) -> Tensor:
        """See `GroupSource.find`."""
        y, residual = clips.y.cpu(), residual_style(style, clips.y)
        group = torch.zeros_like(y)
        for k in y.unique().tolist():
            own = y == k
            group[own] = k * self.each + _k_means(residual[own], self.each, seed)
        return group.to(clips.y.device)


class RandomGroups(StyleGroups):
    """Control: style groups with members shuffled within each class; each group keeps its size."""

    def find(self, style: Tensor, clips: Labels, seed: int) -> Tensor:
        """See `GroupSource.find`."""
        group = super().find(style, clips, seed)
        lots = torch.randperm(len(group), generator=torch.Generator().manual_seed(seed)).to(group.device)
        in_order = clips.y.argsort(stable=True)
        drawn = lots[clips.y[lots].argsort(stable=True)]  # within each class, in random order
        return torch.empty_like(group).scatter(0, in_order, group[drawn])


@dataclass(frozen=True)
class PersonGroups:
    """The true people (an oracle)."""

    def find(self, style: Tensor, clips: Labels, seed: int) -> Tensor:
        """See `GroupSource.find`."""
        return clips.person


def _k_means(features: Tensor, groups: int, seed: int) -> Tensor:
    """Cluster of each row of ``features (n, d)``, on the CPU; shape ``(n,)``."""
    from sklearn.cluster import KMeans

    lots = torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))
    sample = features[lots[:SAMPLE]]
    groups = min(groups, len(sample.unique(dim=0)))
    found = KMeans(groups, n_init=4, random_state=seed).fit(sample.numpy())
    return torch.as_tensor(found.predict(features.numpy()), dtype=torch.long)
