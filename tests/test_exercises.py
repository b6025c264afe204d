"""Exercises: their checks accept what is right, and reject each mistake with its own hint."""

from __future__ import annotations

import ast
import contextlib
import importlib
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from exercises import Answers
from nbformat.v4 import new_code_cell, new_notebook

from piumar_lib import check as checks
from piumar_lib.check import core as library
from piumar_lib.check.base import check, judge, require
from tools.chapters import list_chapters, to_notebook
from tools.exercises import Core, find_cores, find_exercises, hollow
from tools.run import execute

ROOT = Path(__file__).parents[1]
SEEDS = range(3)  # of what the checks draw, which is fresh each time in a chapter
CHAPTERS = {chapter.stem: to_notebook(chapter.path) for chapter in list_chapters(ROOT)}
FOUND = [(stem, e) for stem, notebook in CHAPTERS.items() for e in find_exercises(notebook)]
NAMES = [exercise.name for _, exercise in FOUND]
CORES = [(stem, core) for stem, notebook in CHAPTERS.items() for core in find_cores(notebook)]
CORE_NAMES = [core.name for _, core in CORES]
ANSWERS: dict[str, Answers] = {}
for path in sorted(Path(__file__).with_name("exercises").glob("[a-z]*.py")):
    ANSWERS |= importlib.import_module(f"exercises.{path.stem}").ANSWERS
WRONG = [(name, hint) for name, answers in ANSWERS.items() for hint in answers.wrong]


def solve(stem, exercise):
    """Run a chapter's solution as a reader could: after its imports and functions, without its data."""
    code = "\n".join(c.source for c in CHAPTERS[stem].cells[: exercise.gap] if c.cell_type == "code")
    kinds = ast.Import | ast.ImportFrom | ast.FunctionDef
    space = {}
    for node in ast.parse(code).body:
        if isinstance(node, kinds):
            with contextlib.suppress(NameError):  # a default that is the chapter's data
                exec(compile(ast.Module([node], []), stem, "exec"), space)
    is_core = isinstance(exercise, Core)
    exec(CHAPTERS[stem].cells[exercise.gap].source if is_core else exercise.solution, space)
    return space[exercise.answer]


def test_every_exercise_has_a_check_and_answers_and_the_other_way_round():
    assert sorted([*NAMES, *set(CORE_NAMES)]) == sorted(checks.__all__) == sorted(ANSWERS)


def test_the_method_from_scratch_asks_again_for_what_earlier_chapters_asked():
    from_scratch = {core.answer for stem, core in CORES if "from_scratch" in stem}
    earlier = {core.answer for stem, core in CORES if "from_scratch" not in stem}
    assert from_scratch == set(library.__all__) == earlier - {"log_sinkhorn", "exponentiated_weights"}


@pytest.mark.parametrize("name", library.__all__)
def test_the_librarys_core_functions_are_right_answers(name):
    verdict, line = judge(getattr(checks, name), getattr(library, name), np.random.default_rng(0))
    assert verdict == "right", line


@pytest.mark.parametrize("stem", CHAPTERS)
def test_chapters_have_the_exercises_that_were_promised(stem):
    count = len(find_exercises(CHAPTERS[stem]))
    few = (1, 2) if "appendix" in stem else (1,)
    # In chapter 08 the reader types the whole method.
    many = "01" <= stem[:2] <= "09" and "from_scratch" not in stem
    assert count in ((2, 3) if many else few)


@pytest.mark.parametrize("stem, exercise", FOUND + CORES, ids=NAMES + CORE_NAMES)
def test_solution_is_right_and_quickly_judged(stem, exercise):
    answer = solve(stem, exercise)
    for seed in SEEDS:
        start = time.process_time()
        verdict, line = judge(getattr(checks, exercise.name), answer, np.random.default_rng(seed))
        assert verdict == "right", line
        assert time.process_time() - start < 2


@pytest.mark.parametrize("name", ANSWERS)
def test_another_right_answer_is_right(name):
    for seed in SEEDS:
        verdict, line = judge(getattr(checks, name), ANSWERS[name].right, np.random.default_rng(seed))
        assert verdict == "right", line


@pytest.mark.parametrize("name, hint", WRONG)
def test_wrong_answer_gets_its_own_hint(name, hint):
    for seed in SEEDS:
        wrong = ANSWERS[name].wrong[hint]
        verdict, line = judge(getattr(checks, name), wrong, np.random.default_rng(seed))
        assert verdict == "not yet" and hint in line, line
        assert line.count("\n") == 0


@pytest.mark.parametrize("name", ANSWERS)
def test_there_are_enough_wrong_answers(name):
    assert len(ANSWERS[name].wrong) >= 4


@pytest.mark.parametrize("stem, exercise", FOUND, ids=NAMES)
def test_gap_as_it_stands_gets_a_kind_line(stem, exercise, capsys):
    space = {}
    exec(CHAPTERS[stem].cells[exercise.gap].source, {}, space)
    getattr(checks, exercise.name)(space[exercise.answer])
    said = capsys.readouterr().out
    assert "no answer yet" in said and said.count("\n") == 1


