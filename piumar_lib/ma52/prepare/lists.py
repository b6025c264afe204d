"""Reading of MA-52's list files: all faults are reported, and none stops the reading.

A line reads ``PERSON_SESSION_CLIP.mp4 LABEL``; test lists have ``test0000.mp4 0`` instead.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from piumar_lib.data.labels import ACTIONS
from piumar_lib.ma52.prepare.layout import find_list, list_path

MARKS = {  # that a text begins with; UTF-32's begins with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip

NAMED = re.compile(r"(?P<person>\d+)_(?P<session>\d+)_(?P<clip>\d+)\.mp4", re.ASCII)
ANONYMOUS = re.compile(r"test\d+\.mp4", re.ASCII)
LABEL = re.compile(r"-?\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class Fault:
    """Something wrong with a download.

    Attributes:
        kind: A word or two, the same for all faults of a kind.
        where: File, relative to the root, with the line if there is one.
        what: The value that is wrong.
        remedy: What to do.
        serious: Whether training must not go on with it.
    """

    kind: str
    where: str
    what: str
    remedy: str
    serious: bool = True


def tell(faults: Iterable[Fault], most: int) -> list[str]:
    """Lines about faults, the serious kinds first; of each kind the first ``most``."""
    kinds: dict[str, list[Fault]] = {}
    for fault in faults:
        kinds.setdefault(fault.kind, []).append(fault)
    lines = []
    for kind, found in sorted(kinds.items(), key=lambda pair: not pair[1][0].serious):
        level = "error" if found[0].serious else "note"
        lines.append(f"{level}: {kind}, {len(found)}. {found[0].remedy}")
        lines += [f"    {fault.where}: {fault.what}" for fault in found[:most]]
        lines += [f"    and {len(found) - most} more"] if len(found) > most else []
    return lines


@dataclass(frozen=True)
class Entry:
    """One listed clip: ``split``, file ``name``, ``action`` (-1 if hidden), and its ``line``."""

    split: str
    name: str
    action: int
    line: int

    @property
    def person(self) -> str:
        """Who made it, as written; "" for test clips."""
        found = NAMED.fullmatch(self.name)
        return found["person"] if found else ""


def decode(content: bytes) -> tuple[str, str]:
    """Text of a list file, and its encoding.

    Names and labels are ASCII, so Latin-1 reads them in whatever is neither UTF-8, UTF-16, nor UTF-32.
    """
    for mark, codec in MARKS.items():
        if content.startswith(mark):
            return content.decode(codec, errors="replace"), codec.upper()
    if 0 in content[:2]:  # UTF-16 without its mark: a zero byte before or after each letter
        codec = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
        return content.decode(codec, errors="replace"), codec.upper()
    try:
        return content.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError:
        return content.decode("latin-1"), "an unknown encoding"


def read_list(root: Path, split: str) -> tuple[list[Entry], list[Fault]]:
    """Read a split's list file: every good line as an entry, every other one as a fault."""
    path = list_path(root, split)
    try:
        content = path.read_bytes()
    except OSError as error:
        return [], [_no_list(root, split, error)]
    text, encoding = decode(content)
    if text.lstrip().startswith("<"):
        what, remedy = f"a web page: {text.strip()[:40]!r}", "Download it again. Are you signed in?"
        return [], [Fault("no list", path.name, what, remedy)]
    faults = []
    if encoding != "UTF-8":
        what, remedy = f"{encoding}, not UTF-8", "It can be read all the same; better save it as UTF-8."
        faults.append(Fault("wrong encoding", path.name, what, remedy, serious=False))
    entries = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            entry, fault = _read_line(split, line.strip(), f"{path.name}, line {number}", number)
            entries += [entry] if entry else []
            faults += [fault] if fault else []
    if not entries and "\0" in text:
        return [], [Fault("no list", path.name, "no text file", "Use the list as it was published.")]
    if not entries:
        faults.append(Fault("empty list", path.name, "no clip", "Use the list as it was published."))
    return entries, faults


def repeated(entries: list[Entry]) -> list[Fault]:
    """Clips that are listed more than once, in one list or in two."""
    first: dict[str, Entry] = {}
    faults = []
    for entry in entries:
        before = first.setdefault(entry.name, entry)
        if before is entry:
            continue
        where = f"{list_path(Path(), entry.split).name}, line {entry.line}"
        there = f"{list_path(Path(), before.split).name}, line {before.line}"
        kind = "duplicate line" if before.split == entry.split else "clip in two lists"
        faults.append(Fault(kind, where, f"{entry.name} stands in {there}, too", "Keep one of them."))
    return faults


def _no_list(root: Path, split: str, error: OSError) -> Fault:
    name, found = list_path(root, split).name, find_list(root, split)
    if isinstance(error, FileNotFoundError) and found:
        remedy = "Move or rename it, or give its folder as ROOT; do not download it again."
        return Fault("list elsewhere", name, f"it lies at {found}", remedy)
    remedy = "Unpack the download again, lists included."
    return Fault("no list", name, error.strerror or str(error), remedy)


def _read_line(split: str, line: str, where: str, number: int) -> tuple[Entry | None, Fault | None]:
    name, _, label = line.rpartition(" ")
    name = name.strip()
    form = "test0000.mp4 0" if split == "test" else "PERSON_SESSION_CLIP.mp4 LABEL"
    if not name:
        return None, Fault("malformed line", where, repr(line), f"It should read: {form}")
    if "/" in name or "\\" in name:
        return None, Fault("name with a path", where, name, "List file names alone.")
    if not (ANONYMOUS if split == "test" else NAMED).fullmatch(name):
        if name.lower() != name and name.lower().endswith(".mp4"):
            return None, Fault("upper-case extension", where, name, "Rename clip and line to .mp4.")
        kind = "malformed name" if split == "test" else "no person in the name"
        return None, Fault(kind, where, name, f"It should read: {form}")
    if not LABEL.fullmatch(label):
        return None, Fault("label is no number", where, label, f"Give 0 to {len(ACTIONS) - 1}.")
    if not 0 <= int(label) < len(ACTIONS):
        return None, Fault("label out of range", where, label, f"Give 0 to {len(ACTIONS) - 1}.")
    return Entry(split, name, -1 if split == "test" else int(label), number), None
