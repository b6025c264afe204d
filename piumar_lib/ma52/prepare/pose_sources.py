"""Pose files as they are published, read clip by clip.

kunli-cs/MA-52_openpose_28kp
    MA52_train.pkl and so on: a list of dicts with frame_dir, label, img_shape, total_frames, keypoint
    (M, T, 28, 2) and keypoint_score (M, T, 28).
Geo2425/MMN
    train_data.pkl and so on: {"annotations": dicts with frame_dir and keypoint [M][T, 44 or 136, 2]};
    train_label.pkl: a list of dicts with file_name and label.
Results of a pose model
    NAME.json: a list of {"image_id", "keypoints": [x, y, score, x, y, score, ...]}.
One clip, or a list of them
    NAME.json: {"name": "0003_01_0001", "keypoints": frames, "size": [width, height], "rate": 30,
    "label": 9}, a frame being a list of joints [x, y, score]; size, rate and label may be missing.

Results have COCO's form, one entry for each person in each frame; ``image_id`` is "0003_01_0001/17.jpg"
(clip and frame), or "17.jpg" in a file that bears the clip's name. Frames count from 0, or from 1 where
no clip of the file has a frame 0. Where the file has COCO's "images" beside its "annotations", numbers
of images are looked up there.

Which clip a pose belongs to follows from its name alone. MMN's code takes the order of its file for the
names of test clips, which goes wrong as soon as one is missing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from piumar_lib.ma52.prepare.layout import is_clutter
from piumar_lib.support.files import as_path, read_text
from piumar_lib.support.plain_pickle import read_plain_pickle

# What is taken from a folder; any other file has to be named itself.
KNOWN = re.compile(
    r"MA52_(train|val|test)\.pkl|(train|val|test)_data\.pkl|(train|val|test)\S*\.json"
    r"|\d+_\d+_\d+\.json|test\d+\.json",
    re.ASCII | re.IGNORECASE,
)
SPLIT = re.compile(r"(?:^|[^a-z])(train|val|test)(?![a-z0-9])", re.IGNORECASE)
FRAME = re.compile(r"(?P<clip>.*?)(?:frame|image|img)?[-_]?(?P<frame>\d+)(?:\.[a-z]+)?", re.I)
LONGEST = 1_000_000  # frames of a clip; nine hours
LABELS = "_label.pkl"
FORM = "See prepare_ma52.py poses --help for the forms that are read."


@dataclass(frozen=True)
class Found:
    """The unchecked content of a pose file for one clip.

    Attributes:
        where: File and entry.
        name: Name of the clip, with or without folder and ending.
        split: "train", "val" or "test" if the file's name says so, else "".
        keypoint: Joints of people in frames, pixels.
        score: Score of each joint, or None.
        label: Action, or None.
        size: Width and height of the frames, or None.
        frames: Number of frames that there should be, or None.
        rate: Frames a second, NaN if unknown.
        open_end: Whether frames without a person may be missing at the end, as in COCO's results.
    """

    where: str
    name: Any
    split: str
    keypoint: Any
    score: Any = None
    label: Any = None
    size: Any = None
    frames: Any = None
    rate: float = math.nan
    open_end: bool = False


def find_files(sources: Iterable[str | Path]) -> list[Path]:
    """The pose files among ``sources``: files as they are, and of folders those with a known name.

    Raises:
        FileNotFoundError: If a source does not exist.
        ValueError: If a folder has no pose file.
    """
    found: list[Path] = []
    for source in map(as_path, sources):
        if not source.exists():
            raise FileNotFoundError(f"{source}: no such file or folder. Check the path.")
        inside = [path for path in sorted(source.rglob("*")) if _is_known(path.relative_to(source))]
        if source.is_dir() and not inside:
            words = "It should hold MA52_train.pkl, train_data.pkl or the like; or name the files."
            raise ValueError(f"{source}: no pose file in this folder. {words}")
        found += inside if source.is_dir() else [source]
    return [path for path in dict.fromkeys(found) if not path.name.endswith(LABELS)] or found


def _is_known(path: Path) -> bool:
    # MMN's repository has files of the same names for iMiGUE, another data set.
    hidden = any(is_clutter(part) or part.lower() == "imigue" for part in path.parts)
    return not hidden and KNOWN.fullmatch(path.name) is not None


def read_file(path: Path) -> list[Found]:
    """All clips of a pose file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, is none of the forms that are known, or holds foreign classes.
    """
    found = SPLIT.search(path.stem)
    split = found[1].lower() if found else ""
    if path.suffix.lower() == ".json":
        return list(_read_json(path, split))
    return list(_read_pickle(path, split))


def _read_pickle(path: Path, split: str) -> Iterator[Found]:
    held = read_plain_pickle(path)
    apart = isinstance(held, dict) and isinstance(held.get("annotations"), list)
    entries = held["annotations"] if apart else held
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{path}: holds no list of clips, got {type(held).__name__}. {FORM}")
    if entries and all("keypoint" not in entry for entry in entries):
        raise ValueError(f"{path}: holds clips without 'keypoint'. Name the file with the poses. {FORM}")
    labels = _read_labels(path) if apart else {}
    of_name = {name: name_split for name_split, names in _splits_of(held) for name in names}
    for number, entry in enumerate(entries):
        name, size = entry.get("frame_dir", entry.get("filename")), entry.get("img_shape")
        yield Found(
            f"{path.name}, entry {number}",
            name,
            split or of_name.get(name if isinstance(name, str) else "", ""),
            entry.get("keypoint"),
            entry.get("keypoint_score"),
            entry.get("label", labels.get(name if isinstance(name, str) else "")),
            _width_first(size),
            entry.get("total_frames"),
        )


def _width_first(size: Any) -> Any:
    """A size as a list, tuple or array, in which height comes first; anything else as it is."""
    return tuple(size)[::-1] if isinstance(size, (list, tuple)) or np.ndim(size) else size


def _splits_of(held: Any) -> Iterator[tuple[str, list]]:
    """What a file of all splits says of each: {"split": {"train": names, ...}}, as mmaction2 has it."""
    said = held.get("split") if isinstance(held, dict) else None
    for name, names in said.items() if isinstance(said, dict) else ():
        found = SPLIT.search(str(name))
        if found and isinstance(names, list):
            yield found[1].lower(), [one for one in names if isinstance(one, str)]


def _read_labels(path: Path) -> dict[str, Any]:
    """Labels that lie in a file of their own beside the poses, by name."""
    beside = path.with_name(path.name.replace("_data.pkl", LABELS))
    if beside == path or not beside.is_file():
        return {}
    entries = read_plain_pickle(beside)
    if not isinstance(entries, list) or not all(
        isinstance(e, dict) and "file_name" in e for e in entries
    ):
        raise ValueError(f"{beside}: holds no list of dicts with file_name and label. {FORM}")
    return {e["file_name"]: e.get("label") for e in entries if isinstance(e["file_name"], str)}


def _read_json(path: Path, split: str) -> Iterator[Found]:
    again = "Write it again."
    try:
        held = json.loads(read_text(path, again))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: cut off or damaged ({error}). {again}") from error
    entries = held.get("annotations", [held]) if isinstance(held, dict) else held
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{path}: holds no list of objects. {FORM}")
    if any("image_id" in entry for entry in entries):
        yield from _join_results(path, split, entries, _images_of(held))
        return
    for number, entry in enumerate(entries):
        keypoints = entry.get("keypoints")
        yield Found(
            f"{path.name}, entry {number}" if len(entries) > 1 else path.name,
            entry.get("name", path.stem if len(entries) == 1 else None),
            split or str(entry.get("split", "")),
            [keypoints] if isinstance(keypoints, list) else keypoints,  # one person
            None,
            entry.get("label"),
            entry.get("size"),
            None,
            _number(entry.get("rate")),
        )


def _number(value: Any) -> float:
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if known else math.nan


def _images_of(held: Any) -> dict[str, dict]:
    """COCO's table of images, by their number as text."""
    images = held.get("images") if isinstance(held, dict) else None
    rows = images if isinstance(images, list) else []
    return {str(row.get("id")): row for row in rows if isinstance(row, dict)}


