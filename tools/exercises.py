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
from dataclasses import dataclass

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from piumar_lib.check import core as library

TAGS = ["exercise", "check", "solution"]
CORE, CORE_CHECK = "core", "core-check"
FOLD, UNFOLD = "<details><summary>Solution</summary>", "</details>"


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        name: Name of the check, as in ``check.NAME``.
        answer: What the learner defines, the argument of the check.
        gap, check, folded: Numbers of the cells with the gap, the check and the solution.
        solution: Code that fills the gap.
        remark: What is said about the solution, in Markdown.
    """

    name: str
    answer: str
    gap: int
    check: int
    folded: int
    solution: str
    remark: str


def find_exercises(notebook: NotebookNode) -> list[Exercise]:
    """Read the exercises of a chapter.

    Raises:
        ValueError: If an exercise lacks its gap, check or solution; it names the cell.
    """
    tagged = [
        (index, tag)
        for index, cell in enumerate(notebook.cells)
        for tag in cell.metadata.get("tags", [])
        if tag in TAGS
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


@dataclass(frozen=True)
class Core:
    """A core function.

    Attributes:
        name: Name of the check, as in ``check.NAME``.
        answer: Name of the function.
        gap: Number of the cell with the function.
        check: Number of the cell with the check; None if the student edition adds it.
    """

    name: str
    answer: str
    gap: int
    check: int | None


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
        if gap + 1 in checks:
            called = _replaced(notebook.cells[gap + 1].source)
            if not called:
                raise ValueError(
                    f"cell {gap + 1}: must end with NAME = check.CHECK(NAME, otherwise=LIBRARY), so "
                    "that the chapter goes on with the library's function until the reader's is right."
                )
            found = [Core(*called, gap, gap + 1)]
        else:
            found = [Core(name, name, gap, None) for name in _with_docstring(source)]
            if not found or any(core.answer not in library.__all__ for core in found):
                raise ValueError(
                    f"cell {gap}: the functions with a docstring in a cell tagged {CORE} must be of "
                    f"piumar_lib.check.core ({', '.join(library.__all__)}), or {CORE_CHECK} must follow."
                )
        for core in found:
            hollow(source, core.answer)  # raises if it cannot
        cores += found
    return cores


def check_cell(cores: list[Core]) -> NotebookNode:
    """The check of core functions of one cell, as the student edition adds it."""
    lines = [f"{c.answer} = check.{c.name}({c.answer}, otherwise=core.{c.answer})" for c in cores]
    source = "\n".join(["from piumar_lib.check import core", "", *lines])
    return new_code_cell(source, metadata={"tags": [CORE_CHECK]})


def _with_docstring(source: str) -> list[str]:
    functions = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    return [node.name for node in functions if ast.get_docstring(node)]


def hollow(source: str, name: str) -> str:
    """``source`` with the body of the function ``name`` left out; its docstring stays.

    Raises:
        ValueError: If there is no such function, or it has no docstring to say what is asked.
    """
    functions = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    function = next((node for node in functions if node.name == name), None)
    if function is None or ast.get_docstring(function) is None or len(function.body) < 2:
        raise ValueError(
            f"{name}: must be a function with a docstring and a body in the cell tagged {CORE}."
        )
    said, *body = function.body
    lines = source.splitlines()
    lines[said.end_lineno : body[-1].end_lineno] = [" " * said.col_offset + "..."]
    return "\n".join(lines)


def _read(cells: list[NotebookNode], gap: int, check: int, folded: int) -> Exercise:
    begin, _, rest = cells[folded].source.partition("```python\n")
    solution, end, remark = rest.partition("\n```")
    called = _called(cells[check].source)
    if begin.strip() != FOLD or not end or not remark.endswith(UNFOLD) or not called:
        raise ValueError(
            f"cell {folded}: a solution is {FOLD}, a block of Python, a remark if wanted and {UNFOLD}, "
            "below a cell that calls check.NAME(answer)."
        )
    said = remark.removesuffix(UNFOLD).strip()
    return Exercise(*called, gap, check, folded, solution, said)


def _called(source: str) -> tuple[str, str] | None:
    """NAME and answer of the ``check.NAME(answer)`` with which a cell ends."""
    match ast.parse(source).body[-1:]:
        case [ast.Expr(ast.Call(func=ast.Attribute(attr=name), args=[ast.Name(id=answer)]))]:
            return name, answer
    return None


def _replaced(source: str) -> tuple[str, str] | None:
    """CHECK and NAME of the ``NAME = check.CHECK(NAME, otherwise=...)`` with which a cell ends."""
    match ast.parse(source).body[-1:]:
        case [
            ast.Assign(
                targets=[ast.Name(id=target)],
                value=ast.Call(
                    func=ast.Attribute(attr=name),
                    args=[ast.Name(id=answer)],
                    keywords=[ast.keyword(arg="otherwise")],
                ),
            )
        ] if target == answer:
            return name, answer
    return None
