"""GIRL: worst-case group weights within a chi-square ball, and larger weights for hard clips.

    loss = mean_i  (q_g(i) / pi_g(i)) u_i l_i

``l_i`` is a clip's loss, ``pi_g`` the fraction of training clips in group g, ``q`` the worst-case
weights of groups in a chi-square ball around these fractions (`piumar_lib.dro`), computed from running
risks, and ``u`` the weight of hard clips. All weights are non-negative, and constants in
back-propagation; with radius 0 and beta 0 the loss is plain cross-entropy.

The paper publishes no equations; these definitions are ours.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, distributed
from torch.nn import functional as F

from piumar_lib import dro
from piumar_lib.batch import Batch, Labels
from piumar_lib.objective import Objective, Trainer, ViewWeights
from piumar_lib.pseudo_groups import GroupSource, StyleGroups, style_of
from piumar_lib.support.data_parallel import mean_over_processes, processes, sum_over_processes
from piumar_lib.support.ranges import NonNegative, Positive, Range, ShareBelowOne, checked

if TYPE_CHECKING:
    from piumar_lib.recognizer import Model, Prediction


def true_class_margin(logits: Tensor, y: Tensor) -> Tensor:
    """The true class's logit minus the largest other one; negative if the clip is misclassified.

    Of logits ``(batch, classes)``, at least two classes; detached, shape ``(batch,)``.
    """
    logits = logits.detach().float()
    place = y[:, None]
    return logits.gather(1, place)[:, 0] - logits.scatter(1, place, -math.inf).amax(1)


def hard_weights(logits: Tensor, y: Tensor, beta: float = 1.0, temperature: float = 1.0) -> Tensor:
    """``1 + beta sigmoid(-margin / temperature)``, divided by its mean over the batch.

    A confidently correct clip has the smallest weight, a clip at the decision boundary a larger one. A
    confidently wrong (or mislabelled) clip has the largest, at most ``1 + beta`` times the smallest.

    Args:
        logits: Logits of each clip, shape ``(batch, classes)``.
        y: Classes, shape ``(batch,)``.
        beta: Additional weight of a hard clip, at least 0; with 0 all clips have equal weights.
        temperature: Scale of the margin at which the weight saturates; positive, in logits.

    Returns:
        Detached weights, shape ``(batch,)``; their mean is 1 over the batches of all processes.
    """
    if logits.shape[1] < 2:
        return torch.ones_like(y, dtype=torch.float32)
    weights = 1 + beta * torch.sigmoid(-true_class_margin(logits, y) / temperature)
    return weights / mean_over_processes(weights)


def update_risks(running: Tensor, costs: Tensor, group: Tensor, momentum: float = 0.9) -> Tensor:
    """Exponential moving average of the groups' risks ``(groups,)``, after a batch.

    ``costs (batch,)`` of clips have no gradient; ``momentum`` in [0, 1) is the weight of the previous
    running risk. A group that no process has clips of keeps its risk.
    """
    both = torch.stack([costs, torch.ones_like(costs)])  # (2, batch)
    total, count = sum_over_processes(both.new_zeros(2, len(running)).index_add(1, group, both))
    now = total / count.clamp_min(1)
    return torch.where(count > 0, now.lerp(running, momentum), running)


class GroupRobustObjective(Objective):
    """Group-invariant regularised loss: groups are judged by their running risks.

    The same rule holds for every source: in the first epoch all clips are one group; before the second
    the groups are formed, once, by the style that each clip had in the first. So no group has to be
    matched with an earlier one, and no source resets its weights more often than another. Style is most
    visible early in training, because simple and spurious features are learned first; later features
    encode classes, and their clusters no longer separate styles.

    A group's risk is the cross-entropy of the decision, divided by log(classes), the cross-entropy of
    guessing. So the weights depend neither on the number of views nor on the number of classes.

    Args:
        groups: Source of the groups, such as `StyleGroups`, which is the default.
        radius: Radius rho of the chi-square ball around the groups' fractions of clips; with 0 clips
            have equal weights.
        beta: Additional weight of a hard clip; see `hard_weights`.
        temperature: Scale of the margin, in logits; see `hard_weights`.
        momentum: Weight of a group's previous running risk whenever a batch has clips of it.
        step: Step size of an exponentiated-gradient update that replaces the chi-square ball (an
            ablation).
        view_weights: Weights of the terms of a recogniser with two views; see `ViewWeights`.

    Raises:
        ValueError: If a parameter is out of range.
    """

    group: Tensor
    shares: Tensor
    q: Tensor
    running: Tensor
    seen: Tensor | None
    style: Tensor | None

    @checked
    def __init__(
        self,
        groups: GroupSource | None = None,
        radius: NonNegative = 0.05,
        beta: NonNegative = 1.0,
        temperature: Positive = 1.0,
        momentum: ShareBelowOne = 0.9,
        step: float | None = None,
        view_weights: ViewWeights | None = None,
    ) -> None:
        super().__init__(view_weights)
        Range(0).check("step", step or 0.0)
        self.keep("group", "shares", "q", "running", "seen", "style")
        self.groups = groups or StyleGroups()
        self.radius, self.beta, self.temperature = radius, beta, temperature
        self.momentum, self.step = momentum, step

    def start(self, model: Model, clips: Labels, trainer: Trainer) -> None:
        """Reset the state: one group, with the risk of guessing."""
        self.seed = trainer.seed
        self.group = torch.zeros_like(clips.y)
        self.shares, self.q, self.running = (torch.ones(1, device=clips.y.device) for _ in range(3))
        self.style, self.seen = None, torch.zeros(len(clips), device=clips.y.device)

    def before_epoch(self, clips: Labels, epoch: int) -> None:
        """Before the second epoch: find groups. All begin with the risk of all clips."""
        if self.style is None or self.seen is None:
            return
        # Each process saw its own clips; together they saw all of them.
        total, seen = sum_over_processes(self.style), sum_over_processes(self.seen)[:, None]
        # An epoch may skip the clips of an incomplete batch: they get average features.
        style = torch.where(seen > 0, total / seen.clamp_min(1), total.sum(0) / seen.sum())
        self.group = self.groups.find(style, clips, self.seed).unique(return_inverse=True)[1]
        self.shares = self.group.bincount() / len(clips)
        self.q, self.running = self.shares, self.running.repeat(len(self.shares))
        self.style = self.seen = None

    def risk(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """The mean of the clips' losses, weighted by group and by hardness."""
        if self.seen is not None:
            self._remember(self.seen, batch.index, style_of(prediction.early_features))
        group = self.group[batch.index]
        self._judge(group, prediction.logits.detach().float(), batch.y)
        weights = (self.q / self.shares)[group] * self.hardness(prediction, batch)  # (batch,)
        return mean_over_processes(weights * losses)

    def hardness(self, prediction: Prediction, batch: Batch) -> Tensor:
        """Weights of hard clips, ``(batch,)``, of mean 1."""
        return hard_weights(prediction.logits, batch.y, self.beta, self.temperature)

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in ("seen", "style"):  # each process has those of its own clips
            if prefix + name in destination:
                destination[prefix + name] = sum_over_processes(destination[prefix + name])

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        if processes() > 1 and distributed.get_rank() > 0:  # the first process keeps those of all
            for name in ("seen", "style"):
                if getattr(self, name) is not None:
                    getattr(self, name).zero_()

    def _judge(self, group: Tensor, logits: Tensor, y: Tensor) -> None:
        """Update the running risks of the groups in the batch, and then the weights of all groups."""
        classes = max(logits.shape[1], 2)
        costs = F.cross_entropy(logits, y, reduction="none") / math.log(classes)
        self.running = update_risks(self.running, costs, group, self.momentum)
        if self.step is None:
            self.q = dro.chi_square(self.running, self.radius, self.shares).weights
        else:
            # No weight may reach zero, from which its group could not recover.
            q = dro.exponentiated_gradient(self.q, self.running, self.step)
            self.q = q.clamp_min(1e-30)

    def _remember(self, seen: Tensor, index: Tensor, style: Tensor) -> None:
        if self.style is None:
            self.style = style.new_zeros(len(seen), style.shape[1])
        self.style[index], seen[index] = style, torch.ones_like(style[:, 0])
