"""The course on one page: its equations and paper ledgers, read from the chapters.

A ledger is the table under ``## Paper ledger``. Its columns `library` and `test` name symbols of
`piumar_lib` (``dro.chi_square``) and files in ``tests/`` (``test_dro.py``) in backticks.
"""

from __future__ import annotations

import html
import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from nbformat import NotebookNode

from tools.chapters import Chapter, list_chapters, to_notebook
from tools.links import to_slug
from tools.rendering import render_markdown, to_mathml

LEDGER = "Paper ledger"
COLUMNS = ["library", "test", "our choice"]  # after what was said, and where the chapter has it
ROOT = Path(__file__).parents[1]
PLACES = ("piumar_lib", "piumar_lib.ma52")  # where a ledger's names begin
HEADING = re.compile(r"^## (.+)$", re.M)
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
FORMULA = re.compile(r"\$\$(.+?)\$\$", re.S)
DOTTED = re.compile(r"\w+(\.\w+)+")
CODE = re.compile(r"`([^`]+)`")
NAME = re.compile(r'([\w.]+)(\(.*\))?(?:\["(.+)"\])?')
ARGUMENT = re.compile(r"(\w+)\s*=")


class Row(NamedTuple):
    """One line of a ledger: what was said, where the chapter takes it up, and our part in it."""

    said: str
    here: str
    library: tuple[str, ...]
    tests: tuple[str, ...]
    choice: str


class Section(NamedTuple):
    """A part of a chapter under a heading ``##``: its formulas in LaTeX, and its code."""

    title: str
    formulas: list[str]
    code: str


def find_sections(notebook: NotebookNode) -> list[Section]:
    """Cut a chapter at its headings ``##``; what stands before the first is left out."""
    found: list[Section] = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            if found:
                found[-1] = found[-1]._replace(code=f"{found[-1].code}\n{cell.source}")
            continue
        # Split with one group: text before, title, text, title, text, ...
        first, *rest = HEADING.split(FENCE.sub("", cell.source))
        if found:
            found[-1].formulas.extend(_formulas(first))
        for title, text in zip(rest[::2], rest[1::2], strict=True):
            found.append(Section(title.strip(), _formulas(text), ""))
    return found


def _formulas(text: str) -> list[str]:
    return [formula.strip() for formula in FORMULA.findall(text)]


def read_ledger(notebook: NotebookNode, name: str = "chapter") -> list[Row]:
    """Read a chapter's ledger; it is empty if there is none.

    Raises:
        ValueError: If it has other columns, or a line another number of cells than its head.
    """
    texts = [c.source for c in notebook.cells if c.cell_type == "markdown"]
    text = next((t for t in texts if f"## {LEDGER}\n" in t), "").partition(f"## {LEDGER}\n")[2]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    if not lines:
        return []
    if (head := _cells(lines[0]))[2:] != COLUMNS:
        raise ValueError(f"{name}: the ledger's columns are {head}, but they must end with {COLUMNS}.")
    rows = []
    for line in lines[2:]:
        cells = _cells(line)
        if len(cells) != len(head):
            raise ValueError(
                f"{name}: the ledger's line {line!r} has {len(cells)} cells, but its head {len(head)}. "
                "Inside a cell write \\vert instead of |."
            )
        said, here, library, tests, choice = cells
        rows.append(Row(said, here, tuple(CODE.findall(library)), tuple(CODE.findall(tests)), choice))
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def resolve(name: str) -> tuple[ModuleType, Any]:
    """Return what a ledger's name stands for, and the module that holds it.

    Args:
        name: A module, class, function, method or table entry, such as
            ``tfam.TemporalBranch(mass="uniform")`` or ``methods.METHODS["TFAM"]``.

    Raises:
        ValueError: If it does not exist, or does not take the arguments named.
    """
    path, arguments, key = NAME.fullmatch(name).groups() if NAME.fullmatch(name) else (name, None, None)
    held = next((held for place in PLACES if (held := _look_up(f"{place}.{path}"))), None)
    if held is None:
        raise ValueError(f"{name}: neither {' nor '.join(PLACES)} has {path!r}. Correct the ledger.")
    module, found = held
    for argument in ARGUMENT.findall(arguments or ""):
        if argument not in inspect.signature(found).parameters:
            raise ValueError(f"{name}: {path} takes no argument {argument!r}. Correct the ledger.")
    return module, found[key] if key else found


