"""Markdown of slides as HTML that a browser draws without a script from elsewhere."""

from __future__ import annotations

import re

from bs4 import BeautifulSoup
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments.formatters import HtmlFormatter

from book.formulas import to_mathml


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


def token_colors(style: str) -> str:
    """Return Pygments' colours of tokens as CSS, without a box's background: that is the page's own."""
    return re.sub(r"\.highlight \{[^}]*\}", "", HtmlFormatter(style=style).get_style_defs(".highlight"))
