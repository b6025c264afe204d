"""Where the other joints of a stand-in's body are: fingers, face and feet, derived from its 17 joints.

Points are complex numbers here, x + iy, so a point that is fixed in the frame of a bone or of the head
is a weighted sum of joints, whichever way the bone turns: ``wrist + 0.4j * (wrist - elbow)`` stands at a
right angle to the forearm. Fingers and faces do not move of their own: 17 joints do not say how.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from piumar_lib.data.joints import COCO, FINGERS, other_side, pick

# Angle from the forearm towards the thumb's side in degrees, and length in forearms.
_FINGERS = dict(zip(FINGERS, ((45, 0.3), (15, 0.42), (0, 0.45), (-12, 0.42), (-25, 0.35)), strict=True))
_ALONG = {1: 0.5, 2: 0.7, 3: 0.85, "tip": 1.0}  # of a finger's joints, from the wrist


def derive(joints: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Named joints of bodies, ``(..., names, 2)``; a joint of COCO's is where it was.

    Args:
        joints: COCO's 17 joints, ``(..., 17, 2)``, in any unit, y downward.
        names: Names of joints, all in `piumar_lib.data.joints.ABOVE`.

    Raises:
        ValueError: If a name is unknown.
    """
    points = joints[..., 0] + 1j * joints[..., 1]
    made = points @ _weights(tuple(names)).T.astype(points.dtype)
    return np.stack([made.real, made.imag], axis=-1)


@lru_cache
def _weights(names: tuple[str, ...]) -> np.ndarray:
    """What each joint of COCO's adds to each point, complex ``(names, 17)``."""
    table = _left_and_middle()
    swap = pick(COCO, [other_side(joint) for joint in COCO])
    # Seen in a mirror, -x + iy, everything is the same but conjugate, with left and right swapped.
    table |= {other_side(name): row[swap].conj() for name, row in table.items()}
    if unknown := [name for name in names if name not in table]:
        raise ValueError(f"names: {unknown[0]!r} cannot be derived. Take joints of joints.LAYOUTS.")
    return np.stack([table[name] for name in names])


def _left_and_middle() -> dict[str, np.ndarray]:
    """The rows of the left side, and of what has no side."""
    at = dict(zip(COCO, np.eye(len(COCO), dtype=complex), strict=True))
    neck, hip, ears = (
        (at[f"left {part}"] + at[f"right {part}"]) / 2 for part in ("shoulder", "hip", "ear")
    )
    down, up, across = hip - neck, ears - neck, at["left ear"] - at["right ear"]
    rows = {name: row for name, row in at.items() if not name.startswith("right ")}
    rows |= {"neck": neck, "hip": hip, "head": ears + 0.62 * up}
    toe, out = at["left ankle"] + 0.15 * down, -1j * down  # to the person's left
    rows |= {
        "left big toe": toe + 0.04 * out, "left small toe": toe + 0.11 * out,
        "left foot index": toe + 0.07 * out, "left heel": at["left ankle"] + 0.05 * down,
    }  # fmt: skip
    return rows | _hand(at) | _face(at, ears, up, across)


def _hand(at: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    wrist = at["left wrist"]
    forearm = wrist - at["left elbow"]
    rows = {"left hand root": wrist + 0.05 * forearm}
    for finger, (angle, length) in _FINGERS.items():
        ray = length * np.exp(1j * np.radians(angle)) * forearm
        rows |= {f"left {finger} {joint}": wrist + share * ray for joint, share in _ALONG.items()}
    knuckles = {"pinky": "little finger 1", "index": "index finger 1", "thumb": "thumb 2"}
    return rows | {f"left {name}": rows[f"left {joint}"] for name, joint in knuckles.items()}


def _face(at: dict[str, np.ndarray], ears: np.ndarray, up: np.ndarray, across: np.ndarray) -> dict:
    nose, eye = at["nose"], at["left eye"]
    between, mouth, chin = (eye + at["right eye"]) / 2, nose - 0.18 * up, nose - 0.41 * up
    rows = {f"nose bridge {k}": between + (k - 1) / 4 * (nose - between) for k in range(1, 5)}
    rows |= {"nose base": nose - 0.06 * up, "chin": chin}
    rows |= {f"left nostril {k}": nose - 0.06 * up + (3 - k) * 0.04 * across for k in (1, 2)}
    for k in range(1, 9):  # from the ear to the chin on an ellipse
        turn = (k - 1) * np.pi / 16
        rows[f"left contour {k}"] = ears + np.cos(turn) * across / 2 + np.sin(turn) * (chin - ears)
    for k in range(1, 6):  # from the temple inward
        rows[f"left eyebrow {k}"] = eye + 0.12 * up + (0.12 - 0.05 * (k - 1)) * across
    rows |= {"left eye outer": eye + 0.06 * across, "left eye inner": eye - 0.06 * across}
    for k, aside in ((1, 0.025), (2, -0.025)):
        rows[f"left upper eyelid {k}"] = eye + aside * across + 0.02 * up
        rows[f"left lower eyelid {k}"] = eye + aside * across - 0.02 * up
    heights = {"upper lip": 0.04, "lower lip": -0.06, "inner upper lip": 0.01, "inner lower lip": -0.02}
    rows |= {name: mouth + height * up for name, height in heights.items()}
    rows |= {f"left {lip} lip 1": rows[f"{lip} lip"] + 0.1 * across for lip in ("upper", "lower")}
    rows |= {f"left {lip} lip 2": rows[f"{lip} lip"] + 0.05 * across for lip in ("upper", "lower")}
    rows |= {
        f"left inner {lip} lip": rows[f"inner {lip} lip"] + 0.05 * across for lip in ("upper", "lower")
    }
    corners = {"mouth corner": 0.15, "inner mouth corner": 0.13}
    return rows | {f"left {name}": mouth + aside * across for name, aside in corners.items()}
