"""DAID: rebalance classes and groups, and remove the group from the features (Cheng et al., 2025).

Demographic Attribute-insensitive Intervention Detection, arXiv 2507.02645 (NeurIPS 2025), for fair
detection of forged faces. There a group is a demographic one; here it is a person, or a style of
movement that is found without labels.

From the paper: inverse-propensity weights of the cells of class and group; features normalised within
groups before the classifier; an alignment loss that pulls together features of clips of one class
and two groups, by their cosine. The alignment's weight is that of its code.

Ours: a cell's propensity is its fraction of the training clips, and weights are capped. Features are
normalised with strength one half, in training only, towards the mean and deviation of the batch: so the
classifier works at test time, when the group is unknown, and classes that are frequent in a group are
not entirely attributed to its style. Cosines are about the batch's mean (rectified features all have
similar directions), and all pairs of a batch are used, whereas the paper draws one partner for each
clip. Left out: the paper's learned orthogonal projection. Groups are found as in `GroupRobustObjective`:
before the second epoch, once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from piumar_lib.batch import Batch, Labels
from piumar_lib.group_robust import GroupRobustObjective
from piumar_lib.objective import Trainer
from piumar_lib.pseudo_groups import GroupSource, PersonGroups, StyleGroups, residual_style, style_of
from piumar_lib.support.data_parallel import gather_over_processes, own_rows, weighted_mean
from piumar_lib.support.ranges import NonNegative, Range, Share, checked

if TYPE_CHECKING:
    from piumar_lib.recognizer import Model, Prediction


@dataclass(frozen=True)
class MannerGroups:
    """Clusters of residual style across classes (k-means); see `StyleGroups` for those within one.

    Attributes:
        groups: Number of groups; fewer where there are fewer different clips.
    """

    groups: int = 4

    def find(self, style: Tensor, clips: Labels, seed: int) -> Tensor:
        """See `GroupSource.find`."""
        as_one_class = replace(clips, y=torch.zeros_like(clips.y))
        return StyleGroups(self.groups).find(residual_style(style, clips.y), as_one_class, seed)


def inverse_propensity(y: Tensor, group: Tensor, cap: float) -> Tensor:
    """Weights by which all cells of class and group have equal total weight.

    ``min(cap, n / (cells * clips in the cell))``, shape ``(n,)``; of mean 1 unless capped, before the
    weighted mean of a batch divides by the weights' sum. Groups are whole numbers from 0.
    """
    cell = y * (group.max() + 1) + group
    _, place, count = cell.unique(return_inverse=True, return_counts=True)
    return (len(y) / (len(count) * count[place])).clamp_max(cap)


def normalize_groups(features: Tensor, group: Tensor, strength: float) -> Tensor:
    """Move each group's mean and deviation towards those of the batch.

    Features are ``(batch, width)``, before and after. At ``strength`` 0 it is the identity, at 1 groups
    have equal moments. Groups are whole numbers from 0, ``(batch,)``; one of a single clip is unchanged.
    """
    mean, deviation = features.mean(0), (features.var(0, unbiased=False) + 1e-6).sqrt()  # (W,)
    member = F.one_hot(group).to(features)  # (B, G)
    share = member / member.sum(0).clamp_min(1)
    own = member @ (share.T @ features)  # (B, W), the mean of each clip's group
    own_deviation = (member @ (share.T @ (features - own).square()) + 1e-6).sqrt()
    alone = (member @ member.sum(0) < 2)[:, None]  # (B, 1)
    shift = torch.where(alone, mean, mean.lerp(own, strength))
    scale = torch.where(alone, deviation, deviation.lerp(own_deviation, strength))
    return mean + (features - shift) / scale * deviation


def alignment(features: Tensor, y: Tensor, group: Tensor) -> Tensor:
    """One minus the cosine of features about their mean: clips of one class and different groups.

    Features have shape ``(batch, width)``, classes and groups ``(batch,)``. The mean over all pairs, in
    [0, 2]; 0 if there is none.
    """
    unit = F.normalize(features - features.mean(0), dim=1, eps=1e-6)
    pairs = (y[:, None] == y) & (group[:, None] != group)  # (B, B)
    return ((1 - unit @ unit.T) * pairs).sum() / pairs.sum().clamp_min(1)


class DAID(GroupRobustObjective):
    """Rebalanced cross-entropy of normalised features, and their alignment.

    In the first epoch all clips are one group: classes are balanced, and nothing is aligned.

    Args:
        groups: `PersonGroups`, which uses person labels, or, by default, `MannerGroups`.
        weight: Weight of the alignment.
        strength: Strength of the normalisation, in [0, 1].
        cap: Largest weight of a clip, see `inverse_propensity`.

    Raises:
        ValueError: If an argument is out of range, or each group lies within one class: normalising
            these would remove the class from the features.
    """

    @checked
    def __init__(
        self,
        groups: GroupSource | None = None,
        weight: NonNegative = 0.7,
        strength: Share = 0.5,
        cap: float = 5.0,
    ) -> None:
        super().__init__(groups or MannerGroups())
        Range(1).check("cap", cap)
        if isinstance(groups, StyleGroups):
            raise ValueError(f"groups: {groups} lie within a class each. Choose MannerGroups().")
        self.keep("weights")
        self.weight, self.strength, self.cap = weight, strength, cap
        self.people = 8 if isinstance(self.groups, PersonGroups) else None

    def start(self, model: Model, clips: Labels, trainer: Trainer) -> None:
        """Reset the state: one group."""
        super().start(model, clips, trainer)
        self.weights = torch.ones(len(clips), device=clips.y.device)

    def before_epoch(self, clips: Labels, epoch: int) -> None:
        """Form groups before the second epoch, and weight the cells."""
        super().before_epoch(clips, epoch)
        self.weights = inverse_propensity(clips.y, self.group, self.cap)

    def loss(self, model: Model, batch: Batch) -> Tensor:
        """The decision is made from features normalised within groups."""
        prediction = model(batch.x, batch.y)
        features, group = map(gather_over_processes, (prediction.features, self.group[batch.index]))
        normalized = own_rows(normalize_groups(features, group, self.strength), len(batch))
        decided = replace(prediction, logits=model.head(normalized))
        return self.combine(self.clip_losses(decided, batch.y), prediction, batch)

    def risk(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """Weighted mean of the clips' losses, plus the alignment of features as they will be at test."""
        if self.seen is not None:
            self._remember(self.seen, batch.index, style_of(prediction.early_features))
        weights = self.weights[batch.index].to(losses)
        every = prediction.features, batch.y, self.group[batch.index]
        aligned = alignment(*map(gather_over_processes, every))
        return weighted_mean(losses, weights) + self.weight * aligned
