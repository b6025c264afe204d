"""Optimal transport as augmentation instead of alignment."""

from __future__ import annotations

import torch
from torch import Tensor

from piumar_lib import transport
from piumar_lib.perturbation import another_of_class
from piumar_lib.plug_in import PlugIn
from piumar_lib.support.ranges import InnerShare, Share, checked


class Reclock(PlugIn):
    """Transport as augmentation: play clips on the clocks of others; the identity in evaluation.

    Where alignment takes tempo away, this varies it, by as much as real clips of the class differ: the
    twin in time of spectral perturbation. A clip goes a random part of the way
    (`piumar_lib.transport.reclock`) to the clock of another clip of its class.

    Args:
        probability: Probability of re-clocking a clip.
        floor: Share of the clocks' mass that is spread evenly.
    """

    @checked
    def __init__(self, probability: Share = 0.5, floor: InnerShare = 0.5) -> None:
        super().__init__()
        self.probability, self.floor = probability, floor

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Re-clock ``x`` ``(batch, time, channels)``; ``y`` ``(batch,)`` are its classes."""
        if not self.training:
            return x
        wide = transport.at_least_single(x)
        other = another_of_class(x.new_zeros(len(x)) if y is None else y)
        share = torch.rand(len(x), 1, device=x.device)
        share = share * (torch.rand(len(x), 1, device=x.device) < self.probability)
        # The clocks are constants for back-propagation, so that features do not learn to set them.
        mass = transport.time_mass(transport.motion_energy(wide.detach()), self.floor)
        moved = transport.reclock(wide, mass, mass[other], share)
        return moved.to(x.dtype)
