"""Links of the book: headings get names, links get targets, and what is foreign or broken is found."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

NO_ALT = "No description has been provided"  # what nbconvert fills in for a missing text
HEADINGS = ("h1", "h2", "h3", "h4")


def to_slug(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading: ``"On a line, sort"`` is ``on-a-line-sort``."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchor_headings(page: BeautifulSoup) -> None:
    """Give headings the ids that GitHub gives them, so that one link works in both places."""
    seen: Counter[str] = Counter()
    for heading in page(HEADINGS):
        text = heading.get_text().strip()
        slug = to_slug(text)
        heading["id"] = f"{slug}-{seen[slug]}" if seen[slug] else slug
        seen[slug] += 1
        anchor = page.new_tag("a", href=f"#{heading['id']}", **{"class": "anchor"})
        anchor["aria-label"] = f"Link to this section: {text}"
        anchor.string = "#"
        heading.append(anchor)


def find_anchors(page: BeautifulSoup) -> set[str]:
    """Return the ids that a link can lead to."""
    return {tag["id"] for tag in page(id=True)}


def find_foreign(page: BeautifulSoup) -> list[str]:
    """Return what a reader offline, or one who cannot see, would miss."""
    problems = []
    for image in page("img"):
        text = image.get("alt", "").strip()
        if not text or text.startswith(NO_ALT):
            problems.append("a figure has no alt text. Use show(fig, alt)")
    for tag in page(["script", "link", "iframe", "img"]):
        source = tag.get("src") or tag.get("href") or ""
        if tag.name != "img" or urlsplit(source).scheme in ("http", "https"):
            problems.append(f"<{tag.name}> {source[:60]} would not work offline")
    return problems


def resolve_links(
    page: BeautifulSoup, source: Path, root: Path, anchors: dict[str, set[str]]
) -> list[str]:
    """Point links at pages of the book or copies of files, and return the broken ones.

    Args:
        page: The page, changed in place.
        source: What the page was made from; its links are relative to it.
        root: Repository root.
        anchors: What can be linked to on each page of the book, by stem.
    """
    problems = []
    for tag, key in [(t, "href") for t in page("a", href=True)] + [(t, "src") for t in page("img")]:
        link = urlsplit(tag[key])
        if link.scheme or link.netloc:
            continue
        fragment = f"#{link.fragment}" if link.fragment else ""
        target = (source.parent / unquote(link.path)).resolve() if link.path else source
        stem = None
        if target == root / "README.md":
            stem = "index"
        elif target.parent == root / "notebooks" and target.stem in anchors:
            stem = target.stem
        if stem is None:
            if target.is_dir() and root in (target, *target.parents):
                tag.unwrap()  # a folder has no page
            elif target.is_file() and root in target.parents:
                tag[key] = _copy(target, root) + fragment
            else:
                problems.append(f"broken link {tag[key]}")
            continue
        # A page that could not be made has no sections, and is reported already.
        if link.fragment and anchors[stem] and unquote(link.fragment) not in anchors[stem]:
            problems.append(f"no section for link {tag[key]}")
        tag[key] = (f"{stem}.html" if link.path else "") + fragment
    return problems


def _copy(target: Path, root: Path) -> str:
    relative = target.relative_to(root)
    copy = root / "build" / "book" / "files" / relative
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(target, copy)
    return f"files/{relative.as_posix()}"
