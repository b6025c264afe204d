"""Markdown with formulas as HTML that a browser draws without a script."""

from __future__ import annotations

import re

from bs4 import BeautifulSoup
from latex2mathml.converter import convert
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath


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
