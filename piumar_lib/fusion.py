"""Adaptive fusion of TFAM's two views, and the regulariser that pulls people's features together."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from piumar_lib.running import RunningMean
from piumar_lib.support.data_parallel import sum_over_processes
from piumar_lib.support.ranges import NonNegative, ShareAboveZero, checked
from piumar_lib.transport import at_least_single, gaussian_w2_diagonal, variance_over_time

EVERY = 4  # batches between comparisons of gradients; each comparison costs two short backward passes


def mix(a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    """``g mean(a, b) + (1 - g) min(a, b)``: between the mean of two views' features and their minimum.

    Features are ``(..., channels)``; the weight of the mean is in [0, 1], shape ``(..., 1)``.
    """
    return g * (a + b) / 2 + (1 - g) * torch.minimum(a, b)


class AdaptiveFusion(nn.Module):
    """Fuse two views by how well they agree on *this* clip, compared with other clips.

    ``fused = g mean(a, b) + (1 - g) min(a, b)``: where the views disagree, only features that are active
    in both are kept. The gate is ``g = sigmoid(weight c + bias)``; c is the cosine of the two views'
    features about their running mean, standardised by its own running mean and deviation. Averages of
    rectified features all have similar directions: without centring and standardising, their cosine is
    0.99 for every clip, and g is a constant. The bias is learned. The weight is fixed at 1: training
    people are soon recognised without errors, so nothing in the loss rewards a low gate, and a learned
    weight would shrink until g is a constant again.

    Args:
        channels: Channels of the features.
    """

    no_weight_decay = ("bias",)
    weight: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(()))
        self.bias = nn.Parameter(torch.zeros(()))
        self.center = RunningMean(channels)
        self.mean, self.variance = RunningMean(), RunningMean(start=1.0)  # of the cosine

    @torch.no_grad()
    def agreement(self, a: Tensor, b: Tensor) -> Tensor:
        """Standardised agreement of features ``(batch, ..., channels)``, shape ``(batch, ...)``.

        No gradient flows through it: the views should agree because their contents do, not to open the
        gate.
        """
        if self.training:
            self.center.update((a + b).flatten(0, -2).mean(0) / 2)
        center = self.center.mean.to(a)
        cosine = F.cosine_similarity(a - center, b - center, dim=-1)
        if self.training:
            self.mean.update(cosine.mean())
            self.variance.update((cosine - self.mean.mean).square().mean())
        return (cosine - self.mean.mean) / (self.variance.mean + 1e-6).sqrt()

    def gate(self, a: Tensor, b: Tensor) -> Tensor:
        """The gate g, the weight of the mean of both views, in (0, 1), shape ``(batch, ..., 1)``."""
        z = self.agreement(a, b)
        return torch.sigmoid(self.weight * z + self.bias).to(a.dtype)[..., None]

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Fuse features of equal shape ``(batch, ..., channels)`` to the same shape.

        Raises:
            ValueError: If the shapes differ.
        """
        if a.shape != b.shape:
            raise ValueError(f"a, b: shapes {tuple(a.shape)}, {tuple(b.shape)} differ. Make them equal.")
        return mix(a, b, self.gate(a, b))


class WassersteinRegularizer(nn.Module):
    """Pull each clip's distribution of features over time to its class's running barycentre.

    A clip's frames are summarised as a Gaussian with independent channels. The barycentre of such
    distributions has their average mean and average standard deviation, and the regulariser is the mean
    squared 2-Wasserstein distance to it, divided by the number of channels. Its weight keeps the norm of
    its gradient with respect to the features at a given ratio to the norm of the cross-entropy's,
    whatever the scales of features and loss; a constant weight is either negligible at first or dominant
    later.

    Barycentres and weight are computed from the clips of all processes.

    Args:
        classes: Number of classes.
        channels: Channels of the features.
        share: Norm of the regulariser's gradient, relative to the cross-entropy's; 0 switches it off.
        momentum: Weight of the newest batch in a class's barycentre.

    Raises:
        ValueError: If ``share`` is negative, or ``momentum`` is not in (0, 1].
    """

    barycenter: Tensor
    known: Tensor

    @checked
    def __init__(
        self, classes: int, channels: int, share: NonNegative = 0.1, momentum: ShareAboveZero = 0.1
    ) -> None:
        super().__init__()
        self.share, self.momentum = share, momentum
        self.register_buffer("barycenter", torch.zeros(classes, 2 * channels))  # mean, then deviation
        self.register_buffer("known", torch.zeros(classes, dtype=torch.bool))
        self.ratio = RunningMean(momentum=0.2)  # of the two gradients' norms
        self.calls = 0

    def distance(self, frames: Tensor, y: Tensor) -> Tensor:
        """Update the classes' barycentres, then return the clips' mean squared distance to them.

        Features are ``(batch, time, channels)``, their classes ``(batch,)``.
        """
        with torch.autocast(frames.device.type, enabled=False):
            frames = at_least_single(frames)
            sd = (variance_over_time(frames) + 1e-8).sqrt()
            summary = torch.cat([frames.mean(1), sd], dim=1).to(self.barycenter)  # (B, 2 C)
            self.observe(summary.detach(), y)
            mean, sd = summary.chunk(2, dim=1)
            barycenter = self.barycenter[y].chunk(2, dim=1)
            return gaussian_w2_diagonal(mean, sd, *barycenter).mean() / mean.shape[1]

    def observe(self, summary: Tensor, y: Tensor) -> None:
        """Move the barycentres of the classes in the batch; the first clips of a class start its own.

        Clips with NaN or infinite entries are ignored.
        """
        classes = torch.arange(len(self.known), device=y.device)
        finite = summary.isfinite().all(1, keepdim=True)
        members = ((y[:, None] == classes) & finite).to(summary)  # (B, classes)
        summary = torch.where(finite, summary, 0.0)
        count = sum_over_processes(members.sum(0))[:, None]
        mean = sum_over_processes(members.T @ summary) / count.clamp_min(1)
        weight = torch.full_like(count, self.momentum).where(self.known[:, None], 1.0) * (count > 0)
        self.barycenter = self.barycenter.lerp(mean, weight)
        self.known = self.known | (count[:, 0] > 0)

    def forward(self, entropy: Tensor, frames: Tensor, y: Tensor) -> Tensor:
        """The regulariser, weighted against ``entropy``, the scalar cross-entropy of ``frames``."""
        if self.share == 0:
            return entropy.new_zeros(())
        distance = self.distance(frames, y)
        if self.calls % EVERY == 0:
            ours, theirs = (_gradient_size(term, frames) for term in (distance, entropy))
            # No class has a second clip yet: the distance is 0, from which no weight can be estimated.
            self.ratio.update(torch.where(ours > 0, theirs / ours, torch.nan))
        self.calls += 1
        return self.share * self.ratio.mean * distance

    def get_extra_state(self) -> Tensor:
        """Batches so far, on which the next comparison depends; saved with the buffers."""
        return torch.tensor(self.calls)

    def set_extra_state(self, state: Tensor) -> None:
        """Restore what `get_extra_state` returned."""
        self.calls = int(state)


def _gradient_size(term: Tensor, frames: Tensor) -> Tensor:
    """Norm of the gradient of a mean over clips with respect to ``frames``, over all processes."""
    # Of the sum over clips and frames: in half precision the gradient of the mean would underflow.
    many = frames[..., 0].numel() * term
    (gradient,) = torch.autograd.grad(many, frames, retain_graph=True)
    return sum_over_processes(at_least_single(gradient).square().sum()).sqrt()
