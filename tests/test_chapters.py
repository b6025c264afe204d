"""Every chapter keeps the promises that CONTRIBUTING.md makes for it."""

from __future__ import annotations

import re
import statistics
from pathlib import Path
from urllib.parse import unquote

import nbformat
import numpy as np
import pytest

from piumar_lib.notebook.profile import PROFILES
from tools.chapters import list_chapters, read_parameters, to_notebook
from tools.pairs import check_pair
from tools.readme import update_readme
from tools.rendering import render_markdown
from tools.run import execute, widget_errors

ROOT = Path(__file__).parents[1]
CHAPTERS = list_chapters(ROOT)
TYPES_CLASSES = "08"  # PIUmr from scratch: whole classes, and no cell above 25 lines
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<(?:a|img)[^>]+(?:href|src)=\"([^\"]+)\"")
SECTIONS = ("idea in one figure", "what we saw", "paper ledger", "references")

each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)


def code_cells(chapter):
    return [c.source for c in to_notebook(chapter.path).cells if c.cell_type == "code"]


def prose(chapter):
    return [c.source for c in to_notebook(chapter.path).cells if c.cell_type == "markdown"]


def pictures(notebook):
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    return [o.data["image/png"] for o in outputs if "image/png" in o.get("data", {})]


def relative_links(text):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    links = [first or second for first, second in LINK.findall(text)]
    return [link for link in links if not re.match(r"[a-z]+:", link) and not link.startswith("#")]


@each_chapter
def test_pair_is_the_source_executed(chapter):
    check_pair(chapter)


@each_chapter
def test_parameters_are_one_cell_of_literals_with_a_profile(chapter):
    assert read_parameters(to_notebook(chapter.path), chapter.stem)["profile"] in PROFILES


@each_chapter
def test_code_cells_are_short(chapter):
    # Without the parameters: a list of settings may be as long as it is.
    cells = [c for c in to_notebook(chapter.path).cells if c.cell_type == "code"]
    rest = [c.source for c in cells if "parameters" not in c.metadata.get("tags", [])]
    lengths = [len(source.splitlines()) for source in rest]
    assert statistics.median(lengths) <= (14 if chapter.number == TYPES_CLASSES else 10)
    assert sum(length > 25 for length in lengths) <= 1
    assert max(lengths) <= 40
    assert max(map(len, "\n".join(code_cells(chapter)).splitlines())) <= 105


@each_chapter
def test_prose_cells_fit_a_screen(chapter):
    assert max(len(source.splitlines()) for source in prose(chapter)) <= 40


@each_chapter
def test_anatomy(chapter):
    headings = "\n".join(re.findall(r"^##? .*$", "\n".join(prose(chapter)), re.MULTILINE)).lower()
    for section in SECTIONS:
        assert section in headings, f"no section '{section}'"
    assert chapter.path.read_text().startswith("# ---"), "no jupytext header"


@each_chapter
def test_formulas_convert_and_links_resolve(chapter):
    for source in prose(chapter):
        render_markdown(source)
        for link in relative_links(source):
            target = chapter.path.parent / unquote(link.split("#")[0])
            assert target.exists(), f"broken link {link}"


@each_chapter
def test_figures_go_through_show(chapter):
    for source in code_cells(chapter):
        assert "plt.show(" not in source, "use show(fig, alt) from piumar_lib.notebook"
        assert "tqdm.auto" not in source and "tqdm.notebook" not in source, "use plain tqdm"


@each_chapter
def test_execution_left_no_error_even_inside_widgets(chapter):
    path = ROOT / "build/notebooks" / f"{chapter.stem}.ipynb"
    remedy = "Run 'make test', or: python -m tools run"
    assert path.is_file(), f"{path.name} was not made. {remedy}"
    notebook = nbformat.read(path, 4)
    code = [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]
    assert all(c.execution_count for c in code), f"{path.name} was not executed. {remedy}"
    assert [c.source for c in code] == [s for s in code_cells(chapter) if s.strip()], (
        f"{path.name} is not of this source. {remedy}"
    )
    assert not [o for c in code for o in c.outputs if o.output_type == "error"]
    assert not widget_errors(notebook)


def test_on_unseen_people_chapter_12_has_three_times_what_a_constant_answer_has():
    path = ROOT / "build/notebooks/12_train_ma52.ipynb"
    outputs = [o for c in nbformat.read(path, 4).cells for o in c.get("outputs", [])]
    tables = [o.data["text/markdown"] for o in outputs if "text/markdown" in o.get("data", {})]
    (table,) = [t for t in tables if t.splitlines()[0].startswith("| method | F1_mean | top-1 |")]
    rows = [re.split(r" *\| *", line)[1:4] for line in table.splitlines()[2:]]
    top = {method: float(top) for method, _, top in rows}
    constant = top.pop("always nodding")
    assert len(top) == 2 and all(accuracy >= 3 * constant for accuracy in top.values()), table


def test_a_chapter_does_the_same_from_any_folder(tmp_path):
    first = CHAPTERS[0]
    here, elsewhere = to_notebook(first.path), to_notebook(first.path)
    for notebook, folder in ((here, first.path.parent), (elsewhere, tmp_path)):
        _, error = execute(notebook, folder, "quick")
        assert not error
    assert pictures(here) == pictures(elsewhere) != []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_document_links_resolve(name):
    for link in relative_links((ROOT / name).read_text()):
        assert (ROOT / link.split("#")[0]).exists(), f"broken link {link}"


def test_chapter_table_of_the_readme_is_current():
    assert not update_readme(ROOT, check=True), "run: make readme"


def test_numbers_are_unique():
    numbers = [chapter.number for chapter in CHAPTERS]
    assert len(numbers) == len(set(numbers))


OF_YOURS = [c for c in CHAPTERS if "01" <= c.number <= "09"]


def begin(chapter, path):
    """Run a chapter's parameters, with a reader's file, and the cell behind them."""
    parameters, first = code_cells(chapter)[:2]
    scope: dict = {}
    exec(parameters, scope)
    scope["data"] = str(path)
    exec(first, scope)


@pytest.mark.parametrize("chapter", OF_YOURS, ids=lambda chapter: chapter.stem)
def test_a_chapter_says_at_once_what_a_readers_file_lacks(chapter, tmp_path):
    path, person, y = tmp_path / "MINE.NPZ", np.arange(12) // 4, np.arange(12) % 2
    x = np.random.default_rng(0).standard_normal((12, 4, 2))

    def save(**changes):
        with path.open("wb") as file:
            np.savez(file, **{"X": x, "y": y, "person": person} | changes)

    save()
    begin(chapter, path)
    lacking = {"has one frame": {"X": x[:, :1]}}
    if chapter.number != "02":  # two clips of anybody are enough to be transported
        lacking |= {"has one person": {"person": 0 * person}, "has one class": {"y": 0 * y}}
    if chapter.number in ("03", "04", "06"):
        lacking |= {"has 2 people": {"person": person // 2}}
    for words, changes in lacking.items():
        save(**changes)
        with pytest.raises(ValueError, match=f"data: .* {words}.* This takes at least"):
            begin(chapter, path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="MINE.NPZ: no such file"):
        begin(chapter, path)


def test_chapter_02_takes_two_clips_that_are_there(tmp_path):
    path = tmp_path / "mine.npz"
    (chapter,) = (c for c in CHAPTERS if c.number == "02")
    np.savez(path, X=np.random.default_rng(0).standard_normal((1, 4, 2)), y=[0], person=[0])
    with pytest.raises(ValueError, match="first_clip, second_clip: 0 and 1 .* Choose from 0 to 0"):
        begin(chapter, path)
