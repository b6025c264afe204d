"""Baselines at loss level: robust, invariant or re-weighted averages of losses.

"People" are the training people, whose labels these methods use (except for CVaR, JTT and EIIL). A batch
is drawn from eight of them, so that each person's risk can be estimated.
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

    Under data-parallel training the sums run over the batches of all processes, so that the risks, and
    hence the loss and its gradient, are those of the global batch.

    Losses and weights have shape ``(batch,)``; rows of ``membership (batch, groups)`` sum to one.
    Returns ``(groups,)``, NaN for a group without clips in the batch.
    """
    with torch.autocast(losses.device.type, enabled=False):  # the product would lose precision
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

    ``sum_k p_k z_k - z_y``, shape ``(batch,)``: positive if the recogniser is over-confident. A
    classifier that is optimal for every person has a mean of zero for every person, which is IRM's
    principle.
    """
    expected = (logits.softmax(-1) * logits).sum(-1)
    return expected - logits.gather(1, y[:, None])[:, 0]


class GroupDRO(Objective):
    """Worst-case weights of people's risks, updated online (Sagawa et al., ICLR 2020).

    Args:
        step: Step size of the exponentiated gradient.
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
        """Initialise uniform weights of groups; ``group`` has the group of each training clip."""
        count = int(group.max()) + 1
        self.group, self.q = group, torch.full((count,), 1 / count, device=group.device)

    def risk(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """``sum_g q_g R_g``, over those present."""
        membership = F.one_hot(self.group[batch.index], len(self.q))
        risks = group_risks(losses, torch.ones_like(losses), membership)
        # No weight may reach zero, from which its group could not recover, nor form a batch alone.
        self.q = dro.exponentiated_gradient(self.q, risks, self.step).clamp_min(1e-30)
        present = ~risks.isnan()
        q = self.q[present]
        return (q / q.sum() * risks[present]).sum()


class EIIL(GroupDRO):
    """Environments inferred from a plain recogniser's mistakes, then GroupDRO (Creager et al., 2021).

    The two environments are those between which the reference is the least invariant in IRM's sense.
    Because IRM's penalty depends on one number of each clip (`scale_gradient`), this split has a closed
    form: clips for which the reference is over-confident, and all others.

    Args:
        step: Step size of GroupDRO's exponentiated gradient.
        first: Epochs of the additional training of the reference, as a fraction of all epochs.
    """

    people = None

    @checked
    def __init__(self, step: NonNegative = 0.01, first: Share = 0.25) -> None:
        super().__init__(step)
        self.first = first

    def start(self, model: Model, clips: Labels, trainer: Trainer) -> None:
        """Store the trainer of the reference; until then all clips are in one environment."""
        self._follow(torch.zeros_like(clips.y))
        self.reference = partial(trainer.identification_model, model, self.first)

    def before_epoch(self, clips: Labels, epoch: int) -> None:
        """Before the first epoch: train the reference, and infer environments 0 and 1."""
        if epoch == 0:
            self._follow((scale_gradient(self.reference(), clips.y) > 0).long())


class VREx(Objective):
    """Mean risk plus variance of people's risks (Krueger et al., ICML 2021).

    Args:
        weight: Weight lambda of the variance, once it is switched on; 1 before.
        anneal: Fraction of the training after which the weight is switched on.
    """

    people = 8

    @checked
    def __init__(self, weight: NonNegative = 10.0, anneal: Share = 0.1) -> None:
        super().__init__()
        self.keep("now")
        self.weight, self.anneal = weight, anneal

    def start(self, model: Model, clips: Labels, trainer: Trainer) -> None:
        """Compute the epoch at which the weight is switched on."""
        self.switch, self.now = round(self.anneal * trainer.epochs), torch.tensor(0)

    def before_epoch(self, clips: Labels, epoch: int) -> None:
        """Store the number of the epoch."""
        self.now = torch.tensor(epoch)

    def risk(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """Mean loss over clips plus ``weight`` times the penalty."""
        weight = self.weight if self.now >= self.switch else 1.0
        return losses.mean() + weight * self.penalty(losses, prediction, batch)

    def penalty(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """Variance of people's risks."""
        return person_risks(losses, batch.person).var(unbiased=False)


class IRM(VREx):
    """One classifier, optimal for each person (Arjovsky et al., 2019).

    The penalty of a person is the squared gradient of the risk with respect to a factor on the logits,
    estimated without bias as the product of two halves of the person's clips.

    Args:
        weight: Weight lambda of the penalty, once it is switched on; 1 before.
    """

    @checked
    def __init__(self, weight: NonNegative = 100.0, anneal: Share = 0.1) -> None:
        super().__init__(weight, anneal)

    def penalty(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """Mean over people with at least two clips in the batch."""
        gradient = gather_over_processes(scale_gradient(prediction.logits, batch.y))
        person = gather_over_processes(batch.person)
        own = [gradient[person == p] for p in person.unique()]
        halves = [g[::2].mean() * g[1::2].mean() for g in own if len(g) > 1]
        return torch.stack(halves).mean() if halves else gradient.new_zeros(())


class Fish(Objective):
    """Inner steps on one person after another, then interpolation (Shi et al., ICLR 2022).

    To first order this maximises the agreement of people's gradients.

    Args:
        share: Weight of the interpolation, the meta learning rate epsilon.
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
            own = batch.person == person  # (B,); may be empty in some processes
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
        alpha: Fraction of the clips that count as the worst.
    """

    @checked
    def __init__(self, alpha: ShareAboveZero = 0.1) -> None:
        super().__init__()
        self.alpha = alpha

    def risk(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """Conditional value at risk of the clips' losses."""
        return dro.cvar(gather_over_processes(losses), self.alpha).value


class JTT(Objective):
    """Just train twice: clips that a short first training misclassifies weigh more (Liu et al., 2021).

    Args:
        weight: Weight lambda of these clips; others weigh 1.
        first: Epochs of the additional first training, as a fraction of all epochs.
    """

    @checked
    def __init__(self, weight: NonNegative = 10.0, first: Share = 0.25) -> None:
        super().__init__()
        self.keep("weights")
        self.weight, self.first = weight, first

    def start(self, model: Model, clips: Labels, trainer: Trainer) -> None:
        """Store the trainer of the first training."""
        self.weights = torch.ones(len(clips), device=clips.y.device)
        self.reference = partial(trainer.identification_model, model, self.first)

    def before_epoch(self, clips: Labels, epoch: int) -> None:
        """Before the first epoch: run the first training, and store the misclassified clips."""
        if epoch == 0:
            wrong = self.reference().argmax(1) != clips.y
            self.weights = torch.where(wrong, self.weight, 1.0)

    def risk(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """Weighted mean: in expectation the same as showing these clips more often."""
        return weighted_mean(losses, self.weights[batch.index])
