"""Editions made from a chapter: for students, with solutions, and as slides."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from piumar_lib.course import check as checks
from tools import slides as slides_module
from tools.__main__ import main
from tools.blocks import LIMIT, Block, count_lines, count_rows, cut_columns, sentences, split
from tools.chapters import list_chapters, to_notebook
from tools.deck import HIDDEN, IDEA, to_deck
from tools.editions import REMOVED, point_links, write_edition
from tools.exercises import FOLDED, find_exercises
from tools.rendering import render_markdown
from tools.run import execute
from tools.slides import build_slides, copy_reveal
from tools.statements import LONGEST_CODE

ROOT = Path(__file__).parents[1]
ALT = "A line that rises from zero to one, as an example."
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HEAD = """# %% [markdown]
# # {0} · {1}
#
# What does it answer?

# %% tags=["parameters"]
profile = "quick"

# %%"""
CHAPTERS = {chapter.stem: chapter for chapter in list_chapters(ROOT)}
SOURCES = {stem: to_notebook(chapter.path) for stem, chapter in CHAPTERS.items()}
EXERCISE = """ [markdown]
# ## Exercise: double it
#
# *5 minutes, easy.* See [the next](02_second.ipynb), [data](results/x.csv), [start](../README.md#two).

# %%
def twice(a):
    ...

# %%
from piumar_lib.course import check
check.twice(twice)

# %% [markdown]
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


def run_pair(path, outputs=()):
    """Write what an execution would have left, without a kernel."""
    notebook = to_notebook(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
    code[-1].outputs = list(outputs)
    nbformat.write(notebook, path.with_suffix(".ipynb"))


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


# For students, and with solutions


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


def test_links_still_lead_somewhere(root):
    (path, _) = write_edition(root, "student")
    text = text_of(read(path))
    assert "[the next](02_second.ipynb)" in text  # it has moved along
    assert "[data](../../notebooks/results/x.csv)" in text and "[start](../../README.md#two)" in text


@pytest.mark.parametrize("kept", ["[a](#b)", "[a](https://b.org/c)", "`x[0](1)`", "[a](/b)"])
def test_other_links_stay_as_they_are(kept, tmp_path):
    assert point_links(kept, tmp_path / "a", tmp_path / "b/c", set()) == kept


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


def test_an_incomplete_exercise_is_named_with_its_file(root, capsys):
    write_chapter(root, "03_third", EXERCISE.replace("Solution", "Answer"))
    assert main(["--root", str(root), "student"]) == 1
    assert "03_third.py: 'Exercise: double it'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def editions(tmp_path_factory):
    """Both editions of the real chapters, in a folder that looks like the repository."""
    folder = tmp_path_factory.mktemp("editions")
    (folder / "notebooks").symlink_to(ROOT / "notebooks")
    names = ("student", "solutions")
    return {name: {p.stem: read(p) for p in write_edition(folder, name)} for name in names}


@pytest.mark.parametrize("stem", CHAPTERS)
def test_no_solution_is_left_in_a_students_notebook(editions, stem):
    source, student = SOURCES[stem], text_of(editions["student"][stem])
    folded = {exercise.folded for exercise in find_exercises(source)}
    lines = [{line.strip() for line in cell.source.split("\n")} for cell in source.cells]
    secret = set().union(*(lines[i] for i in folded))
    secret -= set().union(*(found for i, found in enumerate(lines) if i not in folded))
    assert secret and not secret & {line.strip() for line in student.split("\n")}
    assert FOLDED not in student and "folded" not in student


@pytest.mark.parametrize("stem", CHAPTERS)
def test_students_exercises_run_with_a_kind_line(editions, stem, capsys):
    notebook = editions["student"][stem]
    for exercise in find_exercises(SOURCES[stem]):
        space = {"check": checks}
        exec(notebook.cells[exercise.gap].source, space)
        exec(notebook.cells[exercise.check].source, space)
        assert f"{exercise.name} has no answer yet" in capsys.readouterr().out


@pytest.mark.parametrize("stem", CHAPTERS)
def test_solved_notebook_has_each_solution_once_in_its_place(editions, stem):
    solved = text_of(editions["solutions"][stem])
    for exercise in find_exercises(SOURCES[stem]):
        assert solved.count(exercise.solution.strip()) == 1
        assert SOURCES[stem].cells[exercise.gap].source not in solved
    assert FOLDED not in solved


@pytest.mark.parametrize("edition, line", [("student", "no answer yet"), ("solutions", "Right: ")])
def test_an_edition_runs_from_top_to_bottom(editions, edition, line, tmp_path):
    notebook = editions[edition]["00_start_here"]
    _, error = execute(notebook, tmp_path, "quick")
    assert not error
    printed = [o.get("text", "") for c in notebook.cells for o in c.get("outputs", [])]
    assert sum(line in text for text in printed) == 1


# Markdown in blocks


def test_blocks_end_at_empty_lines_save_within_code_formulas_and_lists():
    source = """Before
