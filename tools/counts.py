"""Sizes of chapters and their limits, and words that must and must not be used.

    python -m tools counts
    python -m tools counts --check

Sizes keep the course short enough to be read. A banned word is one of a private vocabulary, each with
the standard term that takes its place; a reader who finishes the course has met every term in `TERMS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from nbformat import NotebookNode

from piumar_lib.notebook.figure import markdown_table
from tools.chapters import cells_of, list_chapters, read_notebook, to_notebook
from tools.pages import CITATION, REFERENCES, TITLE
from tools.words import find_prose, flatten, list_code, names_in

# Of all chapters together.
LIMITS = {"lines": 8122, "code": 500, "tables": 18, "numbers": 600, "slides": 360}
CELLS = 90  # of one chapter
SLIDES = {"slide", "subslide"}
ROW = re.compile(r"^\|.*\|$", re.M)
TABLE = re.compile(r"(?:^\|.*\|$\n?)+", re.M)
NUMBER = re.compile(r"(?<![\w.])[-+−]?\d+(?:[.,]\d+)*")
CODE = re.compile(r"```.*?```|`[^`]*`|\$\$.+?\$\$|\$[^$]+\$|\]\([^)]*\)", re.S)
LEDGER = "## Paper ledger"
# Beside the chapters; they use the same words.
PAGES = (
    "README.md", "notebooks/glossary.md", "notebooks/related_work.md",
    "book/records.md.j2", "book/hyperparameters.md.j2",
)  # fmt: skip

BANNED = {
    r"dearer": "more expensive",
    r"linear programmes?": "linear program",
    r"knobs?": "hyperparameter, or slider",
    r"strangers?": "unseen person",
    r"rivals?": "baseline",
    r"whoever|whomever": "who, or a noun",
    r"laws? of (?:the )?(?:features|people|motion|differences)|normal law": "distribution, Gaussian",
    r"(?:told|knows?) people|people (?:it|they) knows?": "training people; uses person labels",
    r"films? (?:into|straight)|filmed": "render, rendered",
    r"(?:goes?|gone|went) on with the same": "resumes",
    r"hands? in": "submit",
    r"stands? twice": "is duplicated",
    r"products of matrices": "matrix multiplications",
    r"way back": "backward pass",
    r"cheapest plan": "optimal plan",
    r"mean squared way": "mean squared distance",
    r"manners?": "movement style",
    r"misery|misfortune": "what it is",
    r"by lot": "at random",
    r"set aside": "excluded, or held out",
    r"even weights": "uniform weights",
    r"crease": "kink",
    r"bowl": "convex function",
    r"deals? anew|dealt anew": "split again",
    r"cannot be right": "is invalid",
    r"if need be": "if necessary",
    r"passed over": "ignored",
    r"whole or not at all": "atomically",
    r"told apart": "distinguished",
    r"blown up": "amplified",
    r"counts? alike": "have equal weights",
    r"worst weightings?": "worst-case weights",
    r"clocks? of others": "clock of another clip",
    r"(?:all|everything) that is drawn": "all random draws",
    r"(?:system|disk) refuses": "writing fails",
    r"stands? there more than once": "occurs more than once",
    r"without fail": "without errors",
}
ANY_BANNED = re.compile(rf"\b(?:{'|'.join(BANNED)})\b", re.IGNORECASE)
TERMS = (
    "DTW", "cross-validation", "domain generalisation", "nearest neighbour", "matmul", "arc length",
    "leakage", "label smoothing", "effective sample size", "regression to the mean", "confusion matrix",
    "reliability diagram", "Nyquist", "dual", "coupling", "overfitting", "distribution shift",
    "throughput", "kernel launch", "arithmetic intensity", "cluster bootstrap", "linear program",
    "convex", "gradient", "hyperparameter", "ablation", "standard deviation", "confidence interval",
    "data augmentation", "exponential moving average", "model FLOPs utilisation", "worst-group",
    "unseen", "soft-DTW", "trajectory", "baseline", "held out", "calibration",
)  # fmt: skip


class Size(NamedTuple):
    """How much a chapter holds."""

    lines: int  # of its source
    cells: int
    code: int  # cells with code
    words: int  # of prose, without code, formulas, tables, the ledger and the references
    figures: int
    tables: int
    numbers: int  # in the tables
    slides: int  # of its deck


def measure(path: Path, pair: Path) -> Size:
    """Count a chapter: its source at ``path``, and its outputs in ``pair``."""
    notebook = to_notebook(path)
    code = cells_of(read_notebook(pair), "code")
    data = [output.get("data", {}) for cell in code for output in cell.get("outputs", [])]
    # A table of facts below the title has no header, and is not counted.
    tables = [table for text in told(notebook) for table in TABLE.findall(text) if table[:5] != "| | |"]
    tables += [table for shown in data for table in TABLE.findall(shown.get("text/markdown", ""))]
    kinds = [cell.metadata.get("slideshow", {}).get("slide_type") for cell in notebook.cells]
    return Size(
        lines=len(path.read_text(encoding="utf-8").splitlines()),
        cells=len(notebook.cells),
        code=len(code),
        words=sum(len(CODE.sub(" ", ROW.sub("", text)).split()) for text in told(notebook)),
        figures=sum("image/png" in shown or "image/svg+xml" in shown for shown in data),
        tables=len(tables),
        numbers=sum(len(NUMBER.findall(table)) for table in tables),
        slides=sum(kind in SLIDES for kind in kinds),
    )


def told(notebook: NotebookNode) -> Iterator[str]:
    """The prose of each cell, without ledger and references."""
    for cell in cells_of(notebook, "markdown"):
        yield cell.source.split(LEDGER)[0].split(REFERENCES)[0]


def find_banned(text: str) -> list[str]:
    """Banned words of a text, each with the standard term."""
    words = CODE.sub(" ", text)
    return [
        f"{found[0]!r}: say {instead}"
        for pattern, instead in BANNED.items()
        for found in re.finditer(rf"\b(?:{pattern})\b", words, re.IGNORECASE)
    ]


def search_code(root: Path, chapters: list[Path], library: bool = True) -> list[str]:
    """Banned words in the code of chapters and, unless ``library`` is off, of `tools.words.FOLDERS`."""
    texts = {path: path.read_text(encoding="utf-8") for path in [*chapters, *list_code(root)]}
    suspects = {path: text for path, text in texts.items() if ANY_BANNED.search(flatten(text))}
    names = set[str]().union(*(names_in(text) for text in suspects.values()))
    return [
        f"{path.relative_to(root)}:{line}: {found}"
        for path, text in suspects.items()
        if library or path in chapters
        for line, prose in find_prose(text, names, comments=path not in chapters)
        for found in find_banned(prose)
    ]


def find_missing_terms(texts: list[str]) -> list[str]:
    """Standard terms that no text uses."""
    everything = " ".join(" ".join(texts).split()).lower()
    return [term for term in TERMS if term.lower() not in everything]


def find_uncited(notebook: NotebookNode) -> list[str]:
    """Titles of references that no text of the chapter cites."""
    prose = [cell.source for cell in cells_of(notebook, "markdown")]
    cited = {n for text in prose for numbers in CITATION.findall(text) for n in numbers.split(", ")}
    listed = [entry for text in prose for entry in TITLE.findall(text.partition(REFERENCES)[2])]
    return [" ".join(title.split()) for number, title in listed if number not in cited]


def count(root: Path, only: list[str] | None = None) -> tuple[str, list[str]]:
    """Measure chapters, or ``only`` some; the limits of the whole course then do not apply.

    Returns:
        A table of sizes, in Markdown, and what is too much or missing.
    """
    chapters = list_chapters(root, only)
    notebooks = {chapter.stem: to_notebook(chapter.path) for chapter in chapters}
    sizes = {chapter.stem: measure(chapter.path, chapter.pair) for chapter in chapters}
    total = Size(*map(sum, zip(*sizes.values(), strict=True)))
    table = markdown_table(["", *Size._fields], [[stem, *size] for stem, size in sizes.items()]
                           + [["all", *total]])  # fmt: skip
    problems = [
        f"{stem}: {size.cells} cells. At most {CELLS} can be read in one go."
        for stem, size in sizes.items()
        if size.cells > CELLS
    ]
    for stem, notebook in notebooks.items():
        problems += [f"{stem}: {found}" for found in find_banned("\n".join(told(notebook)))]
        problems += [f"{stem}: {title!r} is not cited" for title in find_uncited(notebook)]
    problems += search_code(root, [chapter.path for chapter in chapters], library=not only)
    return table, problems if only else [*problems, *_find_in_all(root, total, notebooks.values())]


def _find_in_all(root: Path, total: Size, notebooks: Iterable[NotebookNode]) -> Iterator[str]:
    """Problems of the other pages and of all chapters together."""
    for page in filter(Path.is_file, (root / page for page in PAGES)):
        for found in find_banned(page.read_text(encoding="utf-8")):
            yield f"{page.relative_to(root)}: {found}"
    for name, most in LIMITS.items():
        if getattr(total, name) > most:
            yield f"all chapters: {getattr(total, name)} {name}, at most {most}"
    for term in find_missing_terms([text for notebook in notebooks for text in told(notebook)]):
        yield f"all chapters: the term {term!r} never occurs"


def report(root: Path, only: list[str] | None, check: bool) -> int:
    """Print what is too much or missing; unless ``check`` asks for that alone, sizes come first."""
    table, problems = count(root, only)
    print("\n".join(problems if check else [table, *problems]))
    return int(check and bool(problems))
