"""Container of training data in all chapters: clips with labels of action and person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

# Variances are sums of squares, and the range of float32 is 1e-38 to 3e38.
SMALLEST, LARGEST = 1e-15, 1e15


@dataclass(frozen=True, eq=False, init=False)
class Sequences:
    """Clips of equal length with an action label and a person label each.

    Attributes:
        x: Signals, float32, shape ``(n, time, channels)``.
        y: Action of each clip, int64 in ``[0, classes)``, shape ``(n,)``. Codes, such as 1001 and 2005,
            are mapped to numbers from 0 in sorted order.
        person: Person of each clip, any int64 identity, shape ``(n,)``.
        lengths: Number of real frames in each clip, shape ``(n,)``. Frames after the last real one are
            replaced by it, so no model needs a mask.
        class_names: One name for each class; by default the codes, or "class 0", "class 1", ...
        rate: Frames per second, in Hz.
        name: Name of the data in figures and records.
        parents: Parent of each joint, -1 for the root, if channels are three coordinates of each joint
            of a skeleton, else None; a graph network needs them.

    Raises:
        ValueError: On construction, if a shape, a label or a value is invalid. The message names the
            argument, the value and the remedy.
    """

    x: np.ndarray
    y: np.ndarray
    person: np.ndarray
    lengths: np.ndarray
    class_names: tuple[str, ...]
    rate: float
    name: str
    parents: tuple[int, ...] | None

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        person: ArrayLike,
        lengths: ArrayLike | None = None,
        class_names: Sequence[str] | None = None,
        rate: float = 1.0,
        name: str = "sequences",
        parents: tuple[int, ...] | None = None,
    ) -> None:
        x, y, person, lengths = _checked(x, y, person, lengths)
        y, names = _numbered(y, class_names)
        if not (isinstance(rate, Real) and np.isfinite(rate) and rate > 0):
            raise ValueError(f"rate: {rate!r} Hz is not a frame rate. Give a positive number.")
        if parents is not None and 3 * len(parents) != x.shape[2]:
            raise ValueError(
                f"parents: {len(parents)} joints, but x has {x.shape[2]} channels. Give one parent "
                "for every three channels, or leave parents out."
            )
        vars(self).update(x=x, y=y, person=person, lengths=lengths)
        vars(self).update(class_names=tuple(map(str, names)), rate=rate, name=name, parents=parents)

    def __len__(self) -> int:
        return len(self.y)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def people(self) -> np.ndarray:
        """Sorted identities of all people, shape ``(people,)``."""
        return np.unique(self.person)

    def take(self, index: np.ndarray) -> Sequences:
        """Return the clips at ``index`` (integers or a boolean mask of shape ``(n,)``).

        Raises:
            ValueError: If the selection is empty.
        """
        index = np.asarray(index)
        return replace(
            self,
            x=self.x[index],
            y=self.y[index],
            person=self.person[index],
            lengths=self.lengths[index],
        )

    def resampled(self, time: int) -> Sequences:
        """Return every clip's real part, stretched to ``time`` frames by linear interpolation."""
        if time < 2:
            raise ValueError(f"time: {time} frames are too few. Give at least 2.")
        at = np.linspace(0, 1, time)[None] * (self.lengths[:, None] - 1)
        rate = self.rate * (time - 1) / max(1.0, float(np.mean(self.lengths)) - 1)
        return replace(self, x=self._frames_at(at), lengths=np.full(len(self), time), rate=rate)

    def at_one_rate(self, time: int, share: float = 0.95) -> Sequences:
        """Return all clips at one rate, at which a fraction ``share`` ends within ``time`` frames.

        Shorter clips repeat their last frame, longer ones are cut; the rate is never increased.
        """
        if time < 2:
            raise ValueError(f"time: {time} frames are too few. Give at least 2.")
        last = self.lengths[:, None] - 1
        step = max(1.0, (float(np.quantile(self.lengths, share)) - 1) / (time - 1))
        lengths = np.minimum(np.ceil(last[:, 0] / step - 1e-9).astype(int) + 1, time)
        x = self._frames_at(np.minimum(np.arange(time) * step, last))
        return replace(self, x=x, lengths=lengths, rate=self.rate / step)

    def _frames_at(self, at: np.ndarray) -> np.ndarray:
        """Each clip at times ``at (n, frames)`` in frames, interpolated; ``(n, frames, channels)``."""
        left = np.minimum(at.astype(int), max(self.x.shape[1] - 2, 0))
        right = np.minimum(left + 1, self.x.shape[1] - 1)
        weight, rows = (at - left)[..., None].astype(np.float32), np.arange(len(self))[:, None]
        return (1 - weight) * self.x[rows, left] + weight * self.x[rows, right]


