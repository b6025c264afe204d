"""Templates of pages: ``*.j2`` in ``book/`` and in this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

HERE = Path(__file__).parent
ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader([HERE.parent / "book", HERE]),
    autoescape=jinja2.select_autoescape(["html.j2", "svg.j2"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
)


def render(name: str, **facts: Any) -> str:
    """Fill in a template; text is escaped in one of HTML or SVG."""
    return ENVIRONMENT.get_template(name).render(facts)