def _join_results(
    path: Path, split: str, entries: list[dict], images: dict[str, dict]
) -> Iterator[Found]:
    """Clips from single detections: frames in order, people of a frame the most certain first."""
    clips: dict[str, dict[int, list[dict]]] = {}
    sizes: dict[str, list] = {}
    for entry in entries:
        key = str(entry.get("image_id"))
        image = images.get(key, {})
        clip, frame = _parse_image(str(image.get("file_name", key)), path.stem)
        clips.setdefault(clip, {}).setdefault(frame, []).append(entry)
        if "width" in image and "height" in image:
            sizes[clip] = [image["width"], image["height"]]
    first = min((min(frames) for frames in clips.values()), default=0)
    for clip, frames in clips.items():
        if max(frames) > LONGEST:
            raise ValueError(f"{path}: image {max(frames)} of {clip} is no number of a frame. {FORM}")
        people = _in_order(frames, min(first, 1))
        where, size = f"{path.name}, clip {clip}", sizes.get(clip)
        yield Found(where, clip, split, people, size=size, open_end=True)


def _parse_image(name: str, clip: str) -> tuple[str, int]:
    """Clip and frame of an image such as "0003_01_0001/17.jpg"; the file's clip if it names none."""
    found = FRAME.fullmatch(name)
    if not found:
        return name, 0
    return found["clip"].rstrip("/\\_-") or clip, int(found["frame"])