$$ a
+ b $$
after.
## Head
- one

- two

  more

```
x

y
```
<details>

in
</details>

> **Predict.** What?

| a |
|---|
"""
    kinds = " ".join(block.kind for block in split(source))
    assert kinds == "prose formula prose heading list code html quote table"
    blocks = {block.kind: block.text for block in split(source)}
    assert blocks["formula"] == "$$ a\n+ b $$" and blocks["list"].endswith("  more")
    assert blocks["code"] == "```\nx\n\ny\n```" and blocks["html"].endswith("</details>")


def test_sentences_end_before_a_capital():
    found = sentences("One, e.g. this. Two $x$? $y$ is three.")
    assert found == ["One, e.g. this.", "Two $x$?", "$y$ is three."]


def test_height_grows_with_what_there_is_to_read():
    one = count_lines(Block("formula", "$$ a $$"))
    assert count_lines(Block("formula", r"$$ \begin{aligned} a \\ b \end{aligned} $$")) > 1.5 * one
    assert count_lines(Block("prose", "word " * 60)) > 4 * 1.3
    short, long = "| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 | " + "word " * 50 + "|"
    assert count_lines(Block("table", long)) > count_lines(Block("table", short))
    assert count_rows([]) < 1


def test_only_as_many_columns_as_fit_are_kept():
    narrow = ["| a | b |", "|---|---|", "| 1 | 2 |"]
    assert cut_columns(narrow) == narrow
    wide = ["| head " * 30 + "|", "|---" * 30 + "|", "| 0.5 [0.1, 0.9] " * 30 + "|"]
    cut = cut_columns(wide)
    count = cut[0].count("head")
    assert 3 < count < 10 and cut[1].count("---") == cut[2].count("[") == count


# What is on a slide


def deck_of(*cells):
    return to_deck(new_notebook(cells=[new_markdown_cell("# 01 · First\n\nWhy?"), *cells]))


def printed(text):
    return new_output("stream", name="stdout", text=text)


def figure():
    data = {"image/png": DOT, "text/plain": ""}
    return new_output("display_data", data, metadata={"image/png": {"alt": ALT}})


def shown(slide):
    return "\n".join(cell.source for cell in slide.cells)


def test_headings_begin_slides_and_prose_goes_to_the_notes():
    prose = "One sentence. Another that nobody needs to read."
    first, section, below = deck_of(new_markdown_cell(f"## A\n\n{prose}\n\n### B\n\n{prose}\n\n{prose}"))
    assert first.title == "# 01 · First" and shown(first) == "Why?"
    assert (section.title, section.fresh, below.title, below.fresh) == ("## A", True, "## B", False)
    assert shown(section) == "One sentence." and section.notes == [prose] and len(below.notes) == 2


def test_a_heading_right_below_a_heading_shares_its_slide():
    (slide,) = deck_of(new_markdown_cell("## A\n\n### B\n\nText."))[1:]
    assert slide.title == "## B" and slide.fresh


def test_a_formula_keeps_the_sentence_that_announces_it():
    source = "## A\n\nLead.\n\nFirst. Then more. With $x$ it is\n\n$$ y $$\n\nLast."
    slide = deck_of(new_markdown_cell(source))[1]
    assert shown(slide) == "Lead.\nWith $x$ it is\n$$ y $$" and "Last." in slide.notes


def test_a_prediction_is_seen_before_its_answer():
    quote = "> **Predict.** How many?"
    answer = new_code_cell("answer(42)", outputs=[printed("42")])
    slides = deck_of(new_markdown_cell(f"## A\n\n{quote}"), answer)
    assert shown(slides[1]) == quote and "answer(42)" in shown(slides[2]) and not slides[2].fresh


def test_a_figure_stands_alone_with_its_code_in_the_notes():
    drawn = new_code_cell("fig, ax = plt.subplots()\nshow(fig)", outputs=[figure()])
    slides = deck_of(new_markdown_cell("## A\n\nA lead."), drawn, drawn)
    assert len(slides) == 3
    for slide in slides[1:]:
        (cell,) = slide.cells
        assert cell.outputs[0].metadata["image/png"]["alt"] == ALT and cell.metadata.tags == [HIDDEN]
        assert "plt.subplots" in slide.notes[-1]
    assert slides[1].notes[0] == "A lead."


def test_a_section_begins_with_its_figure_if_it_is_the_idea():
    before = new_code_cell("x = work(1)\nprint(x)", outputs=[printed("1")])
    drawn = new_code_cell("fig, ax = plt.subplots()\nshow(fig)", outputs=[figure()])
    slides = deck_of(new_markdown_cell(f"## {IDEA}\n\nA lead."), before, drawn, before)[1:]
    assert [slide.fresh for slide in slides] == [True, False]
    assert slides[0].cells[0].outputs[0].data["image/png"] and "x = work(1)" in slides[0].notes[1]
    assert "x = work(1)" in shown(slides[1])


def test_a_few_printed_lines_stand_below_their_figure():
    drawn = new_code_cell("fig, ax = plt.subplots()\nshow(fig)", outputs=[figure()])
    few, many = (new_code_cell("print(x)", outputs=[printed("one\n" * n)]) for n in (2, 9))
    slides = deck_of(new_markdown_cell("## A"), drawn, few, drawn, many)[1:]
    assert [len(slide.cells) for slide in slides] == [2, 1, 1]
    assert slides[0].cells[1].outputs[0].text == "one\none"


def test_a_lead_and_a_scrap_of_code_get_no_slide_of_their_own():
    long = new_code_cell("\n".join(f"x{i} = f({i})" for i in range(13)), outputs=[printed("1")])
    scrap = new_code_cell("def g(x):\n    return x")
    slides = deck_of(new_markdown_cell("## A\n\nA lead."), long, scrap)[1:]
    (slide,) = slides
    assert slide.fresh and "x12" in shown(slide) and slide.notes[0] == "A lead."
    assert "def g" in slide.notes[-1]


def test_a_long_table_goes_on_below_its_header():
    rows = "\n".join(f"| {i} | word |" for i in range(30))
    slides = deck_of(new_markdown_cell(f"## A\n\n| a | b |\n|---|---|\n{rows}"))[1:]
    assert len(slides) == 3 and all(shown(s).startswith("| a | b |\n|---|---|") for s in slides)
    assert sum(shown(s).count("word") for s in slides) == 30


QUIET = [
    "import numpy as np",
    "data = load()",
    "print(1)\nassert True\nfor i in x:\n    print(i)",
    "interact(f, a=(0, 1));",
    "def draw_it(ax):\n    ax.plot()",
    "run = start(profile)\nn = run.pick(1, 2)",
    "check.twice(twice)",
]


@pytest.mark.parametrize("source", QUIET)
def test_code_that_only_prepares_draws_or_prints_is_in_the_notes(source):
    outputs = [printed("1\n")] if "print" in source else []
    slide = deck_of(new_markdown_cell("## A"), new_code_cell(source, outputs=outputs))[1]
    assert source not in shown(slide) and source in slide.notes[-1]


def test_code_that_teaches_is_shown_without_its_imports():
    code = "@b\ndef f(x):\n    return x\n%time f(1)"
    cell = new_code_cell(f"import a\n\n{code}", outputs=[printed("1\n")])
    assert shown(deck_of(new_markdown_cell("## A"), cell)[1]).startswith(code)


def test_long_code_is_cut_at_its_statements_or_moves_to_the_notes():
    functions = "\n\n\n".join(f"def f{i}(x):\n    a = x\n    b = a\n    return b" for i in range(5))
    slides = deck_of(new_markdown_cell("## A"), new_code_cell(functions))
    assert len(slides) > 2 and all("def f" in shown(slide) for slide in slides[1:])
    one = "def f(x):\n" + "    x += 1\n" * LONGEST_CODE + "    return x"
    (slide,) = deck_of(new_markdown_cell("## A"), new_code_cell(one))[1:]
    assert not slide.cells and one in slide.notes[0]


def test_of_a_long_output_the_beginning_is_shown():
    text = "\n".join(f"line {i}" for i in range(40))
    table = "| a |\n|---|\n" + "\n".join(f"| {i} |" for i in range(40))
    data = new_output("display_data", {"text/markdown": table})
    other = new_output("display_data", {"text/markdown": "word " * 500})
    outputs = [printed(text), data, other, new_output("execute_result", {"text/plain": "<object>"})]
    slides = deck_of(new_markdown_cell("## A"), new_code_cell("f(x)", outputs=outputs))
    assert all(slide.lines <= LIMIT for slide in slides)
    notes = "\n".join(note for slide in slides for note in slide.notes)
    assert text in notes and table in notes and "word " * 500 in notes
    seen = [output for s in slides for c in s.cells for output in c.get("outputs", [])]
    assert "line 3\n" in seen[0].text and "more lines" in seen[0].text
    assert "whole table is in the chapter" in seen[1].data["text/markdown"]


def test_printed_bullets_become_bullets():
    said = new_code_cell("print('- a')", outputs=[printed("- a\n- b\n")])
    long = new_code_cell("", outputs=[printed(f"- {'word ' * 60}\n" * 4)])
    slides = deck_of(new_markdown_cell("## What we saw"), said, long)[1:]
    assert slides[0].cells[0].cell_type == "markdown" and shown(slides[0]) == "- a\n- b"
    assert len(slides) == 3 and all(slide.lines <= LIMIT for slide in slides)


def test_an_exercise_is_shown_with_its_task_and_its_solution_in_the_notes(root):
    slide = to_deck(to_notebook(root / "notebooks/01_first.py"))[-1]
    assert "*5 minutes, easy.*" in shown(slide) and "def twice" in shown(slide)
    assert "return 2 * a" not in shown(slide) and "return 2 * a" in slide.notes[-1]


def test_what_is_for_reading_has_no_slide():
    saw, read_on = "## What we saw\n\n- a", "## References\n\n1. B."
    slides = deck_of(new_markdown_cell(saw), new_markdown_cell(read_on))
    assert len(slides) == 2 and slides[-1].notes == ["## References\n\n1. B."]


# The pages


PAGE = """ [markdown]
# ## A formula
#
# $$ x_i^2 $$
#
# - [next](02_second.ipynb#there), [here](#a-formula), [readme](../README.md), [paper](https://arxiv.org)