def _look_up(path: str) -> tuple[ModuleType, Any] | None:
    """Import as much of the path as is modules, then follow attributes."""
    names = path.split(".")
    for count in range(len(names), 1, -1):
        try:
            module = found = importlib.import_module(".".join(names[:count]))
        except ModuleNotFoundError:
            continue
        for attribute in names[count:]:
            if not hasattr(found, attribute):
                return None
            found = getattr(found, attribute)
        return module, found
    return None


def render_cheat_sheet(root: Path) -> str:
    """Return the page as HTML, its links relative to ``notebooks/``."""
    chapters = list_chapters(root)
    notebooks = {chapter: to_notebook(chapter.path) for chapter in chapters}
    ledgers = {chapter: read_ledger(notebook, chapter.stem) for chapter, notebook in notebooks.items()}
    tests: dict[str, set[str]] = {}  # of each function and class that some ledger names
    for row in (row for rows in ledgers.values() for row in rows):
        for symbol in row.library:
            if DOTTED.fullmatch(symbol) and not inspect.ismodule(resolve(symbol)[1]):
                tests.setdefault(symbol, set()).update(row.tests)
    parts = [
        "<h1>Cheat sheet</h1>",
        "<p>Every displayed equation of the course, by chapter and section. Beside it stand the parts "
        "of the library that the section's code uses, and the tests that the paper ledgers name for "
        "them. Where nothing stands beside it, the chapter computes it by hand.</p>",
    ]
    for chapter, notebook in notebooks.items():
        parts += _equations(chapter, notebook, tests)
    parts += [f"<h2>{LEDGER} of the whole course</h2>", *_ledgers(ledgers)]
    return "\n".join(parts)


def _equations(chapter: Chapter, notebook: NotebookNode, tests: dict[str, set[str]]) -> Iterator[str]:
    sections = [section for section in find_sections(notebook) if section.formulas]
    if sections:
        yield f"<h2>{chapter.number} · {html.escape(chapter.title)}</h2>"
    for section in sections:
        used = find_used(section.code, tests)
        named = sorted({test for symbol in used for test in tests[symbol]})
        yield '<div class="equation"><div>'
        yield from (to_mathml(formula, "block") for formula in section.formulas)
        yield f"</div><p>{_link_section(chapter, section.title)}"
        if used:
            yield f"<br>{_link_library(used)}<br><small>{_link_tests(named)}</small>"
        yield "</p></div>"


def find_used(code: str, symbols: Iterable[str]) -> list[str]:
    """Return which symbols ``module.name`` a piece of code uses by that name, or imports."""
    used = {symbol for symbol in symbols if re.search(rf"(?<![\w.]){re.escape(symbol)}\b", code)}
    for module, names in re.findall(r"^from piumar_lib\.([\w.]+) import (.+)$", code, re.M):
        used |= {f"{module}.{name.strip()}" for name in names.split(",")} & set(symbols)
    return sorted(used)


def _ledgers(ledgers: dict[Chapter, list[Row]]) -> Iterator[str]:
    yield (
        "<p>What the paper's abstract or its reviewers say, where the chapter takes it up, what the "
        "library has for it, and what is our own choice.</p>"
    )
    names = ("said", "here", "library, test", "our choice")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    for chapter, rows in ledgers.items():
        if not rows:
            continue
        title = f"{chapter.number} · {chapter.title}: ledger"
        yield f"<h3>{html.escape(title)}</h3><table><thead><tr>{head}</tr></thead><tbody>"
        for row in rows:
            library = f"{_link_library(row.library)}<br><small>{_link_tests(row.tests)}</small>"
            cells = (_inline(row.said), _inline(row.here), library, _inline(row.choice))
            yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        yield "</tbody></table>"


def _inline(markdown: str) -> str:
    return re.sub(r"^<p>|</p>$", "", render_markdown(markdown).strip()) if markdown else ""


def _link_section(chapter: Chapter, title: str) -> str:
    return f'<a href="{chapter.stem}.ipynb#{to_slug(title)}">{_inline(title)}</a>'


def _link_library(symbols: list[str] | tuple[str, ...]) -> str:
    links = []
    for symbol in symbols:
        path = Path(resolve(symbol)[0].__file__).relative_to(ROOT)
        links.append(f'<a href="../{path.as_posix()}"><code>{html.escape(symbol)}</code></a>')
    return ", ".join(links)


def _link_tests(tests: list[str] | tuple[str, ...]) -> str:
    return ", ".join(f'<a href="../tests/{name}">{name}</a>' for name in tests)
