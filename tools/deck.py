"""A chapter as a deck of slides: little on each slide, the rest in the speaker's notes.

A slide keeps headings, formulas, predictions, lists, figures, printed results and short code. Prose and
code that only prepares, draws or prints go to the notes, so nothing is lost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools.blocks import (
    CODE_WIDTH,
    GAP,
    LIMIT,
    PROSE_LINE,
    Block,
    count_lines,
    count_rows,
    cut_columns,
    cut_rows,
    sentences,
    split,
    wrapped,
)
from tools.exercises import CALL, FOLDED
from tools.statements import cut_code, is_quiet

APPENDIX = ("Paper ledger", "References")  # sections that are for reading, not for showing
SUMMARY = "What we saw"  # a section of printed sentences
IDEA = "The idea in one figure"  # a section in which code and its results wait for the figure
LEAD = 3  # lines of prose that a heading's or a formula's sentence may take
CAPTION = 3  # printed lines for which a figure makes room
SCRAP = 4.0  # lines of code that are not worth a slide of their own
TABLES = 3  # slides that a printed table may take
HIDDEN = "hide-input"  # tag of cells whose output alone is on the slide


@dataclass
class Slide:
    """One slide.

    Attributes:
        title: Its heading, with the leading ``#`` or ``##``.
        fresh: Whether it begins a section; else it stands below the slide before.
        cells: What it shows.
        lines: How high that is, in lines of code.
        notes: What the speaker says.
    """

    title: str
    fresh: bool
    cells: list[NotebookNode] = field(default_factory=list)
    lines: float = 0.0
    notes: list[str] = field(default_factory=list)


class Deck:
    """Slides that are filled one after the other."""

    def __init__(self) -> None:
        self.slides: list[Slide] = []

    def begin(self, title: str) -> None:
        """Begin a section, or with ``###`` a slide below the last one."""
        level, _, words = title.partition(" ")
        fresh = len(level) < 3 or not self.slides
        if not fresh and not self.slides[-1].cells:  # a heading right below a heading
            self.slides[-1].title = f"## {words}"
            return
        self.slides.append(Slide(title if level == "#" else f"## {words}", fresh))

    def put(self, cell: NotebookNode, lines: float, alone: bool = False) -> None:
        """Put a cell on the current slide, or on a new one below it if it does not fit.

        A figure stands alone: not even its section's first sentence, which the notes have, is kept.
        """
        last = self.slides[-1]
        if alone and all("lead" in cell.metadata for cell in last.cells):
            last.cells, last.lines = [], 0.0
        if last.cells and (alone or last.lines + lines > LIMIT):
            self.go_on()
        self.slides[-1].cells.append(cell)
        self.slides[-1].lines += LIMIT if alone else lines

    def go_on(self) -> None:
        """Begin a slide below the current one, under the same heading."""
        words = self.slides[-1].title.partition(" ")[2]
        self.slides.append(Slide(f"## {words}", False))

    def note(self, markdown: str) -> None:
        """Add to the notes of the current slide."""
        self.slides[-1].notes.append(markdown)


def to_deck(notebook: NotebookNode) -> list[Slide]:
    """Lay an executed chapter out on slides; its first cell must begin with a heading.

    Returns:
        The slides, none higher than `LIMIT`.
    """
    deck = Deck()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            _place_code(deck, cell)
        else:
            _place_markdown(deck, cell.source)
    return _tidy(deck.slides)


def _tidy(slides: list[Slide]) -> list[Slide]:
    """Take out slides that only lead to the next one, or hold a scrap of code; the notes keep both."""
    kept: list[Slide] = []
    for slide, after in zip(slides, [*slides[1:], None], strict=True):
        goes_on = after is not None and not after.fresh and after.title == slide.title
        if goes_on and _is_lead(slide):
            after.fresh, after.notes = slide.fresh, slide.notes + after.notes
        elif not slide.fresh and _is_scrap(slide):
            code = [f"```python\n{cell.source}\n```" for cell in slide.cells]
            if goes_on:
                after.notes = [*slide.notes, *code, *after.notes]
            else:
                kept[-1].notes += [*slide.notes, *code]
        else:
            kept.append(slide)
    return kept


def _is_lead(slide: Slide) -> bool:
    """Whether there is nothing but the first sentence of a section, which its notes have, too."""
    return all("lead" in cell.metadata for cell in slide.cells) and not slide.title.startswith("# ")


def _is_scrap(slide: Slide) -> bool:
    """Whether there is nothing but a few lines of code without a result, and no exercise."""
    plain = all(cell.cell_type == "code" and not cell.outputs for cell in slide.cells)
    return plain and slide.lines <= SCRAP and "Exercise" not in slide.title