# %%
fig, ax = plt.subplots()
"""


def test_slides_hold_all_they_need(root, capsys):
    first = write_chapter(root, "01_first", PAGE)
    run_pair(first, [figure()])
    run_pair(root / "notebooks/02_second.py")
    assert main(["--root", str(root), "slides"]) == 0
    assert "build/slides/index.html" in capsys.readouterr().out
    folder = root / "build/slides"
    page = BeautifulSoup((folder / "01_first.html").read_text(), "html.parser")
    for tag in page(["script", "link"]):
        assert (folder / (tag.get("src") or tag["href"])).is_file()
    assert page.find("math", display="block") and page.img["alt"] == ALT
    assert {a["href"] for a in page("a")} == {"02_second.html", "https://arxiv.org"}
    assert "plt.subplots" in page.find_all("aside")[-1].get_text()
    assert "MIT" in (folder / "reveal/dist/reveal.js").read_text()[:200]
    assert (folder / "reveal/LICENSE").is_file()
    index = (folder / "index.html").read_text()
    assert '<li value="2"><a href="02_second.html">Second</a><br>What does it answer?</li>' in index


def test_slides_refuse_what_has_not_run_or_has_no_alt_text(root):
    first = write_chapter(root, "01_first", "\nplt.subplots()")
    bare = figure()
    bare.metadata = {}
    run_pair(first, [bare])
    with pytest.raises(ValueError) as caught:
        build_slides(root)
    assert "01_first: a figure has no alt text" in str(caught.value)
    assert "02_second: no executed notebook matches the source. Run: " in str(caught.value)


@pytest.mark.parametrize("place", [None, SimpleNamespace(origin="/nowhere/__init__.py")])
def test_missing_reveal_is_named_with_the_remedy(place, tmp_path):
    with pytest.raises(RuntimeError, match="dist/reveal.css not found. .*: pip install -r"):
        copy_reveal(tmp_path, find=lambda name: place)


# The real chapters


def executed(root, chapter):
    """A chapter's outputs, be they of its last version: here only their layout matters."""
    try:
        return REAL(root, chapter)
    except ValueError:
        return read(chapter.pair) if chapter.pair.is_file() else to_notebook(chapter.path)


