"""Text of all pages in one script, so that search can quote them: a page from a file may fetch none."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from docutils import nodes
    from sphinx.application import Sphinx

SCRIPT = "texts.js"


texts: dict[str, str] = {}  # of each page by its name


def keep_text(app: Sphinx, page: nodes.document, name: str) -> None:
    """Keep the text of a page that is about to be written, without HTML."""
    texts[name] = re.sub(r"</?[a-z][^<>]*>", "", page.astext())


def write_texts(app: Sphinx, problem: Exception | None) -> None:
    """Write the script that ``_static/page.js`` reads on the page of search."""
    if problem or app.builder.name != "html":
        return
    path: Path = app.outdir / "_static" / SCRIPT
    path.write_text(f"window.texts = {json.dumps(texts, sort_keys=True)};", encoding="utf-8")


def load_texts(app: Sphinx, page: str, *_: object) -> None:
    """Load the script on that page alone, as it is large."""
    if page == "search":
        app.add_js_file(SCRIPT)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all three with Sphinx."""
    texts.clear()  # of another book in the same process
    app.connect("doctree-resolved", keep_text)
    app.connect("build-finished", write_texts)
    app.connect("html-page-context", load_texts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
