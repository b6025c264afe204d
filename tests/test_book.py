"""The book: the real one as a reader sees it, and what it refuses, tried on chapters made for that.

Headless Chromium shows the pages; without it, those tests are skipped.
"""

from __future__ import annotations

import html
import re
from copy import copy
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from executed_chapters import executed
from nbformat.v4 import new_markdown_cell, new_notebook
from pybtex.database import parse_file
from pygments.styles import get_style_by_name
from test_course import ALT, ERROR, MARKERS, png, put_executed, write_chapter

from book.formulas import to_mathml
from tools import book as tools_book
from tools.__main__ import main
from tools.animations import ANIMATIONS
from tools.book import build_book, lay_out
from tools.chapters import list_chapters, to_notebook
from tools.counts import find_uncited
from tools.pages import BIBLIOGRAPHY, bibliography, cite, reading_minutes

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.filterwarnings("ignore::sphinx.deprecation.RemovedInSphinx11Warning")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
CHAPTERS = list_chapters(ROOT)
CODE_STYLES = ("a11y-high-contrast-light", "a11y-high-contrast-dark")  # those of book/conf.py


@pytest.fixture(scope="module")
def book():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tools_book, "find_executed", executed)
        return build_book(ROOT).parent


@pytest.fixture(scope="module")
def pages(book):
    """Each page by its name without ending, such as ``notebooks/02_optimal_transport``."""
    found = {path.relative_to(book).with_suffix("").as_posix(): path for path in book.rglob("*.html")}
    return {
        name: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for name, path in found.items()
        if not name.startswith(("_", "genindex"))
    }


# What is on the pages


