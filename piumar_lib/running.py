"""Running estimates: statistics that one batch is too small for, averaged over training batches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from piumar_lib.support.data_parallel import average_over_processes, sum_over_processes


class RunningMean(nn.Module):
    """Mean of a statistic over batches: arithmetic at first, then an exponential moving average.

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
        """Update with a batch's statistic; NaN and infinite entries are ignored.

        A statistic without finite entries changes nothing. With several processes, each computes the
        statistic of its part of the batch, and all update with the average.
        """
        finite = value.isfinite()
        some = (sum_over_processes(finite.any().to(self.mean)) > 0).to(self.mean)
        value = average_over_processes(torch.where(finite, value, self.mean).to(self.mean))
        weight = (1 / (self.updates + 1)).clamp_min(self.momentum) * some
        # New tensors, because the backward pass of a loss over two batches still needs the old ones.
        self.mean, self.updates = self.mean.lerp(value, weight), self.updates + some


def require_clips(x: Tensor) -> None:
    """Raise unless ``x`` is a batch of clips.

    Raises:
        ValueError: If ``x`` is not ``(batch, time, channels)``, is empty, or has an integer type.
    """
    if x.ndim != 3:
        raise ValueError(f"x: shape {tuple(x.shape)} is not (batch, time, channels). Add what lacks.")
    if 0 in x.shape:
        raise ValueError(f"x: shape {tuple(x.shape)} holds nothing. Give at least one clip.")
    if not x.is_floating_point():
        raise ValueError(f"x: {x.dtype} has no fractions. Give floating point: x.float().")
