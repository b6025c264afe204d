"""The course's own network: three temporal convolutions."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from piumar_lib.backbones.layers import channels_last


class TemporalConv(nn.Module):
    """Convolution along time, normalisation, rectifier: ``(batch, time, inputs)`` to outputs."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 5) -> None:
        super().__init__()
        # A clip is an image one pixel high. Its memory layout then stays (batch, time, channels)
        # throughout ("channels last"), which trains 1.4 times as fast on CPU as nn.Conv1d.
        conv = nn.Conv2d(inputs, outputs, (1, kernel), padding=(0, kernel // 2), bias=False)
        self.conv = channels_last(conv)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, time, inputs)`` to ``(batch, time, outputs)``."""
        image = x.transpose(1, 2)[:, :, None]
        # squeeze, not [:, :, 0]: its gradient is a view, that of an index a copy in another layout.
        return self.norm(self.conv(image)).relu().squeeze(2).transpose(1, 2)


def tiny_cnn(channels: int, width: int = 32, depth: int = 3, kernel: int = 5) -> nn.Sequential:
    """A temporal CNN that trains in seconds on a laptop (about 15,000 parameters).

    Args:
        channels: Channels of the input.
        width: Channels of the output, and of every layer.
        depth: Number of layers.
        kernel: Size of a filter, in frames; an odd number.

    Raises:
        ValueError: If ``kernel`` is even: clips would grow by a frame in each layer.
    """
    if kernel % 2 == 0:
        raise ValueError(f"kernel: must be odd, got {kernel}.")
    sizes = [channels] + [width] * depth
    return nn.Sequential(*(TemporalConv(i, o, kernel) for i, o in pairwise(sizes)))
