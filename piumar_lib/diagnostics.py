"""Diagnostics of a recogniser: cross-talk, margins between classes, sharpness of minima.

The paper's first figure names three failure modes. *Cross-talk*: noise in space disturbs features of
motion, and a change of tempo disturbs features of frequency. *Margins*: clips lie as near to another
class as to their own. *Sharpness*: the loss rises steeply around the minimum that training found. Each
has a function here, to be computed before and after applying a method. The paper gives no formulas;
these are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from piumar_lib.augment import warp_time

Encoder = Callable[[Tensor], Tensor]  # (batch, time, channels) to (batch, steps, width)


def motion_magnitude(x: Tensor, frames: int = 16) -> Tensor:
    """Mean length of the step from one frame to the next: the counterpart of optical flow's magnitude.

    Of clips or features ``(batch, time, channels)``, from their first ``frames`` frames, or all if there
    are fewer; in units of ``x`` per frame, shape ``(batch,)``.

    Raises:
        ValueError: If fewer than 2 frames are used.
    """
    seen = x[:, :frames]
    if seen.shape[1] < 2:
        raise ValueError(f"x, frames: {seen.shape[1]} frames show no motion. Use 2 or more.")
    return seen.diff(dim=1).norm(dim=-1).mean(1)


def spectral_entropy(x: Tensor) -> Tensor:
    """Shannon entropy of the power over frequencies, divided by its maximum, ``(batch,)``.

    Power is summed over the channels of clips or features ``(batch, time, channels)``. Frequency 0 is
    left out, so that a constant changes nothing. 0 for one pure frequency (or no motion), close to 1 for
    white noise in many channels (0.85 in one channel of 32 frames).

    Raises:
        ValueError: If there are fewer than 4 frames, hence fewer than 2 frequencies.
    """
    if x.shape[1] < 4:
        raise ValueError(f"x: {x.shape[1]} frames have no two frequencies. Give clips of 4 or more.")
    power = torch.fft.rfft(x, dim=1)[:, 1:].abs().square().sum(-1)  # (batch, frequencies)
    share = power / power.sum(1, keepdim=True).clamp_min(torch.finfo(power.dtype).tiny)
    entropy = -torch.xlogy(share, share).sum(1)
    return entropy / torch.tensor(float(share.shape[1])).log().to(entropy)


def add_spatial_noise(x: Tensor, strength: float = 0.1) -> Tensor:
    """Add white noise to clips; ``strength`` is in standard deviations of each channel."""
    return x + strength * x.std((0, 1)) * torch.randn_like(x)


class CrossTalk(NamedTuple):
    """Absolute changes, averaged over clips; 0 is no cross-talk.

    Attributes:
        motion: Change of the features' motion magnitude under noise in space, relative to its mean.
        entropy: Change of the features' spectral entropy (at most 1) under a change of tempo.
    """

    motion: float
    entropy: float


@torch.no_grad()
def cross_talk(
    x: Tensor,
    encode: Encoder = lambda x: x,
    noise: float = 0.1,
    warp: float = 0.5,
    seed: int = 0,
) -> CrossTalk:
    """Perturb clips in space and in time, and measure how their features change in the other domain.

    Args:
        x: Clips, shape ``(batch, time, channels)``.
        encode: Maps clips to features, such as ``lambda x: model(x).frames[0]`` for a model in
            evaluation mode; by default the features are the clips themselves.
        noise: Standard deviation of the noise in space, in standard deviations of each channel.
        warp: Strength of the change of tempo, see `piumar_lib.augment.warp_time`.
        seed: Seed of both perturbations; with one seed, several encoders get the same ones.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        noisy, warped = add_spatial_noise(x, noise), warp_time(x, warp)
    plain = encode(x)
    before, after = motion_magnitude(plain), motion_magnitude(encode(noisy))
    motion = (after - before).abs().mean() / before.mean()
    entropy = (spectral_entropy(encode(warped)) - spectral_entropy(plain)).abs().mean()
    return CrossTalk(motion.item(), entropy.item())


def class_margins(features: Tensor, y: Tensor) -> Tensor:
    """Similarity to the same class minus similarity to the nearest other class.

    The similarity to a class is the mean cosine to its clips, the clip itself left out. Of features
    ``(n, width)`` and classes ``(n,)``; the margins, ``(n,)``, lie in [-2, 2] and are negative where
    another class is nearer.

    Raises:
        ValueError: If there are fewer than two classes, or a class has one clip.
    """
    classes, own, counts = y.unique(return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise ValueError(f"y: {len(classes)} class leaves no other to compare with. Give at least 2.")
    if counts.min() < 2:
        rare = classes[counts.argmin()].item()
        raise ValueError(f"y: class {rare} has one clip, so no similar one. Give each at least 2.")
    unit = F.normalize(features, dim=1)
    member = F.one_hot(own).to(unit)  # (n, classes)
    similarity = unit @ (unit.T @ member)  # the sum over each class's clips, (n, classes)
    itself = unit.square().sum(1, keepdim=True)
    similarity = (similarity - member * itself) / (counts - member)
    same = similarity.gather(1, own[:, None])[:, 0]
    return same - similarity.masked_fill(member.bool(), -torch.inf).amax(1)


def sharpness(loss: Callable[[], Tensor], parameters: Sequence[Tensor], radius: float = 0.05) -> float:
    """How much the loss rises at distance ``radius`` along its gradient (SAM's ascent step).

    To first order this is the largest rise within the radius (Foret et al., ICLR 2021), which is in
    units of the parameters. They are moved, then restored; the loss must be deterministic: put the model
    into evaluation mode.

    Raises:
        ValueError: If the radius is not positive.
    """
    if radius <= 0:
        raise ValueError(f"radius: {radius} goes nowhere. Choose a positive one.")
    here = loss()
    gradient = torch.autograd.grad(here, parameters, materialize_grads=True)
    length = torch.stack([g.norm() for g in gradient]).norm()
    before = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        try:
            for p, g in zip(parameters, gradient, strict=True):
                p.add_(radius * g / length.clamp_min(1e-12))
            return (loss() - here).item()
        finally:
            for p, value in zip(parameters, before, strict=True):
                p.copy_(value)
