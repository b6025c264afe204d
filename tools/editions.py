"""Two more editions of each chapter: one for students, and one with every exercise solved."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from os.path import relpath
from pathlib import Path
from urllib.parse import unquote

from nbformat import NotebookNode

from tools.chapters import list_chapters, read_notebook, to_notebook, write_notebook
from tools.exercises import BLOCK, FOLDED, find_exercises

REMOVED = (
    "*A solution is in the solutions edition. Whoever gave you this notebook can make it with "
    "`make solutions`.*"
)
# The target of a link or an image, but not what stands in code, such as `x[0](1)`.
LINK = re.compile(r"(`[^`]*`)|(\]\()([^)\s]+)(\))")


def take_out_solutions(notebook: NotebookNode) -> NotebookNode:
    """Replace, in place, each folded solution by a line that says where solutions are."""
    for exercise in find_exercises(notebook):
        notebook.cells[exercise.folded].source = REMOVED
    return notebook


def fill_in_solutions(notebook: NotebookNode) -> NotebookNode:
    """Fill, in place, each gap with its solution, and unfold what is said about it."""
    exercises = find_exercises(notebook)
    for exercise in exercises:
        notebook.cells[exercise.gap].source = exercise.solution.strip()
        notebook.cells[exercise.folded].source = _unfold(notebook.cells[exercise.folded].source)
    empty = {e.folded for e in exercises if not notebook.cells[e.folded].source}
    notebook.cells = [cell for index, cell in enumerate(notebook.cells) if index not in empty]
    return notebook


def _unfold(folded: str) -> str:
    """What a folded solution says after its code."""
    said = BLOCK.sub("", folded.removeprefix(FOLDED), count=1)
    return said.strip().removesuffix("</details>").strip()


EDITIONS: dict[str, Callable[[NotebookNode], NotebookNode]] = {
    "student": take_out_solutions,
    "solutions": fill_in_solutions,
}


def write_edition(root: Path, name: str, only: list[str] | None = None) -> list[Path]:
    """Write chapters, unexecuted, to ``build/student/`` or ``build/solutions/``.

    A notebook in which somebody has worked is kept aside as ``NN_name.worked.ipynb``.

    Args:
        root: Repository root.
        name: Of the edition, one of `EDITIONS`.
        only: Numbers or stems of the chapters; all by default.
    """
    folder = root / "build" / name
    chapters = list_chapters(root, only)
    stems = {chapter.stem for chapter in list_chapters(root)}
    targets = []
    for chapter in chapters:
        try:
            notebook = EDITIONS[name](to_notebook(chapter.path))
        except ValueError as error:
            raise ValueError(f"{chapter.path.name}: {error}") from error
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = point_links(cell.source, chapter.path.parent, folder, stems)
        targets.append(folder / f"{chapter.stem}.ipynb")
        _keep_aside(targets[-1])
        write_notebook(notebook, targets[-1])
    return targets


def point_links(text: str, old: Path, new: Path, stems: set[str]) -> str:
    """Rewrite relative links for a notebook that moves from folder ``old`` to folder ``new``.

    Links to chapters, whose stems are given, stay: these move along.
    """

    def point(found: re.Match) -> str:
        code, begin, target, end = found.groups()
        if code or re.match(r"[a-z]+:|#|/", target):
            return found[0]
        path, mark, anchor = target.partition("#")
        place = (old / unquote(path)).resolve()
        if place.parent == old.resolve() and place.suffix == ".ipynb" and place.stem in stems:
            return found[0]
        return f"{begin}{Path(relpath(old / path, new)).as_posix()}{mark}{anchor}{end}"

    return LINK.sub(point, text)


def _keep_aside(path: Path) -> None:
    """Rename a notebook that has been run since it was written: its answers may exist only there."""
    if not path.is_file():
        return
    if any(cell.get("execution_count") for cell in read_notebook(path).cells):
        count, aside = 1, path.with_suffix(".worked.ipynb")
        while aside.exists():
            count += 1
            aside = path.with_suffix(f".worked-{count}.ipynb")
        shutil.move(path, aside)
        print(f"{path.name} has been worked in; it is kept as {aside.name}")
