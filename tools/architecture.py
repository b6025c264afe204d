"""PIUmr as a drawing, and for the chapter of each part the same drawing with that part marked.

``python -m tools pictures`` writes ``notebooks/pictures/architecture.svg`` and, for chapter 03,
``architecture-03.svg``, and so on; that of chapter 08, which builds all, has the numbers of its blocks.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import NamedTuple

from piumar_lib.support.files import write_text

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
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" font-family="DejaVu Sans, Verdana, sans-serif" font-size="18">'
        f"<title>{escape(ALT)}</title>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>'
    )
    boxes = [_numbered(box) for box in BOXES] if chapter == WHOLE else BOXES
    parts = [*map(_arrow, ARROWS), *(_box(box, chapter in box.chapters) for box in boxes)]
    return "\n".join([head, *parts, _legend(chapter in CHAPTERS), "</svg>"]) + "\n"


def _numbered(box: Box) -> Box:
    if box.block is None:
        return box
    kept = (line for line in box.lines if not line.startswith("chapter"))
    return box._replace(lines=(*kept, f"block {box.block}"))


def _box(box: Box, here: bool) -> str:
    fill, ink = (HERE, "#ffffff") if here else (box.fill, "#111111")
    dashes = "" if box.always else ' stroke-dasharray="6 4"'
    middle, first = box.x + box.width // 2, box.y + box.height // 2 - 12 * (len(box.lines) - 1) + 6
    style = f'x="{middle}" text-anchor="middle" fill="{ink}"'
    weights = [' font-weight="bold"', *[""] * (len(box.lines) - 1)]
    text = "".join(
        f'<text {style} y="{first + 24 * row}"{weight}>{escape(line)}</text>'
        for row, (line, weight) in enumerate(zip(box.lines, weights, strict=True))
    )
    return (
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="6" '
        f'fill="{fill}" stroke="#333333" stroke-width="1.5"{dashes}/>{text}'
    )


def _arrow(corners: tuple[tuple[int, int], ...]) -> str:
    path = " ".join(f"{x},{y}" for x, y in corners)
    (before_x, before_y), (x, y) = corners[-2:]
    back = -8 if (x, y) > (before_x, before_y) else 8
    across = (back, -4, back, 4) if y == before_y else (-4, back, 4, back)
    assert x == before_x or y == before_y  # arrows run along the page
    head = f"{x},{y} {x + across[0]},{y + across[1]} {x + across[2]},{y + across[3]}"
    return (
        f'<polyline points="{path}" fill="none" stroke="#333333" stroke-width="1.5"/>'
        f'<polygon points="{head}" fill="#333333"/>'
    )


def _legend(here: bool) -> str:
    entries = [(TFAM, "TFAM", 10), (GIRL, "GIRL", 108), (USUAL, "any recogniser", 206)]
    entries += [(HERE, "you are here", 400)] if here else []
    drawn = [
        f'<rect x="{x}" y="358" width="18" height="18" rx="3" fill="{fill}" stroke="#333"/>'
        f'<text x="{x + 26}" y="373">{words}</text>'
        for fill, words, x in entries
    ]
    dashed = f'<text x="{WIDTH - 10}" y="373" text-anchor="end">dashed: in training only</text>'
    return "".join([*drawn, dashed])


def write_architecture(folder: Path) -> list[Path]:
    """Write the drawing, and one for each of `CHAPTERS` and `WHOLE`, and return their paths."""
    marked = {f"architecture-{chapter}": chapter for chapter in (*CHAPTERS, WHOLE)}
    written = marked | {"architecture": ""}
    for name, chapter in written.items():
        write_text(folder / f"{name}.svg", draw(chapter))
    return [folder / f"{name}.svg" for name in written]
