"""Chapters and Markdown files as HTML that a browser draws without a script from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from jinja2 import pass_context
from jinja2.runtime import Context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from tools.chapters import Chapter, read_notebook, to_notebook
from tools.pairs import clean
from tools.readme import END
from tools.run import build_path

# Brackets, roots and sums grow only in a font for formulas; each system has another one.
FORMULA_STYLE = """math {
  font-family: "STIX Two Math", "Latin Modern Math", "Cambria Math", "DejaVu Math TeX Gyre",
    "TeX Gyre Termes Math", "Noto Sans Math", math;
}
.nobr { white-space: nowrap; }
"""
WIDGET = "*A slider, to be moved in the notebook. On this page the figures around it stand for it.*"


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


def to_mathml(formula: str, display: str) -> str:
    """Convert one LaTeX formula.

    Raises:
        ValueError: If it holds a command that the converter does not know.
    """
    # 'aligned' is what GitHub needs inside $$; the converter knows its twin only.
    known = re.sub(r"\\(begin|end)\{aligned\}", r"\\\1{split}", formula).strip()
    known = _space_functions(known)
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


def _space_functions(formula: str) -> str:
    """Set "n log n" with spaces, as LaTeX does and browsers do not."""
    name = r"\\(log|exp|cos|sin)\b"
    after = re.sub(rf"{name}(?!\s*(\\left|\\[bB]igl?|[(_^}}]|$))", r"\\\1\\,", formula)
    return re.sub(rf"(?<=[\w}})])\s*{name}", r"\\,\\\1", after)


def render_markdown(source: str) -> str:
    """Render markdown with formulas.

    Raises:
        ValueError: If a formula fails, or a ``$`` is left over because one was torn apart.
    """
    renderer = MathRenderer(escape=False, exclude_anchor_links=True)
    rendered = MarkdownWithMath(renderer=renderer).render(source)
    # A browser may break a line between a formula and its full stop.
    rendered = re.sub(
        r'(<math[^>]*display="inline">(?:(?!</math>).)*</math>[.,;:)!?]+)',
        r'<span class="nobr">\1</span>',
        rendered,
        flags=re.S,
    )
    soup = BeautifulSoup(rendered, "html.parser")
    for part in soup(["code", "pre", "math"]):
        part.decompose()
    if left := re.search(r".{0,40}\$.{0,40}", soup.get_text()):
        raise ValueError(
            f"'$' left over in {left[0]!r}. Inside a table write \\vert instead of |; leave an "
            "empty line between an HTML tag and a formula."
        )
    return rendered


class BookExporter(HTMLExporter):
    """nbconvert's bare template with formulas converted at build time."""

    template_name = "basic"

    @pass_context
    def markdown2html(self, context: Context, source: str) -> str:
        """Replace nbconvert's filter, which leaves formulas to a script from elsewhere."""
        return render_markdown(source)


def render_document(path: Path) -> str:
    """Render a Markdown file, README.md up to the end of its table of chapters.

    Raises:
        ValueError: If a formula fails.
    """
    try:
        return render_markdown(path.read_text(encoding="utf-8").split(END)[0])
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


def render_chapter(root: Path, chapter: Chapter) -> str:
    """Render the executed notebook of a chapter.

    Raises:
        ValueError: If none matches the source, or a formula fails.
    """
    notebook = clean(find_executed(root, chapter))
    for cell in notebook.cells:
        if re.search("^interact\\(", cell.source, re.M) and not cell.outputs:
            note = nbformat.v4.new_output("display_data", {"text/markdown": WIDGET})
            cell.outputs.append(note)
    return BookExporter().from_notebook_node(notebook)[0]


def find_executed(root: Path, chapter: Chapter) -> NotebookNode:
    """Return the notebook in ``build/notebooks/`` if it matches its source and has run; else the pair.

    Raises:
        ValueError: If neither does; it names the remedy.
    """
    sources = [cell.source for cell in to_notebook(chapter.path).cells]
    for path in (build_path(root, chapter), chapter.pair):
        if not path.is_file():
            continue
        notebook = read_notebook(path)
        code = [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]
        failed = any(o.output_type == "error" for c in code for o in c.outputs)
        if [c.source for c in notebook.cells] == sources and not failed and all(
            c.execution_count for c in code
        ):
            return notebook
    raise ValueError(
        "no executed notebook matches the source. Run: "
        f"python -m tools run --only {chapter.number}"
    )


def token_colours(style: str) -> str:
    """Return Pygments' colours of tokens as CSS, without a box's background: that is the page's own."""
    return re.sub(r"\.highlight \{[^}]*\}", "", HtmlFormatter(style=style).get_style_defs(".highlight"))
