"""The course on two pages: its equations, and its paper ledgers, read from the chapters; and HDF's.

A ledger is the table under ``## Paper ledger``. Its columns `library` and `test` name symbols of
`piumar_lib` (``dro.chi_square``) and files in ``tests/`` (``test_dro.py``) in backticks.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from nbformat import NotebookNode

from piumar_lib.baselines.hdf_ledger import LEDGER as HDF
from piumar_lib.support.files import write_text
from tools.chapters import Chapter, cells_of, to_slug
from tools.templates import render

LEDGER = "## Paper ledger\n"
COLUMNS = ["library", "test", "our choice"]  # after what was said, and where the chapter has it
ROOMS = ("support", "evidence", "notebook", "ma52", "ma52.prepare")
PLACES = (*(f"piumar_lib.{room}" for room in ROOMS), "piumar_lib")  # where a ledger's names begin
HEADING = re.compile(r"^## (.+)$", re.M)
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
EQUATION = re.compile(r"\$\$(.+?)\$\$ \(([\w-]+)\)", re.S)
DOTTED = re.compile(r"\w+(\.\w+)+")
CODE = re.compile(r"`([^`]+)`")
NAME = re.compile(r'([\w.]+)(\(.*\))?(?:\["(.+)"\])?')
ARGUMENT = re.compile(r"(\w+)\s*=")


@dataclass
class Row:
    """One line of a ledger: the paper's statement, its place in the chapter, and our own choices."""

    said: str
    here: str
    library: list[str]
    tests: list[str]
    choice: str
    labels: list[str] = field(default_factory=list)  # of equations that go with it


class Equation(NamedTuple):
    """One displayed equation in LaTeX, and the label that refers to it."""

    formula: str
    label: str


@dataclass
class Section:
    """A part of a chapter under a heading ``##``: its equations, its code, and what this uses."""

    title: str
    equations: list[Equation]
    code: str = ""
    used: list[str] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)


def write_pages(notebooks: Mapping[Chapter, NotebookNode], out: Path) -> None:
    """Write ``cheat_sheet.md`` and ``ledger.md`` of chapters whose equations have labels."""
    ledgers = {chapter: read_ledger(notebook, chapter.stem) for chapter, notebook in notebooks.items()}
    tests = tests_by_symbol(row for rows in ledgers.values() for row in rows)
    chapters = {}
    for chapter, notebook in notebooks.items():
        chapters[chapter] = [section for section in find_sections(notebook) if section.equations]
        for section in chapters[chapter]:
            section.used = find_used(section.code, tests)
            section.tests = sorted({test for symbol in section.used for test in tests[symbol]})
        for row in ledgers[chapter]:
            found = [s for s in chapters[chapter] if {*s.used} & {*row.library}]
            row.labels = [equation.label for section in found for equation in section.equations]
    hdf = HDF if any(ledgers.values()) else ()  # a book without ledgers may lack the library, too
    facts = {"chapters": chapters, "ledgers": ledgers, "hdf": hdf}
    for name in ("cheat_sheet.md", "ledger.md"):
        write_text(out / name, render(f"{name}.j2", **facts, api=_link_library, slug=to_slug))


def tests_by_symbol(rows: Iterable[Row]) -> dict[str, set[str]]:
    """Return the test files of each function and class that some ledger names."""
    tests: dict[str, set[str]] = {}
    for row in rows:
        for symbol in row.library:
            if DOTTED.fullmatch(symbol) and not inspect.ismodule(resolve(symbol)[1]):
                tests.setdefault(symbol, set()).update(row.tests)
    return tests


def find_sections(notebook: NotebookNode) -> list[Section]:
    """Cut a chapter at its headings ``##``; what stands before the first is left out."""
    found = [Section("", [])]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            found[-1].code += f"\n{cell.source}"
            continue
        # Split with one group: text before, title, text, title, text, ...
        first, *rest = HEADING.split(FENCE.sub("", cell.source))
        found[-1].equations += _equations(first)
        for title, text in zip(rest[::2], rest[1::2], strict=True):
            found.append(Section(title.strip(), _equations(text)))
    return found[1:]


def _equations(text: str) -> list[Equation]:
    return [Equation(formula.strip(), label) for formula, label in EQUATION.findall(text)]


def read_ledger(notebook: NotebookNode, name: str = "chapter") -> list[Row]:
    """Read a chapter's ledger; it is empty if there is none.

    Raises:
        ValueError: If it has other columns, or a line another number of cells than its head.
    """
    texts = [cell.source for cell in cells_of(notebook, "markdown") if LEDGER in cell.source]
    table = "".join(texts).partition(LEDGER)[2]
    head, *lines = [_cells(line) for line in table.splitlines() if line.startswith("|")] or [[]]
    if head and head[2:] != COLUMNS:
        raise ValueError(f"{name}: the ledger's columns are {head}, but they must end with {COLUMNS}.")
    if torn := [cells for cells in lines if len(cells) != len(head)]:
        raise ValueError(
            f"{name}: the ledger's line '| {' | '.join(torn[0])} |' has {len(torn[0])} cells, but its "
            f"head {len(head)}. Inside a cell write \\vert instead of |."
        )
    return [
        Row(said, here, CODE.findall(library), CODE.findall(tests), choice)
        for said, here, library, tests, choice in lines[1:]
    ]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def resolve(name: str) -> tuple[ModuleType, Any]:
    """Return what a ledger's name stands for, and the module that holds it.

    A name is of a module, class, function, method or table entry, such as
    ``tfam.TemporalBranch(mass="uniform")`` or ``methods.METHODS["TFAM"]``.

    Raises:
        ValueError: If it does not exist, or does not take the arguments named.
    """
    match = NAME.fullmatch(name)
    path, arguments, key = match.groups() if match else (name, None, None)
    for place in PLACES:
        try:
            found = pkgutil.resolve_name(f"{place}.{path}")
            break
        except (ImportError, AttributeError, ValueError):
            continue
    else:
        raise ValueError(f"{name}: neither {' nor '.join(PLACES)} has {path!r}. Correct the ledger.")
    for argument in ARGUMENT.findall(arguments or ""):
        if argument not in inspect.signature(found).parameters:
            raise ValueError(f"{name}: {path} takes no argument {argument!r}. Correct the ledger.")
    names = f"{place}.{path}".split(".")
    paths = (".".join(names[:count]) for count in range(len(names), 0, -1))
    return next(sys.modules[one] for one in paths if one in sys.modules), found[key] if key else found


def find_used(code: str, symbols: Iterable[str]) -> list[str]:
    """Return which symbols ``module.name`` a piece of code uses by that name, or imports."""
    used = {symbol for symbol in symbols if re.search(rf"(?<![\w.]){re.escape(symbol)}\b", code)}
    for module, names in re.findall(r"^from piumar_lib\.([\w.]+) import (.+)$", code, re.M):
        file = module.rpartition(".")[2]  # a ledger may leave out the room
        for name in names.split(", "):
            used |= {f"{module}.{name}", f"{file}.{name}"} & set(symbols)
    return sorted(used)


def _link_library(symbol: str) -> str:
    """Link to the reference of a function or class, of anything else to that of its module."""
    module, found = resolve(symbol)
    documented = (inspect.isclass(found) or inspect.isfunction(found)) and found.__doc__
    target = f"{found.__module__}.{found.__qualname__}" if documented else module.__name__
    return f"[`{symbol}`](#{target})"
