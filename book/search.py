"""Text of all pages in one script, so that search can quote them: a page from a file may fetch none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from sphinx.application import Sphinx

SCRIPT = "texts.js"


def write_texts(app: Sphinx, problem: Exception | None) -> None:
    """Write the script that ``_static/page.js`` reads on the page of search."""
    if problem or app.builder.name != "html":
        return
    texts = {name: app.env.get_doctree(name).astext() for name in sorted(app.env.found_docs)}
    path: Path = app.outdir / "_static" / SCRIPT
    path.write_text(f"window.texts = {json.dumps(texts)};", encoding="utf-8")


def load_texts(app: Sphinx, page: str, *_: object) -> None:
    """Load the script on that page alone, as it is large."""
    if page == "search":
        app.add_js_file(SCRIPT)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both with Sphinx."""
    app.connect("build-finished", write_texts)
    app.connect("html-page-context", load_texts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
