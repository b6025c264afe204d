"""InceptionTime: convolutions of several lengths side by side (Ismail Fawaz et al., 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from piumar_lib.backbones.layers import TimeConv, conv_norm, to_clip, to_image

KERNELS = (40, 20, 10)


class InceptionModule(nn.Module):
    """Filters of three lengths after a bottleneck, and one after a maximum; joined and normalised.

    Each of the four branches, and the bottleneck, has ``width`` filters, none longer than ``frames``.
    """

    def __init__(self, inputs: int, width: int, frames: int) -> None:
        super().__init__()
        self.bottleneck = TimeConv(inputs, width, 1) if inputs > 1 else nn.Identity()
        squeezed = width if inputs > 1 else 1
        self.branches = nn.ModuleList(TimeConv(squeezed, width, min(k, frames)) for k in KERNELS)
        pool = nn.MaxPool2d((1, 3), stride=1, padding=(0, 1))
        self.pooled = nn.Sequential(pool, TimeConv(inputs, width, 1))
        self.norm = nn.BatchNorm2d(4 * width)

    def forward(self, image: Tensor) -> Tensor:
        """Map images ``(batch, inputs, 1, time)`` to ``(batch, 4 * width, 1, time)``."""
        squeezed = self.bottleneck(image)  # (B, W, 1, T)
        joined = [branch(squeezed) for branch in self.branches] + [self.pooled(image)]
        return self.norm(torch.cat(joined, dim=1)).relu()  # (B, 4 W, 1, T)


class InceptionBlock(nn.Module):
    """Three modules with a residual connection."""

    def __init__(self, inputs: int, width: int, frames: int) -> None:
        super().__init__()
        sizes = [inputs, 4 * width, 4 * width]
        self.main = nn.Sequential(*(InceptionModule(size, width, frames) for size in sizes))
        self.shortcut = conv_norm(inputs, 4 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, time, inputs)`` to ``(batch, time, 4 * width)``."""
        image = to_image(x)  # (B, C, 1, T)
        return to_clip((self.main(image) + self.shortcut(image)).relu())


def inception_time(channels: int, width: int = 16, depth: int = 6, frames: int = 32) -> nn.Sequential:
    """One network of InceptionTime; published results average the predictions of five.

    Ismail Fawaz et al., "InceptionTime: finding AlexNet for time series classification" (Data Mining and
    Knowledge Discovery 34, 2020). Its filters see 40, 20 and 10 frames. A filter longer than the clip
    would only see padding beyond it, so here none is longer than ``frames``.

    Args:
        channels: Channels of the input.
        width: Filters of each branch, and of the bottleneck; the output has four times as many.
            Published: 32. Half of it costs a quarter of the time.
        depth: Modules; each three have a residual connection. Published: 6.
        frames: Length of the clips.

    Raises:
        ValueError: If ``depth`` is no multiple of 3, or ``frames`` is not positive.
    """
    if depth < 3 or depth % 3:
        raise ValueError(f"depth: {depth} modules are no whole blocks. Choose a multiple of 3.")
    if frames < 1:
        raise ValueError(f"frames: must be at least 1, got {frames}. Give the length of the clips.")
    sizes = [channels] + [4 * width] * (depth // 3 - 1)
    return nn.Sequential(*(InceptionBlock(size, width, frames) for size in sizes))
