"""The book's reference pages, glossary and cheat sheet, agree with chapters, library and tests."""

from __future__ import annotations

import importlib
import inspect
import re
from copy import deepcopy
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from myst_parser.mdit_to_docutils.base import default_slugify
from nbformat import from_dict

from piumar_lib.baselines.hdf_ledger import LEDGER
from tools.chapters import list_chapters, to_notebook, to_slug
from tools.ledger import find_sections, find_used, read_ledger, resolve, write_pages
from tools.pages import label_equations
from tools.rendering import render_markdown

ROOT = Path(__file__).parents[1]
NOTEBOOKS = {chapter: to_notebook(chapter.path) for chapter in list_chapters(ROOT)}
ROWS = [(c, row) for c, notebook in NOTEBOOKS.items() for row in read_ledger(notebook, c.stem)]
METHOD = (
    "transport",
    "alignment",
    "perturbation",
    "fusion",
    "temporal_frequency",
    "dro",
    "pseudo_groups",
    "group_robust",
    "person_normalization",
)
ENTRY = re.compile(r"^## (.+)\n\n((?:.+\n)+)\n\[(\d\d) · (.+)\]\(([\w.]+)\.ipynb#(.+)\)$", re.M)
GLOSSARY = (ROOT / "notebooks/glossary.md").read_text(encoding="utf-8")
ENTRIES = ENTRY.findall(GLOSSARY)


def texts_by_anchor(stem):
    """Text and code of each section of a chapter, by the anchor of its heading."""
    notebook = next(n for chapter, n in NOTEBOOKS.items() if chapter.stem == stem)
    anchor, found = "", {}
    for cell in notebook.cells:
        parts = (
            re.split(r"^(##+ .+)$", cell.source, flags=re.M)
            if cell.cell_type == "markdown"
            else [cell.source]
        )
        for part in parts:
            if part.startswith("##"):
                anchor = to_slug(part.lstrip("# "))
            found[anchor] = found.get(anchor, "") + "\n" + part
    return found


# Glossary


def test_glossary_is_complete_and_sorted():
    terms = [entry[0] for entry in ENTRIES]
    assert len(terms) == GLOSSARY.count("\n## ") >= 40, "an entry is not: term, words, link"
    assert terms == sorted(set(terms), key=str.lower)
    assert render_markdown(GLOSSARY)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry[0])
def test_glossary_links_to_a_section_that_holds_the_term(entry):
    term, words, number, heading, stem, anchor = entry
    assert stem.startswith(number) and to_slug(heading) == anchor
    sections = texts_by_anchor(stem)
    assert anchor in sections, f"{stem} has no section {heading!r}"
    text = " ".join(sections[anchor].lower().split())
    assert term.lower() in text, f"section {heading!r} of {stem} does not hold {term!r}"
    assert 20 < len(words) < 400


def test_anchors_are_those_of_the_book():
    prose = [c.source for n in NOTEBOOKS.values() for c in n.cells if c.cell_type == "markdown"]
    headings = re.findall("^##+ (.+)$", "\n".join(prose), re.M)
    assert len(headings) > 100
    assert [to_slug(h) for h in headings] == [default_slugify(h) for h in headings]


# Paper ledgers and cheat sheet


@pytest.mark.parametrize("chapter", list(NOTEBOOKS)[1:], ids=lambda chapter: chapter.stem)
def test_every_chapter_has_a_ledger(chapter):
    assert [row for c, row in ROWS if c == chapter], "columns: ..., library, test, our choice"


@pytest.mark.parametrize(("chapter", "row"), ROWS, ids=lambda part: getattr(part, "here", None))
def test_ledger_names_what_exists(chapter, row):
    assert row.said and row.here and row.library and row.tests
    for symbol in row.library:
        resolve(symbol)
    names = [re.sub(r"[(\[].*", "", symbol).split(".")[-1] for symbol in row.library]
    for test in row.tests:
        text = (ROOT / "tests" / test).read_text(encoding="utf-8")
        # Some symbols are tested through others, but a file that names none tests something else.
        assert any(re.search(rf"\b{name}\b", text) for name in names), f"{test} names no {names}"


