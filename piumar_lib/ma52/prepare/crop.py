"""Detection of the person in front of a plain wall, by the difference from the wall.

MA-52's camera stands still and shows a seated person who fills about a quarter of the width, so most
pixels of a frame are wall. A crop about the person keeps more of what moves at the same size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

DIFFERENT = 24  # grey levels: more than light and noise change a wall, less than clothes differ from it
SMALLEST, LARGEST = 0.02, 0.6  # fraction of the frame that a person may cover


class Box(NamedTuple):
    """A part of the frame, in fractions of its width and height: 0 is left or top, 1 right or bottom."""

    left: float
    top: float
    right: float
    bottom: float

    def rounded(self) -> Box:
        """To five digits, as a cache keeps it."""
        return Box(*(round(float(value), 5) for value in self))


WHOLE = Box(0.0, 0.0, 1.0, 1.0)


def foreground(frames: np.ndarray) -> np.ndarray:
    """What is not wall in any of ``frames``: pixels unlike the wall that the sides of their row show.

    The wall may be lit from one side and the floor may have another colour, so each row has its own
    background, linear from the left side to the right. Maps ``(time, height, width, 3)``, uint8, to a
    mask ``(height, width)``.
    """
    film = frames.astype(np.float32)
    strip = max(2, film.shape[2] // 20)
    left = np.median(film[:, :, :strip], axis=(0, 2))[:, None]
    right = np.median(film[:, :, -strip:], axis=(0, 2))[:, None]
    share = np.linspace(0, 1, film.shape[2], dtype=np.float32)[None, :, None]
    wall = left + share * (right - left)
    return (np.abs(film - wall).max(-1) > DIFFERENT).any(0)


def find_people(frames: np.ndarray) -> list[Box]:
    """Find what before the wall can be a person, the largest first.

    There is none if the largest thing is too large, too small or too wide for a person. ``frames`` are a
    few of a clip, uint8 ``(time, height, width, 3)``; small ones will do.
    """
    from scipy import ndimage

    label, count = ndimage.label(ndimage.binary_opening(foreground(frames)))
    sizes = np.bincount(label.ravel(), minlength=count + 1)[1:]
    boxes = []
    for number in np.argsort(-sizes, kind="stable") + 1:
        person = label == number
        height, width = person.shape
        rows, columns = np.flatnonzero(person.any(1)), np.flatnonzero(person.any(0))
        touches_both_sides = columns[0] == 0 and columns[-1] == width - 1
        if touches_both_sides or not SMALLEST <= person.mean() <= LARGEST:
            break
        left, right = columns[0] / width, (columns[-1] + 1) / width
        boxes.append(Box(left, rows[0] / height, right, (rows[-1] + 1) / height))
    return boxes


def find_person(frames: np.ndarray) -> Box | None:
    """The largest of `find_people`; None if nothing there can be a person."""
    return next(iter(find_people(frames)), None)


def square_about(box: Box, width: int, height: int, margin: float = 0.1) -> Box:
    """The square about a box with a margin on all sides, moved and shrunk to fit into the frame.

    The frame has ``width`` and ``height`` pixels; the margin is a fraction of the box's longer side.
    """
    across, down = (box.right - box.left) * width, (box.bottom - box.top) * height
    side = min(max(across, down) * (1 + 2 * margin), width, height)
    left = np.clip((box.left + box.right) / 2 * width - side / 2, 0, width - side)
    top = np.clip((box.top + box.bottom) / 2 * height - side / 2, 0, height - side)
    corners = left / width, top / height, (left + side) / width, (top + side) / height
    return Box(*map(float, corners))


def square_in_the_middle(width: int, height: int) -> Box:
    """The largest square about the middle of the frame."""
    return square_about(WHOLE, width, height, margin=0)
