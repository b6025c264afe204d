"""Variants of TFAM and GIRL that were tried in development; each differs from them in one respect.

`piumar_lib.evidence.development` trains them and keeps the log. The course's own methods are in
`piumar_lib.evidence.methods`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from piumar_lib import transport
from piumar_lib.alignment import (
    MonotoneAlignment,
    MotionClock,
    SinkhornAlignment,
    UniformClock,
    centered_motion_energy,
)
from piumar_lib.batch import Batch, Labels
from piumar_lib.diagnostics import class_margins
from piumar_lib.evidence.methods import (
    METHODS,
    Hyperparameters,
    Method,
    group_robust,
    temporal_frequency,
    two_views,
)
from piumar_lib.fusion import AdaptiveFusion
from piumar_lib.group_robust import GroupRobustObjective, hard_weights
from piumar_lib.objective import Objective, ViewWeights
from piumar_lib.perturbation import SpectralPerturbation
from piumar_lib.pseudo_groups import RandomGroups, StyleGroups, residual_style
from piumar_lib.stepper import Stepper
from piumar_lib.support.hyperparameter import Hyperparameter
from piumar_lib.support.ranges import Range
from piumar_lib.temporal_frequency import TemporalFrequencyModule, TwoViews
from piumar_lib.tfam import ConsistencyFusion, FrequencyBranch, TemporalBranch

if TYPE_CHECKING:
    from piumar_lib.recognizer import Model, Prediction


class EveryMotionClock(MotionClock):
    """Mass in proportion to all motion energy, including that of the sensor's noise."""

    def forward(self, x: Tensor) -> Tensor:
        """Masses ``(batch, time)``, sum one, of clips ``(batch, time, channels)``."""
        return transport.time_mass(centered_motion_energy(x), self.floor)


class ArcLengthClock(MotionClock):
    """Mass by the arc length of the trajectory, smoothed over five frames instead of thresholded."""

    def forward(self, x: Tensor) -> Tensor:
        """Masses ``(batch, time)``, sum one, of clips ``(batch, time, channels)``."""
        padded = F.pad(x.transpose(1, 2), (2, 2), mode="replicate")  # (B, C, T + 4)
        smooth = F.avg_pool1d(padded, 5, stride=1).transpose(1, 2)  # (B, T, C)
        return transport.time_mass(centered_motion_energy(smooth), self.floor)


class ConstantFusion(nn.Module):
    """``g mean + (1 - g) min`` with the same g for all clips: no gate."""

    def __init__(self, g: float) -> None:
        super().__init__()
        self.g = g

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Fuse features ``(batch, channels)``."""
        return self.g * (a + b) / 2 + (1 - self.g) * torch.minimum(a, b)


class UnsignedMargin(GroupRobustObjective):
    """Unsigned margin: clips on both sides of the boundary are hard, confident mistakes are easy."""

    def hardness(self, prediction: Prediction, batch: Batch) -> Tensor:
        """Weights ``(batch,)``, of mean 1."""
        best = prediction.logits.detach().topk(2).values  # (batch, 2)
        weights = 1 + self.beta * torch.exp(-(best[:, 0] - best[:, 1]) / self.temperature)
        return weights / weights.mean()


class SimilarityMargin(GroupRobustObjective):
    """The paper's margin: similarity to the true class minus similarity to the nearest other class."""

    def hardness(self, prediction: Prediction, batch: Batch) -> Tensor:
        """Weights ``(batch,)``, of mean 1; by logits in a batch in which a class has one clip."""
        try:
            margin = class_margins(prediction.features.detach(), batch.y)
        except ValueError:
            return hard_weights(prediction.logits, batch.y, self.beta, self.temperature)
        weights = 1 + self.beta * torch.sigmoid(-margin / (0.1 * self.temperature))
        return weights / weights.mean()


class SimilarityGroups(StyleGroups):
    """Groups of clips of a class by the pairwise cosine similarity of their residual styles."""

    def find(self, style: Tensor, clips: Labels, seed: int) -> Tensor:
        """See `GroupSource.find`."""
        from sklearn.cluster import AgglomerativeClustering

        residual, group = residual_style(style, clips.y).cpu(), torch.zeros_like(clips.y)
        for k in clips.y.unique().tolist():
            own = (clips.y == k).cpu()
            groups = min(self.each, int(own.sum()))
            # Clips with zero residual, for which the cosine is undefined, get a direction of their own.
            rows = F.pad(residual[own], (0, 1), value=1e-9).numpy()
            way = AgglomerativeClustering(groups, metric="cosine", linkage="average")
            found = way.fit_predict(rows) if groups > 1 else [0] * int(own.sum())
            group[own.to(group.device)] = k * self.each + torch.as_tensor(found).to(group)
        return group


