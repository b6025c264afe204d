"""Figures that several chapters use. Each function draws into given axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from piumar_lib.data.skeleton import LIMBS

KNOWN: dict[str, Any] = {"color": "C0"}
UNSEEN: dict[str, Any] = {"color": "C1", "hatch": "///", "edgecolor": "white"}
LINES: tuple[dict[str, Any], ...] = (  # for a few methods in one panel
    {"marker": "o", "linestyle": "-", "color": "C2"},
    {"marker": "s", "linestyle": "--", "color": "C4", "markerfacecolor": "white"},
    {"marker": "^", "linestyle": "-.", "color": "C0"},
    {"marker": "D", "linestyle": ":", "color": "C1", "markerfacecolor": "white"},
)


def skeleton(ax: Axes, pose: np.ndarray, **style: Any) -> None:
    """Draw a skeleton; ``pose`` (17, 2) in torso lengths, y downward."""
    usual: dict[str, Any] = {"color": "C0", "linewidth": 1.8}
    for a, b in LIMBS:
        ax.plot(*pose[[a, b]].T, solid_capstyle="round", **usual | style)
    ax.set_aspect("equal")
    ax.axis("off")
    ax.set_ylim(1.35, -1.75)


def clip(ax: Axes, poses: np.ndarray, shown: int = 5, magnify: float = 1.0) -> None:
    """Draw ``shown`` frames of a clip ``(time, 17, 2)`` over one another, early ones pale.

    ``magnify`` is a factor on the movement about the mean pose: micro-actions are hard to see. Units are
    torso lengths.
    """
    mean = poses.mean(0)
    moments = np.linspace(0, len(poses) - 1, shown).round().astype(int)
    for k, moment in enumerate(moments, start=1):
        skeleton(ax, mean + magnify * (poses[moment] - mean), alpha=0.15 + 0.85 * k / shown)


def plan(ax: Axes, matrix: np.ndarray) -> None:
    """Draw a transport plan ``(time, steps)``; darker entries have more mass."""
    ax.imshow(matrix.T, origin="lower", aspect="auto", cmap="Greys", interpolation="nearest")
    ax.set(xlabel="time [frame]", ylabel="canonical step")
    ax.grid(False)


def known_and_unseen(
    ax: Axes, names: Sequence[str], known: Sequence[float], unseen: Sequence[float]
) -> None:
    """Draw paired bars of accuracy in percent; unseen people are hatched."""
    at = np.arange(len(names))
    for shift, values, style, label in (
        (-0.2, known, KNOWN, "training people, new clips"),
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
    middle: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    reference: float | None = None,
) -> None:
    """Draw estimates with their intervals, first name on top; a nan estimate's line stays empty."""
    at = np.arange(len(names))[::-1]
    middle, low, high = (np.asarray(values, float) for values in (middle, low, high))
    reach = [middle - low, high - middle]
    ax.errorbar(middle, at, xerr=reach, fmt="o", color="C0", ecolor="0.45", capsize=3)
    if reference is not None:
        ax.axvline(reference, color="0.3", linestyle=":", linewidth=1.2)
    ax.set_yticks(at, names)
    ax.set_ylim(-0.6, len(names) - 0.4)


def effects(ax: Axes, comparisons: Mapping[str, Any]) -> str:
    """Draw paired differences of accuracies, in points, and return them in words.

    Each of ``comparisons``, by name, has a ``difference`` and its interval, ``low`` and ``high``, as
    fractions; None leaves the line empty.
    """
    middle, low, high = (
        [100 * getattr(c, name, np.nan) for c in comparisons.values()]
        for name in ("difference", "low", "high")
    )
    forest(ax, list(comparisons), middle, low, high, reference=0)
    ax.set_xlabel("difference, same unseen people [points]")
    return "; ".join(f"{name} {100 * c.difference:+.1f}" for name, c in comparisons.items() if c)


