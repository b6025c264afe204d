"""Editions made from a chapter by the tags of its cells: for students, and with solutions."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from slow import slow_but

from piumar_lib import check as checks
from tools.__main__ import main
from tools.chapters import list_chapters, to_notebook
from tools.editions import LINK, REMOVED, write_edition
from tools.exercises import FOLD, TAGS, find_exercises
from tools.run import execute

ROOT = Path(__file__).parents[1]
CHAPTERS = {chapter.stem: chapter for chapter in list_chapters(ROOT)}
SOURCES = {stem: to_notebook(chapter.path) for stem, chapter in CHAPTERS.items()}
HEAD = """# %% [markdown]
# # {0} · {1}
#
# What does it answer?

# %% tags=["parameters"]
profile = "quick"

# %%"""
EXERCISE = """ [markdown]
# ## Exercise: double it
#
# *5 minutes, easy.* See [the next](02_second.ipynb), [data](results/x.csv), [start](../README.md#two).

# %% tags=["exercise"]
def twice(a):
    ...

# %% tags=["check"]
from piumar_lib import check
check.twice(twice)

# %% [markdown] tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def twice(a):
#     return 2 * a
# ```
#
# Twice is a sum, too.
# </details>
"""


def write_chapter(root, name, cell):
    number, _, title = name.partition("_")
    path = root / "notebooks" / f"{name}.py"
    path.write_text(HEAD.format(number, title.capitalize()) + cell)
    return path


