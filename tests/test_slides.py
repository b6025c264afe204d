"""What is on a slide: the slide types of the chapters, and the pages that are made from them."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_output

from tools.__main__ import main
from tools.chapters import list_chapters, to_notebook
from tools.exercises import find_exercises
from tools.slides import build_slides

ROOT = Path(__file__).parents[1]
SOURCES = {chapter.stem: to_notebook(chapter.path) for chapter in list_chapters(ROOT)}
TYPES = ("slide", "subslide", "fragment", "notes", "skip", "-")
ALT = "A line that rises from zero to one, as an example."
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

# Sections that a reader runs, and a lecture has no use for.
OF_ONES_OWN = (
    "## What the course found", "## Check the set-up", "### Profiles", "## Try it: ",
    "## Retraining recorded models", "## On people of your own", "## Any two methods (interactive)",
)  # fmt: skip

each_chapter = pytest.mark.parametrize("stem", SOURCES)


def type_of(cell):
    return cell.metadata.get("slideshow", {}).get("slide_type", "-")


def tags_of(cell):
    return cell.metadata.get("tags", [])


def slides_of(notebook):
    """The cells that are shown on each slide."""
    slides = []
    for cell in notebook.cells:
        if type_of(cell) in ("slide", "subslide"):
            slides.append([])
        if type_of(cell) not in ("notes", "skip"):
            slides[-1].append(cell)
    return slides


# The chapters


def test_the_lecture_plans_name_slides_that_say_something():
    (plan,) = [c.source for c in SOURCES["00_start_here"].cells if "### For lecturers" in c.source]
    decks, shown = {stem[:2]: slides_of(notebook) for stem, notebook in SOURCES.items()}, 0
    for promised, named in re.findall(r"\*\*\d+ minutes, (\d+) slides:\*\*(.*?)\n- ", plan, re.S):
        for deck, places in re.findall(r"(\d\d)/(\d+(?:,\s+\d+)*)", named):
            for place in map(int, places.split(",")):
                cells = decks[deck][place - 1]
                assert any(c.cell_type == "markdown" or "hide-input" in tags_of(c) for c in cells)
                assert not any(c.source.startswith("## Exercise") for c in cells)
                shown += 1
        assert shown == int(promised)
    assert shown > 30


@each_chapter
def test_a_chapter_begins_with_its_title_and_uses_types_that_exist(stem):
    cells = SOURCES[stem].cells
    assert type_of(cells[0]) == "slide" and cells[0].source.startswith("# ")
    assert {type_of(cell) for cell in cells} <= set(TYPES)


@each_chapter
def test_a_deck_has_at_most_forty_slides(stem):
    assert 10 <= len(slides_of(SOURCES[stem])) <= 40


@each_chapter
def test_a_prediction_is_seen_before_its_answer(stem):
    ask = "> **Predict"
    shown = [slide for slide in slides_of(SOURCES[stem]) if any(ask in cell.source for cell in slide)]
    assert len(shown) == sum(ask in cell.source for cell in SOURCES[stem].cells) > 0
    assert all(cell.cell_type == "markdown" for slide in shown for cell in slide)


@each_chapter
def test_an_exercise_is_on_a_slide_and_its_solution_in_the_notes(stem):
    notebook = SOURCES[stem]
    slides = [[cell.id for cell in slide] for slide in slides_of(notebook)]
    for exercise in find_exercises(notebook):
        gap, check, folded = (notebook.cells[i] for i in (exercise.gap, exercise.check, exercise.folded))
        (slide,) = (slide for slide in slides if gap.id in slide)
        first = next(cell for cell in notebook.cells if cell.id == slide[0])
        assert first.source.startswith("## Exercise")
        assert (type_of(check), type_of(folded)) == ("skip", "notes")


@each_chapter
def test_prose_is_shown_or_said(stem):
    """Left out are a chapter's facts, ledger and references, and sections for a reader alone."""
    prose = [cell for cell in SOURCES[stem].cells if cell.cell_type == "markdown"]
    skipped = [cell.source for cell in prose if type_of(cell) == "skip"]
    text = "\n".join(skipped)
    assert "## References" in text and "## Paper ledger" in text
    allowed = ("| | |", "## Paper ledger", "## References", *OF_ONES_OWN)
    assert [s for s in skipped if not s.startswith(allowed)] == []


@each_chapter
def test_setting_up_is_not_shown(stem):
    for cell in SOURCES[stem].cells:
        if "parameters" in tags_of(cell) or "start(profile)" in cell.source:
            assert type_of(cell) == "skip"


@each_chapter
def test_cells_that_make_a_figure_or_a_widget_are_folded(stem):
    for cell in SOURCES[stem].cells:
        if cell.cell_type == "code" and re.search(r"\.subplots\(|^interact\(", cell.source, re.M):
            assert "hide-input" in tags_of(cell), cell.source


