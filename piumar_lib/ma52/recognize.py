"""Use a trained recogniser on any recording: what happens in a short clip, and when in a long one.

model = load_model("build/ma52/run")
for action, probability in recognize(model, "me.mp4").best(): ...
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from piumar_lib.data.labels import ACTIONS
from piumar_lib.ma52.model import MicroActionRecognizer
from piumar_lib.ma52.prepare.cache import find_crop, probe_frames, thumbnail
from piumar_lib.ma52.prepare.crop import Box
from piumar_lib.ma52.prepare.video import STILL, Survey, VideoError, decode, open_video, shown_at, shrunk
from piumar_lib.ma52.transforms import to_input
from piumar_lib.support.files import as_path

SHORT = 4.0  # seconds up to which a recording is one clip; MA-52's last 1.5 to 2.5
FRAMES_AT_MOST = 20_000  # in memory at a time: 3 GB at 224 pixels
WINDOWS_AT_MOST = 1_000_000
SMALL_ONES = 256  # thumbnails that are kept of a recording while it is surveyed; of a short one, all


@dataclass(frozen=True)
class Recording:
    """A recording as the recogniser sees it; its frames are read when they are asked for.

    Attributes:
        path: The file.
        shown: When its frames are shown.
        size: Pixels of the square's side.
        box: The square, in shares of the picture.
        found: Whether a person was found; otherwise the middle square is kept.
    """

    path: Path
    shown: Survey
    size: int
    box: Box
    found: bool

    @property
    def times(self) -> np.ndarray:
        """When each frame is shown, in seconds, shape ``(time,)``."""
        return self.shown.times

    @property
    def fps(self) -> float:
        """Frames per second, on average."""
        return self.shown.fps

    @property
    def seconds(self) -> float:
        """Length."""
        return self.shown.seconds

    @property
    def frames(self) -> np.ndarray:
        """All frames, uint8 ``(time, size, size, 3)``: see `read`."""
        return self.read(range(len(self.times)))

    def read(self, which: Sequence[int]) -> np.ndarray:
        """Some frames, uint8 ``(len(which), size, size, 3)``, cut to the person.

        Raises:
            ValueError: If more are asked for than `FRAMES_AT_MOST`.
        """
        if len(which) > FRAMES_AT_MOST:
            raise ValueError(
                f"{self.path}: {len(which)} frames at a time; memory is planned for {FRAMES_AT_MOST}. "
                "Read some of them, or let recognise look at it window by window."
            )
        different, back = np.unique(np.asarray(which, int), return_inverse=True)
        return np.stack(list(self.stream(different.tolist())))[back]

    def stream(self, which: Sequence[int] | None = None) -> Iterator[np.ndarray]:
        """Frames one after the other, by default all, each uint8 ``(size, size, 3)``."""
        for picture in shrunk(decode(self.path, which, threads=0), self.box, self.size):
            yield picture[: self.size, : self.size]


@dataclass(frozen=True)
class Recognized:
    """What was recognised, window by window.

    Attributes:
        recording: What was looked at.
        start, end: Of each window, in seconds, shape ``(windows,)``.
        probabilities: Shape ``(windows, 52)``.
        energy: Motion of each frame: mean change of grey levels since the one before, ``(time,)``; the
            clock by which the temporal branch tells moments apart, seen in pixels.
    """

    recording: Recording
    start: np.ndarray
    end: np.ndarray
    probabilities: np.ndarray
    energy: np.ndarray

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


def read_recording(path: str | Path, size: int = 224, crop: str = "person") -> Recording:
    """Survey a recording, and find the person in it, as the cache does.

    Args:
        path: Any video that FFmpeg reads.
        size: Pixels of the square's side.
        crop: ``"person"``, or ``"middle"``.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If it is no video, or shows less than two frames.
    """
    path = as_path(path)
    small, apart = [], 1
    with open_video(path, threads=0) as video:
        for number, frame in enumerate(video.frames()):
            if number % apart == 0:
                small.append(thumbnail(frame))
            if len(small) == 2 * SMALL_ONES:
                small, apart = small[::2], 2 * apart
        shown = video.survey()
    if len(shown) == 1:
        raise VideoError(path, "no video", STILL, "Give a video.")
    assert video.last is not None  # or there were no survey
    small.append(thumbnail(video.last))
    frame_indices = [-1 if k == len(shown) - 1 else round(k / apart) for k in probe_frames(len(shown))]
    few = np.stack([small[k] for k in frame_indices])
    return Recording(path, shown, size, *find_crop(few, shown.width, shown.height, crop))


def windows(seconds: float, length: float, stride: float) -> list[tuple[float, float]]:
    """Start and end of windows that cover a recording; a short one is one window.

    Raises:
        ValueError: If ``length`` or ``stride`` is not positive, or there would be a million windows.
    """
    _require_spans(length, stride)
    if seconds <= max(SHORT, length):
        return [(0.0, seconds)]
    count = (seconds - length) / stride
    if count > WINDOWS_AT_MOST:
        raise ValueError(f"stride: {stride} s makes {count:.0e} windows. Choose a longer one.")
    starts = np.arange(int(np.ceil(count - 1e-9)) + 1) * stride
    return [(float(s), float(s) + length) for s in np.minimum(starts, seconds - length)]


def _require_spans(length: float, stride: float) -> None:
    if not (0 < length < np.inf and 0 < stride < np.inf):
        raise ValueError(f"length, stride: {length}, {stride} seconds. Choose two numbers above 0.")


@torch.no_grad()
def recognize(
    model: MicroActionRecognizer,
    path: str | Path,
    length: float = 2.0,
    stride: float = 0.5,
    views: int = 3,
    crop: str = "person",
    progress: bool = False,
) -> Recognized:
    """Recognise the micro-actions of a recording.

    It is decoded twice, to survey it and to look at it, and never held as a whole: only frames that a
    window still waits for are kept.

    Args:
        model: From `piumar_lib.ma52.model.load_model`.
        path: Any video. Up to `SHORT` seconds it is one clip, as long as MA-52's; a longer one is looked
            at through windows.
        length, stride: Of the windows, in seconds.
        views: Temporal views of each window, averaged.
        crop: See `read_recording`.
        progress: Show a progress bar.

    Raises:
        FileNotFoundError, ValueError: If the recording cannot be read, or a number cannot be right.
    """
    _require_spans(length, stride)
    if not model.size:
        raise ValueError("model: it was trained on poses, and cannot look at video. Give one of video.")
    if views < 1:
        raise ValueError(f"views: {views}. Choose 1 or more.")
    recording = read_recording(path, model.size, crop)
    begin, device = recording.times[0], next(model.parameters()).device
    spans = [(begin + s, begin + e) for s, e in windows(recording.seconds - begin, length, stride)]
    frame_indices = [sample(recording.times, *ends, model.frames, views) for ends in spans]
    frames = tqdm(recording.stream(), total=len(recording.times), disable=not progress, unit="frame")
    energy: list[float] = []
    probabilities = np.empty((len(spans), len(ACTIONS)))
    model.eval()
    windowed = _gather(_note_motion(frames, energy), frame_indices, model.size)
    for row, looks in zip(probabilities, windowed, strict=True):
        video = to_input(torch.from_numpy(looks).to(device), model.size)  # (views, T, 3, size, size)
        row[:] = model(video).logits.float().softmax(-1).mean(0).cpu()
    start, end = np.array(spans).T
    return Recognized(recording, start, end, probabilities, np.array(energy))


def sample(times: np.ndarray, start: float, end: float, frames: int, views: int) -> np.ndarray:
    """Which frames to look at: those that are seen in the middle of equal stretches of a window's time.

    With a steady frame rate these are the `piumar_lib.ma52.dataset.frame_indices` of training.

    Args:
        times: When each frame is shown, in seconds, shape ``(time,)``.
        start, end: Of the window, in seconds.
        frames: How many stretches.
        views: How many choices, evenly shifted within the stretches.

    Returns:
        Frame numbers, shape ``(views, frames)``.
    """
    shift = (np.arange(views)[:, None] + 0.5) / views
    return shown_at(times, start + (np.arange(frames) + shift) / frames * (end - start))


def motion(frames: Iterable[np.ndarray]) -> np.ndarray:
    """Mean change of grey levels since the frame before, 0 for the first, shape ``(time,)``.

    Args:
        frames: uint8 ``(time, height, width, 3)``, or such frames one by one.
    """
    energy: list[float] = []
    for _ in _note_motion(frames, energy):
        pass
    return np.array(energy)


def _note_motion(frames: Iterable[np.ndarray], energy: list[float]) -> Iterator[np.ndarray]:
    """Pass frames on, and append how much each differs from the one before."""
    before = None
    for frame in frames:
        gray = frame.astype(np.float32).mean(-1)
        energy.append(0.0 if before is None else float(np.abs(gray - before).mean()))
        before = gray
        yield frame


def _gather(
    frames: Iterable[np.ndarray], frame_indices: Sequence[np.ndarray], size: int
) -> Iterator[np.ndarray]:
    """The frames of each window, as soon as its last one has passed; others are forgotten.

    Args:
        frames: All frames, in order, each ``(size, size, 3)``.
        moments: Frame numbers of each window, rising from window to window, each ``(views, frames)``.
        size: Pixels of a frame's side.

    Yields:
        Of each window, uint8 ``(views, frames, size, size, 3)``.
    """
    wanted = np.unique(np.concatenate([window.ravel() for window in frame_indices]))
    places = deque(np.searchsorted(wanted, window) for window in frame_indices)
    # As many as a window spans; one array, as thousands that come and go would scatter over memory.
    ring = np.empty((max(np.ptp(place) for place in places) + 1, size, size, 3), np.uint8)
    seen = 0
    for number, frame in enumerate(frames):
        if seen < len(wanted) and number == wanted[seen]:
            ring[seen % len(ring)] = frame
            seen += 1
        while places and places[0].max() < seen:
            yield ring[places.popleft() % len(ring)]
