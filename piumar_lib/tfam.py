"""The first version of TFAM, the reference in chapter 04 and in the log of attempts.

Its clock is half uniform, its gain does not preserve energy, and its gate is nearly constant. The
version that the course builds and trains is in `piumar_lib.alignment`, `piumar_lib.perturbation`,
`piumar_lib.fusion` and `piumar_lib.temporal_frequency`.

Each branch is a plug-in for `piumar_lib.recognizer.Recognizer`;
`piumar_lib.temporal_frequency.TemporalFrequencyModule` joins them and the gate.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from piumar_lib import spectrum, transport
from piumar_lib.fusion import mix
from piumar_lib.plug_in import PlugIn
from piumar_lib.support.ranges import InnerShare, NonNegative, Share, checked

MASSES = ("motion", "uniform")


class TemporalBranch(PlugIn):
    """Align clips to a common clock by exact transport of motion energy.

    Args:
        steps: Canonical steps K; by default as many as the clip has frames.
        mass: ``"motion"``, or ``"uniform"`` as a control (the same resampling, nothing aligned).
        amplitude_step: Exponent alpha of the normalisation to unit variance: ``x s^-alpha``, with
            ``s^2`` the mean over channels of the variance over time; 0 to omit.
        floor: Initial fraction of the mass that is uniform over time; it is learned.

    Raises:
        ValueError: If ``mass`` is unknown, or ``floor`` is not in (0, 1).
    """

    @checked
    def __init__(
        self,
        *,
        steps: int | None = None,
        mass: str = "motion",
        amplitude_step: float = 0.5,
        floor: InnerShare = 0.5,
    ) -> None:
        super().__init__()
        if mass not in MASSES:
            raise ValueError(f"mass: {mass!r} is unknown. Choose from {MASSES}.")
        self.mass, self.steps, self.amplitude_step = mass, steps, amplitude_step
        self.floor_logit = nn.Parameter(torch.logit(torch.tensor(float(floor))))

    @property
    def floor(self) -> Tensor:
        """Fraction of the mass that is uniform over time, in (0, 1)."""
        return self.floor_logit.sigmoid()

    def clock(self, x: Tensor) -> Tensor:
        """Mass on each moment, shape ``(batch, time)``."""
        energy = transport.motion_energy(x)
        if self.mass == "uniform":
            energy = torch.ones_like(energy)
        return transport.time_mass(energy, self.floor)

    def plan(self, x: Tensor) -> Tensor:
        """Transport plan from time to canonical steps, shape ``(batch, time, steps)``."""
        return transport.monotone_coupling(self.clock(x), self.steps or x.shape[1], check=False)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Align ``x`` ``(batch, time, channels)`` to ``(batch, steps, channels)``."""
        # Cumulative masses and Sinkhorn's sums need more digits than half precision has.
        with torch.autocast(x.device.type, enabled=False):
            wide = transport.at_least_single(x)
            aligned = transport.barycentric_projection(self.plan(wide), wide)
            if self.amplitude_step:
                spread = transport.variance_over_time(wide).mean(-1)[:, None, None] + 1e-8
                aligned = aligned * spread.pow(-self.amplitude_step / 2)
        return aligned.to(x.dtype)


class FrequencyBranch(PlugIn):
    """Perturb spectra, guided by their variance within classes; the identity in evaluation.

    Args:
        scale: Size s of the perturbation, in standard deviations; 0 makes it the identity.
        probability: Probability of perturbing a clip.

    Raises:
        ValueError: If an option is out of range.
    """

    @checked
    def __init__(self, scale: NonNegative = 1.0, probability: Share = 0.5) -> None:
        super().__init__()
        self.scale, self.probability = scale, probability

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Perturb ``x`` ``(batch, time, channels)``; ``y`` ``(batch,)`` are its classes."""
        if not self.training or self.scale == 0:
            return x
        return spectrum.perturb(x, y, self.scale, self.probability)


class ConsistencyFusion(nn.Module):
    """``g mean(a, b) + (1 - g) min(a, b)`` with the gate ``g = sigmoid(w cos(a, b) + v)``."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.zeros(()))

    def gate(self, a: Tensor, b: Tensor) -> Tensor:
        """The gate g, the weight of the mean, in (0, 1), shape ``(batch, ..., 1)``."""
        return torch.sigmoid(self.weight * F.cosine_similarity(a, b, dim=-1) + self.bias)[..., None]

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Fuse features of equal shape ``(batch, ..., channels)`` to the same shape."""
        return mix(a, b, self.gate(a, b))