def test_every_figure_of_every_chapter_is_there_with_its_text(pages):
    for chapter in CHAPTERS:
        code = [c for c in executed(ROOT, chapter).cells if c.cell_type == "code"]
        outputs = [o for c in code for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
        shown = "main img:not(picture img):not([src$=svg])"
        images = pages[f"notebooks/{chapter.stem}"].select(shown)
        assert [i["alt"] for i in images] == [o.metadata["image/png"]["alt"] for o in outputs]
    assert all(len(i["alt"]) >= 30 for page in pages.values() for i in page.select("main img"))


def test_formulas_are_mathml_and_no_dollar_is_left(pages):
    for name, page in pages.items():
        text = copy(page.main)
        for part in text.select("pre, code, math"):
            part.decompose()
        if name.startswith("notebooks/"):
            left = re.search(r".{0,40}\$.{0,40}", text.get_text())
            assert not left, f"{name}: {left[0]!r}"


def test_equations_are_numbered_by_chapter_and_the_cheat_sheet_refers_to_each(pages):
    sheet = pages["notebooks/cheat_sheet"]
    links = [a["href"] for a in sheet.select("main a.reference.internal") if "#equation-" in a["href"]]
    there = []
    for chapter in CHAPTERS:
        displayed = pages[f"notebooks/{chapter.stem}"].select("main div.equation")
        for n, equation in enumerate(displayed, 1):
            assert equation.select_one(".eqno").get_text().startswith(f"({chapter.number}.{n})")
            there.append(f"{chapter.stem}.html#{equation['id']}")
    assert links == there and len(there) > 50
    ledger = pages["notebooks/ledger"]
    assert any("#equation-" in a["href"] for a in ledger.select("main a"))


def test_terms_lead_to_the_glossary(pages):
    glossary = pages["notebooks/glossary"]
    terms = {dt["id"] for dt in glossary.select("dt[id]")}
    assert len(terms) == (ROOT / "notebooks/glossary.md").read_text().count("\n## ") > 40
    assert {t[5:].lower() for t in terms} >= {"sinkhorn", "tfam"}


def test_every_reference_is_cited_and_every_citation_is_in_the_bibliography(pages):
    entries = parse_file(str(BIBLIOGRAPHY)).entries
    cited = {}
    for chapter in CHAPTERS:
        prose = [c for c in to_notebook(chapter.path).cells if c.cell_type == "markdown"]
        cited[chapter.stem] = cite(prose, chapter.stem)
        assert cited[chapter.stem]
    related = new_markdown_cell((ROOT / "notebooks/related_work.md").read_text(encoding="utf-8"))
    cited["related_work"] = cite([related], "related_work")
    assert not find_uncited(new_notebook(cells=[related]))
    assert {key for keys in cited.values() for key in keys.values()} == set(entries)
    shown = pages["notebooks/bibliography"].select("main .citation")
    assert len(shown) == len(entries)


ITEM = re.compile(r"^\d+\. (?:[^\n]|\n(?!\d+\. ))+", re.M)


def test_the_bibliography_says_what_the_chapters_say():
    """Names, years and arXiv numbers; a chapter may shorten the names to "et al."."""
    entries, compared = parse_file(str(BIBLIOGRAPHY)).entries, 0
    for chapter in CHAPTERS:
        references = chapter.path.read_text().partition("# ## References\n")[2]
        for item in ITEM.findall(re.sub(r"^# ?", "", references, flags=re.M)):
            title = re.search(r"\*([^*]+?)\.?\*", item)
            if not title:
                continue
            names = re.sub(r"^\d+\. ", "", item[: title.start()]).replace("\n", " ")
            entry = entries[bibliography()[re.sub(r"[\W_]", "", title[1]).lower()]]
            first = " ".join(entry.persons["author"][0].last_names)
            assert first in names, (chapter.stem, item)
            if "et al." not in names:
                assert names.count(",") + 1 == len(entry.persons["author"]), (chapter.stem, item)
            for number in re.findall(r"arXiv (\d{4}\.\d{4,5})", item):
                assert entry.fields["eprint"] == number, (chapter.stem, item)
            years = re.findall(
                r"\b(?:18|19|20)\d\d\b", item[title.end() :].replace("arxiv.org/abs/", "")
            )
            years = [y for y in years if f"{y}." not in entry.fields.get("eprint", "")]
            assert not years or entry.fields["year"] in years, (chapter.stem, item)
            compared += 1
    assert compared > 60


def test_the_library_is_referred_to(pages):
    reference = pages["api/piumar_lib"]
    assert reference.find(id="piumar_lib.transport.sinkhorn_plan")
    assert pages["api/piumar_lib.ma52.prepare"].find(id="piumar_lib.ma52.prepare.splits.person_disjoint")
    links = [a["href"] for a in pages["notebooks/ledger"].select("main a")]
    assert "../api/piumar_lib.html#piumar_lib.dro.chi_square" in links
    own = pages["api/piumar_lib.evidence"]
    assert own.select("dl.field-list a[href='#piumar_lib.evidence.statistics.Difference']")


def test_a_chapter_tells_how_long_it_takes(pages):
    chapter = CHAPTERS[3]
    minutes = reading_minutes(to_notebook(chapter.path))
    assert f"About {minutes} minutes to read" in pages[f"notebooks/{chapter.stem}"].main.get_text()
    index = pages["index"].main.get_text()
    assert all(f"{chapter.title}" in index for chapter in CHAPTERS) and f"{minutes}\u00a0min" in index
    assert len(pages["index"].select("svg.map a")) == len(CHAPTERS)


def test_nothing_is_loaded_from_elsewhere(book, pages):
    others = {*book.rglob("*.html")} - {book / f"{name}.html" for name in pages}
    read = {path.name: BeautifulSoup(path.read_text(), "html.parser") for path in others}
    assert "genindex.html" in read
    for name, page in (pages | read).items():
        for tag in page(["script", "link", "img", "iframe"]):
            source = tag.get("src") or tag.get("href") or ""
            assert not re.match(r"(https?:)?//", source), (name, source)
    for path in [*book.rglob("*.css")]:
        assert not re.search(r"url\(['\"]?(https?:)?//", path.read_text()), path.name


def test_a_page_that_stays_keeps_its_time(book):
    source = book.with_name("book-source")
    times = {path: path.stat().st_mtime_ns for path in source.rglob("*.*") if path.is_file()}
    changed = source / "notebooks" / "glossary.md"
    changed.write_text("another")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tools_book, "find_executed", executed)
        lay_out(ROOT)
    assert [path for path, time in times.items() if path.stat().st_mtime_ns != time] == [changed]


def test_animations_and_their_still_twins_are_there(book, pages):
    shown = 0
    for name, page in pages.items():
        for part in page.select("main picture > *"):
            path = book / Path(name).parent / part.get("src", part.get("srcset"))
            assert path.is_file(), path
            shown += 1
    assert shown == 2 * (len(ANIMATIONS) + 1)  # each in its chapter, and one on the first page


# In a browser


@pytest.fixture
def names(pages):
    """Of all pages; those of the library are all of one make."""
    return sorted(pages)


