"""Where the joints of the stand-in's people are in their videos, in pixels: known exactly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from piumar_lib.ma52.standin.looks import Looks, make_looks
from piumar_lib.ma52.standin.render import MIDDLE, VIEW
from piumar_lib.ma52.standin.videos import Plan, acted


def in_pixels(
    joints: np.ndarray, looks: Looks, person: int, width: int, height: int, view: float = VIEW
) -> np.ndarray:
    """Where `piumar_lib.ma52.standin.render.render` paints joints.

    Args:
        joints: Absolute positions in torso lengths, ``(..., 2)``.
        looks: From `make_looks`.
        person: Which entry of ``looks``.
        width, height: Of the picture, in pixels.
        view: Torso lengths across the picture.

    Returns:
        Pixels to the right and down from the corner of the picture, ``(..., 2)``.
    """
    unit = width / view
    hips = np.array([width / 2, height / 2 - MIDDLE * unit]) + looks.place[person] * unit
    return hips + looks.size[person] * unit * joints


def true_joints(plan: Plan) -> Iterator[tuple[str, np.ndarray]]:
    """The joints of each clip of a stand-in.

    Args:
        plan: From `piumar_lib.ma52.standin.plan`.

    Yields:
        Name of the clip, and pixels ``(frames, 17, 2)``.
    """
    people = int(plan.person.max()) + 1
    looks = make_looks(people, plan.seed)
    for person in range(people):
        mine = np.flatnonzero(plan.person == person)
        moves = acted(person, len(mine), people, plan.seed)
        for k, row in enumerate(mine):
            joints = moves.x[k, : plan.frames[row]].reshape(-1, 17, 2)
            yield str(plan.name[row]), in_pixels(joints, looks, person, plan.width, plan.height)
