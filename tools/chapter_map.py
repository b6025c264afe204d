"""The map of the chapters as a drawing: an arrow leads from a chapter to those that build on it."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence

from piumar_lib.notebook.plan import PLAN, Step, arrange

WIDTH, HEIGHT = 112, 46  # of a box
ACROSS, DOWN = 134, 72  # from box to box
LETTERS = 14  # that fit on a line of a box


def draw_map(titles: dict[str, str], plan: Sequence[Step] = PLAN) -> str:
    """Return the map as SVG in the page's own colours; its boxes are links.

    Args:
        titles: Title of each chapter, by file stem.
        plan: The chapters and their needs. One without a title is left out.
    """
    plan = [step for step in plan if step.stem in titles]
    if not plan:
        return ""
    cells = arrange(plan)
    columns, rows = map(max, zip(*cells.values(), strict=True))
    place = {
        number: (WIDTH / 2 + column * ACROSS + 2, (row + rows + 0.5) * DOWN)
        for number, (column, row) in cells.items()
    }
    width, height = columns * ACROSS + WIDTH + 4, (2 * rows + 1) * DOWN
    said = ", ".join(f"{step.number} on {' and '.join(step.needs)}" for step in plan if step.needs)
    arrows = [
        _arrow(place[need], place[step.number]) for step in plan for need in step.needs if need in place
    ]
    boxes = [_box(step, titles[step.stem], *place[step.number]) for step in plan]
    label = f"Map of the chapters. What builds on what: {said}."
    head = f'<svg class="map" viewBox="0 0 {width:g} {height:g}" role="group" aria-label="{label}">'
    return "".join([head, *arrows, *boxes, "</svg>"])


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    x, y, u, v = start[0] + WIDTH / 2, start[1], end[0] - WIDTH / 2, end[1]
    gap = ACROSS - WIDTH
    # If it passes a column, keep to the gap until the last moment.
    corner = f"L{u - gap:g} {y:g} " if u - x > gap else ""
    line = f'<path d="M{x:g} {y:g} {corner}L{u - 2:g} {v:g}"/>'
    return f'{line}<path class="head" d="M{u:g} {v:g}l-7 -4v8z"/>'


def _box(step: Step, title: str, x: float, y: float) -> str:
    lines = textwrap.wrap(title, LETTERS)
    first = y - 7 * (len(lines) - 1)
    text = "".join(
        f'<text x="{x:g}" y="{first + 14 * i:g}">{html.escape(line)}</text>'
        for i, line in enumerate(lines)
    )
    left, top = x - WIDTH / 2, y - HEIGHT / 2
    return (
        f'<a href="notebooks/{step.stem}.html">'
        f'<rect x="{left:g}" y="{top:g}" width="{WIDTH}" height="{HEIGHT}" rx="5"/>'
        f'<text class="number" x="{left + 5:g}" y="{top + 11:g}">{step.number}</text>{text}</a>'
    )
