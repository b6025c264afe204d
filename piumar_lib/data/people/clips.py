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

    From ``(frames, joints, 3)`` to channels joint by joint, ``(frames, 3 * joints)``, in the same unit.
    The root's channels hold its displacement since frame 0.
    """
    root = root_of(parents)
    relative = joints - joints[:, root, None]  # (frames, joints, 3)
    relative[:, root] = joints[:, root] - joints[0, root]
    return relative.reshape(len(joints), -1)  # (frames, 3 * joints)


def onto_grid(milliseconds: np.ndarray, values: np.ndarray, rate: float) -> np.ndarray:
    """Resample at a fixed rate, in Hz, from the first sample on, by linear interpolation.

    ``milliseconds`` are the times of the samples, non-decreasing, ``(samples,)``; of equal ones the
    first is used. ``values`` are ``(samples, channels)``, the result is ``(frames, channels)``; its last
    frame is the one nearest to the last sample.
    """
    times, first = np.unique((milliseconds - milliseconds[0]) / 1000, return_index=True)
    grid = np.arange(round(times[-1] * rate) + 1) / rate  # (frames,)
    return np.stack([np.interp(grid, times, channel) for channel in values[first].T], axis=1)
