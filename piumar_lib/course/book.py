"""The course as plain HTML pages that need nothing but a browser, not even a network."""

from __future__ import annotations

import html
import re
import shutil
from collections import Counter
from pathlib import Path
from string import Template
from urllib.parse import unquote, urlsplit

import nbformat
from bs4 import BeautifulSoup
from jinja2 import pass_context
from jinja2.runtime import Context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from piumar_lib.course.chapters import Chapter, list_chapters, to_notebook
from piumar_lib.course.pairs import clean
from piumar_lib.course.plan import PLAN
from piumar_lib.course.readme import END
from piumar_lib.course.run import build_path

NO_ALT = "No description has been provided"  # what nbconvert fills in for a missing text

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link rel="stylesheet" href="book.css">
</head>
<body>
<nav class="chapters" aria-label="Chapters">
<details open><summary>Chapters</summary>
<ol>
$sidebar
</ol></details>
</nav>
<main>
$body
<nav class="turn" aria-label="Previous and next chapter">$turn</nav>
</main>
</body>
</html>
""")


class MathRenderer(IPythonRenderer):
    """Writes formulas as MathML, which browsers draw without a script."""

    def inline_math(self, body: str) -> str:
        """Render ``$...$``."""
        return to_mathml(body, "inline")

    def block_math(self, body: str) -> str:
        """Render ``$$...$$``."""
        return to_mathml(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        """Render a bare ``\\begin{...}``."""
        return to_mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")


class BookExporter(HTMLExporter):
    """nbconvert's bare template with formulas converted at build time."""

    template_name = "basic"

    @pass_context
    def markdown2html(self, context: Context, source: str) -> str:
        """Replace nbconvert's filter, which leaves formulas to a script from elsewhere."""
        return render_markdown(source)


def to_mathml(formula: str, display: str) -> str:
    """Convert one LaTeX formula.

    Raises:
        ValueError: If it holds a command that the converter does not know.
    """
    # 'aligned' is what GitHub needs inside $$; the converter knows its twin only.
    known = re.sub(r"\\(begin|end)\{aligned\}", r"\\\1{split}", formula).strip()
    known = re.sub(r"\\arg\b", r"\\operatorname{arg}", known).replace(r"\mathbb{1}", "\U0001d7d9")
    try:
        mathml = convert(known, display=display)
    except Exception as error:  # the converter has a dozen exceptions without a common parent
        raise ValueError(f"formula {formula!r}: {type(error).__name__}. Simplify it.") from error
    if unknown := re.search(r"\\[A-Za-z]+", mathml):
        raise ValueError(f"formula {formula!r}: {unknown[0]} is not known. Write it differently.")
    if "<mi>&</mi>" in mathml:
        raise ValueError(f"formula {formula!r}: '&' outside of aligned, split, cases or a matrix.")
    return mathml


def render_markdown(source: str) -> str:
    """Render markdown with formulas.

    Raises:
        ValueError: If a formula fails, or a ``$`` is left over because one was torn apart.
    """
    renderer = MathRenderer(escape=False, exclude_anchor_links=True)
    rendered = MarkdownWithMath(renderer=renderer).render(source)
    soup = BeautifulSoup(rendered, "html.parser")
    for part in soup(["code", "pre", "math"]):
        part.decompose()
    if left := re.search(r".{0,40}\$.{0,40}", soup.get_text()):
        raise ValueError(
            f"'$' left over in {left[0]!r}. Inside a table write \\vert instead of |; leave an "
            "empty line between an HTML tag and a formula."
        )
    return rendered


def build_book(root: Path) -> Path:
    """Build ``build/book/`` from executed notebooks and return its first page.

    A notebook in ``build/notebooks/`` is used if it matches its source and has run; else the
    committed pair.

    Raises:
        ValueError: Listing every figure without alt text, broken link or formula that fails.
    """
    book = root / "build" / "book"
    shutil.rmtree(book, ignore_errors=True)
    book.mkdir(parents=True)
    chapters = list_chapters(root)
    problems: list[str] = []
    bodies = {"index": _render_readme(root, problems)}
    for chapter in chapters:
        try:
            bodies[chapter.stem] = _render_notebook(root, chapter)
        except ValueError as error:
            problems.append(f"{chapter.stem}: {error}")
            bodies[chapter.stem] = ""  # so that links to it are not reported as well
    pages = {stem: BeautifulSoup(body, "html.parser") for stem, body in bodies.items()}
    for stem, page in pages.items():
        _anchor_headings(page)
        problems += [f"{stem}: {problem}" for problem in _find_foreign(page)]
    for stem, page in pages.items():
        folder = root if stem == "index" else root / "notebooks"
        problems += [f"{stem}: {p}" for p in _resolve_links(page, folder, root, pages)]
    if problems:
        raise ValueError("the book cannot be built:\n" + "\n".join(problems))
    for index, (stem, page) in enumerate(pages.items()):
        (book / f"{stem}.html").write_text(_page(index, str(page), chapters))
    (book / "book.css").write_text(_stylesheet())
    return book / "index.html"


