"""Windows over a recording, and predictions for each; for video and for poses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from piumar_lib.data.labels import ACTIONS

SHORT = 4.0  # seconds up to which a recording is one clip; MA-52's last 1.5 to 2.5
WINDOWS_AT_MOST = 1_000_000


@dataclass(frozen=True)
class Answers:
    """Predictions by window.

    Attributes:
        start, end: Start and end of each window, in seconds, shape ``(windows,)``.
        probabilities: Probabilities of actions, shape ``(windows, 52)``.
    """

    start: np.ndarray
    end: np.ndarray
    probabilities: np.ndarray

    def best(self, most: int = 5, window: int = 0) -> list[tuple[str, float]]:
        """The most probable actions of a window, and their probabilities."""
        order = np.argsort(-self.probabilities[window], kind="stable")[:most]
        return [(ACTIONS[k], float(self.probabilities[window, k])) for k in order]

    def timeline(self) -> list[tuple[float, float, str, float]]:
        """Of each window its start and end in seconds, its most probable action, and how probable."""
        return [
            (float(s), float(e), *self.best(1, k)[0])
            for k, (s, e) in enumerate(zip(self.start, self.end, strict=True))
        ]


def windows(seconds: float, length: float, stride: float) -> list[tuple[float, float]]:
    """Start and end of windows that cover a recording; a short one is one window.

    Raises:
        ValueError: If ``length`` or ``stride`` is not positive, or there would be more than a
            million windows.
    """
    require_spans(length, stride)
    if seconds <= max(SHORT, length):
        return [(0.0, seconds)]
    count = (seconds - length) / stride
    if count > WINDOWS_AT_MOST:
        raise ValueError(f"stride: {stride} s makes {count:.0e} windows. Choose a longer one.")
    starts = np.arange(int(np.ceil(count - 1e-9)) + 1) * stride
    return [(float(s), float(s) + length) for s in np.minimum(starts, seconds - length)]


def require_spans(length: float, stride: float) -> None:
    """Raise unless windows have a length and advance.

    Raises:
        ValueError: If one of the two is not a positive number.
    """
    if not (0 < length < np.inf and 0 < stride < np.inf):
        raise ValueError(f"length, stride: {length}, {stride} seconds. Choose two numbers above 0.")
