"""The book: lays out in ``build/book-source/`` what Sphinx reads, and calls it.

``book/`` holds Sphinx's settings, the style, the bibliography and templates of pages.
"""

from __future__ import annotations

import filecmp
import gc
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbformat.v4 import new_markdown_cell
from sphinx.cmd.build import build_main

from book.faster import PROCESSES
from piumar_lib.support.files import fresh_folder, sha256_of, write_text
from tools.chapter_map import draw_map
from tools.chapters import list_chapters, to_slug, write_notebook
from tools.hosted import PICTURE
from tools.hyperparameters import hyperparameters_page
from tools.ledger import write_pages
from tools.pages import link_prose, prepare
from tools.pairs import clean, find_executed
from tools.pictures import copy_pictures
from tools.readme import END, chapter_table, describe
from tools.records import records_page

BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
)  # fmt: skip
SETTINGS = Path(__file__).parents[1] / "book"
TABLE = re.compile(r"<!-- chapters:begin -->.*<!-- chapters:end -->", re.S)
ENTRY = re.compile(r"^## (.+)\n\n((?:.+\n)+)\n(\[.+)$", re.M)  # term, meaning, section
LINK = re.compile(r"\]\(([^)#:\s]+)[^)]*\)")
FOREIGN = re.compile(r'<(?:img|script|iframe|link)\b[^>]*\s(?:src|href)=["\'](?:https?:)?//[^>]*>')
MODULE = re.compile(r"\]\((?:\.\./)?(piumar_lib/[\w/]+)\.py\)")


