"""Exercises of a chapter, found by the tags of their cells.

An exercise is a code cell with a gap, tagged ``exercise``; one that calls ``check.NAME(answer)``, tagged
``check``; and prose, tagged ``solution``, whose first block of Python fills the gap.

A core function is one that the chapter builds and goes on with. Its cell is tagged ``core``; the next
one, tagged ``core-check``, ends with ``NAME = check.CHECK(NAME, otherwise=LIBRARY)``. The student
edition leaves the body to the reader, and goes on with the library's function until it is filled in.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from nbformat import NotebookNode

TAGS = ["exercise", "check", "solution"]
CORE, CORE_CHECK = "core", "core-check"
FOLD, UNFOLD = "<details><summary>Solution</summary>", "</details>"


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        name: Of the check, ``check.NAME``.
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
        name: Of the check, ``check.NAME``.
        answer: Name of the function.
        gap, check: Numbers of the cells with the function and the check.
    """

    name: str
    answer: str
    gap: int
    check: int


def find_cores(notebook: NotebookNode) -> list[Core]:
    """Read the core functions of a chapter.

    Raises:
        ValueError: If one lacks its check or its docstring; it names the cell.
    """
    tags = [cell.metadata.get("tags", []) for cell in notebook.cells]
    gaps = [index for index, tag in enumerate(tags) if CORE in tag]
    checks = [index for index, tag in enumerate(tags) if CORE_CHECK in tag]
    if [gap + 1 for gap in gaps] != checks:
        wrong = min({gap + 1 for gap in gaps} ^ set(checks))
        raise ValueError(f"cell {wrong}: a cell tagged {CORE} is followed by one tagged {CORE_CHECK}.")
    cores = []
    for gap in gaps:
        called = _replaced(notebook.cells[gap + 1].source)
        if not called:
            raise ValueError(
                f"cell {gap + 1}: must end with NAME = check.CHECK(NAME, otherwise=LIBRARY), so that "
                "the chapter goes on with the library's function where the reader's is not right yet."
            )
        hollow(notebook.cells[gap].source, called[1])  # raises if it cannot
        cores.append(Core(*called, gap, gap + 1))
    return cores


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
