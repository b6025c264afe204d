"""TFAM, the feature-level half of PIUmr: two views of a clip, and a fusion that asks if they agree.

The *temporal branch* puts every clip on a common clock (`piumar_lib.transport`); the *frequency
branch* perturbs spectra by as much as people differ (`piumar_lib.spectrum`), in training only. Both
views go through the same remaining layers and are fused by how well they agree.

Each branch, and TFAM itself, is a plug for `piumar_lib.recognizer.Recognizer`: it has
``views(x, y)``, which turns clips ``(batch, time, channels)`` into a list of one or two views
``(batch, steps, channels)``. The paper publishes no equations; these definitions are ours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from piumar_lib import spectrum, transport

TRANSPORTS = ("exact", "sinkhorn")
MASSES = ("motion", "uniform", "learned", "above noise")
FUSIONS = ("minimum", "mean", "fall back", "learned")


class TemporalBranch(nn.Module):
    """Align clips to a common clock by optimal transport of motion energy.

    Args:
        channels: Channels of the clips.
        steps: Canonical steps K; by default as many as the clip has frames.
        transport: ``"exact"`` (monotone plan to equal steps) or ``"sinkhorn"`` (entropic plan to
            learnable anchors, with a temporal prior that keeps the order).
        mass: ``"motion"``; ``"uniform"`` as a control (the same resampling, nothing aligned);
            ``"learned"``, motion times a learned factor for each moment; ``"above noise"``, only
            motion beyond the clip's median, as the rest may be the sensor's noise.
        amplitude_step: Share alpha of the way towards unit spread, on a logarithmic scale:
            ``x s^-alpha``, with ``s^2`` the mean over channels of the variance over time; 0 to omit.
            (McCann's interpolation would leave the spread ``(1 - alpha) s + alpha``.)
        anchors: Number of anchors of ``"sinkhorn"`` if ``steps`` is not given.
        floor: Where the share of evenly spread mass starts; it is learned.
        epsilon, prior: Temperature and weight of the temporal prior, for ``"sinkhorn"``.
        iterations: Sinkhorn iterations.

    Raises:
        ValueError: If an option is unknown, or ``floor`` is not in (0, 1).
    """

    def __init__(
        self,
        channels: int,
        steps: int | None = None,
        transport: str = "exact",
        mass: str = "motion",
        amplitude_step: float = 0.5,
        anchors: int = 16,
        epsilon: float = 0.05,
        prior: float = 4.0,
        iterations: int = 30,
        floor: float = 0.5,
    ) -> None:
        super().__init__()
        if transport not in TRANSPORTS:
            raise ValueError(f"transport: {transport!r} is unknown. Choose from {TRANSPORTS}.")
        if mass not in MASSES:
            raise ValueError(f"mass: {mass!r} is unknown. Choose from {MASSES}.")
        self.transport, self.mass, self.steps = transport, mass, steps
        self.amplitude_step = amplitude_step
        self.epsilon, self.prior, self.iterations = epsilon, prior, iterations
        if not 0 < floor < 1:
            raise ValueError(f"floor: {floor} is no share. Choose it in (0, 1).")
        self.floor_logit = nn.Parameter(torch.logit(torch.tensor(float(floor))))
        if mass == "learned":
            self.score = nn.Linear(channels, 1)
            nn.init.zeros_(self.score.weight)  # at first, motion alone decides
            nn.init.zeros_(self.score.bias)
        if transport == "sinkhorn":
            self.anchors = nn.Parameter(torch.randn(steps or anchors, channels))

    @property
    def floor(self) -> Tensor:
        """Share of the mass that is spread evenly over time, in (0, 1)."""
        return self.floor_logit.sigmoid()

    def clock(self, x: Tensor) -> Tensor:
        """Mass on each moment, shape ``(batch, time)``."""
        energy = transport.motion_energy(x)
        if self.mass == "uniform":
            energy = torch.ones_like(energy)
        if self.mass == "learned":
            energy = energy * self.score(F.layer_norm(x, x.shape[-1:]))[..., 0].clamp(-3, 3).exp()
        if self.mass == "above noise":
            energy = (energy - energy.median(1, keepdim=True).values).clamp_min(0)
        return transport.time_mass(energy, self.floor)

    def plan(self, x: Tensor) -> Tensor:
        """Transport plan from time to canonical steps, shape ``(batch, time, steps)``."""
        mass = self.clock(x)
        if self.transport == "exact":
            return transport.exact_plan(mass, self.steps or x.shape[1], check=False)
        steps = len(self.anchors)
        frames = F.normalize(F.layer_norm(x, x.shape[-1:]), dim=-1)
        cost = 1 - frames @ F.normalize(self.anchors, dim=-1).T
        when = (torch.arange(x.shape[1], device=x.device, dtype=x.dtype) + 0.5) / x.shape[1]
        then = (torch.arange(steps, device=x.device, dtype=x.dtype) + 0.5) / steps
        cost = cost + self.prior * (when[:, None] - then[None, :]).square()
        equal = cost.new_full((steps,), 1 / steps)
        return transport.sinkhorn_plan(
            cost, mass, equal, self.epsilon, self.iterations, check=False
        )

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

    def views(self, x: Tensor, y: Tensor | None = None) -> list[Tensor]:
        """The aligned clip alone."""
        return [self(x)]


class FrequencyBranch(nn.Module):
    """Perturb spectra, guided by their variance within classes; the identity in evaluation.

    Args:
        scale: Size s of the perturbation, in standard deviations; 0 makes it the identity.
        probability: Chance of each clip to be perturbed.
        variance: ``"within"`` classes, or ``"total"``.
        noise: One of `piumar_lib.spectrum.NOISES`.
        transform: One of `piumar_lib.spectrum.TRANSFORMS`.

    Raises:
        ValueError: If an option is unknown or out of range.
    """

    def __init__(
        self,
        scale: float = 1.0,
        probability: float = 0.5,
        variance: str = "within",
        noise: str = "independent",
        transform: str = "fft",
    ) -> None:
        super().__init__()
        options = {
            "variance": (variance, ("within", "total")),
            "noise": (noise, spectrum.NOISES),
            "transform": (transform, spectrum.TRANSFORMS),
        }
        for name, (value, known) in options.items():
            if value not in known:
                raise ValueError(f"{name}: {value!r} is unknown. Choose from {known}.")
        if scale < 0 or not 0 <= probability <= 1:
            raise ValueError(
                f"scale, probability: {scale}, {probability} are out of range. "
                "Choose scale >= 0 and probability in [0, 1]."
            )
        self.scale, self.probability, self.variance = scale, probability, variance
        self.noise, self.transform = noise, transform
        self.given: Tensor | None = None  # noise for the next batch, such as the worst direction

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Perturb ``x`` ``(batch, time, channels)``; ``y`` ``(batch,)`` are its classes."""
        if not self.training or self.scale == 0:
            return x
        noise = self.noise if self.given is None else self.given
        y = y if self.variance == "within" else None
        return spectrum.perturb(x, y, self.scale, self.probability, noise, self.transform)

    def views(self, x: Tensor, y: Tensor | None = None) -> list[Tensor]:
        """The perturbed clip alone."""
        return [self(x, y)]


class Reclock(nn.Module):
    """Transport as augmentation: play clips on the clocks of others; the identity in evaluation.

    Where `TemporalBranch` takes tempo away, this varies it, by as much as real clips of the class
    differ: the twin in time of `FrequencyBranch`. A clip goes a random part of the way
    (`piumar_lib.transport.reclock`) to the clock of another clip of its class.

    Args:
        probability: Chance of each clip.
        floor: Share of the clocks' mass that is spread evenly, in (0, 1).
        amplitude: Go the same part of the way to the other clip's size of movement, on a
            logarithmic scale.
    """

    def __init__(self, probability: float = 0.5, floor: float = 0.5, amplitude: bool = False) -> None:
        super().__init__()
        if not (0 <= probability <= 1 and 0 < floor < 1):
            raise ValueError(
                f"probability, floor: {probability}, {floor} are out of range. "
                "Choose probability in [0, 1] and floor in (0, 1)."
            )
        self.probability, self.floor, self.amplitude = probability, floor, amplitude

    @torch.no_grad()
    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Re-clock ``x`` ``(batch, time, channels)``; ``y`` ``(batch,)`` are its classes."""
        if not self.training:
            return x
        wide = transport.at_least_single(x)
        # Somebody else of the class, at random; the clip itself if there is nobody.
        draw = torch.rand(len(x), len(x), device=x.device)
        if y is not None:
            draw = draw.masked_fill(y[:, None] != y, -1)
        other = draw.fill_diagonal_(-0.5).argmax(1)
        share = torch.rand(len(x), 1, device=x.device)
        share = share * (torch.rand(len(x), 1, device=x.device) < self.probability)
        mass = transport.time_mass(transport.motion_energy(wide), self.floor)
        moved = transport.reclock(wide, mass, mass[other], share)
        if self.amplitude:
            mean = moved.mean(1, keepdim=True)
            size = (transport.variance_over_time(wide).mean(-1) + 1e-8).sqrt()[:, None]
            moved = mean + (size[other] / size).pow(share)[..., None] * (moved - mean)
        return moved.to(x.dtype)

    def views(self, x: Tensor, y: Tensor | None = None) -> list[Tensor]:
        """The re-clocked clip alone."""
        return [self(x, y)]


class ConsistencyFusion(nn.Module):
    """Fuse two views by how well they agree: ``g = sigmoid(w cos(a, b) + b)``, in (0, 1).

    Args:
        kind: ``"minimum"``: ``g mean(a, b) + (1 - g) min(a, b)``; where views disagree, only what both
            of them see is kept. ``"fall back"``: ``g mean(a, b) + (1 - g) b``; where they disagree,
            the second view alone decides. ``"learned"``: ``g a + (1 - g) b``, with g from a linear
            layer on both views' features. ``"mean"``: ``mean(a, b)``.
        width: Channels of the features; needed for ``"learned"`` only.

    Raises:
        ValueError: If the kind is unknown, or lacks its width.
    """

    def __init__(self, kind: str = "minimum", width: int | None = None) -> None:
        super().__init__()
        if kind not in FUSIONS or (kind == "learned" and not width):
            raise ValueError(
                f"kind, width: {kind!r}, {width} do not go together. Choose kind from {FUSIONS}; "
                "'learned' needs the features' width."
            )
        self.kind = kind
        self.weight = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.zeros(()))
        if kind == "learned":
            self.choose = nn.Linear(2 * width, 1)

    def gate(self, a: Tensor, b: Tensor) -> Tensor:
        """Trust in the mean (for ``"learned"``, in ``a``), in (0, 1), shape ``(batch, ..., 1)``."""
        if self.kind == "learned":
            return self.choose(torch.cat([a, b], dim=-1)).sigmoid()
        return torch.sigmoid(self.weight * F.cosine_similarity(a, b, dim=-1) + self.bias)[..., None]

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Fuse features of equal shape ``(batch, ..., channels)`` to the same shape."""
        mean = (a + b) / 2
        if self.kind == "mean":
            return mean
        g = self.gate(a, b)
        if self.kind == "learned":
            return torch.lerp(b, a, g)
        return g * mean + (1 - g) * (torch.minimum(a, b) if self.kind == "minimum" else b)


class TFAM(nn.Module):
    """Temporal and frequency branch, fused by consistency.

    Use it in one line on any model that yields a sequence, ``fused = tfam(features, y)``, or give it
    to `piumar_lib.recognizer.Recognizer`, which sends both views through the remaining layers,
    supervises each, and asks them to agree.

    Args:
        temporal: The temporal branch (or `Reclock`), or None for an identity view.
        frequency: The frequency branch, or None for an identity view.
        fusion: How views are fused; by default `ConsistencyFusion` with the minimum.
    """

    def __init__(
        self,
        temporal: TemporalBranch | Reclock | None = None,
        frequency: FrequencyBranch | None = None,
        fusion: ConsistencyFusion | None = None,
    ) -> None:
        super().__init__()
        self.temporal, self.frequency = temporal, frequency
        self.fusion = fusion or ConsistencyFusion()

    def views(self, x: Tensor, y: Tensor | None = None) -> list[Tensor]:
        """The aligned and the perturbed view of ``x``, both ``(batch, steps, channels)``."""
        aligned = x if self.temporal is None else self.temporal(x, y)
        perturbed = x if self.frequency is None else self.frequency(x, y)
        if aligned.shape[1] != perturbed.shape[1]:
            # As many steps as the aligned view, evenly; in full precision, as there.
            with torch.autocast(x.device.type, enabled=False):
                wide = transport.at_least_single(perturbed)
                even = wide.new_full(x.shape[:2], 1 / x.shape[1])
                plan = transport.exact_plan(even, aligned.shape[1], check=False)
                perturbed = transport.barycentric_projection(plan, wide).to(x.dtype)
        return [aligned, perturbed]

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Both views of ``x`` ``(batch, time, channels)``, fused to ``(batch, steps, channels)``."""
        return self.fusion(*self.views(x, y))


def js_divergence(logits_a: Tensor, logits_b: Tensor) -> Tensor:
    """Jensen-Shannon divergence between predictions, in nats, in [0, log 2], batch mean.

    Args:
        logits_a, logits_b: Shape ``(batch, classes)``.

    Returns:
        A scalar.
    """
    log_a, log_b = logits_a.log_softmax(-1), logits_b.log_softmax(-1)
    middle = torch.logaddexp(log_a, log_b) - math.log(2)
    to_a = F.kl_div(middle, log_a, reduction="batchmean", log_target=True)
    to_b = F.kl_div(middle, log_b, reduction="batchmean", log_target=True)
    return (to_a + to_b) / 2
