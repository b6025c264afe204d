"""What README.md shows of the chapters: one figure, and a table with measured times."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import nbformat

from piumar_lib.course.chapters import list_chapters
from piumar_lib.course.plan import PLAN
from piumar_lib.course.run import RECORD

END = "<!-- chapters:end -->"  # what README.md says up to here also opens the book
OVERVIEW = Path("notebooks/results/overview.png")
SHOWN = "03_temporal_alignment"  # the chapter whose first figure opens README.md


def chapter_table(root: Path) -> str:
    """Return the table: what each chapter answers, how long it takes, what is planned."""
    path = root / RECORD
    record = json.loads(path.read_text()) if path.exists() else {"chapters": {}}
    lines = [
        "| # | chapter | the question it answers | time | memory |",
        "|---|---|---|---|---|",
    ]
    chapters = list_chapters(root)
    for chapter in chapters:
        cost = record["chapters"].get(chapter.stem)
        time, memory = (f"{cost['seconds']:.0f} s", f"{cost['peak_mb']} MB") if cost else ("", "")
        link = f"[{chapter.title}](notebooks/{chapter.stem}.ipynb)"
        lines.append(f"| {chapter.number} | {link} | {chapter.question} | {time} | {memory} |")
    written = {chapter.stem for chapter in chapters}
    planned = [step for step in PLAN if step.stem not in written]
    lines += [f"| {step.number} | {step.title} | *planned* | | |" for step in planned]
    if record["chapters"]:
        lines += ["", f"Time and peak memory in profile `quick`, measured on {record['machine']}."]
    return "\n".join(lines)


def overview(root: Path) -> tuple[str, bytes]:
    """Return README's line for the first figure of chapter `SHOWN`, and the figure itself.

    Both are empty if that chapter's pair does not exist yet.
    """
    pair = root / "notebooks" / f"{SHOWN}.ipynb"
    if not pair.exists():
        return "", b""
    outputs = [o for cell in nbformat.read(pair, as_version=4).cells for o in cell.get("outputs", [])]
    first = next(o for o in outputs if "image/png" in o.get("data", {}))
    line = f"[![{first.metadata['image/png']['alt']}]({OVERVIEW})](notebooks/{SHOWN}.ipynb)"
    return line, base64.b64decode(first.data["image/png"])


def update_readme(root: Path, check: bool = False) -> bool:
    """Put the current figure and table into README.md and return whether that changed anything.

    Args:
        root: Repository root.
        check: Only compare, write nothing.

    Raises:
        ValueError: If README.md lacks the markers.
    """
    path, picture = root / "README.md", root / OVERVIEW
    text = fresh = path.read_text()
    line, image = overview(root)
    for name, content in (("figure", line), ("chapters", chapter_table(root))):
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        if fresh.count(begin) != 1 or fresh.count(end) != 1:
            raise ValueError(f"{path}: needs one line '{begin}' and one '{end}'.")
        before, rest = fresh.split(begin)
        fresh = f"{before}{begin}\n{content}\n{end}{rest.split(end)[1]}"
    changed = fresh != text or (picture.read_bytes() if picture.exists() else b"") != image
    if changed and not check:
        path.write_text(fresh)
        if image:
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_bytes(image)
    return changed