@pytest.mark.parametrize("stem, core", CORES, ids=CORE_NAMES)
def test_a_hollow_core_function_goes_on_as_the_librarys(stem, core, capsys):
    space = {}
    source = hollow(CHAPTERS[stem].cells[core.gap].source, core.answer)
    exec(source, {"torch": torch, "np": np}, space)
    check = getattr(checks, core.name)
    assert check(space[core.answer], otherwise=len) is len
    said = capsys.readouterr().out
    assert "no answer yet" in said and "library's" in said and said.count("\n") == 1
    assert check(right := solve(stem, core), otherwise=len) is right


FUNCTION = '''
def double(a):
    """Twice a."""
    # Once more.
    b = a
    return a + b

print(double(2))
'''


def test_a_hollow_function_keeps_what_it_says_alone():
    assert hollow(FUNCTION.strip(), "double") == (
        'def double(a):\n    """Twice a."""\n    ...\n\nprint(double(2))'
    )
    for source in ("def double(a):\n    return 2 * a", 'def double(a):\n    """Twice."""', "double = 1"):
        with pytest.raises(ValueError, match="double: must be a function with a docstring and a body"):
            hollow(source, "double")


REPLACE = "double = check.double(double, otherwise=len)"
CORE = new_code_cell(FUNCTION, metadata={"tags": ["core"]})
CORE_CHECK = new_code_cell(REPLACE, metadata={"tags": ["core-check"]})
NO_REPLACEMENT = new_code_cell("check.double(double)", metadata={"tags": ["core-check"]})


@pytest.mark.parametrize(
    "cells, said",
    [
        ([CORE, new_code_cell("1")], "cell 0: the functions with a docstring .* must be of"),
        ([new_code_cell("1"), CORE_CHECK], "cell 1: before a cell tagged core-check is one tagged core"),
        ([CORE, NO_REPLACEMENT], "cell 1: must end with NAME = check"),
    ],
)
def test_an_incomplete_core_function_is_named(cells, said):
    assert [core.answer for core in find_cores(new_notebook(cells=[CORE, CORE_CHECK]))] == ["double"]
    with pytest.raises(ValueError, match=said):
        find_cores(new_notebook(cells=cells))


@pytest.mark.parametrize("stem, exercise", FOUND, ids=NAMES)
def test_solution_is_short_and_no_check_prints_it(stem, exercise):
    lines = [line for line in exercise.solution.splitlines() if line.strip()]
    assert len(lines) <= 16
    source = Path(getattr(checks, exercise.name).examine.__code__.co_filename).read_text()
    body = [line.strip() for line in lines if line.startswith("    ")]
    assert not any(f'"{line}' in source for line in body)


def test_an_exception_in_an_answer_is_said_with_its_line(capsys):
    def wrong(a):
        b = a + 1
        return [][b]

    @check
    def shifted(answer, rng):
        require(answer(1) == 2, "hint")
        return "well"

    shifted(wrong)
    assert capsys.readouterr().out.startswith("Not yet: line 3 of wrong raised IndexError")
    shifted(lambda a: a + 1)
    assert capsys.readouterr().out == "Right: well\n"
    shifted(3)
    assert capsys.readouterr().out.startswith("Not yet: what it returns raised TypeError")


class Cancelled(BaseException):
    """No Exception, like asyncio's."""


def leave(error):
    raise error


@check
def constant(answer, rng):
    require(answer(1) == 2, "hint")
    return "well"


@pytest.mark.parametrize("leaves", [exit, quit, sys.exit, lambda code: leave(SystemExit(code))])
def test_an_answer_that_ends_python_is_not_right_yet(leaves):
    def wrong(a):
        leaves(0)

    verdict, line = judge(constant, wrong)
    assert verdict == "not yet"
    assert line == "Not yet: line 2 of wrong ends Python, as exit() does. Return a value instead."


@pytest.mark.parametrize("error", [Cancelled("away\nand gone"), GeneratorExit("away\nand gone")])
def test_whatever_an_answer_raises_becomes_one_line(error):
    verdict, line = judge(constant, lambda a: leave(error))
    assert verdict == "not yet" and line.endswith(f"raised {type(error).__name__}: away and gone.")


def test_a_reader_may_interrupt_a_check():
    with pytest.raises(KeyboardInterrupt):
        judge(constant, lambda a: leave(KeyboardInterrupt()))


def test_a_chapter_outlives_an_answer_that_calls_exit(tmp_path):
    answer = "from piumar_lib import check\ndef answer(*given):\n    {}"
    cells = [answer.format("exit()"), "check.shared_people(answer)", answer.format("quit()")]
    cells += ["check.shared_people(answer)", "import time; time.sleep(0.3); print('alive')"]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    assert execute(notebook, tmp_path)[1] == ""
    said = [cell.outputs[0].text for cell in notebook.cells if cell.outputs]
    assert [text[:30] for text in said] == ["Not yet: line 2 of answer ends"] * 2 + ["alive\n"]


@pytest.mark.parametrize("answer", [None, ..., lambda a: None])
def test_an_unsolved_exercise_is_no_error(answer):
    @check
    def anything(answer, rng):
        answer(1)
        return ""

    assert judge(anything, answer)[0] == "unsolved"


def test_an_incomplete_exercise_is_named():
    notebook = to_notebook(ROOT / "notebooks" / "01_person_shift.py")
    folded = find_exercises(notebook)[0].folded
    notebook.cells[folded].source = "nothing"
    with pytest.raises(ValueError, match=f"cell {folded}: a solution is"):
        find_exercises(notebook)
