"""What stands on the book's pages: executed chapters and Markdown files."""

from __future__ import annotations

from pathlib import Path

import nbformat
from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from piumar_lib.course.chapters import Chapter, to_notebook
from piumar_lib.course.markup import render_markdown
from piumar_lib.course.pairs import clean
from piumar_lib.course.readme import END
from piumar_lib.course.run import build_path


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
    return BookExporter().from_notebook_node(clean(find_executed(root, chapter)))[0]


def find_executed(root: Path, chapter: Chapter) -> NotebookNode:
    """Return the notebook in ``build/notebooks/`` if it matches its source and has run; else the pair.

    Raises:
        ValueError: If neither does; it names the remedy.
    """
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
