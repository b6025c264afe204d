"""Appearance of synthetic people: colours, proportions, and the shapes of the rendering.

Coordinates as in `piumar_lib.data.skeleton`: torso lengths, y downward, the hips at the origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from piumar_lib.data.skeleton import JOINTS

# Shape, its two points, its sizes, colour, and how round it looks; painted in this order, "*" for
# both sides of the body. A capsule has a radius at each point and a slab a half-width; an ellipse lies
# about its first point, its long half-axis ends in the second, and its only size is its half-width.
STOOL = (
    ("ellipse", "floor", "floor end", 0.16, 0.16, "shadow", 0.0),
    ("capsule", "* seat", "* back foot", 0.03, 0.03, "stool", 0.3),
    ("capsule", "* seat", "* front foot", 0.035, 0.035, "stool", 0.3),
    ("capsule", "left seat", "right seat", 0.075, 0.075, "stool", 0.4),
)
PERSON = (
    ("capsule", "* ankle", "* toe", 0.085, 0.075, "shoe", 0.4),
    ("capsule", "* knee", "* ankle", 0.135, 0.09, "trousers", 0.5),
    ("capsule", "* hip", "* knee", 0.18, 0.15, "trousers", 0.5),
    ("ellipse", "hair", "crown", 0.205, 0.205, "hair", 0.3),
    ("capsule", "neck", "face", 0.1, 0.085, "skin", 0.5),
    ("capsule", "neck", "* shoulder", 0.155, 0.11, "shirt", 0.1),
    ("slab", "neck", "hem", 0.41, 0.31, "shirt", 0.4),
    ("ellipse", "face", "chin", 0.175, 0.175, "skin", 0.3),
    ("ellipse", "* eye", "* brow", 0.024, 0.024, "eye", 0.0),
    ("capsule", "bridge", "nose", 0.016, 0.026, "lip", 0.2),
    ("capsule", "left mouth", "right mouth", 0.014, 0.014, "lip", 0.0),
    ("capsule", "* shoulder", "* elbow", 0.115, 0.085, "shirt", 0.5),
    ("capsule", "* elbow", "* wrist", 0.08, 0.058, "sleeve", 0.5),
    ("capsule", "* wrist", "* hand", 0.065, 0.055, "skin", 0.5),
)
COLORS = ("shirt", "trousers", "skin", "hair", "sleeve", "lip", "shoe", "eye", "stool", "shadow")
# Where the stool stands; people sit on it whatever they do.
SEAT = {"floor": (0, 1.24), "floor end": (0.62, 1.24)} | {
    f"{side} {part}": (sign * x, y)
    for side, sign in (("left", 1), ("right", -1))
    for part, x, y in (("seat", 0.3, 0.17), ("front foot", 0.37, 1.3), ("back foot", 0.24, 1.14))
}
_SKIN = np.array([(242, 208, 184), (226, 178, 146), (194, 140, 104), (140, 92, 64), (84, 54, 40)]) / 255
_HAIR = np.array([(24, 20, 20), (58, 38, 26), (108, 72, 42), (178, 140, 84), (140, 136, 134)]) / 255


@dataclass(frozen=True, eq=False)
class Looks:
    """Appearance of P people and their recordings; all arrays, first axis people.

    Attributes:
        shirt, trousers, skin, hair, wall: Red, green, blue in [0, 1], shape ``(P, 3)``.
        sleeve: 1 for long sleeves, 0 for bare forearms, ``(P,)``.
        girth, head: Thickness of limbs and trunk, size of the head, relative to the usual, ``(P,)``.
        size: How large the camera shows the person, relative to the usual, ``(P,)``.
        place: Where the stool stands, torso lengths from the usual, ``(P, 2)``.
        light: Where light comes from, radians: 0 the image's right, -pi / 2 from above, ``(P,)``.
    """

    shirt: np.ndarray
    trousers: np.ndarray
    skin: np.ndarray
    hair: np.ndarray
    wall: np.ndarray
    sleeve: np.ndarray
    girth: np.ndarray
    head: np.ndarray
    size: np.ndarray
    place: np.ndarray
    light: np.ndarray

    def __len__(self) -> int:
        return len(self.shirt)


def make_looks(n: int, seed: int) -> Looks:
    """Draw the looks of ``n`` people; the same seed draws the same people.

    Raises:
        ValueError: If ``n`` is not positive.
    """
    if n < 1:
        raise ValueError(f"n: {n} people cannot be drawn. Ask for at least 1.")
    rng = np.random.default_rng([seed, 4])

    def between(colors: np.ndarray) -> np.ndarray:
        at = rng.uniform(0, len(colors) - 1, n)
        return np.stack([np.interp(at, np.arange(len(colors)), c) for c in colors.T], axis=1)

    return Looks(
        shirt=rng.uniform(0.12, 0.9, (n, 3)),
        trousers=rng.uniform(0.08, 0.3, (n, 1)) + rng.uniform(0, 0.14, (n, 3)),
        skin=between(_SKIN),
        hair=between(_HAIR),
        wall=rng.uniform(0.66, 0.84, (n, 1)) + rng.uniform(-0.05, 0.05, (n, 3)),
        sleeve=rng.integers(0, 2, n).astype(float),
        girth=np.exp(0.1 * rng.standard_normal(n)),
        head=np.exp(0.05 * rng.standard_normal(n)),
        size=rng.uniform(0.93, 1.07, n),
        place=rng.uniform(-1, 1, (n, 2)) * (0.25, 0.08),
        light=rng.uniform(-0.85, -0.15, n) * np.pi,
    )


def colors(given: dict[str, torch.Tensor]) -> torch.Tensor:
    """Every colour of `COLORS` for each clip, ``(batch, colors, 3)``."""
    skin, shirt = given["skin"], given["shirt"]
    color = {name: given[name] for name in ("shirt", "trousers", "skin", "hair")}
    color["sleeve"] = torch.lerp(skin, shirt, given["sleeve"][:, None])
    color["lip"] = skin * skin.new_tensor([0.78, 0.62, 0.62])
    color["shadow"] = given["wall"] * 0.55
    for name, fixed in (("shoe", 0.1), ("eye", 0.08), ("stool", 0.22)):
        color[name] = torch.full_like(skin, fixed)
    return torch.stack([color[name] for name in COLORS], dim=1)


def body_points(joints: torch.Tensor, head: torch.Tensor) -> dict[str, torch.Tensor]:
    """The named points of `PERSON`, each ``(frames, 2)``, from joints ``(frames, 17, 2)``."""
    at = dict(zip(JOINTS, joints.unbind(1), strict=True))

    def middle(name: str) -> torch.Tensor:
        return (at[f"left {name}"] + at[f"right {name}"]) / 2

    neck, hips, ears = middle("shoulder"), middle("hip"), middle("ear")
    up = ears - neck
    up = up / up.norm(dim=1, keepdim=True).clamp_min(1e-6) * head[:, None]
    at |= {"neck": neck, "hem": hips + 0.1 * (hips - neck)}
    heights = {"chin": -0.24, "face": -0.03, "hair": 0.05, "crown": 0.29}
    at |= {name: ears + height * up for name, height in heights.items()}
    mouth, corner = at["nose"] - 0.085 * up, 0.15 * (at["left ear"] - at["right ear"])
    at |= {"bridge": middle("eye"), "left mouth": mouth + corner, "right mouth": mouth - corner}
    for side, out in (("left", 0.07), ("right", -0.07)):
        wrist, ankle = at[f"{side} wrist"], at[f"{side} ankle"]
        at[f"{side} brow"] = at[f"{side} eye"] + 0.018 * up
        at[f"{side} hand"] = wrist + 0.25 * (wrist - at[f"{side} elbow"])
        at[f"{side} toe"] = ankle + ankle.new_tensor([out, 0.15])
    return at
