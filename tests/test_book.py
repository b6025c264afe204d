"""The real book as a reader sees it; `test_small_books` has what it refuses.

Headless Chromium shows the pages; without it, those tests are skipped.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, normpath

import pytest
from bs4 import BeautifulSoup
from executed_chapters import executed
from nbformat.v4 import new_markdown_cell, new_notebook
from pybtex.database import parse_file
from pygments.styles import get_style_by_name

from tools import book as tools_book
from tools.animations import ANIMATIONS
from tools.book import build_book
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
    for name in (name for name in pages if name.startswith("notebooks/")):
        texts = pages[name].main.strings
        left = [t for t in texts if "$" in t and not t.find_parent(["pre", "code", "math"])]
        assert not left, f"{name}: {left}"


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
            there = (book / name).parent / re.split("[?#]", source)[0]
            assert name in read or there.exists(), (name, source)
    for path in [*book.rglob("*.css")]:
        assert not re.search(r"url\(['\"]?(https?:)?//", path.read_text()), path.name


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


# One page of each make.
MAKES = (
    "index",
    "search",
    "notebooks/05_consistency_fusion",
    "notebooks/glossary",
    "api/piumar_lib.notebook",
)


def test_every_page_is_whole_in_light_and_dark_at_the_desk_and_on_a_phone(page, book, names):
    assert {*MAKES} <= {*names}
    problems = []
    for name in [n for n in names if not n.startswith("api/") or n in MAKES]:
        for size, scheme in ((DESK, "light"), (PHONE, "dark")):
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=scheme)
            open_page(page, book, name)
            found = [*look(page), *(judge(page, colors_only=scheme == "dark") if name in MAKES else [])]
            problems += [f"{name}, {scheme}: {problem}" for problem in found]
    assert not problems, "\n".join(problems)


@pytest.mark.slow
def test_no_other_page_keeps_readers_out(page, book, names):
    problems = []
    for name in [n for n in names if not n.startswith("api/") and n not in MAKES]:
        open_page(page, book, name)
        problems += [f"{name}: {problem}" for problem in judge(page, colors_only=False)]
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


def test_links_lead_through_the_whole_book(page, book, pages, names):
    seen = ["index"]
    while onward := pages[seen[-1]].select_one("a.right-next"):
        seen.append(follow(seen[-1], onward))
    assert sorted(seen) == [name for name in names if name != "search"]
    assert seen[:-1] == [follow(name, pages[name].select_one("a.left-prev")) for name in seen[1:]]
    open_page(page, book, "index")
    for name, link in [(name, "a.right-next") for name in seen[1:4]] + [(seen[2], "a.left-prev")]:
        page.locator(link).click()
        page.wait_for_url((book / f"{name}.html").as_uri())
    page.locator(".bd-sidebar-primary a", has_text="02 · Optimal transport").click()
    assert page.locator(".bd-sidebar-primary .current.active").inner_text() == "02 · Optimal transport"
    assert page.locator("article h1").inner_text().startswith("02 · Optimal transport")


def follow(name, link):
    """The name of the page that a link of a page leads to."""
    return normpath(f"{dirname(name)}/{link['href']}").strip("/").removesuffix(".html")


def test_print_shows_the_text_alone(page, book):
    page.emulate_media(media="print", color_scheme="dark")
    open_page(page, book, "notebooks/00_start_here")
    assert page.locator("main h1").first.is_visible()
    assert not page.locator(".bd-sidebar-primary").is_visible()
    solution = page.locator("details", has_text="Solution")
    assert solution.evaluate("d => d.open === false && d.clientHeight > 100"), "it is folded on paper"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
