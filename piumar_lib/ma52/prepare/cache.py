"""The cache that training reads: each clip decoded once, cropped to the person, and resized.

    FOLDER/settings.json             what the cache was made with
    FOLDER/cache.csv                 a line for each clip: frames, crop, whether a person was found
    FOLDER/bad.csv                   clips that could not be decoded, and why; only if there are any
    FOLDER/train/0003_01_0001.mp4    h264 with a keyframe every 8 frames, or .npy if raw

Clips are written atomically, so a run can be killed at any time; the same command resumes it.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from piumar_lib.ma52.prepare.crop import Box, find_person, square_about, square_in_the_middle
from piumar_lib.ma52.prepare.index import Clip, write_bad
from piumar_lib.ma52.prepare.video import (
    VideoError,
    evenly,
    open_video,
    shrink,
    thumbnails,
    write_mp4,
)
from piumar_lib.support.cluster import in_parallel
from piumar_lib.support.files import (
    CannotWrite,
    as_path,
    read_json,
    read_text,
    require_room,
    whole,
    write_text,
    writing,
)
from piumar_lib.support.locks import only_run

FORMS = ("mp4", "raw")
CROPS = ("person", "middle")
KEYFRAME_EVERY, CRF = 8, 14  # keeps 0.93 of the correlation of frame differences (crf 18: 0.90)
SAVE_SPACE = "Choose another disk, a smaller size, or mp4."
VERSION = 2
BYTES_PER_PIXEL = 0.05  # of such an mp4, for each pixel of each frame, about


@dataclass(frozen=True)
class CacheSettings:
    """How clips are kept.

    Attributes:
        size: Pixels of the square's side, 32 to 1024, even.
        crop: ``"person"``: a square about the person, the middle one if no person is found;
            ``"middle"``: the largest square about the middle.
        form: ``"mp4"``, or ``"raw"`` (uint8 arrays, sixty times the space, read at once).
        frames: Number of frames kept, evenly spread over the clip's time; 0 keeps as many as it has.
        version: How videos are read: 1 took frames as they are stored, 2 takes them as a player shows
            them. Another version than `VERSION` is refused.

    Raises:
        ValueError: If a value is invalid.
    """

    size: int = 256
    crop: str = "person"
    form: str = "mp4"
    frames: int = 0
    version: int = VERSION

    def __post_init__(self) -> None:
        if not 32 <= self.size <= 1024 or self.size % 2:
            raise ValueError(f"size: {self.size} pixels. Choose an even number from 32 to 1024.")
        if self.crop not in CROPS or self.form not in FORMS:
            raise ValueError(
                f"crop, form: {self.crop!r}, {self.form!r} are unknown. "
                f"Choose crop from {CROPS} and form from {FORMS}."
            )
        if self.frames < 0:
            raise ValueError(f"frames: {self.frames} cannot be kept. Choose 0 (all) or more.")
        if self.version != VERSION:
            raise ValueError(f"version: must be {VERSION}, got {self.version}. Use another folder.")

    @property
    def suffix(self) -> str:
        """Of a clip's file."""
        return ".mp4" if self.form == "mp4" else ".npy"


@dataclass(frozen=True)
class CacheEntry:
    """One clip of the cache; ``fault`` is "" unless it could not be decoded."""

    name: str
    split: str
    frames: int
    left: float
    top: float
    right: float
    bottom: float
    found: bool
    fault: str = ""


def cached_path(folder: Path, split: str, name: str, settings: CacheSettings) -> Path:
    """Where a clip is kept."""
    return folder / split / f"{Path(name).stem}{settings.suffix}"


def estimate_bytes(clips: Iterable[Clip], settings: CacheSettings) -> int:
    """About how many bytes a cache of these clips takes."""
    per_pixel = 3 if settings.form == "raw" else BYTES_PER_PIXEL
    frames = sum(min(clip.frames, settings.frames or clip.frames) for clip in clips)
    return round(frames * settings.size**2 * per_pixel)


def make_cache(
    root: Path,
    clips: Iterable[Clip],
    folder: Path,
    settings: CacheSettings | None = None,
    workers: int = 1,
    progress: bool = False,
) -> list[CacheEntry]:
    """Cache whatever is missing of a download, in ``workers`` processes.

    Args:
        root: The download.
        clips: Clips of its index.
        folder: The cache; created if necessary.

    Returns:
        All clips, the bad ones included.

    Raises:
        ValueError: If the folder holds a cache that was made with other settings.
        InUse: If another run writes it.
        OSError: If the disk has no room for what is missing.
    """
    settings, clips = settings or CacheSettings(), list(clips)
    open_cache(folder, settings)
    with only_run(folder):
        done = take_up(folder)
        missing = [c for c in clips if not _is_done(folder, c, done.get(c.name), settings)]
        require_room(folder, estimate_bytes(missing, settings), SAVE_SPACE)
        for split in {clip.split for clip in missing}:
            (folder / split).mkdir(exist_ok=True)
        jobs = [(root, clip, folder, settings) for clip in missing]
        with tqdm(total=len(missing), desc="cache", disable=not progress) as bar:
            for kept in in_parallel(cache_clip, jobs, workers):
                done[kept.name] = kept
                record_entry(folder, kept)
                bar.update()
        found = [done[clip.name] for clip in clips]
        write_bad(folder / "bad.csv", {f"{k.split}/{k.name}": k.fault for k in found if k.fault})
    return found