class UnseenGroup(TwoViews):
    """Simulates unseen people: each step leaves a pseudo-group of each class out and evaluates on it.

    First-order meta-learning for domain generalization (Li et al., AAAI 2018): the gradient of the other
    clips at the model, plus the gradient of the group's clips after a step along the former.

    Args:
        ahead: Size of that step, in units of the learning rate.
        options: Arguments of `TwoViews`.
    """

    over: GroupRobustObjective

    def __init__(self, ahead: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.ahead = ahead

    @staticmethod
    def left_out(group: Tensor, y: Tensor) -> Tensor:
        """Mask of the clips of one random group of each class with several groups; ``(batch,)``."""
        drawn = torch.rand(int(group.max()) + 1, device=group.device)[group]
        of_class = torch.where(y[:, None] == y, drawn, torch.nan)
        most, least = of_class.nan_to_num(-1).amax(1), of_class.nan_to_num(2).amin(1)
        return (drawn == most) & (most > least)

    def update(self, model: Model, batch: Batch, stepper: Stepper) -> Tensor:
        """Make one step and return the loss, detached."""
        out = self.left_out(self.over.group[batch.index], batch.y)
        if not out.any() or (~out).sum() < 2:  # as in the first epoch, when all clips are one group
            return super().update(model, batch, stepper)
        weights: list[Tensor] = [p for p in model.parameters() if p.requires_grad]
        loss = stepper.gradient(partial(self.loss, model), batch.take(~out))
        seen = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
        before, rate = [w.detach().clone() for w in weights], stepper.optimizer.param_groups[0]["lr"]
        with torch.no_grad():
            torch._foreach_add_(weights, seen, alpha=-self.ahead * rate)
        stepper.gradient(partial(self.loss, model), batch.take(out))
        share = out.float().mean()
        with torch.no_grad():
            for weight, old, gradient in zip(weights, before, seen, strict=True):
                weight.copy_(old)
                own = torch.zeros_like(weight) if weight.grad is None else weight.grad
                weight.grad = (1 - share) * gradient + share * own
        stepper.step()
        return loss


def channels_of_joints(channels: int) -> list[int]:
    """The joint, or the sensor, of each channel: two coordinates of pixels, three in space."""
    coordinates = 2 if channels == 34 else 3
    return [c // coordinates for c in range(channels)]


def module(
    channels: int,
    width: int,
    k: Hyperparameters,
    clock: Callable[[float], nn.Module] = MotionClock,
    alignment: Callable[..., nn.Module] | None = None,
    perturbation: Callable[[int, Hyperparameters], nn.Module] | None = None,
    fusion: Callable[[int], nn.Module] = AdaptiveFusion,
) -> TemporalFrequencyModule:
    """TFAM with one component replaced; all else as in `piumar_lib.evidence.methods`."""
    made = temporal_frequency(channels, width, k)
    assert isinstance(made.temporal, MonotoneAlignment)
    steps, amplitude = made.temporal.steps, made.temporal.amplitude.step
    temporal = (alignment or MonotoneAlignment)(
        steps=steps, clock=clock(k["floor"]), amplitude_step=amplitude
    )
    frequency = perturbation(channels, k) if perturbation else made.frequency
    return TemporalFrequencyModule(temporal, frequency, fusion(width))


def _uniform(floor: float) -> nn.Module:
    return UniformClock()


def _sinkhorn(channels: int, width: int, k: Hyperparameters) -> TemporalFrequencyModule:
    """TFAM with entropic transport to learned anchors."""

    def alignment(steps: int, clock: nn.Module, amplitude_step: float) -> nn.Module:
        return SinkhornAlignment(channels, steps, clock, amplitude_step, tolerance=1e-2)

    return module(channels, width, k, alignment=alignment)


_AUGMENTED = METHODS["TFAM + augmentation"]
_BOTH = METHODS["PIUmr + augmentation"]
UNALIGNED = "TFAM, uniform clock + augmentation"
_FIRST_DEFAULTS = {
    "amplitude_step": 0.5, "floor": 0.5, "scale": 1.0, "probability": 0.5,
    "supervision": 0.5, "consistency": 1.0, "regularizer": 0.01,
}  # fmt: skip


def _tfam(about: str, **parts: Any) -> Method:
    return replace(_AUGMENTED, about=about, plug_in=partial(module, **parts))


def _with_control(name: str, about: str, **parts: Any) -> dict[str, Method]:
    """A variant, and its control with an unchanged clock."""
    return {
        name: _tfam(about, **parts),
        f"{name}, uniform clock": _tfam(f"{about}, nothing aligned", **parts | {"clock": _uniform}),
    }


def _perturbed(
    kind: str = "gain", groups: Callable[[int], list[int]] | None = None
) -> Callable[[int, Hyperparameters], nn.Module]:
    def make(channels: int, k: Hyperparameters) -> nn.Module:
        shared = groups(channels) if groups else None
        return SpectralPerturbation(
            channels, k["scale"], k["probability"], kind, groups_of_channels=shared
        )

    return make


def _robust(about: str, **options: Any) -> Method:
    """PIUmr with a variant of GIRL and the default TFAM."""

    def objective(k: Hyperparameters) -> TwoViews:
        return two_views(k, group_robust(k, **options))

    return replace(_BOTH, about=about, objective=objective)


def _unseen(about: str, **options: Any) -> Method:
    """TFAM that leaves a pseudo-group out in each step; groups and hard clips have no weights."""

    def objective(k: Hyperparameters) -> TwoViews:
        over = group_robust(k | {"radius": 0.0, "beta": 0.0}, **options)
        return two_views(k, over, UnseenGroup)

    return replace(_BOTH, about=about, objective=objective)


def _first_version(about: str, mass: str = "motion") -> Method:
    """The TFAM of `piumar_lib.tfam`, with augmentation."""

    def plug_in(channels: int, width: int, k: Hyperparameters) -> TemporalFrequencyModule:
        temporal = TemporalBranch(
            steps=k["steps"], mass=mass, amplitude_step=k["amplitude_step"], floor=k["floor"]
        )
        frequency = FrequencyBranch(k["scale"], k["probability"])
        return TemporalFrequencyModule(temporal, frequency, ConsistencyFusion())

    def objective(k: Hyperparameters) -> Objective:
        return Objective(ViewWeights(k["supervision"], k["consistency"], k["regularizer"]))

    own = {name: Hyperparameter(v, (v,), range=Range()) for name, v in _FIRST_DEFAULTS.items()}
    return Method(about, "control", objective, plug_in, augmented=True, hyperparameters=own)


VARIANTS: dict[str, Method] = {
    "all motion": _tfam("mass by all motion, noise included", clock=EveryMotionClock),
    "arc length": _tfam("mass by arc length of the smoothed clip", clock=ArcLengthClock),
    "Sinkhorn": replace(_AUGMENTED, about="entropic transport to anchors", plug_in=_sinkhorn),
    **_with_control(
        "swap", "spectra interpolated towards another clip's", perturbation=_perturbed(kind="swap")
    ),
    **_with_control(
        "joints share", "one profile a joint or sensor",
        perturbation=_perturbed(groups=channels_of_joints),
    ),
    **_with_control(
        "all channels share", "one profile a clip",
        perturbation=_perturbed(groups=lambda channels: [0] * channels),
    ),
    **_with_control("mean fusion", "no gate, mean", fusion=lambda width: ConstantFusion(1.0)),
    **_with_control("minimum fusion", "no gate, minimum", fusion=lambda width: ConstantFusion(0.0)),
    **_with_control(
        "first gate", "gate of the first version", fusion=lambda width: ConsistencyFusion()
    ),
    "exponentiated gradient": _robust("online group weights, no ball", step=0.05),
    "pairwise similarity": _robust("groups by pairs of clips", source=SimilarityGroups),
    "unseen group": _unseen("each step is evaluated on a left-out group"),
    "unseen group, by lot": _unseen("the same, with random groups", source=RandomGroups),
    "unsigned margin": _robust("confident mistakes count as easy", kind=UnsignedMargin),
    "similarity margin": _robust("the paper's margin", kind=SimilarityMargin),
    "first version": _first_version("the method's first version"),
    "first version, uniform clock": _first_version("the same, nothing aligned", mass="uniform"),
}  # fmt: skip