def open_page(page, book, name):
    page.goto((book / f"{name}.html").as_uri())


# In the dark the colours are those of one style sheet: one page of each make stands for all.
DARK = (
    "index",
    "search",
    "notebooks/05_consistency_fusion",
    "notebooks/glossary",
    "api/piumar_lib.notebook",
)


def test_every_page_is_whole_in_light_and_dark_at_the_desk_and_on_a_phone(page, book, names):
    assert {*DARK} <= {*names}
    problems = []
    for name in [n for n in names if not n.startswith("api/") or n == "api/piumar_lib.notebook"]:
        for size, scheme in ((DESK, "light"), (PHONE, "dark")):
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=scheme)
            open_page(page, book, name)
            found = [*look(page)]
            if scheme == "light" or name in DARK:
                found += judge(page, colors_only=scheme == "dark")
            problems += [f"{name}, {scheme}: {problem}" for problem in found]
    assert not problems, "\n".join(problems)


def look(page):
    """Return what is wrong with a page: too wide, or not drawn."""
    width = page.evaluate("document.documentElement.scrollWidth")
    if width > page.viewport_size["width"]:
        yield f"scrolls sideways, {width} pixels wide"
    undrawn = page.evaluate("""() => [...document.querySelectorAll("main math")].filter(
        (m) => !m.closest("details:not([open])") && !(m.getBoundingClientRect().width * m.clientHeight))
        .map((m) => m.textContent)""")
    yield from (f"formula without size: {text}" for text in undrawn)
    missing = page.evaluate(
        "[...document.images].filter((i) => !i.naturalWidth).map((i) => i.src.slice(0, 80))"
    )
    yield from (f"image not drawn: {source}" for source in missing)


def judge(page, colors_only):
    """Return what axe-core calls serious or critical."""
    # A coloured word of code and a sign of a formula is an element each, which takes axe minutes.
    # Each formula has the colour of its text; of code the next test judges the colours. Of a long table
    # eight rows stand for all.
    page.evaluate("""() => {
        for (const row of document.querySelectorAll("tbody tr:nth-child(n+9)")) row.remove();
        for (const code of document.querySelectorAll("pre")) code.textContent = code.textContent;
        for (const formula of document.querySelectorAll("math")) {
            const whole = document.createElementNS(formula.namespaceURI, "mtext");
            whole.textContent = formula.textContent;
            formula.replaceChildren(whole);
        }
        window.dispatchEvent(new Event("resize"));  // formulas have another width now
        for (const moving of document.getAnimations()) moving.cancel();  // to the colours they end in
    }""")
    # Preloading means fetching style sheets, which a page from a file may not do.
    options = {"resultTypes": ["violations"], "preload": False}
    if colors_only:  # the rest does not depend on the scheme
        options["runOnly"] = ["color-contrast", "scrollable-region-focusable"]
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="make test installs axe")
    for finding in axe.Axe().run(page, options=options).response["violations"]:
        if finding["impact"] in ("serious", "critical"):
            places = {node["html"][:120] for node in finding["nodes"]}
            yield f"{finding['id']} ({finding['help']}): {len(places)}, such as {min(places)}"