def cache_clip(root: Path, clip: Clip, folder: Path, settings: CacheSettings) -> CacheEntry:
    """Decode, crop, shrink and keep one clip."""
    path = root / clip.split / clip.name
    try:
        with open_video(path) as video:
            pictures = list(video.frames())  # once: decoding the original takes most of the time
        seen = video.survey()
        small = np.stack([*thumbnails(pictures[k] for k in probe_frames(len(seen)))])
        box, found = find_crop(small, seen.width, seen.height, settings.crop)
        kept = min(settings.frames or len(seen), len(seen))
        pictures = [pictures[k] for k in evenly(seen.times, kept)]
        frames = shrink(pictures, box, settings.size)[:, : settings.size, : settings.size]
        target = cached_path(folder, clip.split, clip.name, settings)
        if settings.form == "mp4":
            rate = max(1, round(seen.fps * kept / len(seen)))
            write_mp4(target, frames, rate, KEYFRAME_EVERY, CRF, between=0)
        else:
            save_raw(target, frames)
    except CannotWrite:  # no fault of the clip
        raise
    except (OSError, ValueError) as error:
        fault = error.what if isinstance(error, VideoError) else str(error).split("\n")[0]
        return CacheEntry(clip.name, clip.split, 0, 0, 0, 0, 0, False, fault)
    return CacheEntry(clip.name, clip.split, len(frames), *box.rounded(), found)


def save_raw(path: Path, frames: np.ndarray) -> None:
    """Write frames without coding, atomically."""
    with whole(path) as part, part.open("wb") as file:
        np.save(file, frames)


def read_raw(path: Path, at: np.ndarray) -> np.ndarray:
    """Read the frames ``at`` of what `save_raw` kept, ``(frames, height, width, 3)``, and only them.

    Straight into place: through a memory map each of thousands of pages would have to be fetched.
    """
    with path.open("rb", buffering=0) as file:
        np.lib.format.read_magic(file)
        (_, *picture), _, _ = np.lib.format.read_array_header_1_0(file)  # what np.save writes
        begin, frames = file.tell(), np.empty((len(at), *picture), np.uint8)
        for frame, number in zip(frames, at, strict=True):
            file.seek(begin + int(number) * frame.nbytes)
            if file.readinto(frame.data) != frame.nbytes:
                raise ValueError(f"{path}: frame {number} is not there. Delete the file, cache again.")
    return frames


def probe_frames(frames: int) -> list[int]:
    """Numbers of the frames that `find_crop` looks at: the first, the middle and the last, from 0."""
    return sorted({0, frames // 2, frames - 1})


def find_crop(small: np.ndarray, width: int, height: int, crop: str) -> tuple[Box, bool]:
    """The square to keep, and whether it is about a person who was found.

    Args:
        small: Thumbnails of the `probe_frames`, ``(time, height, width, 3)``.
        width, height: Width and height of the frames themselves, in pixels.
        crop: One of `CROPS`.
    """
    person = None if crop == "middle" else find_person(small)
    if person is None:
        return square_in_the_middle(width, height), False
    return square_about(person, width, height), True


def read_settings(folder: str | Path) -> CacheSettings:
    """What a cache was made with.

    Raises:
        FileNotFoundError: If the folder holds no cache.
        ValueError: If its settings are damaged.
    """
    path = as_path(folder) / "settings.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: no cache. Make one: prepare_ma52.py cache --help")
    remedy = "Delete it; the command that made the cache then writes it again."
    found = {"version": 1} | read_json(path, remedy)
    try:
        return CacheSettings(**found)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: does not fit this course's version: {error}") from error


def read_entries(folder: Path) -> list[CacheEntry]:
    """The clips of a cache; an unfinished last line, left by a killed run, is ignored.

    Raises:
        ValueError: If another line is damaged; the message names file and line.
    """
    path = folder / "cache.csv"
    if not path.is_file():
        return []
    remedy = "Remove this line; the command that made the cache then keeps the clip again."
    lines = read_text(path, remedy).rpartition("\n")[0].splitlines()
    kept = []
    for number, line in enumerate(lines, start=1):
        try:
            (row,) = csv.reader([line])
            name, split, frames, left, top, right, bottom, found, fault = row
            box = Box(*map(float, (left, top, right, bottom)))
            kept.append(CacheEntry(name, split, int(frames), *box, found == "True", fault))
        except (ValueError, csv.Error) as error:
            raise ValueError(f"{path}, line {number}: is damaged ({error}). {remedy}") from error
    return kept


def _is_done(folder: Path, clip: Clip, kept: CacheEntry | None, settings: CacheSettings) -> bool:
    """Bad clips are tried again: they may have been downloaded anew."""
    there = cached_path(folder, clip.split, clip.name, settings).is_file()
    return kept is not None and not kept.fault and there


def take_up(folder: Path) -> dict[str, CacheEntry]:
    """The clips of a cache that is to be gone on with, by name; an unfinished last line is removed."""
    path = folder / "cache.csv"
    if path.is_file():
        with writing(path):
            os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
    return {kept.name: kept for kept in read_entries(folder)}


def record_entry(folder: Path, kept: CacheEntry) -> None:
    """Add a clip's line to a cache that was taken up."""
    path = folder / "cache.csv"
    with writing(path), path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerow(asdict(kept).values())


def open_cache(folder: Path, settings: CacheSettings) -> None:
    """Make an empty cache, or see that the one which is there was made with the same settings.

    Raises:
        ValueError: If it was made with other ones.
    """
    path = folder / "settings.json"
    if path.is_file():
        if (found := read_settings(folder)) != settings:
            raise ValueError(f"{folder}: was made with {found}, not {settings}. Name another folder.")
        return
    write_text(path, json.dumps(asdict(settings)) + "\n")
