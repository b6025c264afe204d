"""A forest plot: one line for each data set, below them the pooled difference as a diamond."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from piumar_lib.evidence.contrasts import Result, label_of
from piumar_lib.evidence.statistics import Difference, Pooled
from piumar_lib.evidence.wording import in_words, points


def draw_forest(ax: Axes, pooled: Pooled) -> str:
    """Draw differences by data set, first on top, and pooled, in points, and return them in words.

    Squares grow with the number of people; lines are intervals, if there are any. The diamond spans the
    pooled interval; the thin line through it is the prediction interval for a new data set. The grey
    band is the range of equivalence.
    """
    differences = pooled.by_set
    rows = range(len(differences), 0, -1)
    _draw_bound(ax, pooled)
    for row, found in zip(rows, differences.values(), strict=True):
        _draw_set(ax, row, found)
    _draw_pooled(ax, pooled)
    ax.axhline(0.5, color="0.6", linewidth=0.8)

    names = [f"{label_of(name)} ({found.people})" for name, found in differences.items()]
    ax.set_yticks([*rows, 0], [*names, f"pooled ({pooled.people})"])
    ax.set_ylim(-0.7, len(rows) + 0.6)
    ax.set_xlabel("difference, same unseen people [points]")
    ax.tick_params(axis="y", length=0)
    ax.grid(False)
    lines: dict[str, Difference | Pooled] = {
        f"{label_of(name)}, {found.people} people": found for name, found in differences.items()
    }
    lines[f"pooled, {pooled.people} people in {pooled.sets} data sets"] = pooled
    return "; ".join(f"{name}: {points(found)}" for name, found in lines.items()) + "."


def draw_side_by_side(pooled: Mapping[str, Pooled]) -> tuple[Figure, str]:
    """Draw forest plots of the same data sets on one scale; return the figure, and it in words."""
    fig, axes = plt.subplots(1, len(pooled), figsize=(7, 3.6), sharex=True, squeeze=False)
    words = []
    for ax, (title, found) in zip(axes[0], pooled.items(), strict=True):
        words.append(f"{title}: {draw_forest(ax, found)}")
        ax.set_title(title, loc="left", fontsize=10)
        ax.set_xlabel("")
    axes[0, 0].set_xlabel(_grey(found), fontsize=9)
    axes[0, -1].set_xlabel("thin line: range for a new data set", fontsize=9)
    for ax in axes[0, 1:]:
        ax.set_yticklabels([])
    return fig, " ".join(words)


def draw_contrasts(results: Sequence[Result]) -> tuple[Figure, str]:
    """Draw the pooled difference and the verdict of each contrast, a panel for each form.

    A diamond is filled where the verdict is decided. Intervals are at level 0.95 and not corrected.
    Returns the figure, and its description in words.
    """
    forms = list(dict.fromkeys(r.form for r in results))
    fig, axes = plt.subplots(1, len(forms), figsize=(7, 3.8), sharex=True, sharey=True, squeeze=False)
    for ax, form in zip(axes[0], forms, strict=True):
        shown = [r for r in results if r.form == form]
        _draw_bound(ax, shown[0].pooled)
        for row, r in enumerate(shown):
            _draw_set(ax, -row, r.pooled, marker="D", filled=r.verdict != "not decided")
            ax.text(100 * r.pooled.difference, 0.2 - row, r.verdict.split(" within")[0], fontsize=10)
        names = [str(r.contrast).replace(" over ", "\nover ") for r in shown]
        ax.set_yticks([-row for row in range(len(shown))], names)
        ax.set_ylim(0.4 - len(shown), 0.8)
        ax.set_title(form, loc="left", fontsize=10)
        ax.grid(False)
    fig.supxlabel(
        "pooled difference, same unseen people [points]; lines: 95 % intervals\n"
        f"verdicts: after Holm's correction for {len(results)} tests; {_grey(results[0].pooled)}",
        fontsize=10,
    )
    words = (
        f"{r.contrast}, {r.form}: {points(r.pooled)}, p {in_words(r.p_holm)}, p of equivalence "
        f"{in_words(r.equivalence_p_holm)}, {r.verdict}"
        for r in results
    )
    return fig, "; ".join(words) + "."


def _grey(pooled: Pooled) -> str:
    points = 100 * pooled.bound
    return f"grey: within ±{points:g} point{'s' * (points != 1)}"


def _draw_bound(ax: Axes, pooled: Pooled) -> None:
    ax.axvspan(-100 * pooled.bound, 100 * pooled.bound, color="0.92", zorder=0)
    ax.axvline(0, color="0.3", linestyle=":", linewidth=1.2, zorder=1)


def _draw_set(
    ax: Axes, row: float, found: Difference | Pooled, marker: str = "s", filled: bool = True
) -> None:
    if not math.isnan(found.low):
        ax.plot([100 * found.low, 100 * found.high], [row, row], color="0.35", linewidth=1.4)
    # Side of the square, whose area is proportional to the number of people.
    size = 2.5 + 0.8 * math.sqrt(found.people) if isinstance(found, Difference) else 7
    color = "C0" if filled else "w"
    ax.plot(100 * found.difference, row, marker, markersize=size, color=color, markeredgecolor="0.1")


def _draw_pooled(ax: Axes, pooled: Pooled) -> None:
    middle, low, high = (100 * value for value in (pooled.difference, pooled.low, pooled.high))
    if not math.isnan(pooled.prediction_low):
        ends = [100 * pooled.prediction_low, 100 * pooled.prediction_high]
        ax.plot(ends, [0, 0], color="0.1", linewidth=0.8, marker="|", markersize=5)
    if math.isnan(low):
        ax.plot(middle, 0, "D", color="0.1")
    else:
        ax.fill([low, middle, high, middle], [0, 0.28, 0, -0.28], facecolor="0.1", zorder=3)
