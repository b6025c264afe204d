"""Output of every converter: clips of different lengths, and their conversion to arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Clip(NamedTuple):
    """One movement of one person: ``x`` of shape (frames, channels), class and person from 0."""

    x: np.ndarray
    y: int
    person: int


def root_of(parents: tuple[int, ...]) -> int:
    """Index of the joint without a parent."""
    return parents.index(-1)


def root_relative(joints: np.ndarray, parents: tuple[int, ...]) -> np.ndarray:
    """Positions of joints relative to the root in the same frame, and of the root relative to its first.

    Args:
        joints: Position of each joint in each frame, ``(frames, joints, 3)``.
        parents: Parent of each joint, see `piumar_lib.data.people.joints`.

    Returns:
        Channels joint by joint, ``(frames, 3 * joints)``, in the unit of ``joints``. The root's channels
        hold its displacement since frame 0.
    """
    root = root_of(parents)
    relative = joints - joints[:, root, None]  # (frames, joints, 3)
    relative[:, root] = joints[:, root] - joints[0, root]
    return relative.reshape(len(joints), -1)  # (frames, 3 * joints)


def onto_grid(milliseconds: np.ndarray, values: np.ndarray, rate: float) -> np.ndarray:
    """Resample at a fixed rate, from the first sample on, by linear interpolation.

    Args:
        milliseconds: Times of the samples, non-decreasing, ``(samples,)``; of equal ones the first is
            used.
        values: Samples, ``(samples, channels)``.
        rate: Rate of the result, in Hz.

    Returns:
        ``(frames, channels)``; the last frame is the one nearest to the last sample.
    """
    times, first = np.unique((milliseconds - milliseconds[0]) / 1000, return_index=True)
    grid = np.arange(round(times[-1] * rate) + 1) / rate  # (frames,)
    return np.stack([np.interp(grid, times, channel) for channel in values[first].T], axis=1)
