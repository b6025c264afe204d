"""One table of all clips: who, what, how long, how large, and a hash of the file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tqdm import tqdm

from piumar_lib.data.labels import BODY_PARTS, body_part
from piumar_lib.ma52.prepare.lists import NAMED, Entry
from piumar_lib.support.files import as_path, sha256_of, whole


@dataclass(frozen=True)
class Clip:
    """One line of the index.

    Attributes:
        name: File name.
        split: ``"train"``, ``"val"`` or ``"test"``, as published.
        person, session: Person and session, as written in the name; "" for test clips.
        action: Action, 0 to 51; -1 for test clips, whose labels are not published.
        part: Body part of the action; "" for test clips.
        frames, fps, width, height: Frames, frames a second and pixels, as a player shows the video.
        bytes, sha256: Size of the file in bytes, and its SHA-256 digest.
    """

    name: str
    split: str
    person: str
    session: str
    action: int
    part: str
    frames: int
    fps: float
    width: int
    height: int
    bytes: int
    sha256: str


def make_clip(
    name: str, split: str, action: int, frames: int, fps: float, size: tuple[int, int],
    content: tuple[int, str] = (0, ""),
) -> Clip:  # fmt: skip
    """A line of the index; ``size`` is width and height, ``content`` the file's bytes and SHA-256.

    Who made the clip is read from its name. Test clips say neither who nor what, as published.
    """
    named = None if split == "test" else NAMED.fullmatch(name)
    person, session = (named["person"], named["session"]) if named else ("", "")
    action = -1 if split == "test" else action
    part = "" if action < 0 else BODY_PARTS[int(body_part(action))]
    return Clip(name, split, person, session, action, part, frames, fps, *size, *content)


def describe(root: Path, entry: Entry) -> Clip:
    """Look a listed clip up."""
    from piumar_lib.ma52.prepare.video import survey  # poses have an index without any video

    path = root / entry.split / entry.name
    seen, content = survey(path), (path.stat().st_size, sha256_of(path))
    size = seen.width, seen.height
    return make_clip(entry.name, entry.split, entry.action, len(seen), seen.fps, size, content)


def make_index(
    root: Path, entries: Iterable[Entry], workers: int | None = None, progress: bool = False
) -> list[Clip]:
    """Describe clips of a download, in their order; in ``workers`` threads, else one for each core."""
    entries = list(entries)
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        clips = pool.map(lambda entry: describe(root, entry), entries)
        return list(tqdm(clips, total=len(entries), desc="index", disable=not progress))


def write_index(path: Path, clips: Iterable[Clip]) -> None:
    """Write the table as CSV, atomically."""
    with whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Clip)])
        table.writeheader()
        table.writerows(asdict(clip) for clip in clips)


def write_bad(path: Path, bad: Mapping[str, str]) -> None:
    """Write the table of clips that were left out, by name, and why; no file where there are none."""
    if not bad:
        path.unlink(missing_ok=True)
        return
    with whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("clip", "fault"), *sorted(bad.items())])


def read_index(path: str | Path) -> list[Clip]:
    """Read what `write_index` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no clip or is no UTF-8, or if a line does not have the columns; the
            message names file and line.
    """
    path = as_path(path)
    remedy = f"prepare_ma52.py index ROOT --out {path}"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no index. Make it: {remedy}")
    clips = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                clips.append(_to_clip(path, number, row))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: no CSV table in UTF-8. Make it again: {remedy}") from error
    if not clips:
        raise ValueError(f"{path}: the index holds no clip. Make it again: {remedy}")
    return clips


def _to_clip(path: Path, number: int, row: dict[str, str]) -> Clip:
    try:
        return Clip(**row | {name: kind(row[name]) for name, kind in _NUMBERS.items()})
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path}, line {number}: {error}. Make the index again.") from error


_NUMBERS = {"action": int, "frames": int, "fps": float, "width": int, "height": int, "bytes": int}
