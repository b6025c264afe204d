"""ResNet for time series: three residual blocks of three convolutions (Wang, Yan and Oates, 2017)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from piumar_lib.backbones.layers import conv_norm, to_clip, to_image

KERNELS = (8, 5, 3)


class ResidualBlock(nn.Module):
    """Three convolutions over time with a residual connection.

    If the width changes, the residual connection is a convolution of kernel 1; it is always normalised.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        sizes, layers = [inputs, outputs, outputs], []
        for size, kernel in zip(sizes, KERNELS, strict=True):
            layers += [conv_norm(size, outputs, kernel), nn.ReLU()]
        self.main = nn.Sequential(*layers[:-1])  # the last rectifier comes after the sum
        same = inputs == outputs
        self.shortcut = nn.BatchNorm2d(outputs) if same else conv_norm(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, time, inputs)`` to ``(batch, time, outputs)``."""
        image = to_image(x)  # (B, C, 1, T)
        return to_clip((self.main(image) + self.shortcut(image)).relu())


def resnet1d(channels: int, width: int = 32) -> nn.Sequential:
    """ResNet for time series, three blocks of kernels 8, 5 and 3; a step sees 40 frames.

    Wang, Yan and Oates, "Time series classification from scratch with deep neural networks: a strong
    baseline" (IJCNN 2017); blocks and short cuts as in the authors' code. The first block has ``width``
    channels; the second, the third and so the output have twice as many. Published: 64. Half of it costs
    a quarter of the time.
    """
    sizes = [channels, width, 2 * width, 2 * width]
    return nn.Sequential(*(ResidualBlock(i, o) for i, o in pairwise(sizes)))
