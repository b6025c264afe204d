"""PIUmr as a drawing, and for the chapter of each part the same drawing with that part marked.

``python -m tools pictures`` writes ``notebooks/pictures/architecture.svg`` and, for chapter 03,
``architecture-03.svg``, and so on; that of chapter 08, which builds all, has the numbers of its blocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from piumar_lib.support.files import write_text
from tools.templates import render

WIDTH, HEIGHT = 856, 390
TFAM, GIRL, USUAL, HERE = "#dbe9f6", "#fde6cf", "#ffffff", "#1f77b4"
CHAPTERS = ("03", "04", "05", "06", "07")  # those that build a part
WHOLE = "08"  # the one that builds all of it, in numbered blocks


class Box(NamedTuple):
    """A part of the method."""

    x: int  # its left upper corner, in pixels
    y: int
    width: int
    height: int
    lines: tuple[str, ...]  # what it says; the first line is its name
    fill: str = USUAL
    chapters: tuple[str, ...] = ()  # those that build it
    block: int | None = None  # its number in `WHOLE`
    always: bool = True  # or in training only; then it is drawn with dashes


BOXES = (
    Box(10, 78, 92, 80, ("clip",)),
    Box(132, 20, 202, 88, ("temporal branch", "optimal transport", "chapters 02, 03"), TFAM, ("03",), 1),
    Box(132, 128, 202, 88, ("frequency branch", "perturbs spectra", "chapter 04"),
        TFAM, ("04",), 2, always=False),
    Box(364, 20, 112, 196, ("backbone", "shared by", "both views"), block=5),
    Box(506, 20, 194, 88, ("fusion", "gate on agreement", "chapter 05"), TFAM, ("05",), 3),
    Box(506, 128, 194, 88, ("consistency loss", "of the two views", "chapter 05"),
        TFAM, ("05",), 6, always=False),
    Box(730, 30, 116, 68, ("head", "52 actions")),
    Box(290, 246, 186, 88, ("pseudo-groups", "of similar style", "chapter 07"),
        GIRL, ("07",), 7, always=False),
    Box(506, 246, 194, 88, ("robust weights", "of group risks", "chapter 06"),
        GIRL, ("06",), 7, always=False),
)  # fmt: skip
# Corners of each arrow.
ARROWS = (
    ((102, 105), (117, 105), (117, 64), (132, 64)),
    ((102, 131), (117, 131), (117, 172), (132, 172)),
    ((334, 64), (364, 64)),
    ((334, 172), (364, 172)),
    ((476, 64), (506, 64)),
    ((476, 172), (506, 172)),
    ((700, 64), (730, 64)),
    ((420, 216), (420, 246)),
    ((476, 290), (506, 290)),
    ((788, 98), (788, 290), (700, 290)),  # the losses of clips
)
ALT = (
    "Architecture of PIUmr. A clip goes into a temporal branch, which aligns it by optimal transport on "
    "a motion clock, and in training into a frequency branch, which perturbs its spectrum. Both views "
    "pass a shared backbone; a gate on their agreement fuses them, and a head predicts one of 52 "
    "actions. In training a consistency loss compares the views, and GIRL weights pseudo-groups by risk."
)


def draw(chapter: str = "") -> str:
    """The drawing as SVG; the parts that ``chapter`` builds are marked, in `WHOLE` numbered."""
    legend = [(TFAM, "TFAM", 10), (GIRL, "GIRL", 108), (USUAL, "any recogniser", 206)]
    return render(
        "architecture.svg.j2",
        width=WIDTH,
        height=HEIGHT,
        alt=ALT,
        arrows=map(_points, ARROWS),
        boxes=map(_numbered, BOXES) if chapter == WHOLE else BOXES,
        chapter=chapter,
        here=HERE,
        legend=[*legend, (HERE, "you are here", 400)] if chapter in CHAPTERS else legend,
    )


def _numbered(box: Box) -> Box:
    if box.block is None:
        return box
    kept = (line for line in box.lines if not line.startswith("chapter"))
    return box._replace(lines=(*kept, f"block {box.block}"))


def _points(corners: tuple[tuple[int, int], ...]) -> tuple[str, str]:
    """The points of an arrow's line, and those of its head."""
    (before_x, before_y), (x, y) = corners[-2:]
    assert x == before_x or y == before_y  # arrows run along the page
    back = -8 if (x, y) > (before_x, before_y) else 8
    wings = ((back, -4), (back, 4)) if y == before_y else ((-4, back), (4, back))
    head = [(x, y), *((x + across, y + down) for across, down in wings)]
    return _join(corners), _join(head)


def _join(points: Iterable[tuple[int, int]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def write_architecture(folder: Path) -> list[Path]:
    """Write the drawing, and one for each of `CHAPTERS` and `WHOLE`, and return their paths."""
    marked = {f"architecture-{chapter}": chapter for chapter in (*CHAPTERS, WHOLE)}
    written = marked | {"architecture": ""}
    for name, chapter in written.items():
        write_text(folder / f"{name}.svg", draw(chapter))
    return [folder / f"{name}.svg" for name in written]
