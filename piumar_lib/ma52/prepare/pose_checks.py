"""One clip of a pose file, checked: every fault is found and named with clip and frame; none stops.

A joint counts as not found where x or y is no number, where both are 0 (as OpenPose writes it), or where
the score is 0. It then is NaN with score 0, whatever the file has there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from piumar_lib.data.joints import LAYOUTS
from piumar_lib.data.labels import ACTIONS
from piumar_lib.ma52.prepare.lists import Fault
from piumar_lib.ma52.prepare.pose_sources import Found
from piumar_lib.ma52.prepare.poses import ClipPoses

LEAVE = "Nothing to do: what was not found is marked so."
MEND = "Extract this clip's poses again."


@dataclass(frozen=True, kw_only=True)
class PoseClip(ClipPoses):
    """Poses of a clip, as far as the file alone tells.

    Attributes:
        where: File and entry.
        split: "train", "val", "test", or "" if the file does not say.
        joints: Names.
        action: 0 to 51; -1 if the file does not say.
        open_end: Whether frames without a person may be missing at the end.
    """

    where: str
    split: str
    joints: tuple[str, ...]
    action: int
    open_end: bool


class Unusable(Exception):
    """What makes a clip unusable: kind, what, remedy."""


def check_clip(found: Found) -> tuple[PoseClip | None, list[Fault]]:
    """Check one clip.

    Returns:
        Its poses, or None if they cannot be used, and everything that is wrong with it. All that is not
        serious is a note: the clip can be used.
    """
    name, faults = clip_name(found.name), []
    where = f"{found.where}, {name or repr(found.name)}"

    def note(kind: str, what: str, remedy: str = LEAVE) -> None:
        faults.append(Fault(kind, where, what, remedy, serious=False))

    try:
        if not name:
            raise Unusable("no name", "no frame_dir or name", "Give the clip's name, as in the index.")
        action = read_label(found.label, found.split)
        keypoint, score = read_people(found.keypoint, found.score, note)
        person = choose_person(keypoint, score, note)
        xy, score = mark_missing(keypoint[person], score[person], note)
        size = read_size(found.size, note)
        if isinstance(found.frames, (int, np.integer)) and found.frames != len(xy):
            note("other total_frames", f"{len(xy)} frames, total_frames says {found.frames}")
    except Unusable as reason:
        return None, [*faults, Fault(reason.args[0], where, *reason.args[1:])]
    rate = found.rate if np.isfinite(found.rate) and found.rate > 0 else float("nan")
    clip = PoseClip(
        name, xy, score, size, rate, where=where, split=found.split, joints=LAYOUTS[xy.shape[1]],
        action=action, open_end=found.open_end,
    )  # fmt: skip
    return clip, faults


def clip_name(name: Any) -> str:
    """The video's file name, from a stem or path with or without ending; "" if there is none."""
    if not isinstance(name, str):
        return ""
    last = PurePosixPath(name.replace("\\", "/")).name
    stem = last.removesuffix(".avi").removesuffix(".mp4")
    return f"{stem}.mp4" if stem else ""


def read_label(label: Any, split: str) -> int:
    """The action; -1 if there is none, and for test clips, whose published labels are all 0."""
    if label is None or split == "test":
        return -1
    try:
        action = int(label)
        good = action == float(label) and 0 <= action < len(ACTIONS) and not isinstance(label, bool)
    except (TypeError, ValueError, OverflowError):
        good = False
    if not good:
        raise Unusable("label out of range", f"label {label!r}", f"Give 0 to {len(ACTIONS) - 1}.")
    return action


def read_people(keypoint: Any, score: Any, note: Any) -> tuple[np.ndarray, np.ndarray]:
    """Joints ``(people, frames, joints, 2)`` and their scores ``(people, frames, joints)``."""
    if keypoint is None:
        raise Unusable("no joints", "no keypoint", MEND)
    values = _as_array(keypoint, "keypoint")
    if values.ndim == 3:  # one person, without an axis for people
        values = values[None]
    if values.ndim != 4 or 0 in values.shape or values.shape[-1] not in (2, 3):
        shape = " x ".join(map(str, values.shape))
        raise Unusable(
            "no joints", f"keypoint of shape {shape or 0}", f"{MEND} (people x frames x joints x 2)"
        )
    if values.shape[2] not in LAYOUTS:
        known = ", ".join(map(str, sorted(LAYOUTS)))
        raise Unusable("other joints", f"{values.shape[2]} joints", f"Give a layout that has {known}.")
    if score is None and values.shape[3] == 3:
        scores = values[..., 2]
    elif score is None:
        note("no scores", "no keypoint_score", "1 is taken where a joint was found.")
        scores = np.ones(values.shape[:3], np.float32)
    else:
        scores = _as_array(score, "keypoint_score")
        scores = scores[..., 0] if scores.ndim == 4 and scores.shape[3] == 1 else scores
        scores = scores[None] if scores.ndim == 2 else scores
    if scores.shape != values.shape[:3]:
        what = f"keypoint_score of shape {scores.shape} beside keypoint of shape {values.shape}"
        raise Unusable("other scores", what, MEND)
    return values[..., :2].astype(np.float32), scores.astype(np.float32)


