"""Where the joints of the stand-in's people are in their videos, in pixels: known exactly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from piumar_lib.ma52.standin.render import make_looks, to_pixels
from piumar_lib.ma52.standin.videos import Plan, joints_of


def true_joints(plan: Plan) -> Iterator[tuple[str, np.ndarray]]:
    """The joints of each clip of a stand-in.

    Args:
        plan: Clips of the stand-in, from `piumar_lib.ma52.standin.plan`.

    Yields:
        Name of the clip, and pixels to the right and down, ``(frames, 17, 2)``.
    """
    looks = make_looks(plan.people, plan.seed)
    for person in range(plan.people):
        mine, moves = joints_of(plan, person)
        pixels = to_pixels(moves, looks, np.full(len(mine), person), plan.width, plan.height)
        for row, joints in zip(mine, pixels, strict=True):
            yield str(plan.name[row]), joints[: plan.frames[row]]
