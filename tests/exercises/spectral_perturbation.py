"""Answers to the exercises of chapter 04."""

from __future__ import annotations

import numpy as np
import torch

from exercises import Answers


def swap_with_numpy(x, other):
    mine, yours = np.fft.rfft(x.numpy(), axis=1), np.fft.rfft(other.numpy(), axis=1)
    turned = np.abs(yours) * np.exp(1j * np.angle(mine))
    return torch.as_tensor(np.fft.irfft(turned, x.shape[1], axis=1))


def swap_over(x, other, dim, length=None):
    mine, yours = torch.fft.rfft(x, dim=dim), torch.fft.rfft(other, dim=dim)
    return torch.fft.irfft(torch.polar(yours.abs(), mine.angle()), length, dim=dim)


def swap_real_parts(x, other):
    mine, yours = torch.fft.rfft(x, dim=1), torch.fft.rfft(other, dim=1)
    return torch.fft.irfft(torch.complex(yours.real, mine.imag), x.shape[1], dim=1)


def swap_by_division(x, other):
    mine, yours = torch.fft.rfft(x, dim=1), torch.fft.rfft(other, dim=1)
    return torch.fft.irfft(yours.abs() * mine / mine.abs(), x.shape[1], dim=1)


def swap_size_alone(x, other):
    return x * other.norm(dim=1, keepdim=True) / x.norm(dim=1, keepdim=True)


def _limited(variance, basis, over):
    """Shrunk so that no standard deviation of the log gain exceeds 1, in each channel or in all."""
    spread = torch.einsum("jf,jc->fc", basis**2, variance)
    return variance * torch.clip(1 / spread.amax(over, keepdim=True), max=1)


def gain_by_einsum(variance, floor, basis, eps, above=None, power=0.5, lowered=1.0, limit=(0,)):
    """Right as it stands; each argument by name makes one mistake."""
    above = torch.relu(variance.T - floor).T if above is None else above
    above = above if limit is None else _limited(above, basis, limit)
    profile = torch.einsum("jf,bjc->bfc", basis, above**power * eps)
    return profile - lowered * torch.einsum("jf,jc->fc", basis**2, above)


def each_frequency_shrunk(variance, floor, basis, eps):
    above = (variance - floor[:, None]).clamp(min=0)
    spread = basis.T.square() @ above
    share = 1 / spread.clamp(min=1)
    return share.sqrt() * (basis.T @ (above.sqrt() * eps)) - share * spread


def weights_without_squares(variance, floor, basis, eps):
    above = _limited((variance - floor[:, None]).clamp(min=0), basis, (0,))
    return gain_by_einsum(variance, floor, basis, eps, lowered=0) - basis.T @ above


def from_a_covariance(clips, frequencies, channels):
    place = torch.arange(frequencies)
    covariance = 0.6 ** (place[:, None] - place).abs()
    root = torch.linalg.cholesky(covariance)
    return (root @ torch.randn(clips, frequencies, channels)).float()


def _walk(shape, r, weight):
    eps = torch.randn(*shape)
    for k in range(1, shape[1]):
        eps[:, k] = r * eps[:, k - 1] + weight * eps[:, k]
    return eps


def smoothed(clips, frequencies, channels):
    eps = torch.randn(clips, frequencies + 2, channels)
    return (eps[:, :-2] + eps[:, 1:-1] + eps[:, 2:]) / 3


def sum_of_two(clips, frequencies, channels):
    eps = torch.randn(clips, frequencies + 1, channels)
    return eps[:, :-1] + eps[:, 1:]


def smoothed_with_short_ends(clips, frequencies, channels):
    eps = torch.randn(clips, frequencies, channels)
    padded = torch.nn.functional.pad(eps, (0, 0, 1, 1))
    return (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3**0.5


ANSWERS = {
    "log_gain": Answers(
        gain_by_einsum,
        {
            "above the floor": lambda v, *rest: gain_by_einsum(v, *rest, above=v),
            "power grows": lambda *given: gain_by_einsum(*given, lowered=0),
            "keeps the mean amplitude": lambda *given: gain_by_einsum(*given, lowered=0.5),
            "this is a variance": lambda *given: gain_by_einsum(*given, power=1),
            "squares of the weights": weights_without_squares,
            "may exceed 1": lambda *given: gain_by_einsum(*given, limit=None),
            "one factor shrinks": each_frequency_shrunk,
            "each channel's own": lambda *given: gain_by_einsum(*given, limit=(0, 1)),
            "no NaN": lambda v, f, *rest: gain_by_einsum(v, f, *rest, above=v - f[:, None]),
            "shape is": lambda *given: gain_by_einsum(*given).mT,
            "of the formula": lambda v, f, b, eps: gain_by_einsum(v, f, b.flip(0), eps),
        },
    ),
    "swap_amplitude": Answers(
        swap_with_numpy,
        {
            "over channels": lambda x, other: swap_over(x, other, 2, x.shape[2]),
            "number of frames": lambda x, other: swap_over(x, other, 1),
            "phases are not": lambda x, other: other.flip(1),
            "still one's own": lambda x, other: swap_over(other, x, 1, x.shape[1]),
            "other clip, timing and all": lambda x, other: other,
            "at every frequency": swap_size_alone,
            "not the other's at": swap_real_parts,
            "at rest gives NaN": swap_by_division,
            "complex": lambda x, other: torch.polar(
                torch.fft.fft(other, dim=1).abs(), torch.fft.fft(x, dim=1).angle()
            ),
        },
    ),
    "smooth_noise": Answers(
        from_a_covariance,
        {
            "are correlated by": lambda n, k, c: torch.randn(n, k, c),
            "shrinks": smoothed,
            "at the ends": smoothed_with_short_ends,
            "more than its parts": sum_of_two,
            "grows": lambda n, k, c: torch.randn(n, k, c).cumsum(1),
            "move as one": lambda n, k, c: torch.randn(n, 1, c).expand(n, k, c),
            "wrong neighbours": lambda n, k, c: _walk((n, k, 1), 0.7, 0.51**0.5).expand(n, k, c),
            "clips are correlated": lambda n, k, c: _walk((k, n, c), 0.7, 0.51**0.5).transpose(0, 1),
        },
    ),
}
