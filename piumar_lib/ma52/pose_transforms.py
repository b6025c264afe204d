"""Random augmentation of poses, each clip as a whole, as a function of its seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

KNOTS = 5  # of the curve by which a clip runs faster and slower


class Draws(NamedTuple):
    """Random numbers that determine the augmentation of clips.

    Attributes:
        moment: Where each moment lies in its stretch, in [0, 1), ``(batch, time)``.
        side: Uniform in [0, 1), ``(batch,)``: left and right are exchanged where it is below ``hflip``.
        turn, size: Standard normal, for the angle and the log size, ``(batch,)``.
        speed: Standard normal, for the log speed at each knot, ``(batch, KNOTS)``.
        place: Standard normal, for the displacement of each joint, ``(batch, joints, 2)``.
    """

    moment: Tensor
    side: Tensor
    turn: Tensor
    size: Tensor
    speed: Tensor
    place: Tensor


def draw(seeds: Sequence[int], frames: int, joints: int) -> Draws:
    """Draw the augmentation of clips, from one seed per clip: independent of process and batch."""
    uniform = np.empty((len(seeds), frames + 1), np.float32)
    normal = np.empty((len(seeds), 2 + KNOTS + 2 * joints), np.float32)
    for row, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        uniform[row] = rng.random(frames + 1)
        normal[row] = rng.standard_normal(normal.shape[1])
    u, n = torch.from_numpy(uniform), torch.from_numpy(normal)
    place = n[:, 2 + KNOTS :].unflatten(1, (joints, 2))
    return Draws(u[:, :frames], u[:, frames], n[:, 0], n[:, 1], n[:, 2 : 2 + KNOTS], place)


def warp(at: Tensor, speed: Tensor, strength: float) -> Tensor:
    """Times of clips that are played at a varying speed, in the same order, from 0 to 1.

    Args:
        at: Moments from 0 to 1, ``(batch, time)``.
        speed: Standard normal numbers from `draw`, ``(batch, KNOTS)``.
        strength: Standard deviation of the log speed at a knot.
    """
    fine = F.interpolate(strength * speed[:, None], size=64, mode="linear", align_corners=True)[:, 0]
    clock = F.pad(fine.exp().cumsum(1), (1, 0))  # (B, 65)
    clock = clock / clock[:, -1:]
    left = (at * 64).long().clamp(0, 63)
    return torch.lerp(clock.gather(1, left), clock.gather(1, left + 1), at * 64 - left)


def vary(
    x: Tensor,
    draws: Draws,
    mirror: Tensor,
    hflip: float = 0.5,
    rotation: float = 0.1,
    size_jitter: float = 0.1,
    joint_jitter: float = 0.05,
) -> Tensor:
    """Mirror, rotate and scale bodies, and displace their joints, equally in all frames of a clip.

    Displacing joints simulates other proportions, another posture, or another estimator. Movements do
    not change except for rotation and scale. If the clip's mean pose is subtracted
    (``modality="difference"``), this undoes the displacement.

    Args:
        x: Clips, ``(batch, time, joints, 2)``, or with scores, which stay, ``(batch, time, joints, 3)``.
        draws: Random numbers from `draw`.
        mirror: The mirror image of each joint, ``(joints,)``.
        hflip: Probability of exchanging left and right.
        rotation: Standard deviation of the angle, radians.
        size_jitter: Standard deviation of the logarithm of the size.
        joint_jitter: Standard deviation of a joint's displacement, torso lengths.
    """
    flipped = x[:, :, mirror] * x.new_tensor([-1.0, 1.0, 1.0][: x.shape[-1]])
    x = torch.where((draws.side < hflip).view(-1, 1, 1, 1), flipped, x)
    angle, size = rotation * draws.turn, (size_jitter * draws.size).exp()
    c, s = size * angle.cos(), size * angle.sin()
    matrix = torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)  # (B, 2, 2)
    moved = torch.einsum("bij,btnj->btni", matrix, x[..., :2])
    moved = moved + joint_jitter * draws.place[:, None]
    return torch.cat([moved, x[..., 2:]], -1)