def two_by_person(
    ax: Axes, scores: Mapping[str, float], reference: Mapping[str, float], names: tuple[str, str]
) -> None:
    """Draw each person's accuracy, in [0, 1], under a reference and under a method, joined by a line.

    People are sorted by their accuracy under the reference; ``names`` are the method's and the
    reference's.
    """
    order = sorted(reference, key=lambda person: reference[person])
    first, second = (np.array([100 * s[p] for p in order]) for s in (reference, scores))
    at = np.arange(len(order))
    ax.vlines(at, np.minimum(first, second), np.maximum(first, second), color="0.6", linewidth=1)
    ax.plot(at, first, "s", color="C2", markerfacecolor="white", label=names[1])
    ax.plot(at, second, "o", color="C0", label=names[0])
    ax.set_xticks(at if len(order) <= 20 else [], order if len(order) <= 20 else [])
    ax.set(xlabel=f"unseen person, sorted by {names[1]}", ylabel="recognised [%]")


def people_bars(ax: Axes, scores: dict, unseen: bool = True) -> None:
    """Draw one bar for each person's accuracy (in [0, 1]), best first."""
    order = sorted(scores, key=lambda person: scores[person], reverse=True)
    style = UNSEEN if unseen else KNOWN
    ax.bar(range(len(order)), [100 * scores[p] for p in order], 0.8, **style)
    ax.set(xlabel="person, from best to worst recognised", ylabel="accuracy [%]", ylim=(0, 105))
    ax.set_xticks([])


def history(rows: Sequence[dict]) -> tuple[Figure, str]:
    """A training on MA-52 so far: loss, held-out people, body parts, rate, speed and memory.

    ``rows`` are those of the training's history, see `piumar_lib.ma52.history.History`. Returns the
    figure, and what it shows in words.
    """
    import matplotlib.pyplot as plt

    steps = [row for row in rows if "loss" in row]
    looks = [row for row in rows if "held out" in row]
    fig, axes = plt.subplots(2, 2, figsize=(7, 4))
    for ax, name in ((axes[0, 0], "loss"), (axes[1, 1], "learning rate")):
        ax.plot([row["epoch"] for row in steps], [row[name] for row in steps], **KNOWN)
        ax.set(xlabel="epoch", ylabel=name, ylim=(0, None))
    if steps:
        pace = f"{steps[-1]['clips/s']:.0f} clips per second, {steps[-1]['memory GB']:.1f} GB of memory"
        axes[1, 1].set_title(pace, fontsize=9)
    epochs = [row["epoch"] for row in looks]
    shown = ("F1_mean", "mean over people", "worst quarter of people")
    for name, style in zip(shown, LINES, strict=False):
        words = name.removesuffix(" of people")
        axes[0, 1].plot(epochs, [100 * row["held out"][name] for row in looks], label=words, **style)
    axes[0, 1].set(xlabel="epoch", ylabel="held-out people, %", ylim=(0, 100))
    seen = [row["held out"] for row in looks]
    constant = [scores["majority top-1"] for scores in seen if "majority top-1" in scores]
    if constant:
        axes[0, 1].axhline(100 * constant[-1], color="0.4", ls=":", label="constant answer")
    if looks:
        axes[0, 1].legend(fontsize=8, loc="upper center", ncols=2, handlelength=1.3, columnspacing=0.8)
        parts = {n: 100 * v for n, v in looks[-1]["held out"].items() if n.startswith("part ")}
        axes[1, 0].barh([name.removeprefix("part ") for name in parts], list(parts.values()), **UNSEEN)
    axes[1, 0].set(xlabel="clips recognised, %")
    now = f"loss {steps[0]['loss']:.2f} to {steps[-1]['loss']:.2f}" if steps else "no step yet"
    if looks:
        found = looks[-1]["held out"]
        now += f"; on held-out people F1_mean {100 * found['F1_mean']:.1f} %"
    if constant:
        now += (
            f", top-1 {100 * found['action top-1']:.1f} %, always the most frequent action "
            f"{100 * constant[-1]:.1f} %"
        )
    return fig, f"Training up to epoch {rows[-1]['epoch']:.1f}: {now}."
