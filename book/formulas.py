"""Formulas as MathML, which browsers draw without a script; equations numbered by chapter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

LOGGER = logging.getLogger(__name__)


def to_mathml(formula: str, display: str) -> str:
    """Convert one LaTeX formula.

    Args:
        formula: Without its dollar signs.
        display: ``"inline"`` or ``"block"``.

    Raises:
        ValueError: If it holds a command that the converter does not know.
    """
    # 'aligned' is what GitHub needs inside $$; the converter knows its twin only.
    known = re.sub(r"\\(begin|end)\{aligned\}", r"\\\1{split}", formula).strip()
    known = _space_functions(known)
    # Only with braces does the converter write the letter itself; browsers ignore its attribute.
    known = re.sub(r"\\(mathcal|mathbb) ([A-Za-z])", r"\\\1{\2}", known)
    known = re.sub(r"\\mathrm\{([A-Za-z])\}", r"\\text{\1}", known)  # one letter would be italic
    known = re.sub(r"\\arg\b", r"\\operatorname{arg}", known).replace(r"\mathbb{1}", "\U0001d7d9")
    try:
        mathml = convert(known, display=display)
    except Exception as error:  # the converter has a dozen exceptions without a common parent
        raise ValueError(f"formula {formula!r}: {type(error).__name__}. Simplify it.") from error
    mathml = _set_primes_and_words(mathml)
    if unknown := re.search(r"\\[A-Za-z]+", mathml):
        raise ValueError(f"formula {formula!r}: {unknown[0]} is not known. Write it differently.")
    if "<mi>&</mi>" in mathml:
        raise ValueError(f"formula {formula!r}: '&' outside of aligned, split, cases or a matrix.")
    return mathml


def _set_primes_and_words(mathml: str) -> str:
    """Primes in the size of their letter, and words as names: a minus between texts has no space."""
    base, prime = r"(<mi>[^<]+</mi>|<mover.*?</mover>)", r"<mi>(&#x0203[2-4];)</mi>"
    mathml = re.sub(rf"<msup>{base}{prime}</msup>", r"<mrow>\1<mo>\2</mo></mrow>", mathml)
    mathml = re.sub(
        rf"<msubsup>{base}(<mi>[^<]+</mi>|<mrow>(?:(?!<mrow>).)*?</mrow>){prime}</msubsup>",
        r"<msub><mrow>\1<mo>\3</mo></mrow>\2</msub>",
        mathml,
    )
    return re.sub(r"<mtext>([\w-]+)</mtext>", r'<mi mathvariant="normal">\1</mi>', mathml)


def _space_functions(formula: str) -> str:
    """Set "n log n" with spaces, as LaTeX does and browsers do not."""
    name = r"\\(log|exp|cos|sin)\b"
    after = re.sub(rf"{name}(?!\s*(\\left|\\[bB]igl?|[(_^}}]|$))", r"\\\1\\,", formula)
    return re.sub(rf"(?<=[\w}})])\s*{name}", r"\\,\\\1", after)


def visit_inline(writer: HTML5Translator, node: nodes.math) -> None:
    """Write ``$...$``."""
    _write(writer, node, "inline")
    raise nodes.SkipNode


def visit_block(writer: HTML5Translator, node: nodes.math_block) -> None:
    """Write ``$$...$$``, with its number at the end of the line if it has a label."""
    writer.body.append(writer.starttag(node, "div", CLASS="equation"))
    _write(writer, node, "block")
    if node["number"]:
        writer.body.append(f'<span class="eqno">({node["number"]})')
        writer.add_permalink_ref(node, "Link to this equation")
        writer.body.append("</span>")
    writer.body.append("</div>\n")
    raise nodes.SkipNode


def _write(writer: HTML5Translator, node: nodes.Element, display: str) -> None:
    try:
        writer.body.append(to_mathml(node.astext(), display))
    except ValueError as error:
        LOGGER.warning(str(error), location=node)


def number_by_chapter(app: Sphinx, doctree: nodes.document) -> None:
    """Call the second equation of chapter 03 "03.2", on its page and wherever it is referred to."""
    document = app.env.current_document.docname
    chapter = re.search(r"/(\d\d)_", document)
    equations = app.env.domains.math_domain.equations
    for node in doctree.findall(nodes.math_block):
        if chapter and node.get("label"):
            node["number"] = f"{chapter[1]}.{node['number']}"
            equations[node["label"]] = (document, node["number"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer with Sphinx."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.connect("doctree-read", number_by_chapter)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
