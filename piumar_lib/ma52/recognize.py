"""Apply a trained recogniser to any recording: actions of a short clip, or over time in a long one.

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
from piumar_lib.ma52.prepare.cache import probe_frames
from piumar_lib.ma52.prepare.crop import Box, find_people, square_about, square_in_the_middle
from piumar_lib.ma52.prepare.video import (
    STILL,
    Survey,
    VideoError,
    decode,
    open_video,
    shown_at,
    shrunk,
    thumbnails,
)  # fmt: skip
from piumar_lib.ma52.transforms import to_input
from piumar_lib.ma52.windows import Answers, require_spans, windows
from piumar_lib.support.files import as_path

SMALL_ONES = 256  # thumbnails that are kept of a recording while it is surveyed; of a short one, all


@dataclass(frozen=True)
class Recording:
    """A recording as input of a recogniser; its frames are read on demand.

    Attributes:
        path: The file.
        shown: When its frames are shown.
        size: Pixels of the square's side.
        box: The square, in shares of the picture.
        people: Boxes of all people found, the largest first; if empty, the middle square is used.
        person: Index of the person in the square.
    """

    path: Path
    shown: Survey
    size: int
    box: Box
    people: tuple[Box, ...] = ()
    person: int = 0

    def stream(self) -> Iterator[np.ndarray]:
        """All frames, one after the other, each uint8 ``(size, size, 3)``, cut to the person."""
        for picture in shrunk(decode(self.path, threads=0), self.box, self.size):
            yield picture[: self.size, : self.size]


@dataclass(frozen=True)
class Recognized(Answers):
    """What was recognised in a video, window by window.

    Attributes:
        recording: The recording.
    """

    recording: Recording


def read_recording(
    path: str | Path, size: int = 224, crop: str = "person", person: int = 0
) -> Recording:
    """Survey a recording, and find the person in it, as the cache does.

    The square has ``size`` pixels a side; it is about a ``person``, 0 for the largest of several, unless
    ``crop`` is ``"middle"``.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If it is no video, or shows less than two frames.
        ValueError: If there is no such person.
    """
    path = as_path(path)
    small, apart = [], 1
    with open_video(path, threads=0) as video:
        wanted = (frame for number, frame in enumerate(video.frames()) if number % apart == 0)
        for thumbnail in thumbnails(wanted):
            small.append(thumbnail)
            if len(small) == 2 * SMALL_ONES:  # every other one will do, of those to come, too
                small, apart = small[::2], 2 * apart
        shown = video.survey()
    if len(shown) == 1:
        raise VideoError(path, "no video", STILL, "Give a video.")
    assert video.last is not None  # or there were no survey
    small += thumbnails([video.last])
    frame_indices = [-1 if k == len(shown) - 1 else round(k / apart) for k in probe_frames(len(shown))]
    few = np.stack([small[k] for k in frame_indices])
    people = () if crop == "middle" else tuple(find_people(few))
    if person and not 0 <= person < len(people):
        raise ValueError(
            f"person: must be one of {len(people)} in {path}, counted from 0, got {person}. Leave "
            "it out for the largest."
        )
    picture = shown.width, shown.height
    box = square_about(people[person], *picture) if people else square_in_the_middle(*picture)
    return Recording(path, shown, size, box, people, person)


@torch.no_grad()
def recognize(
    model: MicroActionRecognizer,
    path: str | Path,
    length: float = 2.0,
    stride: float = 0.5,
    views: int = 3,
    crop: str = "person",
    progress: bool = False,
    person: int = 0,
) -> Recognized:
    """Recognise the micro-actions of a recording.

    It is decoded twice, for a survey and for recognition, and never held as a whole: only frames that
    are needed for open windows are kept.

    Args:
        model: Trained recogniser, from `piumar_lib.ma52.model.load_model`.
        path: Any video. Up to `piumar_lib.ma52.windows.SHORT` seconds it is one clip, as long as
            MA-52's; a longer one is split into windows.
        length, stride: Length of a window, and time from one window to the next, in seconds.
        views: Temporal views of each window, averaged.
        crop, person: Kind of square, and whom it is about, see `read_recording`.
        progress: Whether to show a progress bar.

    Raises:
        FileNotFoundError, ValueError: If the recording cannot be read, or a number is invalid.
    """
    require_spans(length, stride)
    if not model.size:
        raise ValueError(
            f"model: it was trained on poses, and cannot look at video ({path}). Give one of video; or "
            "make poses of the video: data_scripts/extract_poses.py"
        )
    if views < 1:
        raise ValueError(f"views: {views}. Choose 1 or more.")
    recording = read_recording(path, model.size, crop, person)
    shown, device = recording.shown, next(model.parameters()).device
    begin = shown.times[0]
    spans = [(begin + s, begin + e) for s, e in windows(shown.seconds - begin, length, stride)]
    frame_indices = [sample(shown.times, *ends, model.frames, views) for ends in spans]
    frames = tqdm(recording.stream(), total=len(shown), disable=not progress, unit="frame")
    probabilities = np.empty((len(spans), len(ACTIONS)))
    model.eval()
    windowed = _gather(frames, frame_indices, model.size)
    for row, looks in zip(probabilities, windowed, strict=True):
        video = to_input(torch.from_numpy(looks).to(device), model.size)  # (views, T, 3, size, size)
        row[:] = model(video).logits.float().softmax(-1).mean(0).cpu()
    start, end = np.array(spans).T
    return Recognized(start, end, probabilities, recording)


def sample(times: np.ndarray, start: float, end: float, frames: int, views: int) -> np.ndarray:
    """Indices of the frames in the middle of equal segments of a window's time, ``(views, frames)``.

    With a steady frame rate these are the `piumar_lib.ma52.dataset.frame_indices` of training.
    ``times``, shape ``(time,)``, says when each frame is shown, in seconds; views are evenly shifted.
    """
    shift = (np.arange(views)[:, None] + 0.5) / views
    return shown_at(times, start + (np.arange(frames) + shift) / frames * (end - start))


def _gather(
    frames: Iterable[np.ndarray], frame_indices: Sequence[np.ndarray], size: int
) -> Iterator[np.ndarray]:
    """The frames of each window, as soon as its last one was read; others are dropped.

    It takes all frames in order, uint8 ``(size, size, 3)``, and the frame numbers of each window,
    ``(views, frames)`` and rising from window to window; it yields ``(views, frames, size, size, 3)``.
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
