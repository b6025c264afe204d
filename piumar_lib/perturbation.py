"""Frequency branch of TFAM: perturb the smooth part of spectra, in which people differ most.

A person's body affects the *smooth* part of a clip's log spectrum: its level and its slope. This part is
described by a few cosine coefficients along frequency (a cepstrum). Only these are perturbed, in
proportion to their standard deviation, beyond noise, between clips of one class. Phases, the mean over
time and the expected power of every frequency are preserved.

The definitions are ours, the paper has no equations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from piumar_lib import transport
from piumar_lib.plug_in import PlugIn
from piumar_lib.running import RunningMean, require_clips
from piumar_lib.spectrum import dct_matrix
from piumar_lib.support.ranges import NonNegative, Range, Share, checked

KINDS = ("gain", "swap")
MOST = 1.0  # largest standard deviation of a log gain: 95 % of gains then lie in [0.05, 2.6]


def log_spectrum(spectrum: Tensor) -> Tensor:
    """``log |X|`` of a spectrum ``(batch, frequency, channels)``; empty frequencies stay finite.

    A millionth of its frequency's mean power is added to each power.
    """
    power = spectrum.real.square() + spectrum.imag.square()
    least = 1e-6 * power.mean(0, keepdim=True) + torch.finfo(power.dtype).tiny
    return (power + least).log() / 2


def rayleigh_floor(time: int) -> Tensor:
    """Variance of ``log |X|`` of Gaussian noise of *constant* power, for each frequency.

    A coefficient of a single periodogram of Gaussian noise has real and imaginary part, so its power is
    exponentially distributed, and the variance of ``log`` of that is pi^2 / 6: a quarter of it for the
    amplitude, pi^2 / 24 (a standard deviation of 0.64). The last coefficient of an even number of frames
    is real: its power has a chi-square distribution of one degree of freedom, pi^2 / 2, a quarter of it
    pi^2 / 8. For ``time`` frames and the frequencies above zero, shape ``(time // 2,)``.
    """
    floor = torch.full((time // 2,), math.pi**2 / 24)
    if time % 2 == 0:
        floor[-1] = math.pi**2 / 8
    return floor


def another_of_class(y: Tensor) -> Tensor:
    """Index of a random other clip of each clip's class, or of the clip itself; shape ``(batch,)``."""
    draw = torch.rand(len(y), len(y), device=y.device).masked_fill(y[:, None] != y, -1)
    return draw.fill_diagonal_(-0.5).argmax(1)


def energy_preserving_gain(sd: Tensor, basis: Tensor, eps: Tensor) -> Tensor:
    """Log gain that is smooth along frequency and preserves the expected power of every frequency.

    ``sum_j basis_jf sd_j eps_j - sum_j basis_jf^2 sd_j^2``. If its standard deviation exceeds `MOST` at
    some frequency, all ``sd_j`` of that channel shrink until it is `MOST`.

    Args:
        sd: Standard deviation of each coefficient, shape ``(coefficients, channels)``.
        basis: A row for each coefficient, shape ``(coefficients, frequencies)``.
        eps: Draws of a standard normal distribution, shape ``(batch, coefficients, channels)``.

    Returns:
        Shape ``(batch, frequencies, channels)``.
    """
    largest = (basis.T.square() @ sd.square()).amax(0).sqrt()  # (C,)
    sd = sd * (MOST / largest.clamp_min(MOST))
    return basis.T @ (sd * eps) - basis.T.square() @ sd.square()


class _Filter(torch.autograd.Function):
    """`filtered`, with an equally cheap gradient: such a filter is its own adjoint.

    Torch would differentiate both transforms by complex ones, which takes twice the time. The spectrum
    of ``x`` is an argument because it is known already.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, spectrum: Tensor, gain: Tensor) -> Tensor:
        ctx.save_for_backward(gain)
        return torch.fft.irfft(spectrum * gain, n=x.shape[1], dim=1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        return filtered(gradient, *ctx.saved_tensors), None, None


def filtered(x: Tensor, gain: Tensor) -> Tensor:
    """Multiply the frequencies of ``(batch, time, channels)`` by ``(batch, frequency, channels)``."""
    return torch.fft.irfft(torch.fft.rfft(x, dim=1) * gain, n=x.shape[1], dim=1)


class SpectralPerturbation(PlugIn):
    """Variance-guided perturbation of the smooth part of log spectra; the identity in evaluation.

    Args:
        channels: Channels of the clips.
        scale: Size s of the perturbation, in standard deviations; for ``"swap"`` the largest
            interpolation weight, at most 1. At 0 it is the identity.
        probability: Probability of perturbing a clip.
        kind: ``"gain"``: the log gain is ``s sd eps - (s sd)^2`` with eps ~ N(0, 1), so that the
            expected power is preserved. ``"swap"``: interpolation by a random weight towards another
            clip of the class.
        coefficients: Cosine coefficients along frequency that count as smooth: level, tilt, and so on.
        groups_of_channels: The group of each channel, numbered from 0, for example ``[0, 0, 1, 1]`` for
            two limbs in two coordinates; the channels of a group share one random profile. By default
            each channel has its own.

    Attributes:
        squares, freedom: Running means over batches: of the sum of squares within classes,
            ``(coefficients, channels)``, and of its degrees of freedom. Their ratio estimates the
            variance even if batches have few clips of a class.

    Raises:
        ValueError: If an option is unknown or out of range.
    """

    members: Tensor

    @checked
    def __init__(
        self,
        channels: int,
        scale: NonNegative = 1.0,
        probability: Share = 0.5,
        kind: str = "gain",
        coefficients: int = 4,
        groups_of_channels: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind: {kind!r} is unknown. Choose from {KINDS}.")
        if kind == "swap":
            Range(0, 1).check("scale", scale, "A swap's is at most 1.")
        if coefficients < 1:
            raise ValueError(f"coefficients: {coefficients} describe nothing. Choose at least 1.")
        groups = list(range(channels) if groups_of_channels is None else groups_of_channels)
        if len(groups) != channels or {*groups} != {*range(max(groups, default=0) + 1)}:
            raise ValueError(
                f"groups_of_channels: {groups} does not group {channels} channels. Give each channel a "
                "number, from 0 without gaps."
            )
        self.scale, self.probability, self.kind = scale, probability, kind
        self.coefficients, self.groups_of_channels = coefficients, groups_of_channels
        members = F.one_hot(torch.tensor(groups)).float()  # (C, G)
        self.register_buffer("members", members, persistent=False)
        self.squares = RunningMean(coefficients, channels)
        self.freedom = RunningMean()

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Perturb ``x`` ``(batch, time, channels)``; ``y`` ``(batch,)`` are its classes.

        Without ``y`` all clips count as one class, and differences between classes are perturbed, too.

        Raises:
            ValueError: If ``x`` is no batch of clips.
        """
        require_clips(x)
        if not self.training or self.scale == 0 or x.shape[1] < 2:
            return x
        y = torch.zeros(len(x), dtype=torch.long, device=x.device) if y is None else y
        with torch.autocast(x.device.type, enabled=False):
            wide = transport.at_least_single(x)
            with torch.no_grad():  # the gain is given; gradients pass through the clip alone
                spectrum = torch.fft.rfft(wide, dim=1)  # (B, 1 + F, C)
                chosen = torch.rand(len(x), 1, 1, device=x.device) < self.probability
                gain = torch.where(chosen, self.log_gain(spectrum, y, x.shape[1]), 0.0).exp()
            return _Filter.apply(wide, spectrum, gain).to(x.dtype)

    def log_gain(self, spectrum: Tensor, y: Tensor, time: int) -> Tensor:
        """Draw a log gain for each clip, frequency and channel; updates the variances.

        The gain of the first frequency, the clip's mean, is zero.
        """
        level = log_spectrum(spectrum[:, 1:])  # (B, F, C)
        basis = dct_matrix(level.shape[1], level.dtype, level.device)[: self.coefficients]  # (J, F)
        smooth = basis @ level  # (B, J, C)
        to_profile = F.pad(basis, (1, 0)).T  # (1 + F, J)
        if self.kind == "swap":
            toward = self._shared(smooth[another_of_class(y)] - smooth)
            share = self.scale * torch.rand(len(y), 1, 1, dtype=level.dtype, device=level.device)
            return to_profile @ (share * toward)
        self.observe(smooth, y)
        sd = self.scale * self._shared(self.variance(time)).to(level).sqrt()  # (J, C)
        return energy_preserving_gain(sd, to_profile.T, self._shared_draw(smooth))  # (B, 1 + F, C)

    def observe(self, smooth: Tensor, y: Tensor) -> None:
        """Take in a batch's coefficients, shape ``(batch, coefficients, channels)``."""
        residual = smooth - transport.class_mean(smooth, y)
        squares = F.pad(residual.square().sum(0), (0, 0, 0, self.coefficients - smooth.shape[1]))
        same = y[:, None] == y  # (B, B)
        self.squares.update(squares)
        self.freedom.update(len(y) - (1 / same.sum(1)).sum())  # clips less classes

    def variance(self, time: int) -> Tensor:
        """Variance within classes minus that of noise, which guides the gain; ``(coefficients, C)``.

        A smooth coefficient is a weighted sum over frequencies, which are independent in white noise, so
        its noise variance is the sum of theirs, with squared weights.
        """
        floor = rayleigh_floor(time)
        basis = dct_matrix(len(floor), floor.dtype)[: self.coefficients]
        floor = (basis.square() @ floor).to(self.squares.mean)  # (J,)
        # With less than one degree of freedom so far there is no estimate.
        total = self.squares.mean[: len(floor)] / self.freedom.mean.clamp_min(1e-6)
        return (total - floor[:, None]).clamp_min(0)

    def _shared(self, value: Tensor) -> Tensor:
        """Average ``(..., channels)`` over each channel's group; shape stays."""
        if self.groups_of_channels is None:
            return value
        members = self.members.to(value)
        return value @ (members / members.sum(0)) @ members.T

    def _shared_draw(self, like: Tensor) -> Tensor:
        """Normal numbers of the shape of ``like``, equal for the channels of a group."""
        drawn = torch.randn_like(like)
        if self.groups_of_channels is None:
            return drawn
        first = self.members.argmax(0)  # a channel of each group
        return drawn[..., first[self.members.argmax(1)]]
