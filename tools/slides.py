"""Lecture slides that run offline: one reveal.js deck a chapter, as the slide types of its cells say."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from nbconvert import SlidesExporter
from nbconvert.preprocessors import TagRemovePreprocessor

from piumar_lib.support.files import fresh_folder, write_text
from tools.chapters import Chapter, list_chapters
from tools.pages import cite_on_slides
from tools.pairs import clean, find_executed
from tools.pictures import copy_pictures
from tools.rendering import render_markdown, token_colors
from tools.templates import render

HERE = Path(__file__).parent
SHORT, NARROW = 12, 80  # lines of code and output, and characters in each, that fit in large type
NEEDED = ("LICENSE", "dist/reveal.css", "dist/reveal.js", "plugin/notes/notes.js")  # of reveal.js


def build_slides(root: Path, only: list[str] | None = None) -> Path:
    """Build ``build/slides/`` from executed notebooks of chapters and return its first page.

    Raises:
        ValueError: Listing every chapter that has not run, or shows a figure without alt text.
    """
    folder, chapters, problems = root / "build" / "slides", list_chapters(root, only), []
    fresh_folder(folder)
    for chapter in chapters:
        try:
            page = _render(root, chapter, {c.stem for c in chapters})
            write_text(folder / f"{chapter.stem}.html", str(page))
        except ValueError as error:
            problems.append(f"{chapter.stem}: {error}")
    if problems:
        raise ValueError("the slides cannot be built:\n" + "\n".join(problems))
    write_text(folder / "index.html", render("index.html.j2", chapters=chapters))
    own = (HERE / "slides.css").read_text(encoding="utf-8")
    write_text(folder / "slides.css", token_colors("friendly") + own)
    reveal = resources.files("sphinx_revealjs") / "_static" / "revealjs"
    for name in NEEDED:
        write_text(folder / "reveal" / name, reveal.joinpath(name).read_text(encoding="utf-8"))
    copy_pictures(root, folder)
    return folder / "index.html"


def _render(root: Path, chapter: Chapter, stems: set[str]) -> BeautifulSoup:
    """Return a deck with links to those of ``stems``; no slide is without a title."""
    notebook = cite_on_slides(clean(find_executed(root, chapter)), chapter.stem)
    notebook.metadata["title"] = f"{chapter.number} {chapter.title}"
    exporter = SlidesExporter(template_file=str(HERE / "slides.html.j2"), exclude_anchor_links=True)
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    exporter.register_filter("markdown2html", render_markdown)
    exporter.register_preprocessor(TagRemovePreprocessor(remove_input_tags={"hide-input"}), enabled=True)
    page = BeautifulSoup(exporter.from_notebook_node(notebook)[0], "html.parser")
    title = ""
    for slide in page.select(".slides > section > section"):
        if own := slide.select_one(":is(h1, h2, h3):not(aside *)"):
            title = own.decode_contents()
        else:
            slide.insert(0, BeautifulSoup(f"<h2>{title}</h2>", "html.parser"))
        lines = [line for part in slide.select("pre:not(aside *)") for line in _lines(part)]
        alone = not slide.select("img:not(aside *), table:not(aside *)")
        if alone and len(lines) <= SHORT and max(map(len, lines), default=0) <= NARROW:
            slide["class"] = "short"
        if title.startswith("What we saw"):
            slide["class"] = "takeaway"
    if not all(image.get("alt") for image in page("img")):
        raise ValueError("a figure has no alt text. Use show(fig, alt)")
    for link in page("a", href=True):
        stem = str(link["href"]).partition("#")[0].removesuffix(".ipynb")
        if stem in stems:
            link["href"] = f"{stem}.html"
        elif ":" not in stem:
            link.unwrap()  # a file of the repository is not on a lecturer's stick
    return page


def _lines(part: Tag) -> list[str]:
    return part.get_text().strip("\n").split("\n")
