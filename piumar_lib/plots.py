"""Figures that more than one chapter draws. Each function draws into the axes that it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from piumar_lib.data.skeleton import LIMBS
from piumar_lib.metrics import Comparison

KNOWN = {"color": "C0"}
UNSEEN = {"color": "C1", "hatch": "///", "edgecolor": "white"}


def person_style(person: int, unseen: bool = False) -> dict:
    """Line style of a person: the same colour in every figure, dashed if unseen."""
    return {"color": f"C{int(person) % 7}", "linestyle": "--" if unseen else "-"}


def skeleton(ax: Axes, pose: np.ndarray, **style) -> None:
    """Draw a skeleton; ``pose`` (17, 2) in torso lengths, y downward."""
    style = {"color": "C0", "linewidth": 1.8} | style
    for a, b in LIMBS:
        ax.plot(*pose[[a, b]].T, solid_capstyle="round", **style)
    ax.set_aspect("equal")
    ax.axis("off")
    ax.set_ylim(1.35, -1.75)


def clip(ax: Axes, poses: np.ndarray, shown: int = 5, magnify: float = 1.0) -> None:
    """Draw moments of a clip over one another, early ones pale.

    Args:
        ax: Where to draw.
        poses: Joints over time, torso lengths, shape ``(time, 17, 2)``.
        shown: Number of moments.
        magnify: Factor on the movement about the mean pose: micro-actions are hard to see.
    """
    mean = poses.mean(0)
    moments = np.linspace(0, len(poses) - 1, shown).round().astype(int)
    for k, moment in enumerate(moments, start=1):
        skeleton(ax, mean + magnify * (poses[moment] - mean), alpha=0.15 + 0.85 * k / shown)


def plan(ax: Axes, matrix: np.ndarray) -> None:
    """Draw a transport plan ``(time, steps)``: dark where mass goes."""
    ax.imshow(matrix.T, origin="lower", aspect="auto", cmap="Greys", interpolation="nearest")
    ax.set(xlabel="time [frame]", ylabel="canonical step")
    ax.grid(False)


def known_and_unseen(
    ax: Axes, names: Sequence[str], known: Sequence[float], unseen: Sequence[float]
) -> None:
    """Draw paired bars of accuracy in percent; unseen people are hatched."""
    at = np.arange(len(names))
    for shift, values, style, label in (
        (-0.2, known, KNOWN, "people it knows"),
        (0.2, unseen, UNSEEN, "unseen people"),
    ):
        bars = ax.bar(at + shift, values, 0.38, label=label, **style)
        ax.bar_label(bars, fmt="%.0f", fontsize=9)
    ax.set_xticks(at, names)
    ax.set(ylabel="accuracy [%]", ylim=(0, 109))
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)


def forest(
    ax: Axes,
    names: Sequence[str],
    middle: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    reference: float | None = None,
) -> None:
    """Draw estimates with their intervals, first name on top, and a reference line."""
    at = np.arange(len(names))[::-1]
    middle, low, high = map(np.asarray, (middle, low, high))
    ax.errorbar(
        middle, at, xerr=[middle - low, high - middle], fmt="o", color="C0", ecolor="0.45", capsize=3
    )
    if reference is not None:
        ax.axvline(reference, color="0.3", linestyle=":", linewidth=1.2)
    ax.set_yticks(at, names)
    ax.set_ylim(-0.6, len(names) - 0.4)


def differences(ax: Axes, comparisons: Mapping[str, Comparison]) -> str:
    """Draw paired differences (in points) with their intervals, and return them in words."""
    values = comparisons.values()
    middle, low, high = ([getattr(c, key) for c in values] for key in ("difference", "low", "high"))
    forest(ax, list(comparisons), middle, low, high, reference=0)
    ax.set_xlabel("difference, same unseen people [points]")
    words = (f"{n} {c.difference:+.1f} [{c.low:.1f}, {c.high:.1f}]" for n, c in comparisons.items())
    return "Paired differences with 95 % intervals over people: " + "; ".join(words) + "."


def people_bars(ax: Axes, scores: dict, unseen: bool = True) -> None:
    """Draw one bar for each person's accuracy (in [0, 1]), best first."""
    order = sorted(scores, key=scores.get, reverse=True)
    style = UNSEEN if unseen else KNOWN
    ax.bar(range(len(order)), [100 * scores[p] for p in order], 0.8, **style)
    ax.set(xlabel="person, from best to worst recognised", ylabel="accuracy [%]", ylim=(0, 105))
    ax.set_xticks([])
