"""The chapter table of README.md, made from the chapters and from measured times."""

from __future__ import annotations

import json
from pathlib import Path

from piumar_lib.course.chapters import list_chapters
from piumar_lib.course.plan import PLAN
from piumar_lib.course.run import RECORD

BEGIN, END = "<!-- chapters:begin -->", "<!-- chapters:end -->"


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


def update_readme(root: Path, check: bool = False) -> bool:
    """Put the current table into README.md and return whether that changed it.

    Args:
        root: Repository root.
        check: Only compare, write nothing.

    Raises:
        ValueError: If README.md lacks the markers.
    """
    path = root / "README.md"
    text = path.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{path}: needs one line '{BEGIN}' and one '{END}' around the table.")
    before, rest = text.split(BEGIN)
    fresh = f"{before}{BEGIN}\n{chapter_table(root)}\n{END}{rest.split(END)[1]}"
    if not check:
        path.write_text(fresh)
    return fresh != text