def luminance(color):
    parts = [int(color[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("scheme", "style"), [*zip(("light", "dark"), CODE_STYLES, strict=True)])
def test_colours_of_code_stand_out_from_its_panel(page, book, scheme, style):
    page.emulate_media(color_scheme=scheme)
    open_page(page, book, "index")
    panel = page.evaluate("getComputedStyle(document.querySelector('.highlight')).backgroundColor")
    behind = luminance("".join(f"{int(number):02x}" for number in re.findall(r"\d+", panel)[:3]))
    for token, look in get_style_by_name(style):
        lighter, darker = sorted([luminance(look["color"] or "888888"), behind], reverse=True)
        assert not look["color"] or (lighter + 0.05) / (darker + 0.05) >= 4.5, token


def test_formulas_are_drawn_with_mathml(page, book):
    open_page(page, book, "notebooks/02_optimal_transport")
    boxes = page.evaluate("""() => [...document.querySelectorAll("main math mfrac")].map((m) => {
        const box = m.getBoundingClientRect(); return [box.width, box.height]; })""")
    assert boxes and all(width > 3 and height > 15 for width, height in boxes)


def test_search_finds_sinkhorn_with_the_keyboard_without_a_network(page, book):
    open_page(page, book, "notebooks/00_start_here")
    page.keyboard.press("Control+k")
    page.keyboard.type("sinkhorn")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=sinkhorn*")
    results = page.locator("#search-results li a")
    page.get_by_text("Search finished").wait_for()
    assert results.count() > 5
    for place in ("02 · Optimal transport", "Cheat sheet", "piumar_lib.transport.sinkhorn_plan"):
        assert results.filter(has_text=place).count(), place
    found = page.locator("#search-results li", has_text="02 · Optimal transport").first
    quoted = found.locator("p.context")
    assert "sinkhorn" in quoted.inner_text().lower() and "$" not in quoted.inner_text()
    results.filter(has_text="Glossary").first.click()
    page.wait_for_url("**/notebooks/glossary.html#term-Sinkhorn")
    entry = page.locator("dt", has_text="Sinkhorn").first
    assert 0 <= entry.bounding_box()["y"] < DESK["height"] / 2


def test_search_says_when_there_is_nothing(page, book):
    page.goto((book / "search.html").as_uri() + "?q=zebra")
    page.get_by_text("did not match any documents").wait_for()


def test_links_lead_through_the_whole_book(page, book, names):
    open_page(page, book, "index")
    seen = ["index"]
    while (onward := page.locator("a.right-next")).count():
        target = onward.get_attribute("href")
        onward.click()
        page.wait_for_url(f"**/{target.removeprefix('../')}")
        seen.append(page.url.removeprefix(book.as_uri()).strip("/").removesuffix(".html"))
    assert sorted(seen) == [name for name in names if name != "search"]
    page.locator(".bd-sidebar-primary a", has_text="02 · Optimal transport").click()
    assert page.locator(".bd-sidebar-primary .current.active").inner_text() == "02 · Optimal transport"
    assert page.locator("article h1").inner_text().startswith("02 · Optimal transport")


def test_print_shows_the_text_alone(page, book):
    page.emulate_media(media="print", color_scheme="dark")
    open_page(page, book, "notebooks/00_start_here")
    assert page.locator("main h1").first.is_visible()
    assert not page.locator(".bd-sidebar-primary").is_visible()
    solution = page.locator("details", has_text="Solution")
    assert solution.evaluate("d => d.open === false && d.clientHeight > 100"), "it is folded on paper"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


# What is refused


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


@pytest.mark.parametrize(
    ("cell", "outputs", "message"),
    [
        ("\n1", [png(alt="")], "a figure has no alt text"),
        (" [markdown]\n# [x](gone.md)", [], "target not found: 'gone.md'"),
        (" [markdown]\n# [x](#gone)", [], "target not found: 'gone'"),
        (" [markdown]\n# [x](01_first.ipynb#gone)", [], "local id not found .*'gone'"),
        (" [markdown]\n# $\\unknown x$", [], "unknown is not known"),
        (" [markdown]\n# {eq}`gone`", [], "equation not found: gone"),
        (" [markdown]\n# <script src='https://example.org/x.js'></script>", [], "01_first: <script"),
        (" [markdown]\n# ![x](https://example.org/x.png)", [], "01_first: <img"),
        (" [markdown]\n# [x](glossary.md#two)", [], "the glossary has no 'two'"),
        (" [markdown]\n# [[7](#references)]", [], "no reference has the number 7"),
        (" [markdown]\n# ## References\n#\n# 1. A. *B.*", [], "references.bib has no 'B'"),
    ],
)
def test_book_refuses_what_would_be_broken(root, cell, outputs, message, capsys):
    path = write_chapter(root, "01_first", cell, "\n1 + 1")
    put_executed(root, path, outputs=outputs)
    with pytest.raises(ValueError) as caught:
        build_book(root)
    assert re.search(message, f"{caught.value}\n{capsys.readouterr().err}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[x](gone.md)", "target not found: 'gone.md'"),  # said by Sphinx, which keeps what it has read
        ("![x](https://example.org/x.png)", "01_first: <img"),  # and by us
    ],
)
def test_a_fault_is_not_taken_for_good_the_second_time(root, text, message, capsys):
    put_executed(root, write_chapter(root, "01_first", f" [markdown]\n# {text}", "\n1 + 1"))
    for _ in range(2):
        with pytest.raises(ValueError) as caught:
            build_book(root)
        assert message in f"{caught.value}\n{capsys.readouterr().err}"


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
