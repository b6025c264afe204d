"""Temporal branch of TFAM: put every clip on a common clock by optimal transport of its motion.

Three ideas, each a small module. A *clock* says how much mass each moment bears: `MotionClock`, or
`UniformClock` as its control. A *transport* carries the mass to equal steps: `MonotoneAlignment`, or
`SinkhornAlignment` to learned anchors. `AmplitudeNormalization` makes movements alike in size.

The definitions are ours, the paper has no equations; transports: Peyre and Cuturi, "Computational
Optimal Transport", section 2.6, and Cuturi (2013).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from piumar_lib import transport
from piumar_lib.plug_in import PlugIn
from piumar_lib.running import RunningMean, require_clips
from piumar_lib.support.ranges import Count, InnerShare, Positive, Range, Share, checked


def centered_motion_energy(x: Tensor) -> Tensor:
    """Motion energy of each frame: the mean length of the steps from and to its neighbours.

    `transport.motion_energy` is delayed by half a frame, which is a larger fraction of a fast movement
    than of a slow one. Averaging over more frames would give mass to the rest before and after a fast
    movement. From ``(batch, time, channels)`` to ``(batch, time)``, in the same unit.

    Raises:
        ValueError: If there are fewer than 2 frames.
    """
    if x.shape[1] < 2:
        raise ValueError(f"x: {x.shape[1]} frame shows no motion. Give clips of at least 2.")
    steps = x.diff(dim=1).norm(dim=-1)  # (B, T - 1); torch's gradient is 0 at rest
    steps = F.pad(steps[:, None], (1, 1), mode="replicate")[:, 0]  # (B, T + 1)
    return (steps[:, 1:] + steps[:, :-1]) / 2


def noise_energy(x: Tensor) -> Tensor:
    """Median motion energy of the noise: what `centered_motion_energy` returns at rest.

    The second difference of a smooth movement is close to zero. The second difference of white noise is
    distributed as sqrt(3) times the first, because their variances are 6 and 2 times that of the noise,
    whatever its covariance over channels. The median therefore tolerates motion in half of all frames.
    Frames without any change are ignored. A scalar in units of the clips ``(batch, time, channels)``; 0
    if there are fewer than three frames.
    """
    bend = x.diff(n=2, dim=1).norm(dim=-1)  # (B, T - 2)
    bend = torch.where(bend > 0, bend, math.nan)
    return bend.nanmedian().nan_to_num(0.0) / math.sqrt(3) if bend.numel() else bend.sum()


class MotionClock(nn.Module):
    """Distribution of mass over time, in proportion to the motion energy above the sensor's noise.

    The noise is a running estimate over the training batches, not the clip's own median: a clip that
    moves all the time keeps all of its motion.

    Args:
        floor: Initial fraction of the mass that is uniform over time; it is learned. This fraction keeps
            the original clock, so alignment reduces the distance between two tempi to about ``floor``
            times the unaligned distance.

    Raises:
        ValueError: If ``floor`` is out of range.
    """

    no_weight_decay = ("floor_logit",)

    @checked
    def __init__(self, floor: InnerShare = 0.1) -> None:
        super().__init__()
        self.floor_logit = nn.Parameter(torch.logit(torch.tensor(float(floor))))
        self.noise = RunningMean()

    @property
    def floor(self) -> Tensor:
        """Fraction of the mass that is uniform over time, in (0, 1)."""
        return self.floor_logit.sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Masses ``(batch, time)``, sum one, of clips ``(batch, time, channels)``."""
        if self.training:
            self.noise.update(noise_energy(x.detach()))
        motion = (centered_motion_energy(x) - self.noise.mean).clamp_min(0)
        return transport.time_mass(motion, self.floor)


class UniformClock(nn.Module):
    """The control: equal mass on each moment, so that clips are resampled and nothing is aligned."""

    def forward(self, x: Tensor) -> Tensor:
        """Masses ``(batch, time)``, sum one, of clips ``(batch, time, channels)``."""
        return x.new_full(x.shape[:2], 1 / x.shape[1])


