"""Components of the larger networks: clips as images one pixel high, and convolutions over time.

Why images: see `piumar_lib.backbones.cnn.TemporalConv`.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

M = TypeVar("M", bound=nn.Module)


def to_image(x: Tensor) -> Tensor:
    """Turn clips ``(batch, time, channels)`` into images ``(batch, channels, 1, time)``."""
    return x.transpose(1, 2)[:, :, None]


def to_clip(image: Tensor) -> Tensor:
    """Turn images ``(batch, channels, 1, time)`` into clips ``(batch, time, channels)``."""
    return image.squeeze(2).transpose(1, 2)


def channels_last(module: M) -> M:
    """Put the weights of a module of images into channels-last layout, in place."""
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it


class TimeConv(nn.Conv2d):
    """Convolution of images over time that keeps their length; batch normalisation gives the bias.

    An even kernel sees one frame more of the future than of the past, as in the published networks'
    code.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, (1, kernel), bias=False)
        channels_last(self)

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(batch, inputs, 1, time)`` to ``(batch, outputs, 1, time)``."""
        reach = self.kernel_size[1] - 1
        return super().forward(F.pad(image, (reach // 2, reach - reach // 2)))


def conv_norm(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Convolution over time, then batch normalisation, of images."""
    return nn.Sequential(TimeConv(inputs, outputs, kernel), nn.BatchNorm2d(outputs))


@torch.no_grad()
def width_behind(backbone: nn.Sequential, channels: int, at: int | None = None) -> int:
    """Channels of a backbone's features after ``at`` layers, by default all, for clips of ``channels``.

    So a head, or a plug-in before one of the layers, gets its width:

        width = width_behind(backbone, channels)
        model = Recognizer(backbone, width, classes, plug_in=plug_in, at=1)
    """
    training = backbone.training
    device = next(backbone.parameters()).device
    features = backbone.eval()[:at](torch.zeros(1, 2, channels, device=device))
    backbone.train(training)
    return features.shape[-1]
