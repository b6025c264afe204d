"""Exercises of a chapter, found by the tags of their cells.

An exercise is a code cell with a gap, tagged ``exercise``; one that calls ``check.NAME(answer)``, tagged
``check``; and prose, tagged ``solution``, whose first block of Python fills the gap.

A core function is one that the chapter builds and goes on with. Its cell is tagged ``core``; the next
one, tagged ``core-check``, ends with ``NAME = check.CHECK(NAME, otherwise=LIBRARY)``. The student
edition leaves the body to the reader, and goes on with the library's function until it is filled in.
Where a cell tagged ``core`` has no such check after it, its functions with a docstring are those of
`piumar_lib.check.core`, and the student edition adds the check.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from piumar_lib.check import core as library

TAGS = ["exercise", "check", "solution"]
CORE, CORE_CHECK = "core", "core-check"
FOLD, UNFOLD = "<details><summary>Solution</summary>", "</details>"
SOLUTION = re.compile(rf"{FOLD}\s+```python\n(.*?)\n```(.*){UNFOLD}", re.S)
# The line with which a check ends.
CALLED = re.compile(r"^check\.(?P<name>\w+)\((?P<answer>\w+)\)\Z", re.M)
REPLACED = re.compile(
    r"^(?P<answer>\w+) = check\.(?P<name>\w+)\(\s*(?P=answer), otherwise=[\w.]+\)\Z", re.M
)


class Exercise(NamedTuple):
    """One exercise; ``gap``, ``check`` and ``folded`` are numbers of cells."""

    name: str  # of the check, as in ``check.NAME``
    answer: str  # what the learner defines, the argument of the check
    gap: int
    check: int
    folded: int  # with the solution
    solution: str  # code that fills the gap
    remark: str  # what is said about the solution, in Markdown


def find_exercises(notebook: NotebookNode) -> list[Exercise]:
    """Read the exercises of a chapter.

    Raises:
        ValueError: If an exercise lacks its gap, check or solution; it names the cell.
    """
    tagged = [
        (index, tag)
        for index, cell in enumerate(notebook.cells)
        for tag in TAGS
        if tag in cell.metadata.get("tags", [])
    ]
    for position, (index, tag) in enumerate(tagged):
        due = TAGS[position % len(TAGS)]
        if tag != due or position == len(tagged) - 1 and tag != TAGS[-1]:
            raise ValueError(
                f"cell {index}: the tag {tag!r} is out of place. An exercise is three cells, with the "
                f"tags {', '.join(TAGS)} in this order."
            )
    numbers = [index for index, _ in tagged]
    return [_read(notebook.cells, *numbers[i : i + 3]) for i in range(0, len(numbers), 3)]


def _read(cells: list[NotebookNode], gap: int, check: int, folded: int) -> Exercise:
    called = CALLED.search(cells[check].source)
    found = SOLUTION.fullmatch(cells[folded].source)
    if not called or not found:
        raise ValueError(
            f"cell {folded}: a solution is {FOLD}, a block of Python, a remark if wanted and {UNFOLD}, "
            "below a cell that calls check.NAME(answer)."
        )
    return Exercise(called["name"], called["answer"], gap, check, folded, found[1], found[2].strip())


class Core(NamedTuple):
    """A core function; ``gap`` and ``check`` are numbers of cells."""

    name: str  # of the check, as in ``check.NAME``
    answer: str  # name of the function
    gap: int
    check: int | None  # None if the student edition adds it


def find_cores(notebook: NotebookNode) -> list[Core]:
    """Read the core functions of a chapter.

    Raises:
        ValueError: If a check has no function before it, if a function has no docstring, or if the
            library has no such core function; it names the cell.
    """
    tags = [cell.metadata.get("tags", []) for cell in notebook.cells]
    gaps = [index for index, tag in enumerate(tags) if CORE in tag]
    checks = [index for index, tag in enumerate(tags) if CORE_CHECK in tag]
    if wrong := sorted(set(checks) - {gap + 1 for gap in gaps}):
        raise ValueError(f"cell {wrong[0]}: before a cell tagged {CORE_CHECK} is one tagged {CORE}.")
    cores = []
    for gap in gaps:
        source = notebook.cells[gap].source
        found = _read_check(notebook, gap) if gap + 1 in checks else _read_functions(source, gap)
        for core in found:
            hollow(source, core.answer)  # raises if it cannot
        cores += found
    return cores


def _read_check(notebook: NotebookNode, gap: int) -> list[Core]:
    found = REPLACED.search(notebook.cells[gap + 1].source)
    if not found:
        raise ValueError(
            f"cell {gap + 1}: must end with NAME = check.CHECK(NAME, otherwise=LIBRARY), so that the "
            "chapter goes on with the library's function until the reader's is right."
        )
    return [Core(found["name"], found["answer"], gap, gap + 1)]


def _read_functions(source: str, gap: int) -> list[Core]:
    names = [name for name, function in _functions(source).items() if ast.get_docstring(function)]
    if not names or not {*names} <= {*library.__all__}:
        raise ValueError(
            f"cell {gap}: the functions with a docstring in a cell tagged {CORE} must be of "
            f"piumar_lib.check.core ({', '.join(library.__all__)}), or {CORE_CHECK} must follow."
        )
    return [Core(name, name, gap, None) for name in names]


def check_cell(cores: list[Core]) -> NotebookNode:
    """The check of core functions of one cell, as the student edition adds it."""
    lines = [f"{c.answer} = check.{c.name}({c.answer}, otherwise=core.{c.answer})" for c in cores]
    source = "\n".join(["from piumar_lib.check import core", "", *lines])
    return new_code_cell(source, metadata={"tags": [CORE_CHECK]})


def hollow(source: str, name: str) -> str:
    """``source`` with the body of the function ``name`` left out; its docstring stays.

    Raises:
        ValueError: If there is no such function, or it has no docstring to say what is asked.
    """
    function = _functions(source).get(name)
    if function is None or ast.get_docstring(function) is None or len(function.body) < 2:
        raise ValueError(
            f"{name}: must be a function with a docstring and a body in the cell tagged {CORE}."
        )
    said, *body = function.body
    lines = source.splitlines()
    lines[said.end_lineno : body[-1].end_lineno] = [" " * said.col_offset + "..."]
    return "\n".join(lines)


def _functions(source: str) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