class AmplitudeNormalization(nn.Module):
    """Bring movements to a common amplitude: ``mean + (x - mean) (size / typical size) ^ -step``.

    The size of a clip is the root of its variance over time, averaged over channels; the typical one is
    the running mean of the batches' medians. The clip's mean over time, its posture, stays.

    Args:
        step: Fraction of the distance to the typical size, on a logarithmic scale; 0 is the identity.
        limit: Bound on the ratio of sizes, which is clamped to ``[1 / limit, limit]``: noise is not
            amplified without bound, and a clip without motion stays without motion.

    Raises:
        ValueError: If an option is out of range.
    """

    @checked
    def __init__(self, step: Share = 0.5, limit: float = 20.0) -> None:
        super().__init__()
        Range(1).check("limit", limit)
        self.step, self.limit = step, limit
        self.size = RunningMean(start=1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Clips ``(batch, time, channels)`` in, the same shape out."""
        if self.step == 0:
            return x
        mean = x.mean(1, keepdim=True)
        motion = x - mean
        size = motion.flatten(1).norm(dim=1) / math.sqrt(motion[0].numel())  # (B,)
        if self.training:
            self.size.update(size.detach().median())
        ratio = (size / self.size.mean.clamp_min(1e-6)).clamp(1 / self.limit, self.limit)
        return torch.addcmul(mean, motion, ratio.pow(-self.step)[:, None, None])


class _Alignment(PlugIn, ABC):
    """Base class of both transports: the clock, then the projection, then the amplitude."""

    def __init__(self, clock: nn.Module | None, amplitude_step: float) -> None:
        super().__init__()
        self.clock = MotionClock() if clock is None else clock
        self.amplitude = AmplitudeNormalization(amplitude_step)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Align clips ``(batch, time, channels)`` to ``(batch, steps, channels)``.

        Raises:
            ValueError: If ``x`` is no batch of clips of at least two frames.
        """
        require_clips(x)
        # Cumulative masses and Sinkhorn's sums need more digits than half precision has.
        with torch.autocast(x.device.type, enabled=False):
            wide = transport.at_least_single(x)
            aligned = transport.barycentric_projection(self.plan(wide), wide)  # (B, K, C)
            # After the alignment, because a movement's size then no longer depends on its duration.
            return self.amplitude(aligned).to(x.dtype)

    @abstractmethod
    def plan(self, x: Tensor) -> Tensor:
        """Transport plan from time to canonical steps, shape ``(batch, time, steps)``."""

    @torch.no_grad()
    def fit(self, x: Tensor) -> Self:
        """Estimate noise and typical size on clips ``(n, time, channels)``; returns the module."""
        training = self.training
        self.train()(x)
        return self.train(training)


class MonotoneAlignment(_Alignment):
    """Exact transport of the clock's mass to equal steps: monotone, closed form, no iterations.

        aligned = MonotoneAlignment().fit(clips)(clips)

    Args:
        steps: Canonical steps K, though no more than the clip has frames. Sixteen steps are coarse
            enough to tolerate small errors of the clock, and make later layers twice as fast at 32
            frames.
        clock: Module that maps clips to masses over time, `MotionClock` by default.
        amplitude_step: Exponent of the amplitude normalisation, in [0, 1]; see `AmplitudeNormalization`.

    Raises:
        ValueError: If an option is out of range.
    """

    @checked
    def __init__(
        self, steps: Count = 16, clock: nn.Module | None = None, amplitude_step: Share = 0.5
    ) -> None:
        super().__init__(clock, amplitude_step)
        self.steps = steps

    def plan(self, x: Tensor) -> Tensor:
        """Transport plan from time to canonical steps, shape ``(batch, time, steps)``."""
        return transport.monotone_coupling(self.clock(x), min(self.steps, x.shape[1]), check=False)


class SinkhornAlignment(_Alignment):
    """Entropic transport of the clock's mass to learned anchors, which a temporal prior keeps in order.

    The cost is ``1 - cos(LN(x_t), anchor_k) + prior ((t + 1/2)/T - (k + 1/2)/K)^2``, t and k from 0.
    Iterations run until no clip has more than ``tolerance`` of its mass in the wrong frame, so that the
    gradient, by the implicit function theorem, belongs to the plan that is returned.

    Args:
        channels: Channels of the clips.
        steps: Anchors, one for each canonical step K.
        clock: Module that maps clips to masses over time, `MotionClock` by default.
        amplitude_step: Exponent of the amplitude normalisation, in [0, 1]; see `AmplitudeNormalization`.
        epsilon: Temperature, in units of the cost.
        prior: Weight of the temporal prior.
        tolerance: Fraction of a clip's mass that may lie in the wrong frame.
        iterations: Largest number of Sinkhorn iterations (pairs of updates).

    Attributes:
        marginal_error: The largest fraction of mass in the wrong frame in the last batch.

    Raises:
        ValueError: If an option is out of range.
    """

    @checked
    def __init__(
        self,
        channels: int,
        steps: Count = 16,
        clock: nn.Module | None = None,
        amplitude_step: Share = 0.5,
        epsilon: Positive = 0.05,
        prior: float = 4.0,
        tolerance: Positive = 1e-3,
        iterations: Count = 2000,
    ) -> None:
        super().__init__(clock, amplitude_step)
        self.epsilon, self.prior = epsilon, prior
        self.tolerance, self.iterations = tolerance, iterations
        self.anchors = nn.Parameter(torch.randn(steps, channels))
        self.register_buffer("marginal_error", torch.zeros(()), persistent=False)

    def cost(self, x: Tensor) -> Tensor:
        """Cost of sending each frame to each anchor, shape ``(batch, time, steps)``."""
        frames, anchors = F.layer_norm(x, x.shape[-1:]), self.anchors.to(x)
        unlike = 1 - F.normalize(frames, dim=-1) @ F.normalize(anchors, dim=-1).T
        when, then = (
            (torch.arange(n, device=x.device, dtype=x.dtype) + 0.5) / n
            for n in (x.shape[1], len(anchors))
        )
        return unlike + self.prior * (when[:, None] - then).square()

    def plan(self, x: Tensor) -> Tensor:
        """Transport plan from time to anchors, shape ``(batch, time, steps)``."""
        mass, steps = self.clock(x), len(self.anchors)
        equal = x.new_full((steps,), 1 / steps)
        plan = transport.sinkhorn_plan(
            self.cost(x), mass, equal, self.epsilon, self.iterations, self.tolerance, check=False
        )
        with torch.no_grad():
            self.marginal_error = ((plan.sum(2) - mass).abs().sum(1) / 2).amax()
        return plan
