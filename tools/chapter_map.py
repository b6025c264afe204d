"""The map of the chapters as a drawing: an arrow leads from a chapter to those that build on it."""

from __future__ import annotations

import textwrap

from piumar_lib.notebook.plan import PLAN, arrange
from tools.templates import render

WIDTH, GAP = 112, 22  # of a box; between columns
DOWN = 72  # from box to box
LETTERS = 14  # that fit on a line of a box


def draw_map(titles: dict[str, str]) -> str:
    """Return the map of chapters, whose titles have the file stem as key, as SVG; boxes are links."""
    plan = [step for step in PLAN if step.stem in titles]
    if not plan:
        return ""
    cells = arrange(plan)
    columns, rows = map(max, zip(*cells.values(), strict=True))
    place = {
        number: (2 + WIDTH // 2 + column * (WIDTH + GAP), int((row + rows + 0.5) * DOWN))
        for number, (column, row) in cells.items()
    }
    said = ", ".join(f"{step.number} on {' and '.join(step.needs)}" for step in plan if step.needs)
    ends = [(place[n], place[step.number]) for step in plan for n in step.needs if n in place]
    return render(
        "map.svg.j2",
        width=columns * (WIDTH + GAP) + WIDTH + 4,
        height=int((2 * rows + 1) * DOWN),
        gap=GAP,
        label=f"Map of the chapters. What builds on what: {said}.",
        arrows=[(x + WIDTH // 2, y, u - WIDTH // 2, v) for (x, y), (u, v) in ends],
        boxes=[(s, textwrap.wrap(titles[s.stem], LETTERS), *place[s.number]) for s in plan],
    )
