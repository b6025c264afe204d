"""Additions of the book to a chapter: numbered equations, citations, links to terms, reading time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import count
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from pybtex.database import Entry, parse_file

from tools.chapters import cells_of

BIBLIOGRAPHY = Path(__file__).parents[1] / "book" / "references.bib"
WORDS, LINES = 200, 15  # a minute's worth of prose, and of code: a guess for technical text
FORMULA = re.compile(r"\$\$.+?\$\$( \([\w-]+\))?", re.S)
REFERENCES = "## References\n"
# A number, authors, and the title in italics, all of one item.
TITLE = re.compile(r"^(\d+)\. (?:[^*\n]|\n(?!\d+\. ))*\*([^*]+?)\.?\*", re.M)
CITATION = re.compile(r"\[\[([\d, ]+)\]\(#references\)\]")
TERM = re.compile(r"\[([^\]]+)\]\(glossary\.md#([\w-]+)\)")
WIDGET = "*A slider, to be moved in the notebook. On this page the figures around it stand for it.*"


def reading_minutes(notebook: NotebookNode) -> int:
    """Return the minutes that the prose and code of a chapter take to read, at least one."""
    words = sum(len(cell.source.split()) for cell in cells_of(notebook, "markdown"))
    code = [line for cell in cells_of(notebook, "code") for line in cell.source.splitlines()]
    lines = sum(bool(line.strip()) for line in code)
    return max(1, round(words / WORDS + lines / LINES))


def label_equations(notebook: NotebookNode, stem: str) -> NotebookNode:
    """Give each displayed equation that has no label the label ``STEM-N``, in place."""
    number = count(1)

    def label(equation: re.Match) -> str:
        return equation[0] if equation[1] else f"{equation[0]} ({stem}-{next(number)})"

    for cell in cells_of(notebook, "markdown"):
        cell.source = FORMULA.sub(label, cell.source)
    return notebook


def prepare(notebook: NotebookNode, stem: str, facts: str, terms: Mapping[str, str]) -> NotebookNode:
    """Turn an executed chapter into what MyST reads, in place.

    Args:
        notebook: The chapter.
        stem: What messages call it.
        facts: A line to stand below its title.
        terms: Terms of the glossary by the anchor of their heading.

    Raises:
        ValueError: If a reference is missing in the bibliography, or a term in the glossary.
    """
    prose = cells_of(label_equations(notebook, stem), "markdown")
    link_prose(prose, stem, terms)
    title, _, rest = prose[0].source.partition("\n")
    prose[0].source = f"{title}\n\n*{facts}*\n{rest}"
    for cell in notebook.cells:
        if re.search("^interact\\(", cell.source, re.M) and not cell.outputs:
            note = nbformat.v4.new_output("display_data", {"text/markdown": WIDGET})
            cell.outputs.append(note)
    return notebook


def link_prose(prose: Sequence[NotebookNode], stem: str, terms: Mapping[str, str]) -> None:
    """Link citations to the bibliography and terms to the glossary, in place; see `prepare`."""
    keys = cite(prose, stem)
    for cell in prose:
        cell.source = CITATION.sub(lambda m: _cite(_look_up(keys, m[1], stem)), cell.source)
        cell.source = TERM.sub(lambda m: _link_term(m, terms, stem), cell.source)


def cite(prose: Iterable[NotebookNode], stem: str) -> dict[str, str]:
    """Link a chapter's list of references to the bibliography, in place; return its keys by number.

    Raises:
        ValueError: If no entry of the bibliography has a reference's title.
    """
    found: dict[str, str] = {}
    for cell in prose:
        text, heading, references = cell.source.partition(REFERENCES)
        for number, title in TITLE.findall(references):
            if (key := bibliography().get(_plain(title))) is None:
                raise ValueError(f"{stem}: {BIBLIOGRAPHY.name} has no {title!r}. Add it.")
            found[number] = key
        references = TITLE.sub(lambda m: f"{m[0]} {_cite([found[m[1]]])}", references)
        cell.source = text + heading + references
    return found


@cache
def _entries() -> Mapping[str, Entry]:
    return parse_file(str(BIBLIOGRAPHY)).entries


@cache
def bibliography() -> dict[str, str]:
    """Return the keys of the bibliography by full and by short title, in letters and digits only."""
    return {
        _plain(entry.fields[name]): key
        for key, entry in _entries().items()
        for name in ("title", "shorttitle")
        if name in entry.fields
    }


def cite_on_slides(notebook: NotebookNode, stem: str) -> NotebookNode:
    """Write authors and year in place of a chapter's numbered citations, in place.

    Raises:
        ValueError: If no entry of the bibliography has a reference's title.
    """
    prose = cells_of(notebook, "markdown")
    keys = cite(prose, stem)

    def names(citation: re.Match) -> str:
        return f"[{'; '.join(map(authors_and_year, _look_up(keys, citation[1], stem)))}]"

    for cell in prose:
        cell.source = CITATION.sub(names, cell.source)
    return notebook


def authors_and_year(key: str) -> str:
    """Return how an entry of the bibliography is cited, such as "Cui et al., 2025"."""
    entry = _entries()[key]
    people = [" ".join(person.last_names) for person in entry.persons["author"]]
    many = len(people) > 2 or people[-1] == "others"
    names = f"{people[0]} et al." if many else " and ".join(people)
    return f"{names}, {entry.fields['year']}"


def _plain(title: str) -> str:
    return re.sub(r"[\W_]", "", title).lower()


def _look_up(keys: Mapping[str, str], numbers: str, stem: str) -> list[str]:
    if missing := [n for n in numbers.split(", ") if n not in keys]:
        raise ValueError(f"{stem}: no reference has the number {missing[0]}. Correct [[{numbers}]].")
    return [keys[n] for n in numbers.split(", ")]


def _cite(keys: Iterable[str]) -> str:
    return f"{{cite}}`{','.join(keys)}`"


def _link_term(link: re.Match, terms: Mapping[str, str], stem: str) -> str:
    if link[2] not in terms:
        raise ValueError(f"{stem}: the glossary has no {link[2]!r}. Add it, or correct the link.")
    return f"{{term}}`{link[1]} <{terms[link[2]]}>`"
