"""Trajectories of a fingertip in the air: gesturemidair."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from piumar_lib.data.people.clips import Clip, onto_grid

RATE = 60.0  # Hz
GESTURES = 26


def complete_people(folder: Path) -> list[Path]:
    """Folders of the people who made all gestures, in order. One person, who made eight, is left out."""
    return [
        person
        for person in sorted(folder.iterdir())
        if person.is_dir() and len(list(person.glob("*.csv"))) == GESTURES
    ]


def gesturemidair(folder: Path) -> Iterator[Clip]:
    """Mid-air gestures: a folder for each person, ``GESTURE.csv`` of x, y, z in mm and time in ms."""
    for number, person in enumerate(complete_people(folder)):
        for gesture, path in enumerate(sorted(person.glob("*.csv"))):
            rows = np.loadtxt(path)  # (samples, 4)
            yield Clip(onto_grid(rows[:, 3], rows[:, :3], RATE), gesture, number)
