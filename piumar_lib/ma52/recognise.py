"""Use a trained recogniser on any recording: what happens in a short clip, and when in a long one.

    model = load_model("build/ma52/run")
    for action, probability in recognise(model, "me.mp4").best(): ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from piumar_lib.data.ma52 import ACTIONS, body_part
from piumar_lib.ma52.cache import find_crop, telling
from piumar_lib.ma52.dataset import moments
from piumar_lib.ma52.model import MicroActionRecognizer
from piumar_lib.ma52.transforms import to_input
from piumar_lib.ma52.video import decode, read_frames

SHORT = 4.0  # seconds up to which a recording is one clip; MA-52's last 1.5 to 2.5
FRAMES_AT_MOST = 20_000  # 11 minutes at 30 frames a second; more does not fit into memory


@dataclass(frozen=True)
class Recording:
    """A recording as the recogniser sees it.

    Attributes:
        path: The file.
        frames: uint8 ``(time, size, size, 3)``, cut to the person.
        fps: Frames per second.
        found: Whether a person was found; otherwise the middle square is kept.
    """

    path: Path
    frames: np.ndarray
    fps: float
    found: bool

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.frames) / self.fps


@dataclass(frozen=True)
class Recognised:
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
    """Read a recording and cut it to the person, as the cache does.

    Args:
        path: Any video that FFmpeg reads.
        size: Pixels of the square's side.
        crop: ``"person"``, or ``"middle"``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no video, holds no frame, or is too long.
    """
    import av

    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. Give the path of a recording.")
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            fps = float(stream.average_rate or 30)
            frames = sum(packet.size > 0 for packet in container.demux(stream))
        if not 1 <= frames <= FRAMES_AT_MOST:
            raise ValueError(f"{frames} frames; it can be read with 1 to {FRAMES_AT_MOST}, so cut it")
        box, found = find_crop(list(decode(path, telling(frames))), crop)
        film = read_frames(path, box, size)[:, :size, :size]
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as a video: {error}.") from error
    return Recording(path, film, fps, found)


def windows(seconds: float, length: float, stride: float) -> list[tuple[float, float]]:
    """Start and end of windows that cover a recording; a short one is one window.

    Raises:
        ValueError: If ``length`` or ``stride`` is not positive.
    """
    if length <= 0 or stride <= 0:
        raise ValueError(f"length, stride: {length}, {stride} seconds. Choose both above 0.")
    if seconds <= max(SHORT, length):
        return [(0.0, seconds)]
    count = int(np.ceil((seconds - length) / stride - 1e-9)) + 1
    starts = np.minimum(np.arange(count) * stride, seconds - length)
    return [(float(s), float(s) + length) for s in starts]


@torch.no_grad()
def recognise(
    model: MicroActionRecognizer,
    path: str | Path,
    length: float = 2.0,
    stride: float = 0.5,
    views: int = 3,
    crop: str = "person",
) -> Recognised:
    """Recognise the micro-actions of a recording.

    Args:
        model: From `piumar_lib.ma52.model.load_model`.
        path: Any video. Up to `SHORT` seconds it is one clip, as long as MA-52's; a longer one is looked
            at through windows.
        length, stride: Of the windows, in seconds.
        views: Temporal views of each window, averaged.
        crop: See `read_recording`.

    Raises:
        FileNotFoundError, ValueError: If the recording cannot be read.
    """
    recording = read_recording(path, model.size, crop)
    device = next(model.parameters()).device
    at = windows(recording.seconds, length, stride)
    model.eval()
    probabilities = [
        _look(model, _cut(recording, start, end), views, device) for start, end in at
    ]
    start, end = np.array(at).T
    return Recognised(recording, start, end, np.stack(probabilities), motion(recording.frames))


def motion(frames: np.ndarray) -> np.ndarray:
    """Mean change of grey levels since the frame before, 0 for the first, shape ``(time,)``."""
    grey = frames.astype(np.float32).mean(-1)
    return np.concatenate([[0.0], np.abs(np.diff(grey, axis=0)).mean((1, 2))])


def to_parts(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities of body parts, ``(windows, 7)``: the sums over their actions."""
    parts = body_part(np.arange(len(ACTIONS)))
    return np.stack([probabilities[:, parts == k].sum(1) for k in range(parts.max() + 1)], axis=1)


def _cut(recording: Recording, start: float, end: float) -> np.ndarray:
    first, last = round(start * recording.fps), round(end * recording.fps)
    return recording.frames[min(first, len(recording.frames) - 1) : max(last, first + 1)]


def _look(
    model: MicroActionRecognizer, film: np.ndarray, views: int, device: torch.device
) -> np.ndarray:
    """Probabilities of one window, averaged over its views, shape ``(52,)``."""
    looks: Sequence[np.ndarray] = [
        film[moments(len(film), model.frames, view, views)] for view in range(views)
    ]
    video = to_input(torch.from_numpy(np.stack(looks)).to(device), model.size)
    return model(video)[0].logits.float().softmax(-1).mean(0).double().cpu().numpy()
