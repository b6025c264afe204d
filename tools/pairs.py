"""Pairs: each chapter's ``.py`` and, beside it, the executed notebook that renders on GitHub."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import nbformat
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from nbformat import NotebookNode
from PIL import Image

from piumar_lib.support.files import require_writable
from tools.chapters import Chapter, cells_of, list_chapters, read_notebook, to_notebook, write_notebook
from tools.run import build_path, execute

COALESCE = CoalesceStreamsPreprocessor()
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
LARGEST_KB = 600
LOCAL_PATH = r"(?<![\w.:/])/(?:home|Users|root|tmp|opt|usr|var)/[\w.-]+[^\s'\"]*"


def make_pairs(
    root: Path,
    only: list[str] | None = None,
    profile: str = "full",
    check: bool = False,
    sync: bool = False,
) -> None:
    """Execute chapters into the committed notebooks beside their sources, and check these.

    With ``sync``, prose and tags are taken over instead, see `sync_pair`; ``check`` alone makes nothing.

    Raises:
        RuntimeError: If a chapter fails; its old notebook stays.
        ValueError: If a notebook is not fit to be committed; it stays for inspection.
    """
    chapters = list_chapters(root, only)
    if not check and not sync:
        require_writable(root / "notebooks")
    for chapter in chapters:
        if sync:
            sync_pair(chapter)
        elif not check:
            execute_pair(chapter, profile)
        check_pair(chapter)


def execute_pair(chapter: Chapter, profile: str) -> None:
    """Execute a chapter into its pair.

    Raises:
        RuntimeError: If it fails; its old notebook stays.
    """
    print(f"{chapter.stem} ...", flush=True)
    notebook = to_notebook(chapter.path)
    _, error = execute(notebook, chapter.path.parent, profile)
    if error:
        raise RuntimeError(f"{chapter.stem} failed: {error}")
    write_notebook(clean(notebook), chapter.pair)


def sync_pair(chapter: Chapter) -> None:
    """Bring prose, tags and cell borders of the source into the pair; code and outputs stay.

    Raises:
        ValueError: If code has changed, so that the chapter has to be executed.
    """
    notebook, executed = to_notebook(chapter.path), read_notebook(chapter.pair)
    new, old = cells_of(notebook, "code"), cells_of(executed, "code")
    if [cell.source for cell in new] != [cell.source for cell in old]:
        command = f"python -m tools pairs --only {chapter.number}"
        raise ValueError(f"{chapter.pair.name}: its code is not the source's. Execute it: {command}")
    for cell, ran in zip(new, old, strict=True):
        cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
    write_notebook(notebook, chapter.pair)


def find_executed(root: Path, chapter: Chapter) -> NotebookNode:
    """Return an executed notebook that matches the chapter's source.

    A run of your own in ``build/notebooks/`` comes first, unless it is of profile quick, whose figures
    differ from the numbers in the text; then the committed pair; then any run.

    Raises:
        ValueError: If there is none; it names the remedy.
    """
    source, quick = to_notebook(chapter.path), []
    for path in (build_path(root, chapter), chapter.pair):
        notebook = read_notebook(path) if path.is_file() else source
        if not _has_run(notebook, source):
            continue
        for cell, original in zip(notebook.cells, source.cells, strict=True):
            cell.metadata = original.metadata  # it may have been tagged anew since it ran
        if path == chapter.pair or notebook.metadata.get("run", {}).get("profile", "quick") != "quick":
            return notebook
        quick.append(notebook)
    if quick:
        return quick[0]
    raise ValueError(
        f"no executed notebook matches the source. Run: python -m tools run --only {chapter.number}"
    )


def _has_run(notebook: NotebookNode, source: NotebookNode) -> bool:
    code = [cell for cell in cells_of(notebook, "code") if cell.source.strip()]
    failed = any(o.output_type == "error" for c in code for o in c.outputs)
    same = [c.source for c in notebook.cells] == [c.source for c in source.cells]
    return same and not failed and all(c.execution_count for c in code)


def clean(notebook: NotebookNode) -> NotebookNode:
    """Remove, in place, what only a live kernel can use or differs from run to run; shrink figures."""
    notebook.metadata = nbformat.from_dict(
        {key: notebook.metadata[key] for key in ("kernelspec", "language_info")}
    )
    for cell in notebook.cells:
        for key in ("execution", "collapsed", "scrolled"):
            cell.metadata.pop(key, None)
    for cell in cells_of(notebook, "code"):
        # What a cell prints may come in any number of pieces.
        COALESCE.preprocess_cell(cell, {}, 0)
        # A widget's static twin is an output of its own and stays.
        cell.outputs = [o for o in cell.outputs if WIDGET_VIEW not in o.get("data", {})]
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = shrink(output.data["image/png"])
    return notebook


def shrink(png: str) -> str:
    """A base64 PNG in 128 colours: it looks the same and is less than half as large in git."""
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    if picture.mode == "P":  # it has been shrunk before
        return png
    small = io.BytesIO()
    few = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    few.save(small, format="png", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def check_pair(chapter: Chapter) -> None:
    """Check that a committed notebook is its source, executed.

    Raises:
        ValueError: Naming the chapter, what is wrong, and the remedy.
    """
    problem = _find_problem(chapter)
    if problem:
        command = f"python -m tools pairs --only {chapter.number}"
        raise ValueError(f"{chapter.pair.name}: {problem}. Then: {command}")


def _find_problem(chapter: Chapter) -> str:
    if not chapter.pair.is_file():
        return "the executed pair is missing. Make it"
    size = chapter.pair.stat().st_size / 1024
    if size > LARGEST_KB:
        return f"{size:.0f} KB is over {LARGEST_KB} KB. Show fewer or smaller figures"
    notebook, source = read_notebook(chapter.pair), to_notebook(chapter.path)
    if len(notebook.cells) != len(source.cells):
        return f"it has {len(notebook.cells)} cells, the source {len(source.cells)}. Edit the .py"
    for index, (cell, original) in enumerate(zip(notebook.cells, source.cells, strict=True)):
        if (cell.cell_type, cell.source) != (original.cell_type, original.source):
            return f"cell {index} differs from the source. Edit the .py only"
        if any(cell.metadata.get(key) != original.metadata.get(key) for key in ("tags", "slideshow")):
            return f"the tags of cell {index} differ from the source. pairs --sync brings them along"
    if "widgets" in notebook.metadata:
        return "it holds widget state, which breaks its rendering. Do not save it from JupyterLab"
    code = [cell for cell in cells_of(notebook, "code") if cell.source.strip()]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        return "its cells were not executed once each, from top to bottom. Run it afresh"
    root = str(chapter.path.resolve().parents[1])
    return next(filter(None, (_find_output_problem(cell, root) for cell in code)), "")


def _find_output_problem(cell: NotebookNode, root: str) -> str:
    where = f"cell [{cell.execution_count}]"
    for output in cell.outputs:
        data = output.get("data", {})
        if output.output_type == "error":
            return f"{where} ended in {output.ename}. Correct the chapter"
        if WIDGET_VIEW in data:
            return f"{where} holds a widget view, which is dead on a page. Do not save it by hand"
        if "image/png" in data and not output.metadata.get("image/png", {}).get("alt"):
            return f"{where} shows a figure without alt text. Use show(fig, alt)"
        texts = [output.get("text", "")]
        texts += [text for kind, text in data.items() if kind.startswith("text/")]
        found = re.search(f"{re.escape(root)}|{LOCAL_PATH}", "\n".join(texts))
        if found:
            return f"{where} prints the local path {found[0]}. Print a relative one"
    return ""
