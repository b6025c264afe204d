"""The triangle of weights of three groups: each corner gives all weight to one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

CORNERS = np.array([[0, 0], [1, 0], [0.5, 0.75**0.5]])
_STEPS = 240
_GRID = np.array([(i, j, _STEPS - i - j) for i in range(_STEPS + 1) for j in range(_STEPS + 1 - i)])
GRID = _GRID / _STEPS  # grid of weights (points, 3) on the triangle


def place(weights: ArrayLike) -> np.ndarray:
    """Map weights ``(..., 3)``, which sum to one, to points ``(..., 2)``."""
    return np.asarray(weights) @ CORNERS


def shade(ax: Axes, risks: ArrayLike) -> None:
    """Draw the triangle, darker where the weighted average of ``risks`` ``(3,)`` is higher."""
    values = np.asarray(risks, dtype=float)
    x, y = place(GRID).T
    ax.tricontourf(x, y, GRID @ values, 12, cmap="Greys", alpha=0.45)
    for name, (left, height), risk in zip("ABC", CORNERS, values, strict=True):
        side = "bottom" if height else "top"
        ax.text(left, height + (0.04 if height else -0.04), f"{name}: {risk:.1f}", ha="center", va=side)
    ax.fill(*CORNERS.T, fill=False, ec="0.5", lw=0.8)
    ax.plot(*CORNERS.mean(0), "o", color="k", ms=6)
    ax.set_aspect("equal")
    ax.axis("off")


def outline(
    ax: Axes, divergence: Callable[[np.ndarray], np.ndarray], radius: float, **style: Any
) -> None:
    """Draw the boundary of a divergence ball of weights.

    ``divergence`` gives that of weights ``(points, 3)`` from uniform ones, ``(points,)``; it is
    ``radius`` at the boundary. ``style`` is for `matplotlib.axes.Axes.tricontour`.
    """
    usual: dict[str, Any] = {"colors": "C0", "linewidths": 2}
    x, y = place(GRID).T
    ax.tricontour(x, y, divergence(GRID), [radius], **usual | style)
