"""How long a chapter takes to read, told beside how long it takes to run."""

from __future__ import annotations

from pathlib import Path

from bs4 import BeautifulSoup
from nbformat import NotebookNode

from piumar_lib.files import read_json
from tools.chapters import Chapter, to_notebook
from tools.run import RECORD

WORDS, LINES = 200, 15  # a minute's worth of prose, and of code: a guess for technical text


def reading_minutes(notebook: NotebookNode) -> int:
    """Return the minutes that the prose and code of a chapter take to read, at least one."""
    words = sum(len(c.source.split()) for c in notebook.cells if c.cell_type == "markdown")
    code = [c.source.splitlines() for c in notebook.cells if c.cell_type == "code"]
    lines = sum(bool(line.strip()) for source in code for line in source)
    return max(1, round(words / WORDS + lines / LINES))


def describe(root: Path, chapter: Chapter) -> str:
    """Return one line about a chapter: how long to read, how long to run where that was measured."""
    line = f"About {reading_minutes(to_notebook(chapter.path))} minutes to read"
    path = root / RECORD
    costs = read_json(path, "Delete it.", ["chapters"])["chapters"] if path.exists() else {}
    if cost := costs.get(chapter.stem):
        line += f"; {cost['seconds']:.0f} s and {cost['peak_mb']} MB to run in profile quick"
    return f"{line}."


def add_column(page: BeautifulSoup, chapters: list[Chapter]) -> None:
    """Tell reading times in README's table of chapters, before its last two columns."""
    stems = {f"notebooks/{c.stem}.ipynb": c for c in chapters}
    for row in page.select("table tr"):
        link = row.find("a", href=list(stems))
        cells = row(["td", "th"])
        if len(cells) < 5:
            continue
        cell = page.new_tag(cells[0].name)
        if link:
            cell.string = f"{reading_minutes(to_notebook(stems[link['href']].path))}\u00a0min"
        elif cells[0].name == "th":
            cell.string = "to\u00a0read"
        cells[-2].insert_before(cell)
