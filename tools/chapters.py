"""Chapters as files: where they are, what they are called, and how they become notebooks."""

from __future__ import annotations

import ast
import copy
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

from piumar_lib.support.files import whole
from piumar_lib.support.hyperparameter import nearest

PATTERN = "[0-9][0-9]_*.py"
CHAIN = ("11", "12")  # chapters of which the second takes what the first has made
ALONE = ("10",)  # measures time


@dataclass(frozen=True)
class Chapter:
    """One chapter: ``path`` is its percent-format ``.py`` file, the only thing one edits."""

    path: Path
    title: str
    question: str

    @property
    def number(self) -> str:
        """Two digits."""
        return self.path.stem[:2]

    @property
    def stem(self) -> str:
        """File name without its ending."""
        return self.path.stem

    @property
    def pair(self) -> Path:
        """The executed notebook beside the source."""
        return self.path.with_suffix(".ipynb")


def find_root(start: Path | None = None) -> Path:
    """Return the repository's root, above ``start`` or else the current folder or this package.

    Raises:
        FileNotFoundError: If no such folder is found.
    """
    places = [start] if start else [Path.cwd(), Path(__file__)]
    for place in places:
        for folder in (place.resolve(), *place.resolve().parents):
            if (folder / "pyproject.toml").is_file() and (folder / "notebooks").is_dir():
                return folder
    raise FileNotFoundError(
        f"start: no folder above {places[0]} has pyproject.toml and notebooks/. "
        "Run this inside a clone of the course, or name it with --root."
    )


def list_chapters(root: Path, only: list[str] | None = None) -> list[Chapter]:
    """Return all chapters in order, or ``only`` those with a number or stem such as ``"03"``.

    Raises:
        ValueError: If a name in ``only`` is no chapter, or there is none at all.
    """
    paths = sorted((root / "notebooks").glob(PATTERN))
    if not paths:
        raise ValueError(f"root: {root / 'notebooks'} holds no chapter named like 00_name.py.")
    wanted = {name.removesuffix(".py") for name in only or ()}
    known = {name for path in paths for name in (path.stem, path.stem[:2])}
    if unknown := sorted(wanted - known):
        stems = ", ".join(path.stem for path in paths)
        raise ValueError(f"only: no chapter {', '.join(unknown)}. There are: {stems}.")
    kept = [path for path in paths if not wanted or {path.stem, path.stem[:2]} & wanted]
    return [_read_head(path) for path in kept]


def _read_head(path: Path) -> Chapter:
    cells = _parse(path.read_text(encoding="utf-8")).cells
    first = cells[0].source.strip() if cells and cells[0].cell_type == "markdown" else ""
    title, _, rest = first.partition("\n")
    question = " ".join(rest.strip().split("\n\n")[0].split())
    if not title.startswith("# ") or not question or question.startswith("|"):
        raise ValueError(
            f"{path.name}: the first cell must be markdown: '# Title', an empty line, then one "
            "sentence with the chapter's question."
        )
    return Chapter(path, re.sub(r"^#\s+(\d+\s*[·.:–-]\s*)?", "", title).strip(), question)


def to_slug(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading: ``"On a line, sort"`` is ``on-a-line-sort``."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@lru_cache
def _parse(text: str) -> NotebookNode:
    return jupytext.reads(text, "py:percent")


def to_notebook(path: Path) -> NotebookNode:
    """Convert a chapter to an unexecuted notebook.

    jupytext draws random cell ids; ids from stem and position keep the pairs' diffs readable.
    """
    notebook = copy.deepcopy(_parse(path.read_text(encoding="utf-8")))
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"{path.stem}-{index:03d}"
    notebook.metadata.pop("jupytext", None)
    # What a kernel would add, without the names and version numbers that differ between machines.
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    notebook.nbformat_minor = max(notebook.nbformat_minor, 5)  # the first with cell ids
    return notebook


def read_notebook(path: Path) -> NotebookNode:
    """Read an ``.ipynb``.

    Raises:
        ValueError: If it is no notebook.
    """
    try:
        return nbformat.read(path, as_version=4)
    except (ValueError, TypeError, AttributeError, nbformat.ValidationError) as error:
        raise ValueError(f"{path}: is no notebook, or damaged. Delete it, and make it again.") from error


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write an ``.ipynb`` atomically."""
    with whole(path) as part:
        nbformat.write(notebook, part)


def cells_of(notebook: NotebookNode, kind: str) -> list[NotebookNode]:
    """Return the cells of a kind, "markdown" or "code"."""
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def read_parameters(notebook: NotebookNode, name: str = "chapter") -> dict[str, Any]:
    """Return names and defaults of a chapter's parameters cell.

    Read from the syntax tree rather than by papermill, whose line-wise parser misreads defaults
    that contain ``=``.

    Raises:
        ValueError: Unless exactly one code cell has the tag ``parameters`` and holds literals only.
    """
    cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ValueError(
            f"{name}: {len(cells)} cells have the tag 'parameters'. Exactly one must: "
            '# %% tags=["parameters"]'
        )
    found: dict[str, Any] = {}
    for node in ast.parse(cells[0].source).body:
        target = getattr(node, "target", None) or next(iter(getattr(node, "targets", [])), None)
        try:
            if not isinstance(target, ast.Name):
                raise ValueError
            found[target.id] = ast.literal_eval(node.value)
        except (ValueError, TypeError, SyntaxError):
            raise ValueError(
                f"{name}: '{ast.unparse(node)}' in the parameters cell is not 'name = literal'. "
                "Compute derived values in the next cell, so that injected values reach them."
            ) from None
    return found


def check_parameters(given: dict[str, Any], known: dict[str, Any], name: str = "chapter") -> None:
    """Refuse parameters that the chapter does not have, or values of another kind.

    Raises:
        ValueError: Naming the parameter, the value and the remedy.
    """
    for key, value in given.items():
        if key not in known:
            hint = nearest(key, known)
            raise ValueError(f"{key}: {name} has no such parameter.{hint} It has: {', '.join(known)}.")
        default = known[key]
        kinds = (int, float) if isinstance(default, float) else (type(default),)
        if default is not None and (
            not isinstance(value, kinds) or isinstance(value, bool) != isinstance(default, bool)
        ):
            raise ValueError(
                f"{key}: {value!r} is {type(value).__name__}, but {name} expects "
                f"{type(default).__name__}, as in {key} = {default!r}."
            )
