"""The library's core functions, to be called by position like those of the chapters."""

from __future__ import annotations

import torch
from torch import Tensor

from piumar_lib import dro
from piumar_lib.fusion import AdaptiveFusion
from piumar_lib.fusion import mix as fuse
from piumar_lib.group_robust import hard_weights, update_risks
from piumar_lib.objective import js_divergence as consistency
from piumar_lib.perturbation import energy_preserving_gain
from piumar_lib.transport import barycentric_projection as project
from piumar_lib.transport import overlap_plan

__all__ = [
    "consistency", "fuse", "gate", "hard_weights", "log_gain", "overlap_plan", "project",
    "update_risks", "worst_weights",
]  # fmt: skip


def log_gain(variance: Tensor, floor: Tensor, basis: Tensor, xi: Tensor) -> Tensor:
    """Log gain of chapter 04, shape ``(batch, frequencies, channels)``.

    From the variance of coefficients within classes, ``(coefficients, channels)``, that of noise alone,
    ``(coefficients,)``, a cosine basis, ``(coefficients, frequencies)``, and standard Gaussian draws
    ``xi``, ``(batch, coefficients, channels)``.
    """
    return energy_preserving_gain((variance - floor[:, None]).clamp(min=0).sqrt(), basis, xi)


def gate(
    first: Tensor, second: Tensor, center: Tensor, mean: Tensor, sd: Tensor, bias: Tensor
) -> Tensor:
    """Gate of chapter 05, shape ``(batch, 1)``, of both views' features ``(batch, width)``.

    ``center (width,)`` is the features' mean, ``mean`` and ``sd`` are those of the cosine of the centred
    features, and ``bias`` is added to the standardised cosine.
    """
    fusion = AdaptiveFusion(first.shape[1]).to(first).eval()
    fusion.center.mean, fusion.mean.mean, fusion.variance.mean = center, mean, sd**2 - 1e-6
    return torch.sigmoid(fusion.agreement(first, second) + bias)[:, None]


def worst_weights(risks: Tensor, shares: Tensor, rho: float) -> Tensor:
    """Worst-case weights of chapter 06, in the chi-square ball of radius ``rho``; all ``(groups,)``."""
    return dro.chi_square(risks, rho, shares).weights