@each_chapter
def test_code_on_a_slide_is_short(stem):
    for slide in slides_of(SOURCES[stem]):
        code = [c.source for c in slide if c.cell_type == "code" and "hide-input" not in tags_of(c)]
        assert sum(len(source.splitlines()) for source in code) <= 25


# The pages


CHAPTER = """# %% [markdown] slideshow={{"slide_type": "slide"}}
# # {0} · {1}
#
# What does it answer?

# %% tags=["parameters"] slideshow={{"slide_type": "skip"}}
profile = "quick"

# %% [markdown] slideshow={{"slide_type": "slide"}}
# ## A formula
#
# $$ x_i^2 $$
#
# - [next](02_second.ipynb#there), [here](#a-formula), [readme](../README.md), [paper](https://arxiv.org)

# %% [markdown] slideshow={{"slide_type": "notes"}}
# What the lecturer says.

# %% [markdown] slideshow={{"slide_type": "skip"}}
# What only readers see.

# %% slideshow={{"slide_type": "subslide"}}
def f(x):
    return x

# %% tags=["hide-input"]
fig, ax = plt.subplots()
"""


def write_chapter(root, name, outputs=()):
    number, _, title = name.partition("_")
    path = root / "notebooks" / f"{name}.py"
    path.write_text(CHAPTER.format(number, title.capitalize()))
    notebook = to_notebook(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
    code[-1].outputs = list(outputs)
    nbformat.write(notebook, path.with_suffix(".ipynb"))


def figure(metadata):
    return new_output("display_data", {"image/png": DOT, "text/plain": ""}, metadata=metadata)


def printed(text, name="stdout"):
    return new_output("stream", name=name, text=text)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    shown = [figure({"image/png": {"alt": ALT}}), printed("- a\n- b\n"), printed("careful", "stderr")]
    write_chapter(tmp_path, "01_first", shown)
    write_chapter(tmp_path, "02_second", [printed("1\n2\n")])
    return tmp_path


@pytest.fixture
def first(root):
    build_slides(root)
    return BeautifulSoup((root / "build/slides/01_first.html").read_text(), "html.parser")


def test_a_deck_holds_all_it_needs(root, first, capsys):
    folder = root / "build/slides"
    for tag in first(["script", "link"]):
        assert "://" not in str(tag)
        if source := tag.get("src") or tag.get("href"):
            assert (folder / source).is_file()
    assert first.find("math", display="block") and first.img["alt"] == ALT
    assert "MIT" in (folder / "reveal/dist/reveal.js").read_text()[:200]
    assert (folder / "reveal/LICENSE").is_file()
    assert main(["--root", str(root), "slides", "--only", "02"]) == 0
    assert "build/slides/index.html" in capsys.readouterr().out
    assert not (folder / "01_first.html").exists()
    index = (folder / "index.html").read_text()
    assert '<li><a href="02_second.html">02 · Second</a><br>What does it answer?</li>' in index


def test_cells_go_where_their_types_say(first):
    slides = first.select(".slides > section > section")
    assert [len(stack("section")) for stack in first.select(".slides > section")] == [1, 2]
    assert [a.get_text().strip() for a in first("aside")] == ["What the lecturer says."]
    assert "only readers" not in first.get_text() and "profile" not in first.get_text()
    assert "def f(x)" in slides[2].get_text() and "plt.subplots" not in first.get_text()


def test_a_slide_without_a_title_takes_that_of_the_slide_before(first):
    titles = [slide.find(["h1", "h2"]).get_text() for slide in first.select("section > section")]
    assert titles == ["01 · First", "A formula", "A formula"]


def test_links_lead_to_other_decks_or_nowhere(first):
    assert {a["href"] for a in first("a")} == {"02_second.html", "https://arxiv.org"}


def test_printed_bullets_become_bullets_and_warnings_vanish(root, first):
    assert [li.get_text() for li in first.img.find_parent("section")("li")] == ["a", "b"]
    assert "careful" not in first.get_text()
    assert "1\n2\n" in (root / "build/slides/02_second.html").read_text()


def test_a_deck_follows_a_new_tag_without_a_run(root):
    path = root / "notebooks/02_second.py"
    path.write_text(path.read_text().replace('%% tags=["hide-input"]', "%%"))
    build_slides(root)
    assert "subplots" in (root / "build/slides/02_second.html").read_text()


def test_slides_refuse_what_has_not_run_or_has_no_alt_text(root):
    write_chapter(root, "01_first", [figure({})])
    (root / "notebooks/02_second.ipynb").unlink()
    with pytest.raises(ValueError) as caught:
        build_slides(root)
    assert "01_first: a figure has no alt text" in str(caught.value)
    assert "02_second: no executed notebook matches the source. Run: " in str(caught.value)
