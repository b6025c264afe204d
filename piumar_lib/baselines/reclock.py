"""Optimal transport as augmentation instead of alignment."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from piumar_lib import transport
from piumar_lib.perturbation import another_of_class


class Reclock(nn.Module):
    """Transport as augmentation: play clips on the clocks of others; the identity in evaluation.

    Where alignment takes tempo away, this varies it, by as much as real clips of the class differ: the
    twin in time of spectral perturbation. A clip goes a random part of the way
    (`piumar_lib.transport.reclock`) to the clock of another clip of its class.

    Args:
        probability: Chance of each clip.
        floor: Share of the clocks' mass that is spread evenly, in (0, 1).
    """

    def __init__(self, probability: float = 0.5, floor: float = 0.5) -> None:
        super().__init__()
        if not (0 <= probability <= 1 and 0 < floor < 1):
            raise ValueError(
                f"probability, floor: {probability}, {floor} are out of range. "
                "Choose probability in [0, 1] and floor in (0, 1)."
            )
        self.probability, self.floor = probability, floor

    @torch.no_grad()
    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Re-clock ``x`` ``(batch, time, channels)``; ``y`` ``(batch,)`` are its classes."""
        if not self.training:
            return x
        wide = transport.at_least_single(x)
        other = another_of_class(x.new_zeros(len(x)) if y is None else y)
        share = torch.rand(len(x), 1, device=x.device)
        share = share * (torch.rand(len(x), 1, device=x.device) < self.probability)
        mass = transport.time_mass(transport.motion_energy(wide), self.floor)
        moved = transport.reclock(wide, mass, mass[other], share)
        return moved.to(x.dtype)

    def views(self, x: Tensor, y: Tensor | None = None) -> list[Tensor]:
        """The re-clocked clip alone."""
        return [self(x, y)]