def describe(data: Sequences, few: int = 5) -> str:
    """Summary of ``data`` as text, and the classes that occur for fewer than ``few`` people."""
    clips = np.unique(data.person, return_counts=True)[1]
    makers = [len(np.unique(data.person[data.y == k])) for k in range(data.classes)]
    rare = [f"{data.class_names[k]} ({n})" for k, n in enumerate(makers) if n < few]
    shortest, longest = data.lengths.min(), data.lengths.max()
    lines = {
        "clips": len(data),
        "frames": data.x.shape[1],
        "real frames": f"{shortest} to {longest}, median {np.median(data.lengths):g}",
        "rate": f"{data.rate:g} Hz, so {shortest / data.rate:.3g} to {longest / data.rate:.3g} s",
        "channels": data.x.shape[2],
        "people": len(clips),
        "clips per person": f"{clips.min()} to {clips.max()}, median {np.median(clips):g}",
        "classes": data.classes,
        f"under {few} people": ", ".join(rare) or "none",
    }
    return "\n".join(f"{key + ':':<18}{value}" for key, value in lines.items())


def hold(pieces: list[np.ndarray], time: int) -> tuple[np.ndarray, np.ndarray]:
    """Stack pieces ``(frames, channels)``; each is cut at ``time``, or padded with its last frame.

    Returns:
        Signals of shape ``(n, time, channels)`` and their true lengths ``(n,)``.

    Raises:
        ValueError: If there is no piece, one is empty, or ``time`` is not positive.
    """
    if not pieces or min(map(len, pieces)) == 0:
        raise ValueError(f"pieces: {len(pieces)} given, none or one of them empty. Leave such out.")
    if time < 1:
        raise ValueError(f"time: {time} frames hold nothing. Give at least 1.")
    lengths = np.array([min(len(piece), time) for piece in pieces])
    rows = [piece[np.minimum(np.arange(time), n - 1)] for piece, n in zip(pieces, lengths, strict=True)]
    return np.stack(rows).astype(np.float32), lengths


def _numbered(y: np.ndarray, names: Sequence[str] | None) -> tuple[np.ndarray, Sequence[str]]:
    """Map labels to numbers from 0 without gaps, unless ``names`` defines the numbers."""
    if names is not None and y.max() < len(names):
        return y, names
    codes, numbered = np.unique(y, return_inverse=True)
    if names is None:
        first = "class " if codes[-1] == len(codes) - 1 else ""  # 0, 1, 2, ... are no codes
        return numbered, tuple(f"{first}{code}" for code in codes)
    if len(names) != len(codes):
        raise ValueError(
            f"class_names: {len(names)} names for labels up to {codes[-1]}, {len(codes)} of them "
            "different. Give one name for each class, or leave class_names out."
        )
    return numbered, names


def _checked(
    x: ArrayLike, y: ArrayLike, person: ArrayLike, lengths: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the four arrays in their canonical types, or raise."""
    x = np.asarray(x)
    if x.ndim != 3 or 0 in x.shape[1:]:
        raise ValueError(f"x: shape {x.shape} is not (n, time, channels). Reshape it to 3 axes.")
    if len(x) == 0:
        raise ValueError("x: no clips, so zero people. Give at least one clip of one person.")
    if x.dtype.kind not in "fiu":
        raise ValueError(f"x: type {x.dtype} is not numeric. Convert it to float32.")
    lengths = np.full(len(x), x.shape[1]) if lengths is None else lengths
    y, person, lengths = (
        _whole_numbers(name, values, len(x))
        for name, values in (("y", y), ("person", person), ("lengths", lengths))
    )
    if y.min() < 0:
        raise ValueError(f"y: label {y.min()} is negative. Number the classes from 0.")
    if lengths.min() < 1 or lengths.max() > x.shape[1]:
        raise ValueError(
            f"lengths: values from {lengths.min()} to {lengths.max()} do not fit "
            f"{x.shape[1]} frames. Each must lie in [1, {x.shape[1]}]."
        )
    # Frames after a clip's end are replaced by its last real frame.
    last = np.minimum(np.arange(x.shape[1])[None], lengths[:, None] - 1)
    return _single(np.take_along_axis(x, last[..., None], axis=1)), y, person, lengths


def _whole_numbers(name: str, values: ArrayLike, clips: int) -> np.ndarray:
    values = np.asarray(values)
    if values.shape != (clips,):
        raise ValueError(
            f"{name}: shape {values.shape} does not match the {clips} clips of x. "
            f"Give one entry for each clip, shape ({clips},)."
        )
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values % 1 == 0).all():
        values = values.astype(np.int64)
    if values.dtype.kind not in "iu":
        raise ValueError(f"{name}: type {values.dtype} is not whole numbers. Encode it as int.")
    return values.astype(np.int64)


def _single(x: np.ndarray) -> np.ndarray:
    """``x`` as float32; finite, and its largest value 0 or between `SMALLEST` and `LARGEST`."""
    finite = np.isfinite(x)
    if not finite.all():
        clip = int(np.argmin(finite.all(axis=(1, 2))))
        raise ValueError(
            f"x: clip {clip} holds NaN or infinite values. Interpolate or drop such clips first."
        )
    size = np.maximum(x.max((1, 2)), -x.min((1, 2)).astype(float))  # of each clip
    largest, clip = float(size.max()), int(size.argmax())
    if largest and not SMALLEST <= largest <= LARGEST:
        what, end = ("large", LARGEST) if largest > 1 else ("small", SMALLEST)
        raise ValueError(
            f"x: the largest value, of clip {clip}, is {largest:.3g}, too {what} to compute with in "
            f"float32 (the limit is {end:g}). Rescale all clips to another unit."
        )
    return x.astype(np.float32)
