"""Plain augmentation: the baseline that a method for unseen people has to beat.

Each function takes raw clips ``(batch, time, channels)`` and returns the same shape; randomness comes
from torch's global generator.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from piumar_lib.data.skeleton import MIRROR
from piumar_lib.transport import frames_at


def warp_time(x: Tensor, strength: float = 0.5) -> Tensor:
    """Play each clip ``(batch, time, channels)`` at a randomly varying speed, by linear interpolation.

    The warped time is a cumulative sum of positive steps; their logarithm is Gaussian at five knots, of
    standard deviation ``strength``, and linear in between.
    """
    batch, time, _ = x.shape
    knots = strength * torch.randn(batch, 1, 5, device=x.device)
    speed = torch.nn.functional.interpolate(knots, size=time - 1, mode="linear").exp()[:, 0]
    clock = torch.cat([torch.zeros_like(speed[:, :1]), speed.cumsum(1)], dim=1)
    position = clock / clock[:, -1:] * (time - 1)
    return frames_at(x, position)


def scale_amplitude(x: Tensor, strength: float = 0.3) -> Tensor:
    """Scale each clip's deviation from its mean over time by a random log-normal factor."""
    factor = (strength * torch.randn(len(x), 1, 1, device=x.device)).exp()
    mean = x.mean(1, keepdim=True)
    return mean + factor * (x - mean)


def mirror_skeleton(x: Tensor, probability: float = 0.5) -> Tensor:
    """Exchange left and right of skeletons with 17 COCO joints, ``channels = 34``."""
    joints = x.unflatten(-1, (17, 2))
    mirrored = joints[:, :, torch.as_tensor(MIRROR, device=x.device)] * joints.new_tensor([-1, 1])
    chosen = torch.rand(len(x), 1, 1, device=x.device) < probability
    return torch.where(chosen, mirrored.flatten(-2), x)


def rotate_skeleton(x: Tensor, strength: float = 0.2) -> Tensor:
    """Rotate two-dimensional joints ``channels = 2 n`` by a random angle, in radians."""
    angle = strength * torch.randn(len(x), device=x.device)
    c, s = angle.cos(), angle.sin()
    matrix = torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)
    matrix = matrix.to(x.dtype)
    return torch.einsum("bij,btnj->btni", matrix, x.unflatten(-1, (-1, 2))).flatten(-2)


def rotate_space(x: Tensor, strength: float = 0.2) -> Tensor:
    """Rotate three-axis sensors or joints in space, ``channels = 3 n``, together about a random axis.

    ``strength`` is the standard deviation of the angle, in radians.
    """
    axis = torch.randn(len(x), 3, device=x.device)
    axis = axis / axis.norm(dim=1, keepdim=True) * strength * torch.randn(len(x), 1, device=x.device)
    zero = torch.zeros_like(axis[:, 0])
    a, b, c = axis.unbind(1)
    generator = torch.stack([zero, -c, b, c, zero, -a, -b, a, zero], dim=1).view(-1, 3, 3)
    matrix = torch.linalg.matrix_exp(generator).to(x.dtype)
    return torch.einsum("bij,btnj->btni", matrix, x.unflatten(-1, (-1, 3))).flatten(-2)


# The augmentations that suit each kind of data, with their default strengths: joints in an image,
# sensors or joints in space, and arbitrary signals.
AUGMENTATIONS: dict[str, dict[Callable[[Tensor, float], Tensor], float]] = {
    "skeleton": {warp_time: 0.5, rotate_skeleton: 0.2},
    "space": {warp_time: 0.5, scale_amplitude: 0.3, rotate_space: 0.2},
    "any": {warp_time: 0.5, scale_amplitude: 0.3},
}


def augment(x: Tensor, kind: str, strength: float = 1.0) -> Tensor:
    """Apply the augmentations that suit a kind of data to raw clips ``(batch, time, channels)``.

    ``kind`` is ``"skeleton"``, ``"space"`` or ``"any"``; ``strength`` is a factor on all default
    strengths, and does not change how often a skeleton is mirrored.

    Raises:
        ValueError: If the kind is unknown.
    """
    if kind not in AUGMENTATIONS:
        raise ValueError(f"kind: {kind!r} is unknown. Choose from {', '.join(AUGMENTATIONS)}.")
    if kind == "skeleton":
        x = mirror_skeleton(x)
    for function, default in AUGMENTATIONS[kind].items():
        x = function(x, strength * default)
    return x
