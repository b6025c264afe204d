"""Paths of pens and fingers: UNIPEN text (pendigits), XML of strokes (mmg), rows (gesturemidair)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from piumar_lib.data.people.clips import Clip, onto_grid

MIDAIR_RATE = 60.0  # Hz
MIDAIR_GESTURES = 26
TEST_WRITERS = 14  # of pendigits; numbered before the 30 writers of the training file
MMG_RATE = 50.0  # Hz
LONGEST_PAUSE = 500  # milliseconds; longer pauses between two points, up to 94 s, are shortened to it
MMG_FRAMES = 251  # five seconds; nine of 9,598 clips are longer and are cut
MMG_GESTURES = (
    "D", "H", "I", "N", "P", "T", "X", "arrowhead", "asterisk", "exclamation_point", "five_point_star",
    "half_note", "line", "null", "pitchfork", "six_point_star",
)  # fmt: skip
MMG_PEOPLE = (10, 11, 12, 22, 28, 41, 58, 61, 66, 68, 71, 73, 75, 77, 85, 88, 94, 95, 98, 99)


def pendigits(folder: Path) -> Iterator[Clip]:
    """Pen-based digits: a ``.COMMENT digit writer index`` and strokes of ``x y`` for each segment.

    Channels: x, y in tablet units, and 1 at the first point of every stroke but the first.
    """
    for name, before in (("pendigits-train", TEST_WRITERS), ("pendigits-test", 0)):
        text = (folder / name).read_text(encoding="latin-1")
        for segment in text.split(".SEGMENT")[1:]:
            comment = re.findall(r"\.COMMENT\s+(\d+)\s+(\d+)", segment)[0]
            digit, writer = map(int, comment)
            strokes = re.findall(r"\.PEN_DOWN([^.]*)", segment)
            yield Clip(_dots(strokes), digit, before + writer - 1)


def _dots(strokes: list[str]) -> np.ndarray:
    """Points of all strokes, and an indicator of each further stroke's start, ``(points, 3)``."""
    parts = []
    for number, stroke in enumerate(strokes):
        points = np.array(stroke.split(), float).reshape(-1, 2)
        starts = np.zeros((len(points), 1))
        starts[:1] = number > 0
        parts.append(np.hstack([points, starts]))
    return np.concatenate(parts)


def mmg(folder: Path) -> Iterator[Clip]:
    """Mixed Multistroke Gestures: ``PERSON-INPUT-speed-GESTURE-TRIAL.xml``, points with times in ms.

    Channels: x, y in pixels, pen down (0 between two strokes).
    """
    for path in sorted(folder.glob("*-*-*/*.xml"), key=lambda path: path.as_posix()):
        person, _, _, gesture, _ = path.stem.split("-")
        x = _drawn(path)[:MMG_FRAMES]
        yield Clip(x, MMG_GESTURES.index(gesture), MMG_PEOPLE.index(int(person)))


def _drawn(path: Path) -> np.ndarray:
    strokes = ElementTree.parse(path).getroot().findall("Stroke")
    points = [
        [[float(p.attrib[k]) for k in "XYT"] for p in stroke.findall("Point")] for stroke in strokes
    ]
    table = np.array([point for stroke in points for point in stroke])  # (points, 3)
    times = _times(table[:, 2])
    even = onto_grid(times, table[:, :2], MMG_RATE)  # (frames, 2)
    return np.column_stack([even, _down(times / 1000, list(map(len, points)), len(even))])  # (frames, 3)


def _down(seconds: np.ndarray, points: list[int], frames: int) -> np.ndarray:
    """Whether the pen is down in each frame: from half a frame before a stroke to half a frame after.

    ``seconds`` are the times of all points, ``(points,)``; ``points`` has each stroke's number of them.
    """
    grid, half = np.arange(frames) / MMG_RATE, 0.5 / MMG_RATE  # (frames,)
    down = np.zeros(frames, bool)
    for stroke in np.split(seconds, np.cumsum(points)[:-1]):
        if len(stroke):
            down |= (stroke[0] - half <= grid) & (grid <= stroke[-1] + half)
    return down


def _times(milliseconds: np.ndarray) -> np.ndarray:
    """Times from 0; negative steps are set to zero, and pauses are limited to half a second."""
    steps = np.clip(np.diff(milliseconds), 0, LONGEST_PAUSE)
    return np.concatenate([[0.0], np.cumsum(steps)])


def complete_people(folder: Path) -> list[Path]:
    """Folders of the people who made all gestures, in order. One person, who made eight, is left out."""
    people = [person for person in sorted(folder.iterdir()) if person.is_dir()]
    return [person for person in people if len([*person.glob("*.csv")]) == MIDAIR_GESTURES]


def gesturemidair(folder: Path) -> Iterator[Clip]:
    """Mid-air gestures: a folder for each person, ``GESTURE.csv`` of x, y, z in mm and time in ms."""
    for number, person in enumerate(complete_people(folder)):
        for gesture, path in enumerate(sorted(person.glob("*.csv"))):
            rows = np.loadtxt(path)  # (samples, 4)
            yield Clip(onto_grid(rows[:, 3], rows[:, :3], MIDAIR_RATE), gesture, number)
