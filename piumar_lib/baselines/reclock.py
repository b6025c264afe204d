"""Optimal transport as augmentation instead of alignment."""

from __future__ import annotations

import torch
from torch import Tensor

from piumar_lib import transport
from piumar_lib.perturbation import another_of_class
from piumar_lib.plug_in import PlugIn
from piumar_lib.support.ranges import InnerShare, Share, checked


class Reclock(PlugIn):
    """Transport as augmentation: clips are resampled to other clips' clocks; the identity in evaluation.

    Alignment removes tempo; this varies it, by as much as real clips of the class differ: the temporal
    counterpart of spectral perturbation. A clip moves by a random fraction
    (`piumar_lib.transport.reclock`) towards the clock of another clip of its class.

    Args:
        probability: Probability of re-clocking a clip.
        floor: Fraction of the clocks' mass that is uniform over time.
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
