"""The course as plain HTML pages that need nothing but a browser, not even a network."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template

from bs4 import BeautifulSoup, Tag

from piumar_lib.files import fresh_folder, write_text
from tools import reading, search
from tools.chapter_map import draw_map
from tools.chapters import Chapter, list_chapters
from tools.ledger import render_cheat_sheet
from tools.links import anchor_headings, find_anchors, find_foreign, resolve_links
from tools.records import FOLDER as RECORDS
from tools.records import records_page
from tools.rendering import (
    FORMULA_STYLE,
    render_chapter,
    render_document,
    render_markdown,
    token_colours,
)

CODE_STYLES = ("xcode", "lightbulb")  # on the book's panels, in light and dark, all of it can be read
GLOSSARY = Path("notebooks/glossary.md")
SCRIPTS = ("page.js", "search.js")  # the book's only scripts: a chapter may bring none

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link rel="stylesheet" href="book.css">
$scripts
</head>
<body>
<a class="skip" href="#content">Skip to the text</a>
<header>
<form class="search" role="search" autocomplete="off" hidden>
<label for="search">Search <kbd>/</kbd></label>
<input id="search" type="search" placeholder="Sinkhorn" aria-controls="found">
<div class="found"><p role="status"></p><ol id="found"></ol></div>
</form>
<nav class="chapters" aria-label="Chapters">
<details open><summary>Chapters</summary>
<ol>
$sidebar
</ol></details>
</nav>
</header>
<main id="content" class="$kind" tabindex="-1">
$body
<nav class="turn" aria-label="Previous and next page">$turn</nav>
</main>
</body>
</html>
""")


@dataclass(frozen=True)
class Page:
    """One page of the book.

    Attributes:
        stem: File name without its ending.
        title: What the list of chapters calls it.
        source: What it is made from; its links are relative to it.
        soup: Its text.
    """

    stem: str
    title: str
    source: Path
    soup: BeautifulSoup


def build_book(root: Path) -> Path:
    """Build ``build/book/`` from executed notebooks and return its first page.

    A notebook in ``build/notebooks/`` is used if it matches its source and has run; else the
    committed pair.

    Raises:
        ValueError: Listing every figure without alt text, broken link or formula that fails.
    """
    book = root / "build" / "book"
    fresh_folder(book)
    problems: list[str] = []
    pages = _make_pages(root, problems)
    for page in pages:
        anchor_headings(page.soup)
        problems += [f"{page.stem}: {problem}" for problem in find_foreign(page.soup)]
    anchors = {page.stem: find_anchors(page.soup) for page in pages}
    for page in pages:
        broken = resolve_links(page.soup, page.source, root, anchors)
        problems += [f"{page.stem}: {problem}" for problem in broken]
    if problems:
        raise ValueError("the book cannot be built:\n" + "\n".join(problems))
    sections = [s for page in pages for s in search.find_sections(page.stem, page.title, page.soup)]
    write_text(book / search.DATA, search.to_script(sections))
    for page in pages:
        _box_tables(page.soup)
        write_text(book / f"{page.stem}.html", _frame(page, pages))
    write_text(book / "book.css", _stylesheet())
    for name in SCRIPTS:
        shutil.copyfile(Path(__file__).with_name(name), book / name)
    return book / "index.html"


def _make_pages(root: Path, problems: list[str]) -> list[Page]:
    """Render all pages; one that fails is empty, so that links to it are not reported as well."""
    chapters = list_chapters(root)

    def make(stem: str, title: str, source: Path, render: Callable[[], str]) -> Page:
        try:
            body = render()
        except ValueError as error:
            problems.append(f"{stem}: {error}")
            body = ""
        return Page(stem, title, source, BeautifulSoup(body, "html.parser"))

    readme, glossary = root / "README.md", root / GLOSSARY
    pages = [make("index", "Overview", readme, lambda: render_document(readme))]
    _complete_overview(pages[0].soup, chapters)
    for c in chapters:
        pages.append(make(c.stem, f"{c.number} {c.title}", c.path, lambda c=c: render_chapter(root, c)))
        _insert_after(pages[-1].soup.h1, f'<p class="facts">{reading.describe(root, c)}</p>')
    if (root / RECORDS).is_dir():
        path = root / "notebooks" / "records.md"
        pages.append(make(path.stem, "Records", path, lambda: render_markdown(records_page(root))))
    if glossary.exists():
        pages.append(make("glossary", "Glossary", glossary, lambda: render_document(glossary)))
    # Its links, like those of the records, are written as if it lay beside the chapters.
    sheet = root / "notebooks" / "cheat_sheet.md"
    pages.append(make(sheet.stem, "Cheat sheet", sheet, lambda: render_cheat_sheet(root)))
    return pages


def _complete_overview(page: BeautifulSoup, chapters: list[Chapter]) -> None:
    """Add to README what only the book can show: the map of chapters, and reading times."""
    reading.add_column(page, chapters)
    heading = page.find("h2", string="The chapters")
    picture = draw_map({chapter.stem: chapter.title for chapter in chapters})
    _insert_after(heading, f'<div class="scroll">{picture}</div>')


def _insert_after(tag: Tag | None, markup: str) -> None:
    if tag:
        tag.insert_after(BeautifulSoup(markup, "html.parser"))


def _box_tables(page: BeautifulSoup) -> None:
    """Put each table into a box that scrolls: a table that scrolls itself is no table to a reader.

    A long name in code may break behind a point or a bracket, or it makes its column too wide.
    """
    for table in page("table"):
        table.wrap(page.new_tag("div", **{"class": "scroll"}))
        for code in table.select("td code"):
            name = re.sub(r"([.(])(?=[A-Za-z])", r"\1<wbr>", html.escape(code.get_text()))
            code.clear()
            code.append(BeautifulSoup(name, "html.parser"))


def _frame(page: Page, pages: list[Page]) -> str:
    items = [_item(other, other.stem == page.stem) for other in pages]
    place = pages.index(page)
    turn = ["<span></span>", "<span></span>"]
    if place > 0:
        turn[0] = _link(pages[place - 1], "← {}")
    if place + 1 < len(pages):
        turn[1] = _link(pages[place + 1], "{} →")
    return PAGE.substitute(
        title=html.escape(f"{page.title} - PIUmr-course"),
        scripts="\n".join(f'<script src="{name}" defer></script>' for name in SCRIPTS),
        sidebar="\n".join(items),
        kind=page.stem,
        body=str(page.soup),
        turn="".join(turn),
    )


def _item(page: Page, here: bool) -> str:
    current = ' aria-current="page"' if here else ""
    return f'<li><a href="{page.stem}.html"{current}>{html.escape(page.title)}</a></li>'


def _link(page: Page, words: str) -> str:
    return f'<a href="{page.stem}.html">{words.format(html.escape(page.title))}</a>'


def _stylesheet() -> str:
    own = Path(__file__).with_name("book.css").read_text(encoding="utf-8")
    light, dark = (token_colours(style) for style in CODE_STYLES)
    own += FORMULA_STYLE
    # Paper is white, whatever the screen is.
    return f"{own}\n{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
