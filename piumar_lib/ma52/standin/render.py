"""Video from skeletons: a clothed person on a stool before a plain wall, seen as MA-52's camera does.

The person is painted from capsules, ellipses and a slab, what is farthest first. Every edge is one
pixel soft, so a movement of a fraction of a pixel still changes the picture. Frames are portraits as
in MA-52 (five wide, six high), and the seated person fills about a quarter of the width. All of it
runs on any torch device, in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor

from piumar_lib.data.skeleton import JOINTS
from piumar_lib.ma52.standin.looks import (
    COLORS,
    PERSON,
    SEAT,
    STOOL,
    Looks,
    body_points,
    colors,
    make_looks,
)

__all__ = ["Looks", "make_looks", "render", "to_pixels"]

VIEW = 4.8  # torso lengths across the frame
MIDDLE = -0.2  # height of the frame's middle, torso lengths below the hips
FLOOR = 0.95  # where the wall ends, torso lengths below the hips
GRAIN = 1.5 / 255  # standard deviation of the sensor's noise

Depth = tuple[Tensor, Tensor, Tensor]  # what each shape says of the pixels, see `_capsule`


def render(
    joints: np.ndarray | Tensor,
    looks: Looks,
    person: np.ndarray,
    width: int = 112,
    height: int | None = None,
    view: float = VIEW,
    seed: int | Sequence[int] = 0,
    chunk: int = 64,
    device: torch.device | str | None = None,
) -> Tensor:
    """Render people. Neither ``chunk`` nor the device changes the picture, but for rounding.

    Args:
        joints: Absolute positions in torso lengths, ``(batch, time, 17, 2)``, for example the clips
            of ``make_clips(..., centered=False)``, reshaped.
        looks: Looks of the people, from `make_looks`.
        person: Which entry of ``looks`` each clip shows, ``(batch,)``.
        width: Pixels across.
        height: Pixels down; by default 6/5 of the width. Square frames show less wall.
        view: Torso lengths across the frame; smaller ones bring the person nearer.
        seed: Seed of the sensor's noise; one number, or one for each clip, then as if rendered alone.
        chunk: Frames painted at a time; bounds memory (20 to 30 bytes for each pixel of each frame).
        device: Where to compute; by default where ``joints`` are.

    Returns:
        Red, green, blue, uint8 ``(batch, time, height, width, 3)``, on the device.

    Raises:
        ValueError: If a shape, a value, a person or a size is invalid.
    """
    height = round(1.2 * width) if height is None else height
    for name, value, least in (("width", width, 16), ("height", height, 16), ("chunk", chunk, 1)):
        if value < least:
            raise ValueError(f"{name}: {value} is too small. Give at least {least}.")
    if not (np.isfinite(view) and view > 0):
        raise ValueError(f"view: {view} torso lengths cannot be seen. Give a positive number.")
    joints, person = _checked(joints, looks, person, device)
    device, (clips, time) = joints.device, joints.shape[:2]
    arrays = {field.name: getattr(looks, field.name)[person] for field in fields(looks)}
    given = {k: torch.as_tensor(v, dtype=torch.float32, device=device) for k, v in arrays.items()}
    given["colors"] = colors(given)
    given["scale"], given["hips"] = _place(given["size"], given["place"], width, height, view)

    # One plate of noise lies under every frame at another place: the same on every device.
    seeds = [seed] if isinstance(seed, int) else list(seed)
    each = clips * time // len(seeds)
    drawn = [_noise(number, height, width, each) for number in seeds]
    plates = torch.as_tensor(np.stack([plate for plate, _ in drawn]), device=device)
    plates = plates.unfold(1, height, 1).unfold(2, width, 1)
    shift = torch.as_tensor(np.concatenate([at for _, at in drawn], axis=1), device=device)

    joints = joints.flatten(0, 1)
    film = torch.empty(len(joints), height, width, 3, dtype=torch.uint8, device=device)
    for start in range(0, len(joints), chunk):
        stop = min(start + chunk, len(joints))
        clip = torch.arange(start, stop, device=device) // time
        first, last = start // time, (stop - 1) // time
        scenes = _scene({k: v[first : last + 1] for k, v in given.items()}, height, width)
        image, here = scenes.index_select(0, clip - first), {k: v[clip] for k, v in given.items()}
        _paint(image, PERSON, body_points(joints[start:stop], here["head"]), here)
        under = torch.arange(start, stop, device=device) // each
        image += plates[under, *shift[:, start:stop]][:, None]
        film[start:stop] = image.clamp_(0, 1).mul_(255).round_().byte().permute(0, 2, 3, 1)
    return film.view(clips, time, height, width, 3)


def to_pixels(
    joints: np.ndarray, looks: Looks, person: np.ndarray, width: int, height: int, view: float = VIEW
) -> np.ndarray:
    """Where `render` paints joints.

    Args:
        joints: Torso lengths, ``(batch, time, joints, 2)``.
        looks, person, width, height, view: Who is painted, and how large, see `render`.

    Returns:
        Pixels to the right and down from the picture's corner, float32 of the same shape.
    """
    size, place = (torch.as_tensor(getattr(looks, name)[person]).float() for name in ("size", "place"))
    scale, hips = _place(size, place, width, height, view)
    pixels = hips[:, None, None] + scale[:, None, None, None] * torch.as_tensor(joints).float()
    return pixels.numpy()


def _place(size: Tensor, place: Tensor, width: int, height: int, view: float) -> tuple[Tensor, Tensor]:
    """Pixels in a torso length, ``(batch,)``, and where the middle of the hips is, ``(batch, 2)``."""
    center = place.new_tensor([width / 2, height / 2 - MIDDLE * width / view])
    return size * (width / view), center + place * (width / view)


def _checked(
    joints: np.ndarray | Tensor, looks: Looks, person: np.ndarray, device: torch.device | str | None
) -> tuple[Tensor, np.ndarray]:
    """Return joints on their device and people as an index, or say what is wrong with them."""
    if device is None:
        device = joints.device if isinstance(joints, Tensor) else "cpu"
    joints = torch.as_tensor(joints, dtype=torch.float32, device=device)
    if joints.ndim != 4 or joints.shape[2:] != (len(JOINTS), 2) or 0 in joints.shape:
        raise ValueError(
            f"joints: shape {tuple(joints.shape)} is not (batch, time, 17, 2). Reshape clips of "
            "34 channels to 17 joints of x and y."
        )
    if not bool(joints.isfinite().all()):
        raise ValueError("joints: NaN or infinite positions. Interpolate or drop such clips first.")
    person = np.asarray(person)
    if person.shape != (len(joints),) or person.dtype.kind not in "iu":
        raise ValueError(
            f"person: shape {person.shape} of {person.dtype} is not one whole number for each of "
            f"{len(joints)} clips. Give shape ({len(joints)},)."
        )
    if person.min() < 0 or person.max() >= len(looks):
        raise ValueError(
            f"person: {person.min()}..{person.max()} leave the {len(looks)} entries of looks. "
            "Draw more looks, or number the people from 0."
        )
    return joints, person


def _noise(seed: int, height: int, width: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """A plate of noise larger than the picture, and where each frame lies on it, ``(2, frames)``."""
    rng = np.random.default_rng([seed, 5])
    plate = rng.normal(0, GRAIN, (height + 64, width + 64)).astype(np.float32)
    return plate, rng.integers(0, 64, (2, frames))


def _scene(given: dict[str, Tensor], height: int, width: int) -> Tensor:
    """Wall, floor and stool of each clip, ``(batch, 3, height, width)``."""
    wall, hip_y = given["wall"], given["hips"][:, 1, None, None, None]
    x = torch.arange(width, device=wall.device)[None, None, None] / width - 0.5
    y = torch.arange(height, device=wall.device)[None, None, :, None]
    light = given["light"][:, None, None, None]
    bright = 1 + 0.16 * light.cos() * x + 0.16 * light.sin() * (y / height - 0.5)
    floor = (y - hip_y - FLOOR * given["scale"][:, None, None, None] + 0.5).clamp(0, 1)
    image = wall[:, :, None, None] * bright * (1 - 0.24 * floor)
    points = {k: wall.new_tensor(at).expand(len(wall), 2) for k, at in SEAT.items()}
    _paint(image, STOOL, points, given)
    return image


def _paint(image: Tensor, kinds: tuple, points: dict[str, Tensor], given: dict[str, Tensor]) -> None:
    """Paint parts, ``*`` for both sides, over ``(frames, 3, height, width)``, each within its box."""
    parts = [
        (shape, a.replace("*", side), b.replace("*", side), *rest)
        for shape, a, b, *rest in kinds
        for side in (("right", "left") if "*" in a + b else ("",))
    ]
    scale, hips = given["scale"][:, None, None], given["hips"][:, None]
    a, b = (hips + scale * torch.stack([points[part[k]] for part in parts], 1) for k in (1, 2))
    round_ones = torch.tensor([part[0] == "ellipse" for part in parts], device=image.device)
    a = torch.where(round_ones[:, None], 2 * a - b, a)  # now both shapes reach from a to b
    # Ellipses are parts of the head and grow with it, the rest grows with the girth.
    growth = torch.where(round_ones, given["head"][:, None], given["girth"][:, None])
    size = image.new_tensor([part[3:5] for part in parts]) * growth[..., None] * scale
    reach = size.amax(2, keepdim=True) + 1
    low = (torch.minimum(a, b) - reach).amin(0).floor().clamp_min(0).long().tolist()
    high = (torch.maximum(a, b) + reach).amax(0).ceil().clamp_min(0).long().tolist()
    shapes = {"capsule": _capsule, "ellipse": _ellipse, "slab": _slab}
    light_x, light_y = given["light"].cos().view(-1, 1, 1, 1), given["light"].sin().view(-1, 1, 1, 1)
    for k, (shape, *_, color, roundness) in enumerate(parts):
        patch = image[:, :, low[k][1] : high[k][1], low[k][0] : high[k][0]]
        if not patch.numel():
            continue
        x = torch.arange(patch.shape[3], device=image.device).view(1, 1, 1, -1) + (low[k][0] + 0.5)
        y = torch.arange(patch.shape[2], device=image.device).view(1, 1, -1, 1) + (low[k][1] + 0.5)
        ends = (value.view(-1, 1, 1, 1) for pair in (a, b, size) for value in pair[:, k].T)
        inside, out_x, out_y = shapes[shape](x, y, *ends)
        shade = 1 + roundness * (
            0.3 * (light_x * out_x + light_y * out_y) - 0.3 * (out_x * out_x + out_y * out_y)
        )
        base = given["colors"][:, COLORS.index(color), :, None, None]
        patch.lerp_(base * shade, (inside + 0.5).clamp_(0, 1))


def _capsule(x: Tensor, y: Tensor, *ends: Tensor) -> Depth:
    """How deep pixels lie inside, and how far from the axis in radii, each ``(frames, 1, h, w)``."""
    ax, ay, bx, by, ra, rb = ends
    bx, by, px, py = bx - ax, by - ay, x - ax, y - ay
    along = ((px * bx + py * by) / (bx * bx + by * by).clamp_min(1e-6)).clamp_(0, 1)
    qx, qy, radius = px - along * bx, py - along * by, ra + along * (rb - ra)
    return radius - (qx * qx + qy * qy).sqrt(), qx / radius, qy / radius


def _ellipse(x: Tensor, y: Tensor, *ends: Tensor) -> Depth:
    """The same for an ellipse whose long axis ends in a and b."""
    ax, ay, bx, by, half_width, _ = ends
    px, py, lx, ly = x - (ax + bx) / 2, y - (ay + by) / 2, (bx - ax) / 2, (by - ay) / 2
    length = (lx * lx + ly * ly).sqrt().clamp_min(1e-6)
    u = (px * lx + py * ly) / (length * length)
    v = (px * ly - py * lx) / (length * half_width)
    out = (u * u + v * v).sqrt()
    return (1 - out) * torch.minimum(length, half_width), px / length, py / length


def _slab(x: Tensor, y: Tensor, *ends: Tensor) -> Depth:
    """The same for a board with rounded corners, which looks like an upright cylinder."""
    ax, ay, bx, by, half_a, half_b = ends
    px, py, lx, ly = x - ax, y - ay, bx - ax, by - ay
    length = (lx * lx + ly * ly).sqrt().clamp_min(1e-6)
    lx, ly = lx / length, ly / length
    along, across = px * lx + py * ly, px * ly - py * lx
    half, corner = half_a + (along / length).clamp(0, 1) * (half_b - half_a), 0.3 * half_b
    side, end = across.abs() - half + corner, (along - length / 2).abs() - length / 2 + corner
    outside = (side.clamp_min(0) ** 2 + end.clamp_min(0) ** 2).sqrt()
    inside = corner - outside - torch.maximum(side, end).clamp_max(0)
    return inside, across / half * ly, -across / half * lx