@pytest.mark.parametrize("name", METHOD)
def test_every_public_symbol_of_the_method_is_in_a_ledger(name):
    module = importlib.import_module(f"piumar_lib.{name}")
    public = {
        f"{name}.{n}" for n, o in vars(module).items()
        if not n.startswith("_") and (inspect.isclass(o) or inspect.isfunction(o))
        and o.__module__ == module.__name__
    }  # fmt: skip
    named = {re.sub(r"\(.*", "", symbol) for _, row in ROWS for symbol in row.library}
    assert public
    assert not public - named, "add them to the paper ledger of the chapter that has them"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dro.gone", "dro.gone: neither piumar_lib.support nor"),
        ("gone.dro", "has 'gone.dro'. Correct the ledger"),
        ("tfam.FrequencyBranch(sauce=1)", "tfam.FrequencyBranch takes no argument 'sauce'"),
        ("a - b", "has 'a - b'"),
    ],
)
def test_names_that_do_not_exist_are_refused(name, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        resolve(name)


def test_names_are_modules_classes_methods_entries_and_arguments():
    module, method = resolve('methods.METHODS["PIUmr"]')
    assert module.__name__ == "piumar_lib.evidence.methods" and method is module.METHODS["PIUmr"]
    assert inspect.ismodule(resolve("data.synthetic")[1])
    assert inspect.isfunction(resolve("group_robust.GroupRobustObjective.risk")[1])
    assert resolve('tfam.TemporalBranch(mass="uniform")')[1].__name__ == "TemporalBranch"
    assert resolve("splits.person_disjoint")[0].__name__ == "piumar_lib.ma52.prepare.splits"


def test_ledger_with_a_torn_line_is_refused():
    head = "## Paper ledger\n\n| said | here | library | test | our choice |\n|---|---|---|---|---|\n"
    cell = {"cell_type": "markdown", "source": head + "| a | b | $|x|$ | d | e |"}
    notebook = from_dict({"cells": [cell]})
    with pytest.raises(ValueError, match="01_first: the ledger's line .* 7 cells, but its head 5"):
        read_ledger(notebook, "01_first")
    notebook.cells[0].source = "## Paper ledger\n\n| said | here | our choice |\n|---|---|---|"
    with pytest.raises(ValueError, match="01_first: the ledger's columns are .*'our choice'"):
        read_ledger(notebook, "01_first")


@pytest.mark.parametrize("chapter", NOTEBOOKS, ids=lambda chapter: chapter.stem)
def test_every_chapter_ends_with_a_ledger(chapter):
    assert read_ledger(NOTEBOOKS[chapter], chapter.stem)


def test_used_symbols_are_found_by_their_module_and_by_import():
    code = "from piumar_lib.tfam import TFAM, js_divergence\ntransport.reclock(x)\nmy.dro.cvar(x)\n"
    symbols = {"tfam.TFAM", "transport.reclock", "transport.re", "dro.cvar", "tfam.js_divergence"}
    assert find_used(code, symbols) == ["tfam.TFAM", "tfam.js_divergence", "transport.reclock"]


def test_cheat_sheet_holds_every_displayed_formula_and_ledger_every_row(tmp_path):
    labeled = {c: label_equations(deepcopy(notebook), c.stem) for c, notebook in NOTEBOOKS.items()}
    write_pages(labeled, tmp_path)
    sheet, ledger = ((tmp_path / f"{name}.md").read_text() for name in ("cheat_sheet", "ledger"))
    displayed = 0
    for chapter, notebook in labeled.items():
        sections = find_sections(notebook)
        prose = "".join(c.source for c in notebook.cells if c.cell_type == "markdown")
        assert 2 * sum(len(section.equations) for section in sections) == prose.count("$$"), chapter.stem
        for n in range(sum(len(section.equations) for section in sections)):
            assert sheet.count(f"{{eq}}`{chapter.stem}-{n + 1}`") == 1
            displayed += 1
    assert sheet.count("$$") == 2 * displayed > 100
    ledger, _ = ledger.split("## HDF as published")
    rows = [line for line in ledger.splitlines() if line.startswith("|") and line[:3] != "|--"]
    assert len(rows) == len(ROWS) + len({c for c, _ in ROWS})
    assert len(re.findall("{eq}", ledger)) > 20
    sinkhorn = sheet.split("#sinkhorn-in-the-log-domain")[1].split("$$")[0]
    assert "[`transport.sinkhorn_plan`](#piumar_lib.transport.sinkhorn_plan)" in sinkhorn
    assert "[test_transport.py](../tests/test_transport.py)" in sinkhorn


def test_the_ledger_page_has_each_difference_between_hdfs_figure_and_code(tmp_path):
    chapter, notebook = next(iter(NOTEBOOKS.items()))
    write_pages({chapter: label_equations(deepcopy(notebook), chapter.stem)}, tmp_path)
    text = (tmp_path / "ledger.md").read_text().partition("## HDF as published")[2]
    page = BeautifulSoup(render_markdown(text), "html.parser")
    rows = [[cell.text for cell in row.find_all("td")] for row in page.find_all("tr")[1:]]
    texts = [[BeautifulSoup(render_markdown(part), "html.parser").text.strip() for part in line]
             for line in LEDGER]  # fmt: skip
    assert rows == texts and len(rows) >= 10
    links = {a["href"].lstrip("#") for a in page.find_all("a") if a["href"].startswith("#")}
    assert len(links) == 2
    assert all(resolve(link.removeprefix("piumar_lib.")) for link in links)


def test_a_label_of_the_authors_own_is_kept():
    source = "## A\n\n$$ a $$ (mine)\n\n$$ b $$\n\n```\n$$ c $$ (x)\n```"
    notebook = from_dict({"cells": [{"cell_type": "markdown", "source": source}]})
    (section,) = find_sections(label_equations(notebook, "01_first"))
    assert section.equations == [("a", "mine"), ("b", "01_first-1")]
