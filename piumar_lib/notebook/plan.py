"""The map of the course."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes


class Step(NamedTuple):
    """One chapter on the map: its number, file stem without number, prerequisites, and title."""

    number: str
    name: str
    needs: tuple[str, ...]
    title: str

    @property
    def stem(self) -> str:
        """File name of the chapter without its ending."""
        return f"{self.number}_{self.name}"


PLAN: tuple[Step, ...] = (
    Step("00", "start_here", (), "Start here"),
    Step("01", "person_shift", ("00",), "Person shift"),
    Step("02", "optimal_transport", ("00",), "Optimal transport"),
    Step("03", "temporal_alignment", ("01", "02"), "Temporal alignment"),
    Step("04", "spectral_perturbation", ("01",), "Spectral perturbation"),
    Step("05", "consistency_fusion", ("03", "04"), "Consistency-driven fusion"),
    Step("06", "robust_optimisation", ("01",), "Robust optimisation"),
    Step("07", "pseudo_groups", ("06",), "Pseudo-groups"),
    Step("08", "piumr_from_scratch", ("05", "07"), "PIUmr from scratch"),
    Step("09", "evidence", ("08",), "Evidence"),
    Step("10", "costs", ("08",), "Costs"),
    Step("11", "prepare_ma52", ("08",), "Prepare MA-52"),
    Step("12", "train_ma52", ("11",), "Train on MA-52"),
    Step("13", "appendix_transport", ("02",), "Appendix: more on optimal transport"),
    Step("14", "appendix_robust_risks", ("06",), "Appendix: other robust risks"),
)


def arrange(plan: Sequence[Step] = PLAN) -> dict[str, tuple[int, float]]:
    """Return the column of each chapter, and its row below the middle, by its number.

    A chapter is one column to the right of its last prerequisite in ``plan``; columns are centred.
    """
    depth: dict[str, int] = {}
    for step in plan:
        depth[step.number] = 1 + max((depth[n] for n in step.needs if n in depth), default=-1)
    columns = [[n for n in depth if depth[n] == d] for d in sorted({*depth.values()})]
    return {
        number: (d, row - (len(column) - 1) / 2)
        for d, column in enumerate(columns)
        for row, number in enumerate(column)
    }


def draw_plan(ax: Axes) -> None:
    """Draw the map: an arrow leads from each chapter to those that build on it."""
    place = arrange()
    arrow = {"arrowstyle": "->", "shrinkA": 27, "shrinkB": 31, "color": "0.5"}
    for step in PLAN:
        words = textwrap.fill(f"{step.number} {step.title}", 12)
        x, y = place[step.number]
        ax.text(x, y, words, ha="center", va="center", fontsize=8, color="white",
                bbox={"boxstyle": "round", "color": "C0"})  # fmt: skip
        for need in step.needs:
            ax.annotate("", (x, y), place[need], zorder=0, arrowprops=arrow)
    columns, rows = map(max, zip(*place.values(), strict=True))
    ax.set(xlim=(-0.5, columns + 0.5), ylim=(rows + 0.6, -rows - 0.6))
    ax.axis("off")
