"""Lecture slides that run offline: one reveal.js page for each chapter, from executed notebooks."""

from __future__ import annotations

import html
import importlib.util
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from string import Template

from bs4 import BeautifulSoup
from nbconvert import SlidesExporter
from nbconvert.preprocessors import TagRemovePreprocessor

from piumar_lib.files import fresh_folder, write_text
from tools.blocks import SHORT_CELL, is_small
from tools.chapters import Chapter, list_chapters
from tools.deck import HIDDEN, arrange, to_deck
from tools.pairs import clean
from tools.rendering import FORMULA_STYLE, BookExporter, find_executed, find_foreign, token_colours

HERE = Path(__file__).parent
# reveal.js comes with this package. It is copied at build time only.
CARRIER, PLACE = "sphinx_revealjs", "_static/revealjs"
NEEDED = ("dist/reveal.css", "dist/reveal.js", "plugin/notes/notes.js", "LICENSE")
LONG_TITLE = 52  # characters, beyond which a title is set smaller

INDEX = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Slides - PIUmr-course</title>
<link rel="stylesheet" href="slides.css">
</head>
<body>
<main class="start">
<h1>PIUmr-course: slides</h1>
<p>Space goes on, <kbd>S</kbd> opens the speaker's notes, <kbd>F</kbd> fills the screen, <kbd>O</kbd>
shows all slides, <kbd>Esc</kbd> leads back. With <code>?print-pdf</code> behind the address, before the
<code>#</code>, a browser prints them to PDF.</p>
<ol>
$chapters
</ol>
</main>
</body>
</html>
""")


class DeckExporter(SlidesExporter):
    """nbconvert's slides with formulas converted at build time and a template without foreign parts."""

    template_name = "reveal"
    markdown2html = BookExporter.markdown2html

    def __init__(self) -> None:
        super().__init__(
            template_file=str(HERE / "slides.html.j2"),
            exclude_input_prompt=True,
            exclude_output_prompt=True,
            exclude_anchor_links=True,
        )
        self.register_preprocessor(TagRemovePreprocessor(remove_input_tags={HIDDEN}), enabled=True)


def build_slides(root: Path, only: list[str] | None = None) -> Path:
    """Build ``build/slides/`` from executed notebooks and return its first page.

    Args:
        root: Repository root.
        only: Numbers or stems of the chapters; all by default.

    Raises:
        ValueError: Listing every chapter that has not run, and whatever would not work offline.
    """
    folder = root / "build" / "slides"
    fresh_folder(folder)
    chapters = list_chapters(root, only)
    problems: list[str] = []
    for chapter in chapters:
        try:
            page = render_deck(root, chapter)
        except ValueError as error:
            problems.append(f"{chapter.stem}: {error}")
            continue
        _point_links(page, {c.stem for c in chapters})
        problems += [f"{chapter.stem}: {problem}" for problem in find_foreign(page.find("main"))]
        write_text(folder / f"{chapter.stem}.html", str(page))
    if problems:
        raise ValueError("the slides cannot be built:\n" + "\n".join(problems))
    items = [f'<li value="{int(c.number)}">{_entry(c)}</li>' for c in chapters]
    index = INDEX.substitute(chapters="\n".join(items))
    write_text(folder / "index.html", index)
    own = (HERE / "slides.css").read_text(encoding="utf-8")
    styles = (token_colours("friendly"), FORMULA_STYLE, own)
    write_text(folder / "slides.css", "\n".join(styles))
    for name in ("slides.js", "plain.css"):
        shutil.copyfile(HERE / name, folder / name)
    copy_reveal(folder / "reveal")
    return folder / "index.html"


def render_deck(root: Path, chapter: Chapter) -> BeautifulSoup:
    """Return the page with the slides of a chapter.

    Raises:
        ValueError: If no executed notebook matches the source, or a formula fails.
    """
    notebook = arrange(to_deck(clean(find_executed(root, chapter))))
    notebook.metadata["title"] = f"{chapter.number} {chapter.title}"
    page = BeautifulSoup(DeckExporter().from_notebook_node(notebook)[0], "html.parser")
    first = page.find("section").find("section")
    first["class"] = "title"
    for table in page("table"):
        if is_small([[cell.get_text().strip() for cell in row(["th", "td"])] for row in table("tr")]):
            table["class"] = "small"
        for cell in table("td"):
            if len(cell.get_text().strip()) <= SHORT_CELL:
                cell["class"] = "short"
    for heading in page("h2"):
        if len(heading.get_text()) > LONG_TITLE:
            heading["class"] = "long"
    return page


def _point_links(page: BeautifulSoup, stems: set[str]) -> None:
    """Point links to chapters at their slides; a file of the repository is not on a lecturer's stick."""
    for link in page("a", href=True):
        target = Path(link["href"].partition("#")[0])
        if target.suffix == ".ipynb" and target.stem in stems:
            link["href"] = f"{target.stem}.html"
        elif not re.match(r"[a-z]+:", link["href"]):
            link.unwrap()


def copy_reveal(target: Path, find: Callable[[str], object] = importlib.util.find_spec) -> None:
    """Copy reveal.js, with its licence, from the installed package that carries it.

    Raises:
        RuntimeError: If it is not installed, or its files have moved; it names the remedy.
    """
    spec = find(CARRIER)
    source = Path(spec.origin).parent / PLACE if spec else Path()  # type: ignore[attr-defined]
    missing = [name for name in NEEDED if not (source / name).is_file()]
    if missing:
        raise RuntimeError(
            f"reveal.js: {missing[0]} not found. Install what the slides need: "
            "pip install -r requirements.txt"
        )
    for name in NEEDED:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)


def _entry(chapter: Chapter) -> str:
    title, question = html.escape(chapter.title), html.escape(chapter.question)
    return f'<a href="{chapter.stem}.html">{title}</a><br>{question}'
