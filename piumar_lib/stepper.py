"""Gradients and optimiser steps, as an objective uses them.

This one is for a single process and clips in memory; `piumar_lib.ma52.stepper` distributes the work over
processes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from piumar_lib.batch import Batch


class Stepper:
    """Gradients and steps of an optimiser, of the model's parameters and of the objective's, if any.

    A ``schedule`` changes the learning rate from step to step; None keeps it constant.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
    ) -> None:
        self.optimizer, self.schedule = optimizer, schedule

    def begin(self, step: int) -> None:
        """Called before each step, numbered from 0, with its number."""
        if self.schedule is not None and step > 0:
            self.schedule.step()

    def gradient(self, loss: Callable[[Batch], Tensor], batch: Batch) -> Tensor:
        """Replace the stored gradient by that of ``loss(batch)``; return the loss, detached.

        Raises:
            FloatingPointError: If the loss is NaN or infinite; there is no gradient then.
        """
        value = loss(batch)
        require_finite(value)
        self.optimizer.zero_grad()
        value.backward()
        return value.detach()

    def step(self) -> None:
        """Update the parameters with the stored gradient."""
        self.optimizer.step()


def require_finite(loss: Tensor) -> None:
    """Stop training if it has diverged.

    Raises:
        FloatingPointError: If the loss is NaN or infinite.
    """
    if not torch.isfinite(loss):
        raise FloatingPointError(
            f"loss is {loss.item()}. Lower the learning rate or the method's weights, or look for "
            "extreme values in the data."
        )