@pytest.fixture
def root(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    write_chapter(tmp_path, "01_first", EXERCISE)
    write_chapter(tmp_path, "02_second", "\n1 + 1")
    return tmp_path


def read(path):
    return nbformat.read(path, 4)


def text_of(notebook):
    return "\n".join(cell.source for cell in notebook.cells)


def test_student_edition_keeps_the_gap_and_loses_the_solution(root, capsys):
    assert main(["--root", str(root), "student"]) == 0
    assert "2 notebooks in" in capsys.readouterr().out
    notebook = read(root / "build/student/01_first.ipynb")
    text = text_of(notebook)
    assert "def twice(a):\n    ..." in text and REMOVED in text
    assert "return 2 * a" not in text and "a sum, too" not in text and "<details>" not in text
    assert not any(cell.get("execution_count") for cell in notebook.cells)
    source = to_notebook(root / "notebooks/01_first.py")
    assert [cell.id for cell in notebook.cells] == [cell.id for cell in source.cells]


def test_solutions_edition_fills_the_gap_and_unfolds_the_text(root):
    assert main(["--root", str(root), "solutions", "--only", "01"]) == 0
    assert [path.name for path in (root / "build/solutions").iterdir()] == ["01_first.ipynb"]
    text = text_of(read(root / "build/solutions/01_first.ipynb"))
    assert text.count("return 2 * a") == 1 and "..." not in text
    assert "Twice is a sum, too." in text and "details>" not in text


CORE = """ tags=["core"]
def twice(a):
    \"\"\"Return ``a``, doubled.\"\"\"
    return 2 * a

# %% tags=["core-check"]
twice = check.twice(twice, otherwise=library.twice)
"""


def test_a_core_function_is_left_to_students_alone(root):
    write_chapter(root, "01_first", CORE)
    (student,) = write_edition(root, "student", ["01"])
    assert 'def twice(a):\n    """Return ``a``, doubled."""\n    ...' in text_of(read(student))
    assert "return 2 * a" not in text_of(read(student))
    (solved,) = write_edition(root, "solutions", ["01"])
    assert "return 2 * a" in text_of(read(solved))


AGAIN = """ tags=["core"]
def fuse(a, b, g):
    \"\"\"Mix two views.\"\"\"
    return g * (a + b) / 2 + (1 - g) * torch.minimum(a, b)

def other(a):
    return a
"""


def test_a_core_function_of_an_earlier_chapter_gets_its_check_in_the_student_edition(root):
    write_chapter(root, "01_first", AGAIN)
    (student,) = write_edition(root, "student", ["01"])
    hollow, check = [cell for cell in read(student).cells if cell.cell_type == "code"][-2:]
    assert "torch" not in hollow.source and "return a" in hollow.source
    assert check.source.endswith("fuse = check.fuse(fuse, otherwise=core.fuse)")
    (solved,) = write_edition(root, "solutions", ["01"])
    assert "otherwise" not in text_of(read(solved))


def test_a_solution_may_go_without_a_remark(root):
    write_chapter(root, "01_first", EXERCISE.replace("#\n# Twice is a sum, too.\n", ""))
    (path,) = write_edition(root, "solutions", ["01"])
    assert [cell.source for cell in read(path).cells][-1].startswith("from piumar_lib")


def test_links_still_lead_somewhere(root):
    (path, _) = write_edition(root, "student")
    text = text_of(read(path))
    assert "[the next](02_second.ipynb)" in text  # it has moved along
    assert "[data](../../notebooks/results/x.csv)" in text and "[start](../../README.md#two)" in text


@pytest.mark.parametrize("kept", ["[a](#b)", "[a](https://b.org/c)", "`x[0](1)`", "[a](/b)"])
def test_other_links_stay_as_they_are(kept, root):
    write_chapter(root, "01_first", EXERCISE.replace("*5 minutes, easy.*", kept))
    (path,) = write_edition(root, "student", ["01"])
    assert kept in text_of(read(path))


@pytest.mark.parametrize("stem", CHAPTERS)
def test_every_link_of_an_edition_leads_to_a_file(stem, editions):
    folder = ROOT / "build" / "student"
    for cell in editions["student"][stem].cells:
        if cell.cell_type == "markdown":
            for code, _, target in LINK.findall(cell.source):
                assert code or (folder / target.partition("#")[0]).resolve().exists(), target


def test_a_notebook_that_was_worked_in_is_kept(root, capsys):
    path = write_edition(root, "student", ["01"])[0]
    for count in (1, 2):
        notebook = read(path)
        notebook.cells[-3].execution_count = count
        nbformat.write(notebook, path)
        write_edition(root, "student", ["01"])
    assert "kept as 01_first.worked.ipynb" in capsys.readouterr().out
    kept = [read(path.with_suffix(f".{name}.ipynb")) for name in ("worked", "worked-2")]
    assert [notebook.cells[-3].execution_count for notebook in kept] == [1, 2]
    assert read(path).cells[-3].execution_count is None
    path.with_suffix(".worked.ipynb").unlink()
    nbformat.write(kept[0], path)
    write_edition(root, "student", ["01"])
    assert read(path.with_suffix(".worked-2.ipynb")).cells[-3].execution_count == 2  # still there


def test_answers_that_were_saved_without_having_run_are_kept(root, capsys):
    path = write_edition(root, "student", ["01"])[0]
    write_edition(root, "student", ["01"])
    assert "kept" not in capsys.readouterr().out  # nothing was done in it
    notebook = read(path)
    notebook.cells[-3].source += "\n# mine"
    nbformat.write(notebook, path)
    write_edition(root, "student", ["01"])
    assert read(path.with_suffix(".worked.ipynb")).cells[-3].source.endswith("# mine")


INCOMPLETE = {
    "no gap": (' tags=["exercise"]', "", "the tag 'check' is out .* exercise, check, solution"),
    "no check": (' tags=["check"]', "", "the tag 'solution' is out of place"),
    "no solution": (' tags=["solution"]', "", "the tag 'check' is out of place"),
    "not folded": ("<details>", "", "a solution is <details>"),
    "no code in it": ("```python", "```", "a solution is <details>"),
    "no name handed in": (
        "check.twice(twice)",
        "check.twice(lambda x: x)",
        ".* below a cell that calls check.NAME",
    ),
    "nothing checked": ("check.twice(twice)", "twice = 1", ".* below a cell that calls check.NAME"),
}


@pytest.mark.parametrize("old, new, said", INCOMPLETE.values(), ids=INCOMPLETE)
def test_an_incomplete_exercise_is_named_with_its_file_and_cell(root, old, new, said):
    write_chapter(root, "03_third", EXERCISE.replace(old, new))
    with pytest.raises(ValueError, match=rf"03_third.py: cell \d: {said}"):
        write_edition(root, "student")


@pytest.fixture(scope="module")
def editions(tmp_path_factory):
    """Both editions of the real chapters, in a folder that looks like the repository."""
    folder = tmp_path_factory.mktemp("editions")
    (folder / "notebooks").symlink_to(ROOT / "notebooks")
    names = ("student", "solutions")
    return {name: {p.stem: read(p) for p in write_edition(folder, name)} for name in names}


@pytest.mark.parametrize("stem", CHAPTERS)
def test_each_exercise_stands_below_its_heading_and_label(stem):
    cells = SOURCES[stem].cells
    for exercise in find_exercises(SOURCES[stem]):
        above = "\n".join(c.source for c in cells[: exercise.gap] if c.cell_type == "markdown")
        title, _, rest = above.rpartition("\n## ")[2].partition("\n")
        assert title.startswith("Exercise")
        minutes, _, difficulty = rest.strip().partition(" minutes, ")
        assert 5 <= int(minutes.removeprefix("*")) <= 20
        assert difficulty.partition(".*")[0] in ("easy", "medium", "hard")


@pytest.mark.parametrize("stem", CHAPTERS)
def test_no_solution_is_left_in_a_students_notebook(editions, stem):
    source, student = SOURCES[stem], text_of(editions["student"][stem])
    folded = {exercise.folded for exercise in find_exercises(source)}
    lines = [{line.strip() for line in cell.source.split("\n")} for cell in source.cells]
    secret = set().union(*(lines[i] for i in folded))
    secret -= set().union(*(found for i, found in enumerate(lines) if i not in folded))
    assert secret and not secret & {line.strip() for line in student.split("\n")}
    assert FOLD not in student and "folded" not in student


@pytest.mark.parametrize("stem", CHAPTERS)
def test_whatever_looks_like_an_exercise_has_its_tags(stem):
    """A forgotten tag would hand a solution to students."""
    looks = [c for c in SOURCES[stem].cells if FOLD in c.source or c.source.endswith("    ...")]
    looks += [c for c in SOURCES[stem].cells if "\ncheck." in f"\n{c.source}"]
    tagged = [c for c in SOURCES[stem].cells if set(c.metadata.get("tags", [])) & set(TAGS)]
    assert {c.id for c in looks} == {c.id for c in tagged} and tagged


@pytest.mark.parametrize("stem", CHAPTERS)
def test_students_exercises_run_with_a_kind_line(editions, stem, capsys):
    cells = editions["student"][stem].cells
    gaps, asked = ([c.source for c in cells if tag in c.metadata.get("tags", [])] for tag in TAGS[:2])
    for exercise, gap, ask in zip(find_exercises(SOURCES[stem]), gaps, asked, strict=True):
        space = {"check": checks}
        exec(gap, space)
        exec(ask, space)
        assert f"{exercise.name} has no answer yet" in capsys.readouterr().out


@pytest.mark.parametrize("stem", CHAPTERS)
def test_solved_notebook_has_each_solution_once_in_its_place(editions, stem):
    solved = text_of(editions["solutions"][stem])
    for exercise in find_exercises(SOURCES[stem]):
        assert solved.count(exercise.solution) == 1
        assert SOURCES[stem].cells[exercise.gap].source not in solved
        assert exercise.remark in solved
    assert FOLD not in solved


LINES = {"student": "no answer yet", "solutions": "Right: "}


@pytest.mark.parametrize("edition", slow_but(["solutions"], LINES))
def test_an_edition_runs_from_top_to_bottom(editions, edition, tmp_path):
    notebook = editions[edition]["00_start_here"]
    _, error = execute(notebook, tmp_path, "quick")
    assert not error
    printed = [o.get("text", "") for c in notebook.cells for o in c.get("outputs", [])]
    assert sum(LINES[edition] in text for text in printed) == 1