REAL = slides_module.find_executed
DRAWN = ["01_person_shift", "03_temporal_alignment", "09_evidence"]  # all of them take half a minute


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    (folder / "notebooks").symlink_to(ROOT / "notebooks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slides_module, "find_executed", executed)
        build_slides(folder, DRAWN)
    found = (folder / "build/slides").glob("*.html")
    return {path.stem: BeautifulSoup(path.read_text(), "html.parser") for path in found}


@pytest.mark.parametrize("stem", CHAPTERS)
def test_no_slide_holds_more_than_fits(stem):
    slides = to_deck(executed(ROOT, CHAPTERS[stem]))
    assert len(slides) > 10
    assert [s.title for s in slides if s.lines > LIMIT] == []
    assert [s.title for s in slides if not s.cells] == []


@pytest.mark.parametrize("stem", CHAPTERS)
def test_nothing_of_a_chapter_is_lost(stem):
    notebook = executed(ROOT, CHAPTERS[stem])
    slides = to_deck(notebook)
    kept = "\n".join(f"{s.title}\n{shown(s)}\n" + "\n".join(s.notes) for s in slides)
    kept = set(re.findall(r"\w+", kept))
    for cell in notebook.cells:
        words = set(re.findall(r"\w+", cell.source))
        if cell.cell_type == "code":  # imports are left out of code that is shown
            words = set(re.findall(r"\w+", re.sub(r"^(from|import) .*$", "", cell.source, flags=re.M)))
        assert words <= kept, cell.source


@pytest.mark.parametrize("stem", CHAPTERS)
def test_no_formula_is_torn_apart(stem):
    for slide in to_deck(executed(ROOT, CHAPTERS[stem])):
        for cell in slide.cells:
            if cell.cell_type == "markdown":
                render_markdown(cell.source)  # it refuses a dollar sign that is left over


@pytest.mark.parametrize("stem", DRAWN)
def test_slides_need_no_network_and_describe_their_figures(pages, stem):
    page = pages[stem]
    tags = page(["script", "link", "img", "iframe"])
    sources = [tag.get("src") or tag.get("href") or "" for tag in tags]
    assert not any(re.match(r"(https?:)?//", source) for source in sources)
    assert all(tag.get("src") for tag in page("script")) and not page("style")
    assert all(len(image["alt"]) >= 30 for image in page("img"))
    code = [c for c in executed(ROOT, CHAPTERS[stem]).cells if c.cell_type == "code"]
    figures = sum("image/png" in o.get("data", {}) for c in code for o in c.outputs)
    assert len(page("img")) == figures