def _as_array(values: Any, name: str) -> np.ndarray:
    """Numbers as an array; lists of unequal length are told with person and frame."""
    try:
        made = np.asarray(values)
    except (TypeError, ValueError, OverflowError):
        made = np.empty(0, dtype=object)
    if made.dtype.kind in "fiu":
        return made
    if made.dtype == object:
        try:
            return np.asarray(_plain(values), dtype=np.float64)  # None, as JSON has it, becomes NaN
        except (TypeError, ValueError, OverflowError):
            pass
    raise Unusable("ragged lists", _say_ragged(values, name), MEND)


def _plain(values: Any) -> Any:
    """Nested lists of numbers, also where arrays lie in lists or in arrays of objects."""
    if isinstance(values, (list, tuple)) or (isinstance(values, np.ndarray) and values.dtype == object):
        return [_plain(value) for value in values]
    return values


def _say_ragged(values: Any, name: str) -> str:
    """The first person, frame or joint of another length than the first one."""
    words = ("person", "frame", "joint", "number")
    level: list[tuple[tuple[int, ...], Any]] = [((), values)]
    for word in words:
        lengths = [_length(held) for _, held in level]
        for (place, _), length in zip(level, lengths, strict=True):
            if length != lengths[0]:
                at = ", ".join(f"{w} {k}" for w, k in zip(words, place, strict=False))
                return f"{name}: {at} has {_count(length, word)}, the first {_count(lengths[0], word)}"
        if not lengths or lengths[0] is None:
            break
        level = [((*place, k), one) for place, held in level for k, one in enumerate(held)]
    number = (int, float, np.number)
    wrong = next((f"{one!r:.40}" for _, one in level if not isinstance(one, number)), "nothing")
    return f"{name}: holds {wrong} instead of a number"


def _length(held: Any) -> int | None:
    if isinstance(held, np.ndarray):
        return len(held) if held.ndim else None
    return len(held) if isinstance(held, (list, tuple)) else None


def _count(length: int | None, word: str) -> str:
    return (
        f"no {word}s" if length is None else f"{length} {'people' if word == 'person' else f'{word}s'}"
    )


def are_found(xy: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Which joints were found: finite, not both 0, with a score above 0; of the shape of ``score``."""
    found: np.ndarray = np.isfinite(xy).all(-1) & (xy != 0).any(-1) & (score > 0)
    return found


def choose_person(keypoint: np.ndarray, score: np.ndarray, note: Any) -> int:
    """The person that the clip is about: the one with the largest summed score times box.

    In every frame the scores of a person's joints are added up, and multiplied by the area of the
    smallest upright box about them; these products are added up over the clip. So the near and certain
    person counts more than one who sits behind or passes by. MMN's code takes the first person in the
    file.
    """
    found = are_found(keypoint, score)
    seen = np.flatnonzero(found.any((1, 2)))
    if not len(seen):
        raise Unusable("nobody found", f"no person in any of {keypoint.shape[1]} frames", MEND)
    if len(seen) == 1:
        return int(seen[0])
    low = np.where(found[..., None], keypoint, np.inf).min(2)
    high = np.where(found[..., None], keypoint, -np.inf).max(2)
    there = found.sum(2) > 0  # (people, frames)
    area = np.where(there[..., None], high - low, 0).prod(-1)
    weight = (np.where(found, score, 0).sum(2) * area).sum(1, dtype=np.float64)
    chosen = int(weight.argmax())
    frame = int(there[seen].sum(0).argmax())
    what = f"{len(seen)} people from frame {frame}; number {chosen} is the largest and most certain"
    note("several people", what, "Nothing to do, if that is whom the clip is about.")
    return chosen


def mark_missing(xy: np.ndarray, score: np.ndarray, note: Any) -> tuple[np.ndarray, np.ndarray]:
    """Put NaN and score 0 where a joint was not found, and tell of it; other scores end in (0, 1]."""
    found, joints = are_found(xy, score), LAYOUTS[xy.shape[1]]
    broken = ~np.isfinite(xy).all(-1) | ~np.isfinite(score)
    if broken.any():
        frame, joint = np.argwhere(broken)[0]
        what = f"{broken.sum()} joints are NaN or infinite, first {joints[joint]} in frame {frame}"
        note("no numbers", what)
    lost = found.sum(1) == 0
    if lost.any():
        what = f"nobody in {lost.sum()} of {len(lost)} frames, first in frame {lost.argmax()}"
        note("frame without a person", what)
    missing = ~found & ~lost[:, None]
    if missing.any():
        frame, joint = np.argwhere(missing)[0]
        what = f"{missing.sum()} of {missing.size}, first {joints[joint]} in frame {frame}"
        note("joints not found", what)
    if (score[found] > 1).any():
        note("scores above 1", f"up to {score[found].max():.3g}", "They count as 1.")
    return (
        np.where(found[..., None], xy, np.nan).astype(np.float32),
        np.where(found, np.minimum(score, 1), 0).astype(np.float32),
    )


def read_size(size: Any, note: Any) -> tuple[int, int]:
    """Width and height; 0 and 0 if the file does not say."""
    try:
        width, height = (int(value) for value in size)
        if width > 0 and height > 0:
            return width, height
    except (TypeError, ValueError, OverflowError):
        pass
    note("no img_shape", f"{size!r}", "The size is that of the index, if there is one.")
    return 0, 0
