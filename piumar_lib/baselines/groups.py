"""Baselines at loss level: robust, invariant or re-weighted averages of losses.

"People" are the training people, whose labels these methods are given (CVaR, JTT and EIIL do without).
A batch is drawn from eight of them, so that each has a risk of its own.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from piumar_lib import dro
from piumar_lib.batch import Batch, Labels
from piumar_lib.objective import Objective, Trainer
from piumar_lib.stepper import Stepper
from piumar_lib.support.data_parallel import (
    gather_over_processes,
    processes,
    sum_over_processes,
    weighted_mean,
)
from piumar_lib.support.ranges import NonNegative, Share, ShareAboveZero, checked

if TYPE_CHECKING:
    from piumar_lib.recognizer import Model, Prediction


def group_risks(losses: Tensor, weights: Tensor, membership: Tensor) -> Tensor:
    """Weighted mean loss of each group: ``R_g = sum_i m_ig w_i l_i / sum_i m_ig w_i``.

    Under data-parallel training the sums run over the batches of all processes, so that the risks,
    and through them the loss and its gradient, are those of the global batch.

    Args:
        losses: Loss of each clip, shape ``(batch,)``.
        weights: Weight of each clip, shape ``(batch,)``.
        membership: How much each clip belongs to each group, rows sum to one, ``(batch, groups)``.

    Returns:
        Shape ``(groups,)``; NaN for a group of which nobody is in the batch.
    """
    with torch.autocast(losses.device.type, enabled=False):  # else the product loses digits
        share = membership.to(losses.dtype) * weights[:, None]
        total, size = sum_over_processes(share.T @ losses), sum_over_processes(share.sum(0))
    return torch.where(size > 0, total / size.clamp_min(torch.finfo(size.dtype).tiny), torch.nan)


def person_risks(losses: Tensor, person: Tensor) -> Tensor:
    """Mean loss of each person in the batch, of all processes, shape ``(people present,)``."""
    known = gather_over_processes(person).unique()
    place = torch.searchsorted(known, person)
    return group_risks(losses, torch.ones_like(losses), F.one_hot(place, len(known)))


def scale_gradient(logits: Tensor, y: Tensor) -> Tensor:
    """Derivative of each clip's cross-entropy with respect to a factor on its logits, at 1.

    ``sum_k p_k z_k - z_y``: positive where the recogniser is more confident than right. A classifier
    that is optimal for everyone has a mean of zero for everyone, which is IRM's idea.

    Returns:
        Shape ``(batch,)``.
    """
    expected = (logits.softmax(-1) * logits).sum(-1)
    return expected - logits.gather(1, y[:, None])[:, 0]


class GroupDRO(Objective):
    """The worst weighting of people's risks, followed online (Sagawa et al., ICLR 2020).

    Args:
        step: Step size eta of the exponentiated gradient.
    """

    people: int | None = 8

    @checked
    def __init__(self, step: NonNegative = 0.01) -> None:
        super().__init__()
        self.keep("group", "q")
        self.step = step

    def start(self, model: Model, clips: Labels, trainer: Trainer) -> None:
        """Uniform weights of people."""
        self._follow(clips.person)

    def _follow(self, group: Tensor) -> None:
        """Begin with uniform weights of groups, of which ``group`` holds each training clip's."""
        count = int(group.max()) + 1
        self.group, self.q = group, torch.full((count,), 1 / count, device=group.device)

    def risk(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """``sum_g q_g R_g``, over those present."""
        membership = F.one_hot(self.group[batch.index], len(self.q))
        risks = group_risks(losses, torch.ones_like(losses), membership)
        # No weight vanishes: its group could not come back, nor be a batch of its own.
        self.q = dro.exponentiated_gradient(self.q, risks, self.step).clamp_min(1e-30)
        present = ~risks.isnan()
        q = self.q[present]
        return (q / q.sum() * risks[present]).sum()


class EIIL(GroupDRO):
    """Environments inferred from a plain recogniser's mistakes, then GroupDRO (Creager et al., 2021).

    The two environments are those between which the reference is the least invariant in IRM's sense.
    As IRM's penalty looks at one number of each clip (`scale_gradient`), that split is known in
    closed form: where the reference is over-confident, and where it is not.

    Args:
        step: Step size eta of GroupDRO's exponentiated gradient.
        first: Share of the epochs that the reference is trained for, in addition.
    """

    people = None

    @checked
    def __init__(self, step: NonNegative = 0.01, first: Share = 0.25) -> None:
        super().__init__(step)
        self.first = first

    def start(self, model: Model, clips: Labels, trainer: Trainer) -> None:
        """Note how to train the reference; until then all clips are of one environment."""
        self._follow(torch.zeros_like(clips.y))
        self.reference = partial(trainer.identification_model, model, self.first)

    def before_epoch(self, clips: Labels, epoch: int) -> None:
        """Before the first epoch: train the reference, and infer environments 0 and 1."""
        if epoch == 0:
            self._follow((scale_gradient(self.reference(), clips.y) > 0).long())


class VREx(Objective):
    """Mean risk plus variance of people's risks (Krueger et al., ICML 2021).

    Args:
        weight: Weight beta of the variance, once it is switched on; 1 before.
        anneal: Share of the training before the weight is switched on.
    """

    people = 8

    @checked
    def __init__(self, weight: NonNegative = 10.0, anneal: Share = 0.1) -> None:
        super().__init__()
        self.keep("now")
        self.weight, self.anneal = weight, anneal

    def start(self, model: Model, clips: Labels, trainer: Trainer) -> None:
        """Note when to switch on."""
        self.switch, self.now = round(self.anneal * trainer.epochs), torch.tensor(0)

    def before_epoch(self, clips: Labels, epoch: int) -> None:
        """Note the time."""
        self.now = torch.tensor(epoch)

    def risk(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """Mean loss over clips plus ``weight`` times the penalty."""
        weight = self.weight if self.now >= self.switch else 1.0
        return losses.mean() + weight * self.penalty(losses, prediction, batch)

    def penalty(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """What people's risks should not do: vary."""
        return person_risks(losses, batch.person).var(unbiased=False)


class IRM(VREx):
    """One classifier, optimal for each person (Arjovsky et al., 2019).

    The penalty of a person is the squared gradient of the risk with respect to a factor on the
    logits, estimated without bias as the product of two halves of the person's clips.

    Args:
        weight: Weight lambda of the penalty, once it is switched on; 1 before.
        anneal: Share of the training before the weight is switched on.
    """

    @checked
    def __init__(self, weight: NonNegative = 100.0, anneal: Share = 0.1) -> None:
        super().__init__(weight, anneal)

    def penalty(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """Mean over people of whom there are two clips or more."""
        gradient = gather_over_processes(scale_gradient(prediction.logits, batch.y))
        person = gather_over_processes(batch.person)
        own = [gradient[person == p] for p in person.unique()]
        halves = [g[::2].mean() * g[1::2].mean() for g in own if len(g) > 1]
        return torch.stack(halves).mean() if halves else gradient.new_zeros(())


class Fish(Objective):
    """Step through people one by one, then go part of the way (Shi et al., ICLR 2022).

    To first order this maximises the agreement of people's gradients.

    Args:
        share: Share of the way that is gone, the meta learning rate epsilon.
    """

    people = 8

    @checked
    def __init__(self, share: Share = 0.5) -> None:
        super().__init__()
        self.share = share

    def update(self, model: Model, batch: Batch, stepper: Stepper) -> Tensor:
        """One inner step for each person, one step outside."""
        parameters = list(model.parameters())
        before = [p.detach().clone() for p in parameters]
        losses = []

        def weighted(weight: Tensor, part: Batch) -> Tensor:
            return weight * self.loss(model, part)

        for person in gather_over_processes(batch.person).unique():
            own = batch.person == person  # (B,); in some processes perhaps no clip
            total = sum_over_processes(own.sum())
            weight = own.sum() * processes() / total
            clips = batch.take(own) if own.any() else batch.take(slice(1))
            loss = stepper.gradient(partial(weighted, weight), clips)
            stepper.step()
            losses.append(loss)
        with torch.no_grad():
            for p, start in zip(parameters, before, strict=True):
                p.lerp_(start, 1 - self.share)
        return torch.stack(losses).mean()


class CVaR(Objective):
    """The mean of the worst clips of the batch (Levy et al., NeurIPS 2020).

    Args:
        alpha: Share of the clips that are the worst.
    """

    @checked
    def __init__(self, alpha: ShareAboveZero = 0.1) -> None:
        super().__init__()
        self.alpha = alpha

    def risk(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """Conditional value at risk of the clips' losses."""
        return dro.cvar(gather_over_processes(losses), self.alpha).value


class JTT(Objective):
    """Just train twice: clips that a short first training got wrong count more (Liu et al., 2021).

    Args:
        weight: Weight lambda of these clips; others weigh 1.
        first: Share of the epochs that the first training takes, in addition.
    """

    @checked
    def __init__(self, weight: NonNegative = 10.0, first: Share = 0.25) -> None:
        super().__init__()
        self.keep("weights")
        self.weight, self.first = weight, first

    def start(self, model: Model, clips: Labels, trainer: Trainer) -> None:
        """Note how to train the first time."""
        self.weights = torch.ones(len(clips), device=clips.y.device)
        self.reference = partial(trainer.identification_model, model, self.first)

    def before_epoch(self, clips: Labels, epoch: int) -> None:
        """Before the first epoch: train a first time, and note the mistakes."""
        if epoch == 0:
            wrong = self.reference().argmax(1) != clips.y
            self.weights = torch.where(wrong, self.weight, 1.0)

    def risk(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """Weighted mean: in expectation the same as showing these clips more often."""
        return weighted_mean(losses, self.weights[batch.index])