def _in_order(frames: dict[int, list[dict]], first: int) -> list[list[list]]:
    """Detections as [person][frame][joint] of x, y and score; zeros where a person is missing."""
    people: list[dict[int, list]] = []
    for frame in sorted(frames):
        here = [_triples(entry.get("keypoints")) for entry in frames[frame]]
        if len(here) > 1:  # outlines take time
            here.sort(key=lambda joints: -_outline(joints).weight)
        _follow(people, frame, here)
    nobody = [[0.0, 0.0, 0.0]] * max(len(joints) for person in people for joints in person.values())
    every = range(first, max(frames) + 1)
    return [[person.get(frame, nobody) for frame in every] for person in people]


def _follow(people: list[dict[int, list]], frame: int, found: list[list]) -> None:
    """Give each detection, the largest first, to the person who was last seen where it is.

    Two detections are of one person if their middles are nearer than half of the smaller one's diagonal;
    of several people the nearest. With one person in each frame there is nothing to decide.
    """
    if len(people) < 2 and len(found) < 2:
        people[:] = people or [{}]
        people[0][frame] = found[0]
        return
    last = [_outline(person[max(person)]) for person in people]
    for joints in found:
        here = _outline(joints)
        near = [(here.distance(one), k) for k, one in enumerate(last) if frame not in people[k]]
        distance, nearest = min(near, default=(math.inf, -1))
        if distance < 0.5:
            people[nearest][frame] = joints
        else:
            people.append({frame: joints})
            last.append(here)


class _Outline(NamedTuple):
    """Middle, diagonal and weight of a detection; all 0 if it holds no numbers."""

    x: float = 0
    y: float = 0
    diagonal: float = 0
    weight: float = 0

    def distance(self, other: _Outline) -> float:
        """From middle to middle, in diagonals of the smaller one."""
        small = min(self.diagonal, other.diagonal)
        return math.hypot(self.x - other.x, self.y - other.y) / small if small else math.inf


def _outline(joints: list) -> _Outline:
    """The weight is the summed score times the box, as in `pose_checks.choose_person`."""
    try:
        found = [joint for joint in joints if joint[2] > 0 and (joint[0] or joint[1])]
        x, y, score = (list(map(float, axis)) for axis in zip(*found, strict=True))
    except (TypeError, ValueError, IndexError):
        return _Outline()  # what is wrong with it is found later
    wide, high = max(x) - min(x), max(y) - min(y)
    middle = (max(x) + min(x)) / 2, (max(y) + min(y)) / 2
    return _Outline(*middle, math.hypot(wide, high), sum(score) * wide * high)


def _triples(values: Any) -> list:
    """51 numbers as 17 joints of three; lists of another form as they are, and none for no list."""
    if not isinstance(values, list):
        return []
    flat = all(not isinstance(value, list) for value in values)
    return [values[k : k + 3] for k in range(0, len(values), 3)] if flat else values
