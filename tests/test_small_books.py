"""What the book refuses, and when it is built again, tried on chapters made for that."""

from __future__ import annotations

import html
import re

import pytest
from bs4 import BeautifulSoup
from test_course import ALT, ERROR, MARKERS, png, put_executed, write_chapter

from book.formulas import to_mathml
from tools import book as tools_book
from tools.__main__ import main
from tools.book import build_book, lay_out

pytestmark = pytest.mark.filterwarnings("ignore::sphinx.deprecation.RemovedInSphinx11Warning")
BOOK_CELL = """ [markdown]
# ## A formula & more
#
# Inline $x_i^2$, and `$HOME` in code:
#
# $$\\begin{aligned} a &= b \\\\ c &= d \\end{aligned}$$
#
# See [the next](02_second.ipynb#a-formula--more), [this file](01_first.py),
# [here](#a-formula--more), [data](data.csv), [start](../README.md),
# [one](glossary.md#one), [[1](#references)]

# %% [markdown]
# ## References
#
# 1. Somebody. *Causality.* 2009.
"""
GLOSSARY = "# Glossary\n\nWords.\n\n## one\n\nThe first of all numbers.\n\n[01 · A](01_first.ipynb)\n"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    for folder in ("notebooks", "piumar_lib"):
        (tmp_path / folder).mkdir()
    (tmp_path / "README.md").write_text(f"# Course\n\n{MARKERS}\n\n<!-- book:end -->\n\nThe rest.\n")
    (tmp_path / "notebooks/glossary.md").write_text(GLOSSARY)
    (tmp_path / "notebooks/related_work.md").write_text("# Related work\n\nNone.\n")
    (tmp_path / "piumar_lib/__init__.py").touch()
    put_executed(tmp_path, write_chapter(tmp_path, "09_evidence"))  # the page of records leads to it
    return tmp_path


def test_book_is_complete(root, capsys):
    (root / "notebooks/data.csv").write_text("1")
    first = write_chapter(root, "01_first", BOOK_CELL, ' tags=["hide-input"]\nprint("figure")')
    second = write_chapter(root, "02_second", BOOK_CELL, "\ninteract(print)")
    put_executed(root, first, outputs=[png()])
    put_executed(root, second, place="build")
    assert main(["--root", str(root), "book"]) == 0
    assert "build/book/index.html" in capsys.readouterr().out
    index = (root / "build/book/index.html").read_text()
    assert "The rest" not in index
    page = BeautifulSoup((root / "build/book/notebooks/01_first.html").read_text(), "html.parser")
    assert page.select("math msubsup") and page.select("math mtable") and "$HOME" in page.main.get_text()
    assert page.select_one(".eqno").get_text().startswith("(01.1)")
    image = page.select_one("main img")
    assert image["alt"] == ALT and image["style"] == "width: 440px;" and image.parent.name != "a"
    links = {a.get("href") for a in page.select("main a")}
    assert {"02_second.html#a-formula-more", "#a-formula-more", "../index.html"} <= links
    assert "glossary.html#term-one" in links
    cited = [a.get_text() for a in page.select("main a[href^='bibliography.html']")]
    assert cited == ["Pearl, 2009"] * 2
    (copy,) = (root / "build/book/_downloads").rglob("data.csv")
    assert copy.read_text() == "1"
    folded = page.select_one("details.hide")
    assert "print" in folded.get_text() and "Show the code" in folded.get_text()
    assert "A slider, to be moved" in (root / "build/book/notebooks/02_second.html").read_text()


def test_a_page_that_stays_keeps_its_time(root):
    (root / "notebooks/data.csv").write_text("1")
    put_executed(root, write_chapter(root, "01_first", BOOK_CELL, "\n1"), outputs=[png()])
    source = lay_out(root)
    times = {path: path.stat().st_mtime_ns for path in source.rglob("*.*") if path.is_file()}
    assert source / "notebooks" / "data.csv" in times
    changed = source / "notebooks" / "glossary.md"
    changed.write_text("another")
    lay_out(root)
    assert [path for path, time in times.items() if path.stat().st_mtime_ns != time] == [changed]


def test_a_book_stays_while_nothing_has_changed(root, monkeypatch):
    put_executed(root, write_chapter(root, "01_first"))
    build_book(root)
    calls = []
    monkeypatch.setattr(tools_book, "build_main", lambda options: calls.append(options) or 0)
    build_book(root)
    assert not calls
    (root / "notebooks/glossary.md").write_text(
        GLOSSARY + "\n## two\n\nThe next.\n\n[01](01_first.ipynb)\n"
    )
    tools_book.call_sphinx(lay_out(root), root / "build" / "book", "html")
    assert len(calls) == 1
    tools_book.call_sphinx(lay_out(root), root / "build" / "book", "html")
    assert len(calls) == 2  # there is no first page, as no Sphinx has written it


