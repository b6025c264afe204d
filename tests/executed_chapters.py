"""Chapters with their outputs, for tests of how they look: old outputs will do."""

from __future__ import annotations

from pathlib import Path

from nbformat import NotebookNode

from tools.chapters import Chapter, read_notebook, to_notebook
from tools.pairs import find_executed

ROOT = Path(__file__).parents[1]


def is_current(chapter: Chapter) -> bool:
    """Whether an executed notebook matches the chapter's source."""
    try:
        find_executed(ROOT, chapter)
    except ValueError:
        return False
    return True


def executed(_: Path, chapter: Chapter) -> NotebookNode:
    """The executed notebook; cells that have changed since it ran are without outputs."""
    if is_current(chapter):
        return find_executed(ROOT, chapter)
    notebook = to_notebook(chapter.path)
    old = {c.source: c for c in read_notebook(chapter.pair).cells if c.cell_type == "code"}
    for cell in notebook.cells:
        if cell.source in old:
            cell.update(outputs=old[cell.source].outputs, execution_count=1)
    return notebook