def _place_markdown(deck: Deck, source: str) -> None:
    if source.startswith(FOLDED):
        deck.note(source)
        return
    blocks = split(source)
    for index, block in enumerate(blocks):
        before = blocks[index - 1] if index else None
        after = blocks[index + 1] if index + 1 < len(blocks) else None
        if block.kind == "heading" and block.text.lstrip("# ") in APPENDIX:
            deck.note("\n\n".join(b.text for b in blocks[index:]))
            return
        if block.kind == "heading":
            deck.begin(block.text)
        elif block.kind == "prose":
            _place_prose(deck, block, before, after)
        elif block.kind == "table" and count_lines(block) > LIMIT and not _is_facts(deck, block):
            for part in cut_rows(block.text.splitlines()):
                deck.put(new_markdown_cell("\n".join(part)), count_rows(part))
        elif block.kind == "html" or count_lines(block) > LIMIT or _is_facts(deck, block):
            deck.note(block.text)
        elif block.kind == "formula":
            alone = re.sub(r"[,.;]\s*\$\$$", " $$", block.text)  # its sentence is in the notes
            deck.put(new_markdown_cell(alone), count_lines(block))
        else:
            deck.put(new_markdown_cell(block.text), count_lines(block), block.kind == "figure")
            if block.text.startswith("> **Predict"):
                deck.slides[-1].lines = LIMIT  # what follows is the answer


def _is_facts(deck: Deck, block: Block) -> bool:
    """Whether it is the table of a chapter's running time: not for the title slide."""
    return len(deck.slides) == 1 and block.kind == "table"


def _place_prose(deck: Deck, block: Block, before: Block | None, after: Block | None) -> None:
    """Put a heading's first sentence and a formula's or list's last one on the slide."""
    exercise = "Exercise" in deck.slides[-1].title
    if deck.slides[-1].title.startswith("# ") and not deck.slides[-1].cells:
        deck.put(new_markdown_cell(block.text), LIMIT)  # the chapter's question, alone
        return
    deck.note(block.text)
    if exercise and count_lines(block) <= LIMIT:
        shown = block.text
    elif before and before.kind == "heading":
        shown = sentences(block.text)[0]
    elif after and after.kind in ("formula", "list") and not block.text.endswith((".", "?", ")")):
        shown = sentences(block.text)[-1]  # an unfinished one announces what follows
    else:
        return
    lines = count_lines(Block("prose", shown))
    if not exercise and lines > LEAD * PROSE_LINE + GAP:
        return
    if after and after.kind in ("formula", "list") and not exercise:
        room = lines + count_lines(after)  # what announces a formula stays with it
        if deck.slides[-1].lines + room > LIMIT >= room and deck.slides[-1].cells:
            deck.go_on()
    lead = {"lead": True} if before and before.kind == "heading" and not exercise else {}
    deck.put(new_markdown_cell(shown, metadata=lead), lines)


def _place_code(deck: Deck, cell: NotebookNode) -> None:
    # What checks and the start of a run print is not about the matter.
    silent = bool(CALL.search(cell.source)) or "start(profile" in cell.source
    silent |= _waits_for_figure(deck, cell)
    pictured = any(_is_figure(o) or "text/markdown" in o.get("data", {}) for o in cell.outputs)
    quiet = silent or pictured or SUMMARY in deck.slides[-1].title or is_quiet(cell)
    parts = [] if quiet else cut_code(cell.source)
    printed = [] if silent else [o for o in cell.outputs if o.get("name") != "stderr"]
    for index, part in enumerate(parts):
        lines = wrapped(part.splitlines(), CODE_WIDTH) + GAP
        last = index + 1 == len(parts)
        room = lines + (sum(_height(o) for o in printed) if last else 0)
        if deck.slides[-1].cells and deck.slides[-1].lines + room > LIMIT >= room:
            deck.go_on()  # code stays with its results
        deck.put(new_code_cell(part), lines)
    for output in printed:
        if parts or not _place_caption(deck, output):
            _place_output(deck, output)
    if not parts and cell.source.strip():
        deck.note(f"```python\n{cell.source.strip()}\n```")


def _waits_for_figure(deck: Deck, cell: NotebookNode) -> bool:
    """Whether a section has to begin with its figure, which neither it nor this cell has shown yet."""
    title = deck.slides[-1].title
    seen = [c for slide in deck.slides if slide.title == title for c in slide.cells]
    outputs = [output for c in (*seen, cell) for output in c.get("outputs", [])]
    return IDEA in title and not any(map(_is_figure, outputs))


def _is_figure(output: NotebookNode) -> bool:
    return any(kind.startswith("image/") for kind in output.get("data", {}))


