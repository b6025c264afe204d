"""Markdown cut into blocks, and how much room each takes on a slide."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

KINDS = {
    "heading": re.compile(r"#{1,6} "),
    "formula": re.compile(r"\s*\$\$"),
    "quote": re.compile(r">"),
    "table": re.compile(r"\|"),
    "list": re.compile(r"([-*+]|\d+\.) "),
    "code": re.compile(r"```"),
    "html": re.compile(r"<\w"),
    "figure": re.compile(r"!\["),
}
ALONE = ("formula", "heading", "code")  # blocks even without empty lines around them
# Characters that fit on one line of the slide's 1232 pixels, in the sizes of slides.css.
PROSE_WIDTH, QUOTE_WIDTH, CODE_WIDTH = 74, 62, 83
TABLE_WIDTH, COLUMN_GAP, SHORT_CELL = 76, 2.2, 18  # short cells are never broken
SMALLER = 1.3  # how many more characters, and lines, the small type of a table has room for
# A line of prose, a row of a formula and of a table are higher than a line of code, which counts 1.
PROSE_LINE, FORMULA_LINE, TABLE_LINE, GAP = 1.35, 2.0, 1.1, 0.6
LIMIT = 16.0  # lines of code that fit below the title of a slide


@dataclass(frozen=True)
class Block:
    """A piece of markdown without an empty line in between, save in code, formulas and lists."""

    kind: str
    text: str


def split(source: str) -> list[Block]:
    """Cut the markdown of a cell into blocks."""
    return [Block(_kind(text), text) for text in _pieces(source.splitlines())]


def _kind(text: str) -> str:
    return next((kind for kind, pattern in KINDS.items() if pattern.match(text)), "prose")


def _pieces(lines: list[str]) -> Iterator[str]:
    """Yield the lines of each block."""
    block: list[str] = []
    inside = ""  # what must be closed first: a fence, a formula, folded text
    for index, line in enumerate(lines):
        starts = not inside and _kind(line) in ALONE
        if block and starts:
            yield "\n".join(block)
            block = []
        if not line.strip() and not inside and not _goes_on(block, lines[index + 1 :]):
            if block:
                yield "\n".join(block)
            block = []
            continue
        block.append(line)
        inside = _still_inside(inside, line)
        if not inside and _kind(block[0]) in ALONE:
            yield "\n".join(block)
            block = []
    if block:
        yield "\n".join(block)


def _still_inside(inside: str, line: str) -> str:
    for begin, end in (("```", "```"), ("<details", "</details>")):
        if inside == begin:
            return "" if end in line else inside
        if not inside and line.startswith(begin) and end not in line[len(begin) :]:
            return begin
    if inside in ("", "$$") and line.count("$$") % 2:
        return "" if inside else "$$"
    return inside


def _goes_on(block: list[str], rest: list[str]) -> bool:
    """Whether a list goes on after an empty line."""
    following = next((line for line in rest if line.strip()), "")
    if not block or _kind(block[0]) != "list":
        return False
    return following.startswith("  ") or _kind(following) == "list"


def sentences(paragraph: str) -> list[str]:
    """Cut prose after full stops that a capital, a formula or code follows."""
    flat = " ".join(paragraph.split())
    return re.split(r"(?<=[.?!])\s+(?=[A-Z$`*\"(\[])", flat)


def count_lines(block: Block) -> float:
    """Return how many lines of code a block is as high as."""
    text = block.text
    if block.kind == "formula":
        rows = text.count(r"\\") + 1 + text.count(r"\qquad") * 0.25
        return FORMULA_LINE * rows + GAP
    if block.kind == "code":
        return wrapped(text.splitlines()[1:-1], CODE_WIDTH) + GAP
    if block.kind == "table":
        return count_rows(text.splitlines())
    if block.kind == "list":
        items = re.split(r"\n(?=[-*+] |\d+\. )", text)
        return PROSE_LINE * sum(wrapped([_visible(i)], PROSE_WIDTH - 4) + 0.2 for i in items) + GAP
    width = QUOTE_WIDTH if block.kind == "quote" else PROSE_WIDTH
    return PROSE_LINE * wrapped([_visible(text)], width) + GAP


def count_rows(rows: list[str]) -> float:
    """Return how many lines of code the rows of a markdown table are as high as, header included."""
    table = [_cells(row) for row in rows if not re.fullmatch(r"[|\s:-]+", row)]
    return _table_height(table, SMALLER if is_small(table) else 1)


def _table_height(table: list[list[str]], smaller: float) -> float:
    line = TABLE_LINE / smaller
    columns = _squeeze(_column_widths(table), TABLE_WIDTH * smaller)
    height = 0.0
    for row in table:
        broken = [wrapped([cell], room) for cell, room in zip(row, columns, strict=False)]
        height += line * max(broken, default=1) + 0.27
    return height + GAP


def is_small(table: list[list[str]]) -> bool:
    """Whether a table, given by its cells, must be set in smaller type."""
    return _needs(_column_widths(table)) > TABLE_WIDTH or _table_height(table, 1) > LIMIT


def cut_columns(rows: list[str]) -> list[str]:
    """Keep as many columns of a markdown table as fit in small type with their short cells unbroken."""
    widths = _column_widths([_cells(row) for row in rows if not re.fullmatch(r"[|\s:-]+", row)])
    kept = len(widths)
    while kept > 2 and _needs([min(w, SHORT_CELL) for w in widths[:kept]]) > TABLE_WIDTH * SMALLER:
        kept -= 1
    if kept == len(widths):
        return rows
    return ["| " + " | ".join(_raw_cells(row)[:kept]) + " |" for row in rows]


def cut_rows(rows: list[str]) -> list[list[str]]:
    """Cut a markdown table into even tables that fit on a slide each, all with its header."""
    head, body = rows[:2], rows[2:]
    for count in range(1, len(body) + 1):
        size = math.ceil(len(body) / count)
        parts = [[*head, *body[k : k + size]] for k in range(0, len(body), size)]
        if all(count_rows(part) <= LIMIT for part in parts):
            return parts
    return [rows]


def _needs(widths: list[int]) -> float:
    return sum(widths) + COLUMN_GAP * len(widths)


def _raw_cells(row: str) -> list[str]:
    inner = row.strip().removeprefix("|").removesuffix("|")
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", inner)]


def _cells(row: str) -> list[str]:
    return [_visible(cell) for cell in _raw_cells(row)]


def _column_widths(table: list[list[str]]) -> list[int]:
    """Of the widest cell of each column; a header breaks between words."""
    if not table:
        return []
    words = [max(map(len, cell.split()), default=0) for cell in table[0]]
    columns = list(zip(*table[1:], strict=False)) or [()] * len(words)
    return [max([word, *map(len, column)]) for word, column in zip(words, columns, strict=False)]


def _squeeze(widths: list[int], room: float) -> list[int]:
    """Narrow the widest columns until all of them fit, as a browser does."""
    most = max(widths, default=1)
    while most > 4 and _needs([min(w, most) for w in widths]) > room:
        most -= 1
    return [max(1, min(width, most)) for width in widths]


def wrapped(lines: list[str], width: int) -> int:
    """Return how many lines there are once long ones are broken."""
    return sum(max(1, math.ceil(len(line) / width)) for line in lines)


def _visible(markdown: str) -> str:
    """Roughly what is seen of some markdown: link targets, emphasis and quotation marks gone."""
    flat = " ".join(re.sub(r"^[>|]\s?", "", line) for line in markdown.split("\n"))
    flat = re.sub(r"\]\([^)]*\)|\*\*|`|\\[a-z]+", "", flat.replace("\\|", ","))
    return " ".join(flat.split())
