"""HDF: the predecessor of PIUmr by the same first author, from its description.

It transfers HDF's two modules to sequences, and the details are ours: queries and keys of the attention
are the frames' scores themselves, the spectrum is one of time, its noise is drawn and off in evaluation,
and the two branches are averaged. The row "HDF as published" follows figure and code for video: see
`piumar_lib.baselines.hdf_ledger`.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from piumar_lib.batch import Batch
from piumar_lib.objective import Objective
from piumar_lib.plug_in import PlugIn
from piumar_lib.recognizer import Model, Prediction
from piumar_lib.spectrum import from_spectrum, to_spectrum
from piumar_lib.stepper import Stepper
from piumar_lib.support.data_parallel import gather_over_processes
from piumar_lib.support.ranges import NonNegative, Positive, checked


class HDFPlugIn(PlugIn):
    """HDF at feature level: a temporal gate, and noise on the cosine spectrum."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha, self.beta, self.gamma, self.delta = (
            nn.Parameter(torch.tensor(value)) for value in (0.5, 0.5, 1.0, 0.1)
        )
        self.noise, self.spread, self.squash = (
            nn.Parameter(torch.tensor(value)) for value in (0.1, 0.1, 1.0)
        )

    def gate(self, x: Tensor) -> Tensor:
        """Importance in (0, 1) of each frame, ``(batch, time, channels)`` to ``(batch, time)``."""
        average = x.mean(2)
        unusual = (average - average.mean(1, keepdim=True)).abs()
        jump = F.pad(average.diff(dim=1), (1, 0)).abs()
        score = self.gamma * (self.alpha * average + self.beta * x.amax(2)) + self.delta * unusual - jump
        attention = (score[:, :, None] * score[:, None, :]).softmax(-1)
        return (attention @ score[..., None])[..., 0].sigmoid()

    def perturbed(self, x: Tensor) -> Tensor:
        """``x`` with noise on its cosine spectrum, squashed where it is large; same shape."""
        spectrum = to_spectrum(x, "dct")
        sign = spectrum.detach().sign()
        if self.training:
            unusual = (spectrum - spectrum.mean(1, keepdim=True)).abs()
            spectrum = spectrum + torch.randn_like(spectrum) * self.noise * sign
            spectrum = spectrum + torch.rand_like(spectrum) * self.spread * unusual * sign
        limit = 10 * F.softplus(self.squash)
        return from_spectrum(limit * (spectrum / limit).tanh(), x.shape[1])

    def views(self, x: Tensor, y: Tensor | None = None) -> list[Tensor]:
        """The average of both branches, ``(batch, time, channels)``."""
        return [(x * (1 + self.gate(x)[..., None]) + self.perturbed(x)) / 2]


class HDFObjective(Objective):
    """HDF at loss level: cross-entropy, a weighted contrastive term, sharpness-aware steps.

    Args:
        weight: Weight of the contrastive term.
        trace: Weight beta of the trace of the features' covariance, which is kept large.
        radius: Radius rho of the sharpness-aware step (Foret et al., ICLR 2021); 0 for a plain one.
        temperature: Temperature of the contrastive term.
    """

    @checked
    def __init__(
        self,
        weight: NonNegative = 0.1,
        trace: NonNegative = 0.01,
        radius: NonNegative = 0.05,
        temperature: Positive = 0.5,
    ) -> None:
        super().__init__()
        self.weight, self.trace, self.radius, self.temperature = weight, trace, radius, temperature

    def risk(self, losses: Tensor, prediction: Prediction, batch: Batch) -> Tensor:
        """Mean loss, contrastive term, minus the covariance's trace (its log: it has no bound)."""
        features = gather_over_processes(prediction.frames[0].mean(1))
        spread = features.var(0, unbiased=False).sum()
        contrast = self.contrast(features, gather_over_processes(batch.y))
        return losses.mean() + self.weight * contrast - self.trace * spread.log1p()

    def contrast(self, features: Tensor, y: Tensor) -> Tensor:
        """Supervised contrastive loss; pairs are weighted by a Gaussian of their cosine distance."""
        unit = F.normalize(features, dim=1)
        cosine = unit @ unit.T
        itself = torch.eye(len(y), dtype=torch.bool, device=y.device)
        log_share = (cosine / self.temperature).masked_fill(itself, -torch.inf).log_softmax(1)
        same = (y[:, None] == y) & ~itself
        weight = torch.exp(-(1 - cosine.detach()).square()) * same
        total = -(weight * log_share.masked_fill(itself, 0.0)).sum(1)
        return (total / weight.sum(1).clamp_min(1e-6)).mean()

    def update(self, model: Model, batch: Batch, stepper: Stepper) -> Tensor:
        """Step with the gradient at the worst point nearby (to first order)."""
        if self.radius == 0:
            return super().update(model, batch, stepper)
        loss = stepper.gradient(partial(self.loss, model), batch)
        shift = self._to_worst_point({p: p.grad for p in model.parameters() if p.grad is not None})
        stepper.gradient(partial(self.loss, model), batch)
        with torch.no_grad():
            for parameter, change in shift.items():
                parameter.sub_(change)
        stepper.step()
        return loss

    @torch.no_grad()
    def _to_worst_point(self, gradients: dict[nn.Parameter, Tensor]) -> dict[nn.Parameter, Tensor]:
        """Move parameters by the radius along their gradients; return the displacements."""
        norm = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
        factor = self.radius / norm.clamp_min(1e-12)
        # In half precision a gradient may overflow; such a step is left out, and must do no harm here.
        shift = {p: (factor * gradient).nan_to_num(0, 0, 0) for p, gradient in gradients.items()}
        for parameter, change in shift.items():
            parameter.add_(change)
        return shift