def _height(output: NotebookNode) -> float:
    if _is_figure(output):
        return LIMIT
    data = output.get("data", {})
    if "text/markdown" in data:
        return sum(
            count_rows(b.text.splitlines()) if b.kind == "table" else count_lines(b)
            for b in split(data["text/markdown"])
        )
    text = output.get("text") or data.get("text/plain", "")
    return wrapped(text.rstrip().splitlines(), CODE_WIDTH) + GAP


def _place_caption(deck: Deck, output: NotebookNode) -> bool:
    """Put a few printed lines below the figure that was shown last; return whether they fit."""
    cells = deck.slides[-1].cells
    text = output.get("text", "").rstrip()
    lines = wrapped(text.splitlines(), CODE_WIDTH)
    pictured = len(cells) == 1 and any(map(_is_figure, cells[0].get("outputs", [])))
    if not pictured or not text or text.startswith("- ") or lines > CAPTION:
        return False
    cells.append(_shown(new_output("stream", name="stdout", text=text)))
    return True


def _place_output(deck: Deck, output: NotebookNode) -> None:
    """Put an output on the slide; of a long one the beginning, with the whole in the notes."""
    if _is_figure(output):
        deck.put(_shown(output), LIMIT, alone=True)
        return
    data = output.get("data", {})
    if "text/markdown" in data:
        if _height(output) > LIMIT or not _has_room(data["text/markdown"]):
            deck.note(data["text/markdown"])
            for part in _cut_table(data["text/markdown"]):
                deck.put(_shown(_markdown(part)), _height(_markdown(part)))
            return
    else:
        text = (output.get("text") or data.get("text/plain", "")).rstrip()
        if not text or text.startswith("<"):  # the name of an object that is drawn elsewhere
            return
        if text.startswith("def ") and _height(output) > LIMIT:  # half a function explains nothing
            deck.note(f"```python\n{text}\n```")
            return
        if all(line.startswith("- ") for line in text.splitlines()) and "$" not in text:
            for part in _fit_bullets(text.splitlines()):
                deck.put(new_markdown_cell(part), count_lines(Block("list", part)))
            return
        output = new_output("stream", name="stdout", text=text)
        if _height(output) > LIMIT:
            deck.note(f"```\n{text}\n```")
            output.text = _shorten_text(text)
    deck.put(_shown(output), _height(output))


def _fit_bullets(items: list[str]) -> list[str]:
    """Lists of one line for each item, none higher than a slide."""
    parts = [items[0]]
    for item in items[1:]:
        joined = f"{parts[-1]}\n{item}"
        if count_lines(Block("list", joined)) <= LIMIT:
            parts[-1] = joined
        else:
            parts.append(item)
    return parts


def _has_room(markdown: str) -> bool:
    """Whether no table has more columns than fit."""
    tables = [b.text.splitlines() for b in split(markdown) if b.kind == "table"]
    return all(cut_columns(rows) == rows for rows in tables)


def _shown(output: NotebookNode) -> NotebookNode:
    return new_code_cell("", outputs=[output], metadata={"tags": [HIDDEN]})


def _markdown(text: str) -> NotebookNode:
    return new_output("display_data", {"text/markdown": text, "text/plain": ""})


def _cut_table(markdown: str) -> list[str]:
    """A table on a few slides, or else its beginning, without columns for which there is no room.

    Of anything else, the first block that fits.
    """
    blocks = split(markdown)
    table = next((block for block in blocks if block.kind == "table"), None)
    if table is None:
        return [next((block.text for block in blocks if count_lines(block) <= LIMIT), "")]
    rows, kept = cut_columns(table.text.splitlines()), 2
    parts = cut_rows(rows)
    if len(parts) <= TABLES:
        return ["\n".join(part) for part in parts]
    while count_rows(rows[: kept + 1]) + PROSE_LINE + GAP <= LIMIT and kept < len(rows):
        kept += 1
    return ["\n".join(rows[:kept]) + "\n\n*The whole table is in the chapter.*"]


def _shorten_text(text: str) -> str:
    lines, kept = text.splitlines(), 0
    while wrapped(lines[: kept + 1], CODE_WIDTH) + 1 + GAP <= LIMIT:
        kept += 1
    return "\n".join([*lines[:kept], f"... and {len(lines) - kept} more lines"])


def arrange(slides: list[Slide]) -> NotebookNode:
    """Return the notebook that nbconvert turns into these slides."""
    cells = []
    for slide in slides:
        first = new_markdown_cell(slide.title)
        first.metadata["slideshow"] = {"slide_type": "slide" if slide.fresh else "subslide"}
        cells += [first, *slide.cells]
        if slide.notes:
            notes = new_markdown_cell("\n\n".join(slide.notes))
            notes.metadata["slideshow"] = {"slide_type": "notes"}
            cells.append(notes)
    for index, cell in enumerate(cells):
        cell["id"] = f"slide-{index}"
    return new_notebook(cells=cells)
