"""Verification of a download of MA-52: every fault is reported; nothing is changed."""

from __future__ import annotations

import json
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from piumar_lib.data.labels import CHALLENGE, CLIPS, PEOPLE, VISIBLE
from piumar_lib.ma52.prepare.layout import SPLITS, find_astray, find_folder, find_other_root, names_in
from piumar_lib.ma52.prepare.lists import Entry, Fault, read_list, repeated, tell
from piumar_lib.ma52.prepare.published import (
    SAMPLE,
    check_label_names,
    name_test_list,
    note_count,
    note_two_test_sets,
)
from piumar_lib.ma52.prepare.video import VideoError, open_video
from piumar_lib.support.files import as_path

DOWNLOAD = "Download or unpack this clip again."
MOVE = "Move the clips where they belong, or rename their folder; do not download them again."


@dataclass(frozen=True)
class Report:
    """What `verify` found.

    Attributes:
        root: The folder.
        entries: Listed clips that can be used.
        faults: Everything else.
        people: Whose clips train and val show.
        test_list: Which published test list it is, see `published.name_test_list`; "" if neither.
    """

    root: Path
    entries: list[Entry]
    faults: list[Fault]
    people: int
    test_list: str = ""

    @property
    def usable(self) -> bool:
        """Whether nothing serious is wrong."""
        return not any(fault.serious for fault in self.faults)

    def counts(self) -> dict[str, int]:
        """Usable clips of each split."""
        found = Counter(entry.split for entry in self.entries)
        return {split: found[split] for split in SPLITS}

    def to_json(self) -> str:
        """The report for programs."""
        about = {
            "root": str(self.root),
            "usable": self.usable,
            "clips": self.counts(),
            "test list": self.test_list or "of neither",
            "people in train and val": self.people,
            "faults": [asdict(fault) for fault in self.faults],
        }
        return json.dumps(about, indent=1)

    def to_text(self, most: int = 5) -> str:
        """The report for people; of each kind of fault the first ``most``."""
        published = CLIPS | ({"test": CHALLENGE} if self.test_list == SAMPLE else {})
        counts = (f"{n} {split} (published: {published[split]})" for split, n in self.counts().items())
        lines = [
            f"{self.root}: {'usable' if self.usable else 'NOT usable'}",
            f"clips that can be used: {', '.join(counts)}",
            f"people in train and val: {self.people} (published: {VISIBLE} of {PEOPLE})",
            *tell(self.faults, most),
        ]
        return "\n".join(lines)


def verify(
    root: str | Path, decode: bool = False, workers: int | None = None, progress: bool = False
) -> Report:
    """Look at lists and clips of a download, in ``workers`` threads (by default one for each core).

    To ``decode`` every frame, instead of reading the packets only, finds pixels that were damaged on the
    way, at a hundred times the time.

    Raises:
        NotADirectoryError: If ``root`` is no folder.
    """
    root = as_path(root)
    if not root.is_dir():
        raise NotADirectoryError(f"{root}: no such folder. Give the one with train/, val/ and test/.")
    meant = find_other_root(root)
    if meant:
        what, remedy = f"lists and clips are not here, but in {meant}", "Give that folder as ROOT."
        return Report(root, [], [Fault("another folder", f"{root}", what, remedy)], 0)
    read = {split: read_list(root, split) for split in SPLITS}
    listed = [entry for entries, _ in read.values() for entry in entries]
    faults = [fault for _, found in read.values() for fault in found]
    faults += repeated(listed) + check_label_names(root)
    once = {entry.name: entry for entry in reversed(listed)}
    entries = sorted(once.values(), key=lambda e: (SPLITS.index(e.split), e.line))
    of_folders, astray = _look_at_folders(root, entries)
    faults += of_folders
    entries = [entry for entry in entries if entry.name not in astray]
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        checks = pool.map(lambda e: check_clip(root, e, decode), entries)
        found = list(tqdm(checks, total=len(entries), desc="clips", disable=not progress))
    faults += [fault for fault in found if fault]
    good = [entry for entry, fault in zip(entries, found, strict=True) if not fault]
    names = {split: [entry.name for entry in entries] for split, (entries, _) in read.items()}
    for split in SPLITS:
        faults += note_count(root, split, names[split], sum(entry.split == split for entry in good))
    faults += note_two_test_sets(root, names["test"], names_in(root / "test"))
    people = len({entry.person for entry in good} - {""})
    return Report(root, good, faults, people, name_test_list(names["test"]))


