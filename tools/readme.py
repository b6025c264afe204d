"""Generated parts of README.md: the table of chapters with times, and the costs."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

from piumar_lib.evidence.records import read_records
from piumar_lib.support.files import read_json, write_text
from tools.chapters import Chapter, list_chapters, to_notebook
from tools.hosted import PICTURE, badges
from tools.pages import reading_minutes
from tools.pictures import FOLDER, picture
from tools.run import RECORD

END = "<!-- book:end -->"  # what README.md says up to here also opens the book
BENCHMARKS = Path("notebooks/results/benchmarks.jsonl")
COSTS = Path(__file__).with_name("costs.json")  # sentences, and how the rows begin that have the numbers
ANIMATION = "common_clock"  # opens README.md


def chapter_table(root: Path, reading: bool = False) -> str:
    """Return the table: what each chapter answers, how long it takes, on request also to read."""
    record, lines, chapters = _record(root), [], list_chapters(root)
    minutes = {c.stem: reading_minutes(to_notebook(c.path)) for c in chapters}
    for c in chapters:
        cost = record["chapters"].get(c.stem)
        time, memory = (f"{cost['seconds']:.0f} s", f"{cost['peak_mb']} MB") if cost else ("", "")
        cells = [c.number, f"[{c.title}](notebooks/{c.stem}.ipynb)", c.question, time, memory]
        lines.append(cells[:3] + [f"{minutes[c.stem]}\u00a0min"] * reading + cells[3:])
    header = ["#", "chapter", "the question it answers", *["to\u00a0read"] * reading, "time", "memory"]
    text = [" | ".join(["", *line, ""]).strip() for line in [header, *lines]]
    text.insert(1, "|---" * len(header) + "|")
    if record["chapters"]:
        seconds = sum(cost["seconds"] for cost in record["chapters"].values())
        words = (
            f"Time and peak memory in profile `quick`, measured on {record['machine']}; all chapters "
            f"together take {seconds / 60:.0f} minutes to run. To read them takes about "
            f"{sum(minutes.values()) / 60:.0f} hours."
        )
        text += ["", textwrap.fill(words, 105)]
    return "\n".join(text)


def describe(root: Path, chapter: Chapter) -> str:
    """Return one line about a chapter: how long to read, how long to run where that was measured."""
    line = f"About {reading_minutes(to_notebook(chapter.path))} minutes to read"
    if cost := _record(root)["chapters"].get(chapter.stem):
        line += f"; {cost['seconds']:.0f} s and {cost['peak_mb']} MB to run in profile quick"
    links = PICTURE.sub(r"\1", badges(root, chapter.stem))
    return f"{line}. {links}".rstrip()


def _record(root: Path) -> dict[str, Any]:
    path = root / RECORD
    return read_json(path, "Delete it.", ["chapters"]) if path.exists() else {"chapters": {}}


def cost_paragraph(root: Path) -> str:
    """Return what the benchmarks' records say of the costs, as one paragraph."""
    records = read_records(root / BENCHMARKS)
    sentences: dict[str, list[str]] = {}
    for words, what in read_json(COSTS).items():
        found = [r for r in records if r["what"].startswith(what) and r["goal"] is not None]
        last = [r for r in found if r["device"] == found[-1]["device"]]
        values = sorted(r["ratio"] for r in last if r["ratio"] is not None)
        ends = [f"{v:.2g}" if v < 10 else f"{v:.0f}" for v in (values[:1] + values[-1:])]
        if ends:
            said = words.format(" to ".join(dict.fromkeys(ends)))
            sentences.setdefault(last[0]["device"], []).append(said)
    if not sentences:
        return ""
    parts = [f"Measured on {device}: {' '.join(said)}" for device, said in sentences.items()]
    parts.append(
        "`python tests/benchmarks/run.py` repeats the measurements (`--device cuda` those on a GPU). "
        "[Chapter 10](notebooks/10_costs.ipynb) explains the most important ones, also where a goal was "
        "missed; the book's page of records lists all."
    )
    return textwrap.fill(" ".join(parts), 105, break_on_hyphens=False)


def update_readme(root: Path, check: bool = False) -> bool:
    """Put current tables and costs into README.md, or only ``check``; return whether they differed.

    Raises:
        ValueError: If README.md lacks the markers.
    """
    path = root / "README.md"
    text = fresh = path.read_text(encoding="utf-8")
    parts = {"badges": badges(root), "figure": picture(ANIMATION, f"notebooks/{FOLDER}")}
    parts |= {"chapters": chapter_table(root), "costs": cost_paragraph(root)}
    for name, content in parts.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        if fresh.count(begin) != 1 or fresh.count(end) != 1:
            raise ValueError(f"{path}: needs one line '{begin}' and one '{end}'.")
        before, rest = fresh.split(begin)
        fresh = f"{before}{begin}\n{content}\n{end}{rest.split(end)[1]}"
    if fresh != text and not check:
        write_text(path, fresh)
    return fresh != text


def refresh(root: Path, check: bool) -> int:
    """Update README.md, or return 1 if that is due, and say so."""
    due = update_readme(root, check) and check
    if due:
        print("README.md: the chapter table is not current. Run: make readme", file=sys.stderr)
    return int(due)