FAULTS = {
    "01_first": ("\n1", [png(alt="")], "a figure has no alt text"),
    "02_file": (" [markdown]\n# [x](gone.md)", [], "target not found: 'gone.md'"),
    "03_heading": (" [markdown]\n# [x](#gone)", [], "target not found: 'gone'"),
    "04_elsewhere": (" [markdown]\n# [x](01_first.ipynb#gone)", [], "local id not found .*'gone'"),
    "05_formula": (" [markdown]\n# $\\unknown x$", [], "unknown is not known"),
    "06_equation": (" [markdown]\n# {eq}`gone`", [], "equation not found: gone"),
}
FOREIGN = {
    "01_first": ("<script src='https://example.org/x.js'></script>", "<script"),
    "02_second": ("![x](https://example.org/x.png)", "<img"),
}


def refused(root, capsys):
    """What is said of a book that is refused."""
    with pytest.raises(ValueError) as caught:
        build_book(root)
    return f"{caught.value}\n{capsys.readouterr().err}"


def test_book_refuses_what_would_be_broken_each_time(root, capsys):
    for stem, (cell, outputs, _) in FAULTS.items():
        put_executed(root, write_chapter(root, stem, cell, "\n1 + 1"), outputs=outputs)
    for _ in range(2):  # Sphinx keeps what it has read
        said = refused(root, capsys)
        for stem, (*_, message) in FAULTS.items():
            assert re.search(f"{stem}.*WARNING: .*{message}", said)


def test_book_refuses_what_needs_a_network_each_time(root, capsys):
    for stem, (text, _) in FOREIGN.items():
        put_executed(root, write_chapter(root, stem, f" [markdown]\n# {text}", "\n1 + 1"))
    for _ in range(2):
        said = refused(root, capsys)
        assert all(f"{stem}: {tag}" in said for stem, (_, tag) in FOREIGN.items())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[x](glossary.md#two)", "the glossary has no 'two'"),
        ("[[7](#references)]", "no reference has the number 7"),
        ("## References\n#\n# 1. A. *B.*", "references.bib has no 'B'"),
    ],
)
def test_book_refuses_names_that_are_not_there(root, text, message, capsys):
    put_executed(root, write_chapter(root, "01_first", f" [markdown]\n# {text}", "\n1 + 1"))
    assert f"01_first: {message}" in refused(root, capsys)


def test_every_chapter_that_never_ran_is_reported(root):
    path = write_chapter(root, "01_first", "\n1 + 1")
    write_chapter(root, "02_second", "\n1 + 1")
    put_executed(root, path, place="build", outputs=[ERROR])
    with pytest.raises(ValueError) as caught:
        lay_out(root)
    for stem, number in (("01_first", "01"), ("02_second", "02")):
        assert f"{stem}: no executed notebook matches the source" in str(caught.value)
        assert f"python -m tools run --only {number}" in str(caught.value)


def test_printing_says_that_it_takes_a_browser(root, monkeypatch, capsys):
    monkeypatch.setattr(tools_book.shutil, "which", lambda name: None)
    assert main(["--root", str(root), "pdf"]) == 1
    assert "pdf: no browser found to print it (looked for chromium" in capsys.readouterr().err


@pytest.mark.parametrize("formula", ["\\begin{matrix} a", "a & b", "\\right)"])
def test_formulas_that_fail_are_named(formula):
    with pytest.raises(ValueError, match="formula "):
        to_mathml(formula, "block")


def test_formulas_beyond_the_converter_are_taught_to_it():
    assert "<mtable" in to_mathml("\\begin{aligned} a &= b \\end{aligned}", "block")
    indicator = to_mathml("\\arg\\min_x \\mathbb{1}[x > 0]", "inline")
    assert "<mo>arg</mo>" in indicator and "\U0001d7d9" in indicator
    letters = {r"\mathcal L": "ℒ", r"S_{\mathcal A}": "𝒜", r"\mathbb R": "ℝ"}
    for formula, letter in letters.items():
        assert letter in html.unescape(to_mathml(formula, "inline"))
    for formula in ("h'", r"\hat p''", "A'_k", "A'_{k-1}"):  # as a superscript a prime is hardly seen
        primed = to_mathml(formula, "inline")
        assert "<mo>&#x0203" in primed and "sup>" not in primed
    assert '<mi mathvariant="normal">d</mi>' in to_mathml(r"\mathrm{d}P", "inline")
    assert "mtext" not in to_mathml(r"\text{agreement} - \text{chance}", "inline")


def test_a_browser_that_fails_says_why(tmp_path, monkeypatch):
    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\necho first >&2; echo 'no display' >&2; exit 3\n")
    browser.chmod(0o755)
    monkeypatch.setattr(tools_book, "BROWSERS", ("nowhere", str(browser)))
    for name in ("lay_out", "copy_pictures"):
        monkeypatch.setattr(tools_book, name, lambda *_: tmp_path)
    monkeypatch.setattr(tools_book, "call_sphinx", lambda *_: tmp_path / "index.html")
    with pytest.raises(RuntimeError, match=r"browser cannot print it \(no display\). Try another"):
        tools_book.build_pdf(tmp_path)