def check_clip(root: Path, entry: Entry, decode: bool = False) -> Fault | None:
    """What is wrong with a listed clip; None if nothing is."""
    path, where = root / entry.split / entry.name, f"{entry.split}/{entry.name}"
    try:
        lost = _lost_frames(path, decode)
    except FileNotFoundError:
        return Fault("missing clip", where, "listed, but not there", DOWNLOAD)
    except VideoError as error:
        again = f"{DOWNLOAD} Are you signed in?" if "a web page" in error.what else DOWNLOAD
        unreadable = error.kind == "unreadable clip"
        return Fault(error.kind, where, error.what, error.remedy if unreadable else again)
    return Fault("truncated clip", where, lost, DOWNLOAD) if lost else None


def _lost_frames(path: Path, decode: bool) -> str:
    """How many of a clip's frames are there, or "" if all are."""
    size = path.stat().st_size
    with open_video(path) as video:
        promised, packets = video.stream.frames, video.packets()
    there = sum(packet.pos is None or packet.pos + packet.size <= size for packet in packets)
    if there < max(1, promised):
        return f"{there} of {promised} frames"
    if not decode:
        return ""
    with open_video(path) as video:
        shown = sum(1 for _ in video.frames())
    # What an edit list hides is not lost; how much of it decodes depends on where it begins.
    whole = len(packets) if not any(packet.is_discard for packet in packets) else 1
    return f"{shown} of {whole} frames" if shown < whole else ""


def _look_at_folders(root: Path, entries: list[Entry]) -> tuple[list[Fault], dict[str, Path]]:
    """What is wrong with whole folders, and where clips are that do not lie in their own."""
    faults: list[Fault] = []
    astray: dict[str, Path] = {}
    for split in SPLITS:
        found = find_astray(root, split, [e.name for e in entries if e.split == split])
        faults += _say_astray(root, split, found)
        if not found and not (root / split).is_dir():
            faults.append(_no_folder(root, split))
        astray |= found
    for split in sorted({entry.split for entry in entries}):  # without its list, nothing is extra
        faults += _extra_files(root / split, {entry.name for entry in entries}, astray)
    return faults, astray


def _say_astray(root: Path, split: str, astray: dict[str, Path]) -> list[Fault]:
    """One fault for each folder that holds clips of a split."""
    where, faults = f"{split}/", []
    for folder, count in Counter(path.parent for path in astray.values()).items():
        if folder == root / split:
            what = f"{count} of its clips are named in another case"
            faults.append(Fault("other case", where, what, "Rename them to what the list says."))
        else:
            faults.append(Fault("clips elsewhere", where, f"{count} of its clips are in {folder}", MOVE))
    return faults


def _no_folder(root: Path, split: str) -> Fault:
    found = find_folder(root, split)
    if found:
        return Fault("folder elsewhere", f"{split}/", f"not there, but {found} is", MOVE)
    return Fault("no folder", f"{split}/", "not there", f"Unpack {split}.zip here.")


def _extra_files(folder: Path, listed: set[str], astray: dict[str, Path]) -> list[Fault]:
    used = {part for path in astray.values() for part in (path, *path.parents)}
    extra = [name for name in sorted(names_in(folder) - listed) if folder / name not in used]
    what, remedy = "not listed", "It is not used. Remove it, or list it."
    return [Fault("extra file", f"{folder.name}/{name}", what, remedy, serious=False) for name in extra]