def _render_readme(root: Path, problems: list[str]) -> str:
    text = (root / "README.md").read_text().split(END)[0]
    try:
        return render_markdown(text)
    except ValueError as error:
        problems.append(f"README.md: {error}")
        return ""


def _render_notebook(root: Path, chapter: Chapter) -> str:
    notebook = clean(_find_executed(root, chapter))
    exporter = BookExporter()
    return exporter.from_notebook_node(notebook)[0]


def _find_executed(root: Path, chapter: Chapter) -> NotebookNode:
    sources = [cell.source for cell in to_notebook(chapter.path).cells]
    for path in (build_path(root, chapter), chapter.pair):
        if not path.is_file():
            continue
        notebook = nbformat.read(path, 4)
        code = [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]
        failed = any(o.output_type == "error" for c in code for o in c.outputs)
        if [c.source for c in notebook.cells] == sources and not failed and all(
            c.execution_count for c in code
        ):
            return notebook
    raise ValueError(
        "no executed notebook matches the source. Run: "
        f"python -m piumar_lib.course run --only {chapter.number}"
    )


def _anchor_headings(page: BeautifulSoup) -> None:
    """Give headings the ids that GitHub gives them, so that one link works in both places."""
    seen: Counter[str] = Counter()
    for heading in page(["h1", "h2", "h3", "h4"]):
        text = heading.get_text().strip().lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        heading["id"] = f"{slug}-{seen[slug]}" if seen[slug] else slug
        seen[slug] += 1
        anchor = page.new_tag("a", href=f"#{heading['id']}", **{"class": "anchor"})
        anchor["aria-label"] = "Link to this section"
        anchor.string = "#"
        heading.append(anchor)


def _find_foreign(page: BeautifulSoup) -> list[str]:
    """Return what a reader offline, or one who cannot see, would miss."""
    problems = []
    for image in page("img"):
        text = image.get("alt", "").strip()
        if not text or text.startswith(NO_ALT):
            problems.append("a figure has no alt text. Use show(fig, alt)")
    for tag in page(["script", "link", "iframe", "img"]):
        source = tag.get("src") or tag.get("href") or ""
        if tag.name != "img" or urlsplit(source).scheme in ("http", "https"):
            problems.append(f"<{tag.name}> {source[:60]} would not work offline")
    return problems


def _resolve_links(
    page: BeautifulSoup, folder: Path, root: Path, pages: dict[str, BeautifulSoup]
) -> list[str]:
    """Point links at pages of the book or copies of files, and return the broken ones."""
    problems = []
    for tag, key in [(t, "href") for t in page("a", href=True)] + [(t, "src") for t in page("img")]:
        link = urlsplit(tag[key])
        if link.scheme or link.netloc:
            continue
        fragment = f"#{link.fragment}" if link.fragment else ""
        target, stem = (folder / unquote(link.path)).resolve(), None
        if not link.path:
            stem, own = "", page
        elif target == root / "README.md":
            stem, own = "index", pages["index"]
        elif target.parent == root / "notebooks" and target.stem in pages:
            stem, own = target.stem, pages[target.stem]
        if stem is None:
            if target.is_dir() and root in (target, *target.parents):
                tag.unwrap()  # a folder has no page
            elif target.is_file() and root in target.parents:
                tag[key] = _copy(target, root) + fragment
            else:
                problems.append(f"broken link {tag[key]}")
            continue
        if link.fragment and not own.find(id=unquote(link.fragment)):
            problems.append(f"no section for link {tag[key]}")
        tag[key] = (f"{stem}.html" if stem else "") + fragment
    return problems


def _copy(target: Path, root: Path) -> str:
    relative = target.relative_to(root)
    copy = root / "build" / "book" / "files" / relative
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(target, copy)
    return f"files/{relative.as_posix()}"


def _page(index: int, body: str, chapters: list[Chapter]) -> str:
    entries = [("index", "Overview"), *((c.stem, f"{c.number} {c.title}") for c in chapters)]
    items = []
    for position, (stem, title) in enumerate(entries):
        here = ' aria-current="page"' if position == index else ""
        items.append(f'<li><a href="{stem}.html"{here}>{html.escape(title)}</a></li>')
    written = {chapter.stem for chapter in chapters}
    planned = [step for step in PLAN if step.stem not in written]
    items += [f"<li><span>{s.number} {s.title} (planned)</span></li>" for s in planned]
    turn = ["<span></span>", "<span></span>"]
    for place, position, mark in ((0, index - 1, "← {}"), (1, index + 1, "{} →")):
        if 0 <= position < len(entries):
            stem, title = entries[position]
            turn[place] = f'<a href="{stem}.html">{mark.format(html.escape(title))}</a>'
    return PAGE.substitute(
        title=html.escape(f"{entries[index][1]} - PIUmr-course"),
        sidebar="\n".join(items),
        body=body,
        turn="".join(turn),
    )


def _stylesheet() -> str:
    own = Path(__file__).with_name("book.css").read_text()
    light = HtmlFormatter(style="friendly").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    # Only the colours of tokens: the boxes' background is the book's own.
    light, dark = (re.sub(r"\.highlight \{[^}]*\}", "", css) for css in (light, dark))
    return f"{own}\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
