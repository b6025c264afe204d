"""Running estimates: what a batch alone is too small to tell, averaged over the batches of training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from piumar_lib.support.data_parallel import average_over_processes, sum_over_processes


class RunningMean(nn.Module):
    """Mean of a statistic over batches: the plain one at first, then an exponential moving average.

    Args:
        shape: Shape of the statistic.
        momentum: Weight of the newest batch once there were ``1 / momentum`` of them, in (0, 1].
        start: Value before the first batch.

    Attributes:
        mean: The estimate, shape ``shape``; a buffer, saved with the model.

    Raises:
        ValueError: If ``momentum`` is out of range.
    """

    mean: Tensor
    updates: Tensor

    def __init__(self, *shape: int, momentum: float = 0.05, start: float = 0.0) -> None:
        super().__init__()
        if not 0 < momentum <= 1:
            raise ValueError(f"momentum: must be in (0, 1], got {momentum}.")
        self.momentum = momentum
        self.register_buffer("mean", torch.full(shape, start))
        self.register_buffer("updates", torch.zeros(()))

    @torch.no_grad()
    def update(self, value: Tensor) -> None:
        """Take in a batch's statistic; entries that are no numbers are passed over.

        A statistic without any number is no update. With several processes, that of each one's part of
        the batch: all take in their average.
        """
        finite = value.isfinite()
        some = (sum_over_processes(finite.any().to(self.mean)) > 0).to(self.mean)
        value = average_over_processes(torch.where(finite, value, self.mean).to(self.mean))
        weight = (1 / (self.updates + 1)).clamp_min(self.momentum) * some
        # New tensors, as a loss of two batches still needs the old ones in its backward pass.
        self.mean, self.updates = self.mean.lerp(value, weight), self.updates + some


def require_clips(x: Tensor) -> None:
    """Refuse what is no batch of clips.

    Raises:
        ValueError: If ``x`` is not ``(batch, time, channels)``, holds no clip, or whole numbers.
    """
    if x.ndim != 3:
        raise ValueError(f"x: shape {tuple(x.shape)} is not (batch, time, channels). Add what lacks.")
    if 0 in x.shape:
        raise ValueError(f"x: shape {tuple(x.shape)} holds nothing. Give at least one clip.")
    if not x.is_floating_point():
        raise ValueError(f"x: {x.dtype} has no fractions. Give floating point: x.float().")
