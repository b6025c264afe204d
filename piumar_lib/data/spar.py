"""SPAR: wrist recordings of ten people who repeat seven shoulder exercises.

140 recordings (10 people x 2 arms x 7 exercises, about 20 repetitions each) of a six-axis inertial
sensor at 50 Hz (Burns et al., arXiv 1802.01489; BSD licence), read from the installed ``seglearn``
distribution: nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from itertools import pairwise
from pathlib import Path

import numpy as np

from piumar_lib.data.sequences import Sequences, hold

SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"
RATE = 50.0  # Hz
SHORTEST, LONGEST = 0.6, 3.5  # range, in seconds, of a recording's period
CHANNELS = ("ax", "ay", "az", "wx", "wy", "wz")
EXERCISES = (
    "pendulum", "abduction", "forward elevation", "internal rotation", "external rotation",
    "trapezius extension", "upright row",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Recording:
    """One arm of one person, one exercise: ``x`` (time, 6), acceleration in g, rotation in rad/s."""

    x: np.ndarray
    y: int
    person: int
    right: bool


def find_file() -> Path:
    """Return the data file inside the installed ``seglearn`` distribution, without importing it.

    Raises:
        FileNotFoundError: If the distribution or its data file is not there.
    """
    remedy = "Install the course's packages again: pip install -r requirements.txt"
    try:
        package = metadata.distribution("seglearn")
        path = Path(str(package.locate_file("seglearn/data/watch_dataset.npy")))
    except metadata.PackageNotFoundError as error:
        raise FileNotFoundError(f"seglearn, which ships SPAR, is not installed. {remedy}") from error
    if not path.is_file():
        raise FileNotFoundError(f"{path}: SPAR's data file is missing. {remedy}")
    return path


def load_recordings(path: str | Path | None = None) -> list[Recording]:
    """Load the 140 recordings, by default from the file that ``seglearn`` ships.

    Raises:
        FileNotFoundError: If the file is not there.
        ValueError: If the file is not the published one. It is a NumPy pickle, which may run code when
            opened, so its checksum is compared *before* that.
    """
    path = find_file() if path is None else Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file.")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise ValueError(
            f"{path}: SHA-256 {digest[:12]}... is not the published {SHA256[:12]}...; the file was "
            "altered or cut short. Reinstall it: pip install --force-reinstall --no-deps seglearn"
        )
    raw = np.load(io.BytesIO(content), allow_pickle=True).item()
    return [
        Recording(np.asarray(x, dtype=np.float32), int(y), int(person), bool(right))
        for x, y, person, right in zip(raw["X"], raw["y"], raw["subject"], raw["side"], strict=True)
    ]


def repetition_bounds(x: np.ndarray) -> np.ndarray:
    """Segment one recording ``(time, channels)`` at 50 Hz into repetitions.

    The period is the highest peak of the autocorrelation of the first principal component; the cuts are
    the component's troughs, about one period apart.

    Returns:
        Increasing sample indices, shape ``(repetitions + 1,)``.
    """
    from scipy import signal

    smooth = signal.sosfiltfilt(signal.butter(3, 2.0, fs=RATE, output="sos"), x, axis=0)
    smooth = (smooth - smooth.mean(0)) / (x.std(0) + 1e-6)
    _, _, directions = np.linalg.svd(smooth, full_matrices=False)
    component = smooth @ directions[0]
    # The sign of a principal direction is arbitrary: make its largest entry positive.
    component *= np.sign(directions[0][np.abs(directions[0]).argmax()])

    shortest, longest = int(SHORTEST * RATE), int(LONGEST * RATE)
    correlation = signal.correlate(component, component, method="fft")[len(component) - 1 :]
    correlation /= np.arange(len(component), 0, -1)
    window = correlation[shortest : min(longest, len(component) // 2)]
    peaks, _ = signal.find_peaks(window)
    period = shortest + (peaks[window[peaks].argmax()] if len(peaks) else window.argmax())

    troughs, _ = signal.find_peaks(-component, distance=max(1, int(0.6 * period)))
    return troughs


def repetitions(recordings: list[Recording], time: int = 64, fit: str = "resample") -> Sequences:
    """Cut recordings into single repetitions: clips of shape ``(n, time, 6)``.

    With ``fit="resample"`` each is stretched to ``time`` frames. ``"hold"`` keeps its tempo (``time``
    frames last `LONGEST` seconds) and repeats the last frame; the few longer ones are cut.

    Raises:
        ValueError: If an argument is invalid, or there is no repetition.
    """
    if time < 2:
        raise ValueError(f"time: {time} frames are too few. Give at least 2.")
    if fit not in ("resample", "hold"):
        raise ValueError(f"fit: {fit!r} is unknown. Choose 'resample' or 'hold'.")
    pieces, labels = [], []
    for recording in recordings:
        for start, stop in pairwise(repetition_bounds(recording.x)):
            pieces.append(recording.x[start:stop])
            labels.append((recording.y, recording.person))
    if not pieces:
        raise ValueError("recordings: hold no whole repetition. Give longer ones.")
    if fit == "resample":
        x, lengths = hold(pieces, max(map(len, pieces)))
        return _sequences(x, labels, lengths, RATE, "SPAR repetitions").resampled(time)
    step = LONGEST * RATE / time  # samples a frame
    slower = [piece[np.arange(0, len(piece), step).astype(int)] for piece in map(_lowpass(step), pieces)]
    x, lengths = hold(slower, time)
    return _sequences(x, labels, lengths, RATE / step, "SPAR repetitions, own tempo")


def windows(
    recordings: list[Recording], seconds: float = 4.0, overlap: float = 0.0, time: int = 64
) -> Sequences:
    """Cut recordings into windows of ``seconds``, regardless of repetitions: clips ``(n, time, 6)``.

    A fraction ``overlap`` of a window, in [0, 1), overlaps with the next. Overlapping windows must never
    be split at random: chapter 01 shows what happens.

    Raises:
        ValueError: If an argument is invalid, or no window fits.
    """
    if seconds * RATE < 2:
        raise ValueError(f"seconds: {seconds} s hold no movement. Choose a longer window.")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap: {overlap} is not a share of a window. Choose it in [0, 1).")
    size = round(seconds * RATE)
    stride = max(1, round(size * (1 - overlap)))
    pieces, labels = [], []
    for recording in recordings:
        for start in range(0, len(recording.x) - size + 1, stride):
            pieces.append(recording.x[start : start + size])
            labels.append((recording.y, recording.person))
    if not pieces:
        raise ValueError(f"seconds: no recording holds {seconds} s here. Choose a shorter window.")
    x, lengths = hold(pieces, size)
    return _sequences(x, labels, lengths, RATE, f"SPAR {seconds:g} s windows").resampled(time)


def _lowpass(step: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return an anti-aliasing filter for keeping one sample in ``step``."""
    from scipy import signal

    sos = signal.butter(4, min(0.99, 0.9 / step), output="sos")
    return lambda piece: signal.sosfiltfilt(sos, piece, axis=0, padlen=min(15, len(piece) - 1))


def _sequences(
    x: np.ndarray, labels: list[tuple[int, int]], lengths: np.ndarray, rate: float, name: str
) -> Sequences:
    y, person = np.array(labels).T
    return Sequences(x, y, person, lengths, EXERCISES, rate, name)
