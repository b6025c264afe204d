"""Baselines at feature and input level: features that do not depend on the person, or augmented ones."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from piumar_lib.batch import Batch, Labels
from piumar_lib.objective import Objective, Trainer
from piumar_lib.plug_in import PlugIn
from piumar_lib.support.data_parallel import gather_over_processes
from piumar_lib.support.ranges import Count, NonNegative, Positive, Share, checked
from piumar_lib.transport import at_least_single

if TYPE_CHECKING:
    from piumar_lib.recognizer import Model, Prediction


class CORAL(Objective):
    """Features of people have equal covariances (Sun and Saenko, ECCV workshops 2016) and equal means.

    The means are DomainBed's addition.

    Args:
        weight: Weight gamma of the distance, a mean over pairs of people.
    """

    people = 8

    @checked
    def __init__(self, weight: NonNegative = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def risk(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """Mean loss plus the mean distance between the features of two people."""
        features = gather_over_processes(prediction.frames[0].mean(1))
        person = gather_over_processes(batch.person)
        known, counts = person.unique(return_counts=True)
        own = [features[person == p] for p in known[counts > 1]]
        pairs = [self.distance(a, b) for a, b in combinations(own, 2)]
        return losses.mean() + self.weight * (torch.stack(pairs).mean() if pairs else 0.0)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Mean squared differences of means, and of covariances, of ``(clips, width)`` features."""
        means = (a.mean(0) - b.mean(0)).square().mean()
        return means + (a.T.cov() - b.T.cov()).square().mean()


class MMD(CORAL):
    """Features of people have equal distributions, as measured by kernels (Li et al., CVPR 2018).

    The squared maximum mean discrepancy with a sum of Gaussian kernels, ``exp(-gamma d^2)`` with
    gamma from 0.001 to 1000 (DomainBed's).
    """

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """``mean k(a, a) + mean k(b, b) - 2 mean k(a, b)``."""
        gammas = torch.logspace(-3, 3, 7, device=a.device, dtype=a.dtype)

        def similarity(u: Tensor, v: Tensor) -> Tensor:
            square = (u[:, None] - v[None]).square().sum(-1)
            return torch.exp(-gammas[:, None, None] * square).sum(0).mean()

        return similarity(a, a) + similarity(b, b) - 2 * similarity(a, b)


class DANN(Objective):
    """Features from which an adversary cannot predict the person (Ganin et al., JMLR 2016).

    Args:
        weight: Weight lambda of the reversed gradient.
        width: Width of the adversary's hidden layer.
    """

    @checked
    def __init__(self, weight: NonNegative = 1.0, width: Count = 64) -> None:
        super().__init__()
        self.weight, self.width = weight, width

    def start(self, model: Model, clips: Labels, trainer: Trainer) -> None:
        """Create the adversary for the number of people."""
        people = int(clips.person.max()) + 1
        layers = nn.Linear(model.head.in_features, self.width), nn.ReLU(), nn.Linear(self.width, people)
        self.adversary = nn.Sequential(*layers).to(clips.y.device)

    def risk(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """Mean loss plus the adversary's, whose gradient is reversed for the features."""
        features = prediction.frames[0].mean(1)
        # Forward the features themselves, backward minus weight times the gradient.
        reversed_ = (1 + self.weight) * features.detach() - self.weight * features
        return losses.mean() + F.cross_entropy(self.adversary(reversed_), batch.person)


class Mixup(Objective):
    """Train on blends of two clips, with blended labels (Zhang et al., ICLR 2018).

    Args:
        alpha: Both parameters of the beta distribution of the mixing ratio.
    """

    @checked
    def __init__(self, alpha: Positive = 0.2) -> None:
        super().__init__()
        self.alpha = alpha

    def loss(self, model: Model, batch: Batch) -> Tensor:
        """Cross-entropy of the blend with both labels, in the blend's proportion."""
        a = torch.full((len(batch),), self.alpha, device=batch.x.device, dtype=batch.x.dtype)
        share = torch.distributions.Beta(a, a).sample()
        other = batch.take(torch.randperm(len(batch), device=batch.x.device))
        of_clip = share.view(-1, *[1] * (batch.x.ndim - 1))  # (B, 1, 1); of video (B, 1, 1, 1, 1)
        prediction = model(torch.lerp(other.x, batch.x, of_clip), batch.y)
        own, others = (self.clip_losses(prediction, y) for y in (batch.y, other.y))
        return torch.lerp(others, own, share).mean()


class MixStyle(PlugIn):
    """Exchange features' mean and deviation over time between clips (Zhou et al., ICLR 2021).

    A plug-in; the identity in evaluation, and for clips of one frame, which have no deviation.

    Args:
        probability: Probability of mixing a batch.
        alpha: Both parameters of the beta distribution of the mixing ratio.
    """

    @checked
    def __init__(self, probability: Share = 0.5, alpha: Positive = 0.1) -> None:
        super().__init__()
        self.probability, self.alpha = probability, alpha

    def views(self, x: Tensor, y: Tensor | None = None) -> list[Tensor]:
        """``x`` ``(batch, time, channels)`` in mixed styles."""
        if not self.training or x.shape[1] < 2 or torch.rand(()) >= self.probability:
            return [x]
        kind, x = x.dtype, at_least_single(x)
        mean, deviation = _style(x)
        a = torch.full((len(x), 1, 1), self.alpha, device=x.device, dtype=x.dtype)
        share, order = torch.distributions.Beta(a, a).sample(), torch.randperm(len(x), device=x.device)
        new_mean, new_deviation = (torch.lerp(s[order], s, share) for s in (mean, deviation))
        return [((x - mean) / deviation * new_deviation + new_mean).to(kind)]


class DSU(PlugIn):
    """Perturb features' mean and deviation by as much as clips differ in them (Li et al., ICLR 2022).

    A plug-in; the identity in evaluation, and for clips of one frame, which have no deviation.

    Args:
        probability: Probability of perturbing a batch.
        factor: Size of the perturbation, in standard deviations.
    """

    @checked
    def __init__(self, probability: Share = 0.5, factor: NonNegative = 1.0) -> None:
        super().__init__()
        self.probability, self.factor = probability, factor

    def views(self, x: Tensor, y: Tensor | None = None) -> list[Tensor]:
        """``x`` ``(batch, time, channels)`` in perturbed styles."""
        if not self.training or min(x.shape[:2]) < 2 or torch.rand(()) >= self.probability:
            return [x]
        kind, x = x.dtype, at_least_single(x)
        mean, deviation = _style(x)
        new_mean, new_deviation = (
            s + self.factor * (s.var(0, keepdim=True) + 1e-6).sqrt() * torch.randn_like(s)
            for s in (mean, deviation)
        )
        return [((x - mean) / deviation * new_deviation + new_mean).to(kind)]


def _style(x: Tensor) -> tuple[Tensor, Tensor]:
    """Detached mean and deviation over time, ``(batch, 1, channels)`` each."""
    x = x.detach()
    return x.mean(1, keepdim=True), (x.var(1, keepdim=True) + 1e-6).sqrt()
