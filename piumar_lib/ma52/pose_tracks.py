"""Clips of a pose file for a recogniser: the people in each, and the confidence of every joint.

    tracks, faults = read_tracks("mine.safetensors")   # by data_scripts/extract_poses.py
    tracks, faults = read_tracks("mine.json")          # COCO's results, 17 joints

No video is opened, and no pose estimator is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from piumar_lib.ma52.prepare.lists import Fault
from piumar_lib.ma52.prepare.pose_checks import Unusable, are_found, check_clip, read_people
from piumar_lib.ma52.prepare.pose_sources import Found, read_file
from piumar_lib.ma52.prepare.poses import read_poses
from piumar_lib.support.files import as_path

POSE_FILES = (".safetensors", ".json", ".pkl")
ASSUMED = 30.0  # frames a second, where a file does not say


@dataclass(frozen=True)
class Person:
    """One of the people in a clip.

    Attributes:
        number: Number by which the person is chosen.
        share: Fraction of frames in which the person was found, in [0, 1].
        height: Height that the joints span, in pixels, the median over frames.
        x: Middle of the joints from the left, in pixels, the median over frames.
    """

    number: int
    share: float
    height: float
    x: float

    def __str__(self) -> str:
        return (
            f"person {self.number}: {self.height:.0f} pixels high, {self.x:.0f} from the left, "
            f"in {100 * self.share:.0f} % of frames"
        )


@dataclass(frozen=True)
class Track:
    """Poses of one person in one clip.

    Attributes:
        name: Name of the clip.
        joints: Names of the joints.
        xy, score: As in `piumar_lib.ma52.prepare.poses.ClipPoses`.
        rate: Frames a second.
        assumed: Whether that rate is a guess.
        person: Number of the person who was taken.
        people: All people in the clip; empty if the file holds one person per clip.
    """

    name: str
    joints: tuple[str, ...]
    xy: np.ndarray
    score: np.ndarray
    rate: float
    assumed: bool = False
    person: int = 0
    people: tuple[Person, ...] = ()

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.xy) / self.rate

    @property
    def seen(self) -> dict[str, float]:
        """Fraction of frames in which each joint was found."""
        return dict(zip(self.joints, (self.score > 0).mean(0).tolist(), strict=True))


def is_pose_file(path: str | Path) -> bool:
    """Whether a file has the suffix of poses, rather than of a video."""
    return as_path(path).suffix.lower() in POSE_FILES


def read_tracks(
    path: str | Path, person: int | None = None, rate: float | None = None
) -> tuple[list[Track], list[Fault]]:
    """Read all clips of a pose file.

    Args:
        path: ``.safetensors`` as `piumar_lib.ma52.prepare.poses.write_poses` writes it, or a file that
            `piumar_lib.ma52.prepare.pose_sources` reads.
        person: Which one of several; by default the largest and most certain, see
            `piumar_lib.ma52.prepare.pose_checks.choose_person`.
        rate: Frames a second, if the file does not say or is wrong.

    Returns:
        Clips, and what is wrong with those that cannot be used.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, no clip can be used, or there is no such person or rate.
    """
    path = as_path(path)
    if rate is not None and not 0 < rate < math.inf:
        raise ValueError(f"rate: must be frames a second, a number above 0, got {rate}.")
    if path.suffix.lower() == ".safetensors":
        return _read_array_file(path, person, rate), []
    read = [_read_found(found, person, rate) for found in read_file(path)]
    tracks = [one for one in read if isinstance(one, Track)]
    faults = [one for one in read if isinstance(one, Fault)]
    if not tracks:
        why = [f"{fault.where}: {fault.what}. {fault.remedy}" for fault in faults] or ["It holds none."]
        raise ValueError(f"{path}: no clip can be used. {why[0]}")
    return tracks, faults


def _read_array_file(path: Path, person: int | None, rate: float | None) -> list[Track]:
    if person:
        raise ValueError(
            f"person: {path} holds one person of each clip, number 0, whom its estimator followed; got "
            f"{person}. For another one, cut the recording to her and extract poses again."
        )
    poses = read_poses(path)
    return [
        Track(name, poses.joints, *poses.clip(name), *_rate_of(float(poses.rate[row]), rate))
        for row, name in enumerate(poses.names)
    ]


def _read_found(found: Found, person: int | None, rate: float | None) -> Track | Fault:
    """One clip's person, or why it has none."""
    people: tuple[Person, ...] = ()
    try:
        keypoint, score = read_people(found.keypoint, found.score, lambda *_: None)
    except Unusable:
        pass  # check_clip says what is wrong
    else:
        people = _describe_people(keypoint, score)
        if person is not None:
            if person not in {one.number for one in people}:
                who = "; ".join(map(str, people)) or "nobody is"
                raise ValueError(f"person: must be in {found.where}, got {person}; {who} there.")
            found = replace(found, keypoint=keypoint[[person]], score=score[[person]])
    clip, faults = check_clip(found)
    if clip is None:
        return next(fault for fault in faults if fault.serious)
    taken = person if person is not None else _who_was_taken(keypoint, clip.xy)
    rates = _rate_of(clip.rate, rate)
    return Track(clip.name, clip.joints, clip.xy, clip.score, *rates, taken, people)


def _describe_people(keypoint: np.ndarray, score: np.ndarray) -> tuple[Person, ...]:
    """All people who were found in any frame of ``(people, frames, joints, 2)``."""
    described = []
    for number, (xy, found) in enumerate(zip(keypoint, are_found(keypoint, score), strict=True)):
        frames = found.any(1)
        if frames.any():
            seen = np.where(found[..., None], xy, np.nan)[frames]
            height = np.nanmax(seen[..., 1], 1) - np.nanmin(seen[..., 1], 1)
            x = float(np.nanmedian(seen[..., 0]))
            described.append(Person(number, float(frames.mean()), float(np.median(height)), x))
    return tuple(described)


def _who_was_taken(keypoint: np.ndarray, xy: np.ndarray) -> int:
    """The number of the person whose joints a check kept."""
    seen = np.isfinite(xy).all(-1)
    same = [np.array_equal(one[seen].astype(np.float32), xy[seen]) for one in keypoint]
    return same.index(True)


def _rate_of(said: float, given: float | None) -> tuple[float, bool]:
    """Frames a second, and whether they are a guess."""
    if given is not None:
        return given, False
    return (said, False) if 0 < said < math.inf else (ASSUMED, True)
