"""From bytes to a backbone's input, on the device; in training with augmentation of whole clips."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)


def draw_augmentation(rng: np.random.Generator) -> Tensor:
    """Draw the augmentation of a clip for `to_input`: four uniform and two normal numbers, ``(6,)``.

    Because these numbers are stored with the clip, its augmentation does not depend on the device, the
    batch, or the number of processes.
    """
    return torch.from_numpy(np.concatenate([rng.random(4), rng.standard_normal(2)])).float()


def to_input(
    video: Tensor,
    size: int = 224,
    augmentation: Tensor | None = None,
    min_scale: float = 0.7,
    color_jitter: float = 0.2,
    hflip: float = 0.5,
) -> Tensor:
    """Cut, shrink and standardise a batch of clips, as ImageNet's pictures are.

    In evaluation the whole square is resized. In training every clip is cropped, mirrored and changed in
    brightness at random; all of its frames in the same way, because a change between frames would look
    like movement.

    Args:
        video: uint8 ``(batch, time, height, width, 3)``.
        size: Pixels of the side.
        augmentation: Numbers that vary clips, from `draw_augmentation`, shape ``(batch, 6)``; None for
            evaluation.
        min_scale: Smallest fraction of the side that a random crop keeps, in (0, 1].
        color_jitter: Standard deviation of the logarithm of brightness and of contrast.
        hflip: Probability of exchanging left and right.

    Returns:
        float32 ``(batch, time, 3, size, size)``.

    Raises:
        ValueError: If ``video`` has another shape or type, or a number is invalid.
    """
    if video.dtype != torch.uint8 or video.ndim != 5 or video.shape[-1] != 3:
        raise ValueError(
            f"video: {video.dtype} of shape {tuple(video.shape)} is not uint8 "
            "(batch, time, height, width, 3)."
        )
    if not 0 < min_scale <= 1 or color_jitter < 0 or not 0 <= hflip <= 1:
        raise ValueError(
            f"min_scale, color_jitter, hflip: {min_scale}, {color_jitter}, {hflip} are out of range. "
            "Choose min_scale in (0, 1], color_jitter from 0, hflip in [0, 1]."
        )
    clips, time = video.shape[:2]
    pictures = video.flatten(0, 1).permute(0, 3, 1, 2).float() / 255
    if augmentation is None:
        pictures = F.interpolate(
            pictures, (size, size), mode="bilinear", antialias=True, align_corners=False
        )
    else:
        pictures = _cut(pictures, time, size, augmentation[:, :4], min_scale, hflip)
        gain, contrast = (color_jitter * augmentation[:, 4:]).exp().T.view(2, clips, 1, 1, 1, 1)
        film = pictures.unflatten(0, (clips, time))
        middle = film.mean((1, 2, 3, 4), keepdim=True)
        pictures = (gain * (middle + contrast * (film - middle))).clamp_(0, 1).flatten(0, 1)
    middle, spread = (pictures.new_tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_SD))
    return ((pictures - middle) / spread).unflatten(0, (clips, time))


def _cut(
    pictures: Tensor, time: int, size: int, uniform: Tensor, min_scale: float, hflip: float
) -> Tensor:
    """A random square crop of each clip, mirrored or not, resized to ``size``."""
    share = min_scale + (1 - min_scale) * uniform[:, 0]
    # Where the cut's middle lies, from -1 to 1, so that it stays inside.
    x, y = ((1 - share) * (2 * uniform[:, k] - 1) for k in (1, 2))
    sign = torch.where(uniform[:, 3] < hflip, -1.0, 1.0)
    zero = torch.zeros_like(share)
    across, down = torch.stack([sign * share, zero, x], -1), torch.stack([zero, share, y], -1)
    matrix = torch.stack([across, down], 1)
    if (side := round(size / min_scale)) < pictures.shape[-1]:  # sampling a grid smooths nothing
        pictures = F.interpolate(
            pictures, (side, side), mode="bilinear", antialias=True, align_corners=False
        )
    grid = F.affine_grid(matrix.repeat_interleave(time, 0), [len(pictures), 3, size, size], False)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
