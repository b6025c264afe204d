"""Exercises of a chapter, read from its source: a gap, a check, and a solution that is folded up.

An exercise is a heading ``## Exercise 1: ...`` with a label ``*10 minutes, easy.*``, a code cell with
the gap, one that calls ``check.NAME(answer)``, and a cell ``<details><summary>Solution</summary>`` whose
first block of Python fills the gap.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nbformat import NotebookNode

HEADING = re.compile(r"^## (Exercise.*)$", re.M)
LABEL = re.compile(r"\*(\d+) minutes, (easy|medium|hard)\.\*")
CALL = re.compile(r"^check\.(\w+)\((\w+)\)", re.M)
FOLDED = "<details><summary>Solution</summary>"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.M | re.S)


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        title: Of its heading, "Exercise 1: a split by person".
        minutes, difficulty: Of its label.
        name: Of the check, ``check.NAME``.
        answer: What the learner defines, the argument of the check.
        gap, check, folded: Numbers of the cells with the gap, the check and the solution.
        solution: Code that fills the gap.
    """

    title: str
    minutes: int
    difficulty: str
    name: str
    answer: str
    gap: int
    check: int
    folded: int
    solution: str


def find_exercises(notebook: NotebookNode) -> list[Exercise]:
    """Read the exercises of a chapter.

    Raises:
        ValueError: If an exercise lacks its label, gap, check or solution; it names the heading.
    """
    found = []
    cells = notebook.cells
    heads = [i for i, c in enumerate(cells) if c.cell_type == "markdown" and HEADING.search(c.source)]
    for head in heads:
        title = HEADING.search(cells[head].source)[1]
        next_head = (i for i in range(head + 1, len(cells)) if cells[i].source.startswith("## "))
        after = [(i, cells[i]) for i in range(head + 1, next(next_head, len(cells)))]
        check = next((i for i, c in after if c.cell_type == "code" and CALL.search(c.source)), 0)
        folded = next((i for i, c in after if c.source.startswith(FOLDED)), 0)
        label = LABEL.search(cells[head].source)
        block = BLOCK.search(cells[folded].source) if folded else None
        if not label or check < head + 2 or folded < check or not block:
            raise ValueError(
                f"{title!r}: an exercise is a heading with a label like '*10 minutes, easy.*', a code "
                "cell with the gap, one that calls check.NAME(answer), and a folded solution with code."
            )
        name, answer = CALL.search(cells[check].source).groups()
        found.append(
            Exercise(title, int(label[1]), label[2], name, answer, check - 1, check, folded, block[1])
        )
    return found
