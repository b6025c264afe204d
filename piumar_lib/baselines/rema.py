"""ReMA: replace a part of a clip by that of another clip of its class.

ReMA (arXiv 2601.00311, by the first author of PIUmr) mixes videos of one class as a controlled
replacement. One component defines *how*: the inserted part is aligned in distribution with the part that
it replaces. The other defines *where*: masks of blocks, of size b0 and coverage r, are guided by motion
away from the action.

Ledger. The paper's: replacement within the class, alignment in distribution, masks of blocks with a
coverage that avoid motion. Ours, because we know only the abstract and the interface: alignment is that
of mean and standard deviation over the replaced frames; a clip of signals has no image plane, so blocks
lie on the time axis where the paper's lie in the picture and stay there over time (of video, too: each
pixel is a channel); the distribution from which blocks are drawn; all default values.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from piumar_lib.alignment import centered_motion_energy
from piumar_lib.batch import Batch
from piumar_lib.objective import Objective
from piumar_lib.perturbation import another_of_class
from piumar_lib.recognizer import Model, channel_scale
from piumar_lib.support.ranges import Count, Share, ShareAboveZero, checked


class ReMA(Objective):
    """The first component: a random interval of time is replaced.

    The inserted part gets the mean and the standard deviation of the interval, so that the clip's
    distribution of frames keeps both.

    Args:
        probability: Probability of mixing a clip.
        share: Largest fraction of the clip that is replaced.
    """

    @checked
    def __init__(self, probability: Share = 0.5, share: Share = 0.5) -> None:
        super().__init__()
        self.probability, self.share = probability, share

    def loss(self, model: Model, batch: Batch) -> Tensor:
        """ERM's, on the mixed clips."""
        channels = batch.x.flatten(2)  # (B, T, C); of video each pixel is one
        return super().loss(model, replace(batch, x=self.mix(channels, batch.y).view_as(batch.x)))

    def mix(self, x: Tensor, y: Tensor) -> Tensor:
        """Replace parts of ``x`` ``(batch, time, channels)`` of classes ``y``; same shape."""
        other = x[another_of_class(y)]
        inside = self.where(x)  # (B, T)
        chosen = torch.rand(len(x), 1, device=x.device) < self.probability
        inside = (inside & chosen)[..., None].to(x.dtype)  # (B, T, 1)
        return torch.where(inside > 0, aligned(other, x, inside), x)

    def where(self, x: Tensor) -> Tensor:
        """Frames that may be replaced, a mask of shape ``(batch, time)``: one random interval."""
        n, time, _ = x.shape
        length = self.share * torch.rand(n, 1, device=x.device)
        start = (1 - length) * torch.rand(n, 1, device=x.device)
        at = (torch.arange(time, device=x.device) + 0.5) / time
        return (start <= at) & (at < start + length)


class MaskedReMA(ReMA):
    """Both components: blocks of time are replaced, with probabilities that fall with their motion.

    Blocks are drawn without replacement, each with a probability that is proportional to ``exp(-motion /
    mean motion of the clip)``. In a clip without motion all are equally likely.

    Args:
        probability: Probability of mixing a clip.
        coverage: Fraction r of the clip's blocks that is replaced; rounded, at least one block.
        block: Length b0 of a block, in frames; the last one of a clip may be shorter.

    Raises:
        ValueError: If ``coverage`` or ``block`` is out of range.
    """

    @checked
    def __init__(
        self, probability: Share = 0.5, coverage: ShareAboveZero = 0.25, block: Count = 4
    ) -> None:
        super().__init__(probability, share=coverage)
        self.block = block

    def where(self, x: Tensor) -> Tensor:
        """Frames that may be replaced, a mask of shape ``(batch, time)``: blocks, rather quiet ones.

        Raises:
            ValueError: If clips have fewer than 2 frames.
        """
        owner = torch.arange(x.shape[1], device=x.device) // self.block  # (T,)
        motion = block_motion(x, owner)  # (B, blocks)
        count = max(1, round(self.share * motion.shape[1]))
        # The least of exponential times with rates w are draws by w (Efraimidis and Spirakis, 2006).
        arrival = torch.empty_like(motion).exponential_().log() + motion
        drawn = arrival.argsort(1).argsort(1) < count  # (B, blocks)
        return drawn[:, owner]


def block_motion(x: Tensor, owner: Tensor) -> Tensor:
    """Mean motion energy of each block of time, in units of the clip's; zeros for a still clip.

    Channels of ``x (batch, time, channels)`` count in units of their standard deviation, as the
    recogniser has them. ``owner (time,)`` is the block of each frame, numbered from 0 without gaps; the
    result is ``(batch, blocks)``.

    Raises:
        ValueError: If clips have fewer than 2 frames.
    """
    energy = centered_motion_energy(x / channel_scale(x))  # (B, T)
    total = energy.new_zeros(len(x), int(owner[-1]) + 1).index_add_(1, owner, energy)
    mean = energy.mean(1, keepdim=True)
    return total / owner.bincount() / mean.clamp_min(torch.finfo(mean.dtype).tiny)


def aligned(other: Tensor, x: Tensor, inside: Tensor) -> Tensor:
    """``other`` with the mean and the standard deviation that ``x`` has inside the mask.

    Clips are ``(batch, time, channels)``; ``inside`` is 1 inside and 0 outside, ``(batch, time, 1)``.
    The result, of the clips' shape, is to be used inside the mask only.
    """
    frames = inside.sum(1, keepdim=True).clamp_min(1)

    def moments(z: Tensor) -> tuple[Tensor, Tensor]:
        mean = (inside * z).sum(1, keepdim=True) / frames
        return mean, ((inside * (z - mean).square()).sum(1, keepdim=True) / frames).sqrt()

    (mean, spread), (mean_other, spread_other) = moments(x), moments(other)
    least = 1e-6 * (x.std() / 1e-3).clamp(1e-12, 1)  # clips are raw, and their unit may be tiny
    return mean + (other - mean_other) * spread / spread_other.clamp_min(least)
