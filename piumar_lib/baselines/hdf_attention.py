"""HDF's attention over time and frequency, from its published code (repository QIcita/HDF_DFER).

The code takes its bank of cosine filters from a file that it lacks; the file of that name in the
repository that the module was built on (yukairong/FSTA-SNN) holds the orthonormal one.
`piumar_lib.baselines.hdf_ledger` lists the differences between figure, code and this file.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from piumar_lib.spectrum import dct_matrix
from piumar_lib.transport import at_least_single

SIDE = 7  # pixels of a filter
DEVIATION = 0.05  # weight of the spread over places in the perturbation


def cosine_filters() -> Tensor:
    """The orthonormal two-dimensional DCT-II as filters, the vertical frequency changing first.

    Their shape is ``(49, 1, 7, 7)``, frequency by frequency.
    """
    rows = dct_matrix(SIDE, torch.float32)
    return torch.einsum("hx,vy->hvyx", rows, rows).reshape(SIDE**2, 1, SIDE, SIDE)


class FrameGate(nn.Module):
    """Weight of each frame, from averages and maxima over places and over as many groups of channels."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.average, self.maximum = (nn.Parameter(torch.tensor(0.5)) for _ in range(2))
        self.gain = nn.Parameter(torch.ones(frames, frames))
        self.deviation = nn.Parameter(torch.zeros(frames, frames))
        self.mix = nn.Linear(frames, frames, bias=False)
        self.query, self.key, self.value = (nn.Linear(frames, frames) for _ in range(3))

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``(batch, time, channels, height, width)`` to numbers in (0, 1), ``(batch, time)``."""
        score = self.score(maps).sigmoid()
        mixed = self.mix(score.transpose(1, 2)).transpose(1, 2)  # over time, in each group
        frames = F.scaled_dot_product_attention(self.query(mixed), self.key(mixed), self.value(mixed))
        return frames.mean(2).sigmoid()

    def score(self, maps: Tensor) -> Tensor:
        """Score of each group of channels in each frame, ``(batch, time, group)``."""
        groups = maps.shape[1]
        average = F.adaptive_avg_pool1d(maps.mean((3, 4)), groups)  # (batch, time, group)
        maximum = F.adaptive_max_pool1d(maps.amax((3, 4)), groups)
        deviation = (average - average.mean(2, keepdim=True)).norm(dim=2, keepdim=True)
        jump = F.pad(average.diff(dim=2).abs(), (1, 0))
        fused = self.average * average + self.maximum * maximum
        return self.gain * fused + self.deviation * deviation - jump


class PlaceGate(nn.Module):
    """Weight of each place, from the cosine spectrum of its neighbourhood in the mean frame.

    The perturbation of the spectrum is learned, the same for all clips, and on in evaluation too.
    """

    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        count = SIDE**2
        self.register_buffer("filters", cosine_filters(), persistent=False)
        self.noise = nn.Parameter(0.1 * torch.randn(count))
        self.size, self.spread = nn.Parameter(torch.ones(count)), nn.Parameter(torch.zeros(count))
        self.plain, self.moved, self.slope = (nn.Parameter(torch.tensor(0.5)) for _ in range(3))
        self.gain, self.shift = nn.Parameter(torch.ones(count)), nn.Parameter(torch.zeros(count))
        self.look = nn.Conv2d(count, 1, SIDE, padding=SIDE // 2, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``(batch, time, channels, height, width)`` to ``(batch, height, width)`` in (0, 1)."""
        spectrum = self.spectrum(maps)
        mixed = (self.plain * spectrum + self.moved * self.perturbed(spectrum)) / 2
        return self.look(self.fitted(mixed))[:, 0].sigmoid()

    def spectrum(self, maps: Tensor) -> Tensor:
        """Cosine spectrum about each place of the mean frame, ``(batch, 49, height, width)``."""
        # The same filters for all channels, so that these may be summed first.
        frame = maps.mean(1).sum(1, keepdim=True)  # (batch, 1, height, width)
        return F.conv2d(frame, self.filters, padding=SIDE // 2)

    def perturbed(self, spectrum: Tensor) -> Tensor:
        """``spectrum`` moved along its sign by learned amounts, a number for each frequency."""
        centered = spectrum - spectrum.mean((2, 3), keepdim=True)
        deviation = torch.linalg.vector_norm(centered, dim=(2, 3), keepdim=True)
        noise, spread = (v[:, None, None] for v in (self.noise * self.size, self.spread))
        return spectrum + (noise + DEVIATION * spread * deviation) * spectrum.sign()

    def fitted(self, spectrum: Tensor, offset: float = 1e-6) -> Tensor:
        """Squash each place's spectrum by a tanh whose slope falls with its standard deviation."""
        deviation = (spectrum.var(1, keepdim=True) + offset).sqrt() + offset
        squashed = (self.slope * spectrum / deviation).tanh()
        return squashed * self.gain[:, None, None] + self.shift[:, None, None]


class TimeFrequencyAttention(nn.Module):
    """HDF's DAM, the Time-Frequency Distributional Attention Module: weigh frames, and weigh places."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.of_frames, self.of_places = FrameGate(frames), PlaceGate()
        self.time = nn.Parameter(torch.tensor(0.8))
        self.frequency = nn.Parameter(torch.tensor(0.3))

    def forward(self, maps: Tensor) -> Tensor:
        """Weigh ``(batch, time, channels, height, width)``; same shape and type."""
        with torch.autocast(maps.device.type, enabled=False):  # sums over all channels
            single = at_least_single(maps)
            frames = 1 + self.of_frames(single)[:, :, None, None, None]
            places = 1 + self.of_places(single)[:, None, None]
            weight = (self.time * frames + self.frequency * places) / 2
        return maps * weight.to(maps.dtype)
