"""Spectra along time, their variance within classes, and the perturbation of the first TFAM.

The final TFAM's perturbation, which preserves the expected power and perturbs only the smooth part of
spectra, is in `piumar_lib.perturbation`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from piumar_lib.transport import at_least_single, class_mean

TRANSFORMS = ("fft", "dct")
LOG_GAIN_LIMIT = 2.5  # no amplitude changes by more than a factor of exp(2.5), about twelve


def dct_matrix(
    time: int, dtype: torch.dtype = torch.float64, device: torch.device | None = None
) -> Tensor:
    """Orthonormal DCT-II matrix, shape ``(frequency, time)``; its transpose is its inverse."""
    k = torch.arange(time, dtype=torch.float64)  # on the CPU: a Mac's GPU has no double precision
    matrix = torch.cos(math.pi / time * (k[None, :] + 0.5) * k[:, None]) * math.sqrt(2 / time)
    matrix[0] /= math.sqrt(2)
    return matrix.to(device, dtype)


def to_spectrum(x: Tensor, transform: str = "fft") -> Tensor:
    """Transform clips ``(batch, time, channels)`` along time to ``(batch, frequency, channels)``.

    ``"fft"`` gives ``time // 2 + 1`` complex coefficients, ``"dct"`` ``time`` real ones; both
    orthonormal.

    Raises:
        ValueError: If the transform is unknown.
    """
    if transform == "fft":
        return torch.fft.rfft(x, dim=1, norm="ortho")
    if transform == "dct":
        return dct_matrix(x.shape[1], x.dtype, x.device) @ x
    raise ValueError(f"transform: {transform!r} is unknown. Choose from {', '.join(TRANSFORMS)}.")


def from_spectrum(spectrum: Tensor, time: int) -> Tensor:
    """Invert `to_spectrum`; ``time`` is the number of frames of the clips."""
    if spectrum.is_complex():
        return torch.fft.irfft(spectrum, n=time, dim=1, norm="ortho")
    return dct_matrix(time, spectrum.dtype, spectrum.device).T @ spectrum


def log_amplitude(spectrum: Tensor, offset: float = 1e-3) -> Tensor:
    """``log(|X| + offset)``; the offset keeps empty frequencies from dominating the variance."""
    return (spectrum.abs() + offset).log()


def style_residual(level: Tensor, y: Tensor | None = None) -> Tensor:
    """Log-amplitudes ``(batch, frequency, channels)`` minus their mean, by class if ``y`` is given."""
    if y is None:
        return level - level.mean(0, keepdim=True)
    return level - class_mean(level, y)


def style_deviation(level: Tensor, y: Tensor | None = None) -> Tensor:
    """Standard deviation of log-amplitudes between clips, within class if ``y`` is given.

    The unbiased pooled estimate: each class mean costs one degree of freedom. Zero if there is no
    estimate (every class has one clip). From ``(batch, frequency, channels)`` to
    ``(frequency, channels)``.
    """
    classes = 1.0 if y is None else (1 / (y[:, None] == y[None, :]).sum(1)).sum()
    freedom = torch.as_tensor(len(level) - classes, dtype=level.dtype, device=level.device).round()
    total = style_residual(level, y).square().sum(0)
    return torch.where(freedom > 0, total / freedom.clamp_min(1), 0.0).sqrt()


def apply_gain(spectrum: Tensor, log_gain: Tensor) -> Tensor:
    """Multiply amplitudes by ``exp(log_gain)``, clamped at `LOG_GAIN_LIMIT`; phases stay."""
    return spectrum * log_gain.clamp(-LOG_GAIN_LIMIT, LOG_GAIN_LIMIT).exp()


def perturb(x: Tensor, y: Tensor | None = None, scale: float = 1.0, probability: float = 0.5) -> Tensor:
    """The first TFAM's perturbation of a batch: ``log|X| + scale sd eps``, phases kept.

    Of clips ``(batch, time, channels)``, each with this probability; ``scale`` is in standard
    deviations. Without classes ``y`` the total deviation is used, which also perturbs differences
    between classes.
    """
    with torch.autocast(x.device.type, enabled=False):
        spectrum = to_spectrum(at_least_single(x))
        with torch.no_grad():  # the noise is given; gradients pass through the clip alone
            level = log_amplitude(spectrum)
            eps = torch.randn_like(level)
            chosen = torch.rand(len(x), 1, 1, device=x.device) < probability
            log_gain = scale * style_deviation(level, y) * eps * chosen
        moved = from_spectrum(apply_gain(spectrum, log_gain), x.shape[1])
    return torch.where(chosen, moved.to(x.dtype), x)