@contextmanager
def no_collection() -> Iterator[None]:
    """Leave cycles of objects where they are: documents are large, and most stay until the end."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@no_collection()
def build_book(root: Path) -> Path:
    """Build ``build/book/`` from executed notebooks and return its first page.

    A notebook in ``build/notebooks/`` is used if it matches its source and has run; else the
    committed pair.

    Raises:
        ValueError: If a chapter has not run, if a page needs a network, or if Sphinx warns: of a
            figure without alt text, a broken link, a formula that fails.
    """
    first = call_sphinx(lay_out(root), root / "build" / "book", "html")
    copy_pictures(root, first.parent / "notebooks")
    pages = {page.stem: page.read_text(encoding="utf-8") for page in first.parent.rglob("*.html")}
    if foreign := [f"{stem}: {tag}" for stem, text in pages.items() for tag in FOREIGN.findall(text)]:
        raise ValueError("these would not work without a network:\n" + "\n".join(foreign))
    return first


@no_collection()
def build_pdf(root: Path) -> Path:
    """Print all pages of the book to ``build/piumr-course.pdf``, by a browser.

    Raises:
        RuntimeError: If there is no browser, or it fails.
        ValueError: If a chapter has not run, or if Sphinx warns, see `build_book`.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise RuntimeError(f"pdf: no browser found to print it (looked for {', '.join(BROWSERS)}).")
    page = call_sphinx(lay_out(root), root / "build" / "book-in-one-page", "singlehtml")
    copy_pictures(root, page.parent, page.parent / "notebooks")
    pdf = root / "build" / "piumr-course.pdf"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    command = [browser, *options, f"--print-to-pdf={pdf}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise RuntimeError(f"pdf: {browser} cannot print it ({said[-1]}). Try another browser.")
    return pdf


def call_sphinx(source: Path, out: Path, builder: str) -> Path:
    """Build the pages of a folder and return the first; builders are ``html`` and ``singlehtml``.

    Pages stay while nothing has changed that they are made of. What Sphinx has read without a fault is
    kept, so that it reads again what has changed alone.
    """
    first, done = out / "index.html", out.with_name(f"{out.name}.made-of")
    if first.is_file() and done.is_file() and done.read_text(encoding="utf-8") == _made_of(source):
        return first
    done.unlink(missing_ok=True)
    fresh_folder(out)
    doctrees = source.with_name("book-doctrees")
    options = ["-q", "-W", "--keep-going", "-j", str(PROCESSES), "-c", str(SETTINGS), "-b", builder]
    try:
        if build_main([*options, "-d", str(doctrees), str(source), str(out)]):
            raise ValueError("the book has the faults named above. Correct them.")
    except BaseException:  # the fault would not be seen a second time
        shutil.rmtree(doctrees, ignore_errors=True)
        raise
    write_text(done, _made_of(source))
    return first


def _made_of(source: Path) -> str:
    """A digest of each source, of the settings, and of the library, which the pages describe."""
    folders = (source, SETTINGS, SETTINGS.parent / "piumar_lib")
    paths = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    return "\n".join(f"{path} {sha256_of(path)}" for path in paths if path.suffix != ".pyc")


def lay_out(root: Path) -> Path:
    """Write the sources of all pages and return their folder; a page that stays keeps its time.

    Raises:
        ValueError: If chapters have not run, or name references or terms that do not exist.
    """
    source = root / "build" / "book-source"
    new = source.with_name("book-source.new")
    fresh_folder(new)
    _write_sources(root, new)
    for path in filter(Path.is_file, new.rglob("*")):
        before = source / path.relative_to(new)
        if before.is_file() and filecmp.cmp(before, path, shallow=False):
            shutil.copystat(before, path)  # Sphinx reads what is newer than when it read it last
    shutil.rmtree(source, ignore_errors=True)
    return new.rename(source)


def _write_sources(root: Path, source: Path) -> None:
    problems, chapters = [], list_chapters(root)
    pages = source / "notebooks"
    pages.mkdir()
    glossary = (root / "notebooks" / "glossary.md").read_text(encoding="utf-8")
    terms = {to_slug(term): term for term, _, _ in ENTRY.findall(glossary)}
    notebooks = {}
    for chapter in chapters:
        try:
            notebook = clean(find_executed(root, chapter))
            notebooks[chapter] = prepare(notebook, chapter.stem, describe(root, chapter), terms)
            write_notebook(notebook, pages / chapter.pair.name)
        except ValueError as error:
            problems.append(f"{chapter.stem}: {error}")
    related = new_markdown_cell((root / "notebooks" / "related_work.md").read_text(encoding="utf-8"))
    try:
        link_prose([related], "related_work", terms)
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise ValueError("the book cannot be built:\n" + "\n".join(problems))
    write_pages(notebooks, pages)
    write_text(pages / "records.md", records_page(root))
    write_text(pages / "hyperparameters.md", hyperparameters_page())
    write_text(pages / "related_work.md", related.source)
    write_text(pages / "glossary.md", ENTRY.sub(_define, glossary.replace("\n## ", "\n\n## ", 1)))
    shutil.copyfile(SETTINGS / "bibliography.md", pages / "bibliography.md")
    for name, text in api_pages(root / "piumar_lib"):
        write_text(source / "api" / f"{name}.rst", text)
    write_text(source / "index.md", _overview(root))
    _complete_links(source, root)


def _define(entry: re.Match) -> str:
    """Turn an entry of the glossary into one that `{term}` finds."""
    term, meaning, link = entry.groups()
    body = f"{meaning}\n{link}".replace("\n", "\n  ")
    return f"```{{glossary}}\n{term}\n  {body}\n```"


def api_pages(package: Path) -> Iterator[tuple[str, str]]:
    """Yield a page for each folder of a package: its name, and its modules in reStructuredText."""
    for folder in sorted({path.parent for path in package.rglob("*.py")}):
        name = ".".join(folder.relative_to(package.parent).parts)
        text = f"{name}\n{'=' * len(name)}\n\n.. automodule:: {name}\n\n"
        for module in sorted(path.stem for path in folder.glob("[a-z]*.py")):
            text += f"{module}\n{'-' * len(module)}\n\n.. automodule:: {name}.{module}\n\n"
        yield name, text


def _overview(root: Path) -> str:
    """README up to `END`, with the map of chapters, then the list of all pages."""
    text = (root / "README.md").read_text(encoding="utf-8").split(END)[0]
    picture = draw_map({chapter.stem: chapter.title for chapter in list_chapters(root)})
    table = f'<div class="scroll">{picture}</div>\n\n{chapter_table(root, reading=True)}'
    contents = (SETTINGS / "contents.md").read_text(encoding="utf-8")
    return PICTURE.sub(r"\1", TABLE.sub(lambda _: table, text)) + contents


def _complete_links(source: Path, root: Path) -> None:
    """Point links at the library's reference, and put copies of other files where links expect them."""
    for path in [source / "index.md", *sorted((source / "notebooks").iterdir())]:
        text = path.read_text(encoding="utf-8")
        fresh = MODULE.sub(lambda m: f"](#{m[1].replace('/', '.')})", text)
        fresh = fresh.replace("](../README.md", "](../index.md")
        write_text(path, fresh)
        for link in LINK.findall(fresh):
            wanted = path.parent / link
            original = root / wanted.relative_to(source) if wanted.is_relative_to(source) else root
            if original.is_file() and not wanted.exists():
                wanted.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(original, wanted)
