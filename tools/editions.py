"""Two more editions of each chapter: one for students, and one with every exercise solved."""

from __future__ import annotations

import hashlib
import posixpath
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from nbformat import NotebookNode

from tools.chapters import cells_of, list_chapters, read_notebook, to_notebook, write_notebook
from tools.exercises import check_cell, find_cores, find_exercises, hollow

REMOVED = "*Here was a solution. It is in the solutions edition, which `make solutions` writes.*"
# The relative target of a link or an image, but not what stands in code, such as `x[0](1)`.
LINK = re.compile(r"""(`[^`]*`)|(\]\(|\bsrc(?:set)?=")(?![a-z]+:|#|/|\d\d_\w+\.ipynb)([^)\s"]+)""")


def edit(notebook: NotebookNode, solved: bool) -> None:
    """Fill, in place, each gap with its solution and unfold the remark; or take out the solutions.

    What the core functions do is taken out, too, for students.
    """
    cores = [] if solved else find_cores(notebook)
    for core in cores:
        cell = notebook.cells[core.gap]
        cell.source = hollow(cell.source, core.answer)
    for exercise in find_exercises(notebook):
        gap, folded = notebook.cells[exercise.gap], notebook.cells[exercise.folded]
        if solved:
            gap.source, folded.source = exercise.solution, exercise.remark
        else:
            folded.source = REMOVED
    for gap in sorted({core.gap for core in cores if core.check is None}, reverse=True):
        added = check_cell([core for core in cores if core.gap == gap])
        notebook.cells.insert(gap + 1, added)
    notebook.cells = [cell for cell in notebook.cells if cell.source]


def write_edition(root: Path, name: str, only: list[str] | None = None) -> list[Path]:
    """Write chapters, unexecuted, to ``build/student/`` or ``build/solutions/``.

    A notebook in which somebody has worked is kept aside as ``NN_name.worked.ipynb``.

    Raises:
        ValueError: If an exercise lacks one of its cells; it names the file and the cell.
    """

    def change(notebook: NotebookNode, stem: str) -> None:
        edit(notebook, solved=name == "solutions")
        relink(notebook, "../..")

    return write_chapters(root, name, change, only)


def write_chapters(
    root: Path, name: str, change: Callable[[NotebookNode, str], None], only: list[str] | None = None
) -> list[Path]:
    """Write what `change` makes, in place, of each chapter and its stem to ``build/NAME/``."""
    targets = []
    for chapter in list_chapters(root, only):
        notebook = to_notebook(chapter.path)
        try:
            change(notebook, chapter.stem)
        except ValueError as error:
            raise ValueError(f"{chapter.path.name}: {error}") from error
        notebook.metadata["written"] = _digest(notebook)
        targets.append(root / "build" / name / f"{chapter.stem}.ipynb")
        _keep_aside(targets[-1])
        write_notebook(notebook, targets[-1])
    return targets


def relink(notebook: NotebookNode, base: str) -> None:
    """Let links lead, in place, to files below ``base``; the other chapters lie beside this one."""

    def point(found: re.Match) -> str:
        code, begin, target = found.groups()
        return code or f"{begin}{base}/{posixpath.normpath(f'notebooks/{target}')}"

    for cell in cells_of(notebook, "markdown"):
        cell.source = LINK.sub(point, cell.source)


def _digest(notebook: NotebookNode) -> str:
    """Sixteen digits that change with the source of any cell."""
    sources = "\0".join(cell.source for cell in notebook.cells)
    return hashlib.sha256(sources.encode()).hexdigest()[:16]


def _keep_aside(path: Path) -> None:
    """Rename a notebook that was edited or run since: its answers may exist only there."""
    if not path.is_file():
        return
    old = read_notebook(path)
    ran = any(cell.get("execution_count") for cell in old.cells)
    if not ran and old.metadata.get("written") == _digest(old):
        return
    count, aside = 1, path.with_suffix(".worked.ipynb")
    while aside.exists():
        count += 1
        aside = path.with_suffix(f".worked-{count}.ipynb")
    shutil.move(path, aside)
    print(f"{path.name} has been worked in; it is kept as {aside.name}")
