"""Exercises of a chapter, found by the tags of their cells.

An exercise is a code cell with a gap, tagged ``exercise``; one that calls ``check.NAME(answer)``, tagged
``check``; and prose, tagged ``solution``, whose first block of Python fills the gap.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from nbformat import NotebookNode

TAGS = ["exercise", "check", "solution"]
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
