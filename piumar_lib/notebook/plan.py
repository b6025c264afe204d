"""The map of the course, including the chapters that are still to be written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes


class Step(NamedTuple):
    """One chapter on the map: its number, file stem without number, and what it builds on."""

    number: str
    name: str
    needs: tuple[str, ...]

    @property
    def stem(self) -> str:
        """File name of the chapter without its ending."""
        return f"{self.number}_{self.name}"

    @property
    def title(self) -> str:
        """The name in words, for chapters that have no title of their own yet."""
        words = self.name.replace("_", " ").capitalize()
        return words.replace("Piumr", "PIUmr").replace("ma52", "MA-52")


PLAN: tuple[Step, ...] = (
    Step("00", "start_here", ()),
    Step("01", "person_shift", ("00",)),
    Step("02", "optimal_transport", ("00",)),
    Step("03", "temporal_alignment", ("01", "02")),
    Step("04", "spectral_perturbation", ("01",)),
    Step("05", "consistency_fusion", ("03", "04")),
    Step("06", "robust_optimisation", ("01",)),
    Step("07", "pseudo_groups", ("06",)),
    Step("08", "piumr_from_scratch", ("05", "07")),
    Step("09", "evidence", ("08",)),
    Step("10", "costs", ("08",)),
    Step("11", "prepare_ma52", ("08",)),
    Step("12", "train_ma52", ("11",)),
    Step("13", "appendix_transport", ("02",)),
    Step("14", "appendix_robust_risks", ("06",)),
)


def arrange(plan: Sequence[Step] = PLAN) -> dict[str, tuple[int, float]]:
    """Return the column of each chapter, and its row below the middle, by its number.

    A chapter stands one column to the right of the last that it builds on; a column is centred.

    Args:
        plan: Chapters in order. A need that is not among them is passed over.
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
        words = f"{step.number} {step.title}".replace(" ", "\n")
        x, y = place[step.number]
        ax.text(x, y, words, ha="center", va="center", fontsize=8, color="white",
                bbox={"boxstyle": "round", "color": "C0"})  # fmt: skip
        for need in step.needs:
            ax.annotate("", (x, y), place[need], zorder=0, arrowprops=arrow)
    columns, rows = map(max, zip(*place.values(), strict=True))
    ax.set(xlim=(-0.5, columns + 0.5), ylim=(rows + 0.6, -rows - 0.6))
    ax.axis("off")
