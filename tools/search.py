"""The book's search: the text of each section, in a script that pages can load from a file.

A page that was opened from a file may not fetch data, but it may load a script. So the text lies in
``search_data.js``, and ``search.js`` looks through it.
"""

from __future__ import annotations

import json
import unicodedata
from typing import NamedTuple

from bs4 import BeautifulSoup, NavigableString, Tag

from tools.links import HEADINGS

DATA = "search_data.js"
# Their text is not the course's own words, or says nothing on its own.
LEFT_OUT = ["style", "script", "a.anchor", "p.facts", ".prompt", ".output_wrapper", "svg"]
INLINE = {"a", "abbr", "b", "code", "em", "i", "kbd", "math", "small", "span", "strong", "sub", "sup"}


class Section(NamedTuple):
    """One search result: where it is, what it is called, and its words."""

    page: str
    anchor: str
    chapter: str
    title: str
    text: str


def find_sections(stem: str, chapter: str, page: BeautifulSoup) -> list[Section]:
    """Cut a page at its headings.

    Args:
        stem: Name of the page without its ending.
        chapter: What the page is called in the list of chapters.
        page: The page, with its headings anchored.
    """
    left_out = {id(tag) for tag in page.select(", ".join(LEFT_OUT))}
    found: list[tuple[str, str, list[str]]] = []

    def walk(tag: Tag) -> None:
        for part in tag.children:
            if isinstance(part, Tag):
                if id(part) in left_out:
                    continue
                if part.name in HEADINGS:
                    own = "".join(t for t in part.strings if t.parent.get("class") != ["anchor"])
                    found.append((part["id"], _tidy(own), []))
                    continue
                walk(part)
                if found and part.name not in INLINE and not part.find_parent("math"):
                    found[-1][2].append(" ")
            elif type(part) is NavigableString and found:
                found[-1][2].append(part)

    walk(page)
    return [Section(stem, anchor, chapter, title, _tidy("".join(text))) for anchor, title, text in found]


def _tidy(text: str) -> str:
    # NFKC: letters of formulas (bold, blackboard) become letters that one can type.
    return " ".join(unicodedata.normalize("NFKC", text).split())


def to_script(sections: list[Section]) -> str:
    """Return the content of ``search_data.js``."""
    lines = ",\n".join(json.dumps(section, ensure_ascii=False) for section in sections)
    return f"window.bookSections = [\n{lines}\n];\n"
