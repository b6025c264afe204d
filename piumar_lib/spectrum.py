"""Spectra along time, and their perturbation by as much as people differ.

A clip's real Fourier (or cosine) spectrum along time is multiplied by ``exp(s sd eps)``: ``sd`` is
how much log-amplitudes vary between clips *of the same class*, frequency by frequency. Where people
differ much, the recogniser sees much variety; where they agree, the spectrum stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from piumar_lib.transport import at_least_single, class_mean

TRANSFORMS = ("fft", "dct")
NOISES = ("independent", "low-rank", "residual")
LOG_GAIN_LIMIT = 2.5  # no amplitude grows or shrinks more than exp(2.5), about twelvefold


def dct_matrix(
    time: int, dtype: torch.dtype = torch.float64, device: torch.device | None = None
) -> Tensor:
    """Orthonormal DCT-II matrix, shape ``(frequency, time)``; its transpose is its inverse."""
    k = torch.arange(time, dtype=torch.float64, device=device)
    matrix = torch.cos(math.pi / time * (k[None, :] + 0.5) * k[:, None]) * math.sqrt(2 / time)
    matrix[0] /= math.sqrt(2)
    return matrix.to(dtype)


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
    """Undo `to_spectrum`; ``time`` is the length of the clips that it was given."""
    if spectrum.is_complex():
        return torch.fft.irfft(spectrum, n=time, dim=1, norm="ortho")
    return dct_matrix(time, spectrum.dtype, spectrum.device).T @ spectrum


def log_amplitude(spectrum: Tensor, offset: float = 1e-3) -> Tensor:
    """``log(|X| + offset)``; the offset keeps empty frequencies from dominating the variance."""
    return (spectrum.abs() + offset).log()


def style_residual(level: Tensor, y: Tensor | None = None) -> Tensor:
    """What is left of log-amplitudes once the class (or, without ``y``, the batch) mean is gone.

    Args:
        level: Log-amplitudes, shape ``(batch, frequency, channels)``.
        y: Classes, shape ``(batch,)``.

    Returns:
        Residuals, shape of ``level``.
    """
    if y is None:
        return level - level.mean(0, keepdim=True)
    return level - class_mean(level, y)


def style_deviation(level: Tensor, y: Tensor | None = None) -> Tensor:
    """Standard deviation of log-amplitudes between clips, within class if ``y`` is given.

    The unbiased pooled estimate: as many degrees of freedom are lost as there are class means. Zero
    if nothing can be estimated (every class has one clip).

    Args:
        level: Log-amplitudes, shape ``(batch, frequency, channels)``.
        y: Classes, shape ``(batch,)``; without it, the total deviation.

    Returns:
        Shape ``(frequency, channels)``.
    """
    classes = 1.0 if y is None else (1 / (y[:, None] == y[None, :]).sum(1)).sum()
    freedom = torch.as_tensor(len(level) - classes, dtype=level.dtype, device=level.device).round()
    total = style_residual(level, y).square().sum(0)
    return torch.where(freedom > 0, total / freedom.clamp_min(1), 0.0).sqrt()


def draw_noise(
    residual: Tensor, noise: str = "independent", rank: int = 4, deviation: Tensor | None = None
) -> Tensor:
    """Draw unit-variance directions eps for the perturbation.

    Args:
        residual: From `style_residual`, shape ``(batch, frequency, channels)``.
        noise: ``"independent"``: a normal draw for each frequency and channel. ``"low-rank"``:
            ``rank`` random profiles over frequency and channel, shared by the batch and mixed anew
            for each clip, so that few random numbers move all of its frequencies.
            ``"residual"``: what really set another clip of the batch apart from its class.
        rank: Number of profiles of ``"low-rank"``.
        deviation: From `style_deviation`, shape ``(frequency, channels)``; scales ``"residual"``.

    Returns:
        Shape of ``residual``.

    Raises:
        ValueError: If the noise is unknown.
    """
    if noise == "independent":
        return torch.randn_like(residual)
    if noise == "low-rank":
        profiles = torch.randn(rank, *residual.shape[1:], dtype=residual.dtype, device=residual.device)
        mixture = torch.randn(len(residual), rank, dtype=residual.dtype, device=residual.device)
        return torch.einsum("br,rfc->bfc", mixture, profiles) / math.sqrt(rank)
    if noise == "residual":
        # Clips hand on their residuals in one random circle, so that none gets its own back.
        order = torch.randperm(len(residual), device=residual.device)
        other = torch.empty_like(residual)
        other[order] = residual[order.roll(1)]
        deviation = residual.square().mean(0).sqrt() if deviation is None else deviation
        return torch.where(deviation > 0, other / deviation.clamp_min(1e-12), 0.0)
    raise ValueError(f"noise: {noise!r} is unknown. Choose from {', '.join(NOISES)}.")


def adversarial_noise(
    x: Tensor, deviation: Tensor, loss: Callable[[Tensor], Tensor], transform: str = "fft"
) -> Tensor:
    """The worst direction of the same ellipsoid, to first order: robustness instead of variety.

    Among all eps with the mean square of unit noise, ``loss(perturbed)`` grows fastest along its
    gradient with respect to eps.

    Args:
        x: Clips of shape ``(batch, time, channels)``.
        deviation: From `style_deviation`, shape ``(frequency, channels)``.
        loss: Maps clips like ``x`` to a scalar.
        transform: See `to_spectrum`.

    Returns:
        Detached eps of shape ``(batch, frequency, channels)``, mean square 1 for each clip.
    """
    spectrum = to_spectrum(x.detach(), transform)
    eps = torch.zeros(spectrum.shape, dtype=x.dtype, device=x.device, requires_grad=True)
    with torch.enable_grad():
        value = loss(from_spectrum(apply_gain(spectrum, deviation * eps), x.shape[1]))
        (gradient,) = torch.autograd.grad(value, eps)
    # First by the largest entry: a confident clip's tiny gradient would vanish when squared.
    tiny = torch.finfo(x.dtype).tiny
    gradient = gradient / gradient.abs().amax((1, 2), keepdim=True).clamp_min(tiny)
    size = gradient.square().mean((1, 2), keepdim=True).sqrt()
    return (gradient / size.clamp_min(tiny)).detach()


def apply_gain(spectrum: Tensor, log_gain: Tensor) -> Tensor:
    """Multiply amplitudes by ``exp(log_gain)``, clamped at `LOG_GAIN_LIMIT`; phases stay."""
    return spectrum * log_gain.clamp(-LOG_GAIN_LIMIT, LOG_GAIN_LIMIT).exp()


def perturb(
    x: Tensor,
    y: Tensor | None = None,
    scale: float = 1.0,
    probability: float = 0.5,
    noise: str | Tensor = "independent",
    transform: str = "fft",
) -> Tensor:
    """Variance-guided spectral perturbation of a batch: ``log|X| + scale sd eps``, phases kept.

    Args:
        x: Clips of shape ``(batch, time, channels)``.
        y: Classes, shape ``(batch,)``. Without them the deviation is the total one, which also
            perturbs what tells classes apart.
        scale: Size s of the perturbation, in standard deviations.
        probability: Chance of each clip to be perturbed.
        noise: See `draw_noise`; or the noise itself, as from `adversarial_noise`.
        transform: See `to_spectrum`.

    Returns:
        Shape and type of ``x``.
    """
    with torch.autocast(x.device.type, enabled=False):
        spectrum = to_spectrum(at_least_single(x), transform)
        with torch.no_grad():  # the noise is given; gradients pass through the clip alone
            level = log_amplitude(spectrum)
            deviation = style_deviation(level, y)
            eps = noise
            if isinstance(noise, str):
                eps = draw_noise(style_residual(level, y), noise, deviation=deviation)
            chosen = torch.rand(len(x), 1, 1, device=x.device) < probability
            log_gain = scale * deviation * eps * chosen
        moved = from_spectrum(apply_gain(spectrum, log_gain), x.shape[1])
    return torch.where(chosen, moved.to(x.dtype), x)
