"""ERIS: features of the class and of the person, separated by energy (Wu et al., 2025).

Energy-Regularized Information for Shift-Robustness, arXiv 2508.14134, for time series out of
distribution; here a domain is a person. Uses person labels.

From the paper: a branch for domains beside the one for labels; energies that separate them; the squared
product of the two branches' first weights as orthogonality; an adversarial perturbation of the input.
The weights of these terms, the margin and the adversarial term's weight are those of its code.

Ours: the recogniser's own features and head are the branch for labels, so that nothing is added at test
time. The person's features are one layer on top of these features, trained by cross-entropy. The energy
is the label head's free energy, compared between both kinds of features of a clip, whereas the paper
trains one energy network for each class and domain. Orthogonality is a mean over entries, not a sum. The
perturbation follows the gradient of the cross-entropy, whereas its code follows a divergence. Left out:
information bottleneck, prototypes, adapters and the confusion of a domain classifier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from piumar_lib.batch import Batch, Labels
from piumar_lib.objective import Objective, Trainer
from piumar_lib.support.ranges import NonNegative, checked

if TYPE_CHECKING:
    from piumar_lib.recognizer import Model


def free_energy(logits: Tensor) -> Tensor:
    """``-log sum_k exp(logit_k)`` in nats, ``(batch,)``, of logits ``(batch, classes)``.

    It is low for in-distribution features (Liu et al., NeurIPS 2020).
    """
    return -logits.logsumexp(1)


def orthogonality(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared entry of ``a b^T``: 0 if two layers read orthogonal directions of their input.

    ``a`` and ``b`` are weights of shape ``(outputs, inputs)`` with equally many inputs.
    """
    return (a @ b.T).square().mean()


class ERIS(Objective):
    """Cross-entropy of class and person, energy, orthogonality, and perturbed clips.

    Args:
        person: Weight of the person's cross-entropy.
        energy: Weight of ``max(0, margin + E(label features) - E(person features))``.
        orthogonal: Weight of `orthogonality` between the label head and the person's layer.
        adversarial: Weight of the cross-entropy of perturbed clips.
        radius: Size of the perturbation: its root mean square, in standard deviations of each channel.
        margin: Energy by which a clip's label features should lie below its person features, in nats.

    Raises:
        ValueError: If an argument is negative.
    """

    people = 8

    @checked
    def __init__(
        self,
        person: NonNegative = 0.9,
        energy: NonNegative = 2.0,
        orthogonal: NonNegative = 1.0,
        adversarial: NonNegative = 0.1,
        radius: NonNegative = 0.1,
        margin: NonNegative = 1.0,
    ) -> None:
        super().__init__()
        self.person, self.energy, self.orthogonal = person, energy, orthogonal
        self.adversarial, self.radius, self.margin = adversarial, radius, margin

    def start(self, model: Model, clips: Labels, trainer: Trainer) -> None:
        """Create the person's branch for the number of people."""
        width, people = model.head.in_features, int(clips.person.max()) + 1
        self.layer = nn.Linear(width, width).to(model.head.weight)
        self.head = nn.Linear(width, people).to(model.head.weight)

    def loss(self, model: Model, batch: Batch) -> Tensor:
        """All terms; two passes through the model, of the clips and of the perturbed ones."""
        x = batch.x.detach().requires_grad_()
        prediction = model(x, batch.y)
        losses = self.clip_losses(prediction, batch.y)  # (B,)
        (slope,) = torch.autograd.grad(losses.sum(), x, retain_graph=True)  # of x's shape
        perturbed = model(self.perturb(x.detach(), slope, model.scale), batch.y)
        return (
            self.combine(losses, prediction, batch)
            + self.separation(model.head, prediction.features, batch.person)
            + self.adversarial * self.clip_losses(perturbed, batch.y).mean()
        )

    def separation(self, label_head: nn.Linear, features: Tensor, person: Tensor) -> Tensor:
        """Loss terms of person, energy and orthogonality, for features ``(batch, width)``."""
        own = self.layer(features).relu()  # (B, W), the person's
        gap = free_energy(label_head(features)) - free_energy(label_head(own))  # (B,)
        return (
            self.person * F.cross_entropy(self.head(own), person)
            + self.energy * F.relu(self.margin + gap).mean()
            + self.orthogonal * orthogonality(label_head.weight, self.layer.weight)
        )

    def perturb(self, x: Tensor, slope: Tensor, scale: Tensor) -> Tensor:
        """Adversarial perturbation of clips ``x`` along the gradient of their losses; same shape.

        Clips ``(batch, time, channels)`` are in their own units, or standardised video; ``slope`` is the
        gradient with respect to ``x``, ``scale`` each channel's standard deviation, ``(channels,)``, of
        video ``(1,)``.
        """
        slope = slope * scale  # with respect to standardised clips
        of_clip = tuple(range(1, x.ndim))
        size = slope.square().mean(of_clip, keepdim=True).sqrt()  # (B, 1, 1)
        return x + self.radius * scale * slope / size.clamp_min(torch.finfo(x.dtype).tiny)
