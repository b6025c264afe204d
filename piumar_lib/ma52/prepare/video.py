"""Video files: writing clips as MA-52's are written, and reading any as a player shows it.

A file holds packets; a player shows frames. Some packets are never shown (what an edit list hides), some
frames are turned or stretched before they are, and each has a time of its own. All that reads a video
reads it here: which frames there are, how they look, and when they are seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from piumar_lib.ma52.prepare.crop import WHOLE, Box
from piumar_lib.ma52.prepare.upright import Upright
from piumar_lib.support.files import whole

AGAIN = "Record or download it again."
DAMAGED = "it is damaged, or no video"
STILL = "it is a single picture, in which nothing moves"


def write_mp4(
    path: Path,
    frames: np.ndarray,
    rate: int = 30,
    keyframe_every: int = 250,
    crf: int = 18,
    between: int = 1,
) -> None:
    """Write an h264 clip (yuv420p) atomically.

    Args:
        path: Ends in ``.mp4``; an existing file is replaced once the new one is complete.
        frames: Red, green, blue, uint8 ``(time, height, width, 3)``; even height and width.
        rate: Frames per second.
        keyframe_every: Frames from one keyframe to the next; MA-52's clips have one alone.
        between: Frames that lean on both neighbours, between two that do not; MA-52's clips have one.
        crf: Constant rate factor of x264: 0 is lossless, 18 looks so, 23 is its default.

    Raises:
        ValueError: If the frames have another shape or type, or an odd height or width.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
        raise ValueError(
            f"frames: {frames.dtype} of shape {frames.shape} is not uint8 (time, height, width, 3)."
        )
    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise ValueError(f"frames: {width} x {height} pixels. h264 needs even numbers; crop one line.")
    options = {"crf": str(crf), "preset": "veryfast", "profile": "main"}
    options |= {"bf": str(between), "b_strategy": "0"}
    # With x264's macroblock tree, or more than one thread, equal frames gave different files.
    options |= {"mbtree": "0", "threads": "1"}
    convert = VideoReformatter().reformat
    with whole(path) as part, av.open(part, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = keyframe_every
        for picture in frames:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(convert(frame, format="yuv420p")))
        container.mux(stream.encode())


def read_frames(
    path: Path, box: Box = WHOLE, size: int | None = None, which: Sequence[int] | None = None
) -> np.ndarray:
    """Decode a clip, cut a part out of it, and shrink it: `decode`, then `shrink`."""
    return shrink(decode(path, which), box, size)


def decode(path: Path, which: Sequence[int] | None = None, threads: int = 1) -> Iterator[av.VideoFrame]:
    """Decode a clip as a player shows it: see `Video.frames`.

    ``which`` are the numbers of the frames that are wanted, rising; by default all. For ``threads`` see
    `open_video`.

    Yields:
        Frames, mostly yuv420p: 2 MB each at MA-52's size.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If it cannot be decoded.
        ValueError: If a frame is asked for that it does not have.
    """
    wanted = None if which is None else set(which)
    with open_video(path, threads) as video:
        for number, frame in enumerate(video.frames()):
            if wanted is None:
                yield frame
            elif number in wanted:
                yield frame
                wanted.remove(number)
                if not wanted:
                    return
    if wanted:
        raise ValueError(f"{path}: frames {sorted(wanted)} are not there. Ask for fewer.")


class VideoError(ValueError):
    """A file that cannot be read as a video.

    Attributes:
        path: The file.
        kind: ``"unreadable clip"``, ``"empty clip"``, ``"no video"`` or ``"damaged clip"``.
        what, remedy: What is wrong with it, and what to do.
    """

    def __init__(self, path: str | Path, kind: str, what: str, remedy: str = AGAIN) -> None:
        super().__init__(str(path), kind, what, remedy)
        self.path, self.kind, self.what, self.remedy = str(path), kind, what, remedy

    def __str__(self) -> str:
        return f"{self.path}: cannot be read as a video: {self.what}. {self.remedy}"


class Video:
    """An open video, from `open_video`.

    Attributes:
        assumed: Frames a second that stand in for times where the file holds none, else None; known once
            a frame was read.

    Raises:
        VideoError: If there are no moving pictures in it.
    """

    def __init__(self, path: Path, container: av.container.InputContainer, threads: int = 1) -> None:
        kind = container.format.name
        if kind == "image2" or kind.endswith("_pipe"):  # what FFmpeg calls readers of single pictures
            raise VideoError(path, "no video", STILL, "Give a video.")
        moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not moving:
            cover = "a cover picture, but " if container.streams.video else ""
            what = f"it holds {cover}no video stream"
            raise VideoError(path, "no video", what, "Give a recording with pictures.")
        self.path, self.container, self.stream = path, container, moving[0]
        if self.stream.codec_context is None:
            what, remedy = "its codec is unknown here", "Convert it: ffmpeg -i OLD NEW.mp4"
            raise VideoError(path, "no video", what, remedy)
        self.stream.thread_count = threads
        self.stream.thread_type = "SLICE" if threads == 1 else "AUTO"
        self.assumed: float | None = None
        self.ticks: list[int] = []
        self.last: av.VideoFrame | None = None

    def frames(self) -> Iterator[av.VideoFrame]:
        """All frames as a player shows them.

        Frames that an edit list hides are left out; the others are turned as the display matrix says,
        have square pixels and all the size of the first. ``frame.time`` is when a player shows it, in
        seconds: 0 is where sound or pictures begin, whichever is first.

        Raises:
            VideoError: If the file breaks off or is damaged.
        """
        upright, start = Upright(self.stream.sample_aspect_ratio), None
        try:
            for frame in self.container.decode(self.stream):
                frame.pts = self._assume_time(frame) if frame.pts is None else frame.pts
                if start is None:
                    start = self._start(frame.pts, tick_of(frame))
                frame.pts -= start
                self.last = upright(frame)
                self.ticks.append(frame.pts)
                yield self.last
        except FFmpegError as error:
            shown = len(self.ticks)
            what = f"it is damaged or breaks off after {shown} frames" if shown else DAMAGED
            raise VideoError(self.path, "damaged clip", what) from error

    def _assume_time(self, frame: av.VideoFrame) -> int:
        """A raw stream holds no times; its header may hold a frame rate."""
        rate = self.stream.guessed_rate or self.stream.average_rate or Fraction(30)
        self.assumed = float(rate)
        return round(len(self.ticks) / rate / tick_of(frame))

    def _start(self, first: int, tick: Fraction) -> int:
        """When a player's clock is at 0, in the ticks of the first frame."""
        sounds = [(s.start_time, s.time_base) for s in self.container.streams.audio]
        starts = [round(at * unit / tick) for at, unit in sounds if at is not None and unit is not None]
        return min([first, *starts])

    def survey(self) -> Survey:
        """What a player shows of it, once all its `frames` were read."""
        if self.last is None:
            raise VideoError(self.path, "damaged clip", "it holds no frame")
        size = self.last.width, self.last.height
        return _survey(self.ticks, self.last.duration, tick_of(self.last), size, self.assumed)

    def survey_packets(self) -> Survey | None:
        """The same without decoding more than a frame; None where packets do not tell what is shown."""
        if "mp4" not in self.container.format.name or self.stream.codec_context.name != "h264":
            return None
        first = next(self.frames(), None)
        self.container.seek(0)
        packets = self.packets()
        shown = [(p.pts, p.duration) for p in packets if p.pts is not None and not p.is_discard]
        hidden = len(shown) < len(packets)
        if first is None or hidden or not packets or not packets[0].is_keyframe:
            return None
        _, last_duration = max(shown, key=lambda packet: packet[0])
        start = self._start(min(pts for pts, _ in shown), tick_of(first))
        ticks = sorted(pts - start for pts, _ in shown)
        return _survey(ticks, last_duration, tick_of(first), (first.width, first.height), None)

    def packets(self) -> list[av.Packet]:
        """What the file holds of the video, from where it is read; the last, empty one is left out."""
        return [packet for packet in self.container.demux(self.stream) if packet.size]


def tick_of(frame: av.VideoFrame) -> Fraction:
    """The unit of a frame's times, in seconds; a decoder always sets it."""
    assert frame.time_base is not None
    return frame.time_base


@contextmanager
def open_video(path: str | Path, threads: int = 1) -> Iterator[Video]:
    """Open any video that FFmpeg reads, for as long as the block lasts.

    The decoder has so many ``threads``, 0 for one for each core. Clips of a data set are decoded by
    several processes, which have one each.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If it is no video, with the cause as far as the file tells it.
    """
    path = Path(path)
    head = _read_head(path)
    try:
        container = av.open(str(path))
    except FFmpegError as error:
        raise VideoError(path, *_cause(path, head)) from error
    with container:
        yield Video(path, container, threads)


def _read_head(path: Path) -> bytes:
    """The first bytes of a file, or why there are none."""
    try:
        with path.open("rb") as file:
            return file.read(64)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file. Give the path of a video.") from None
    except IsADirectoryError:
        raise VideoError(path, "unreadable clip", "it is a folder", "Give the path of a file.") from None
    except OSError as error:
        what = (error.strerror or str(error)).lower()
        raise VideoError(path, "unreadable clip", what, "Change its permissions.") from error


def _cause(path: Path, head: bytes) -> tuple[str, str, str]:
    """Why a file cannot be opened: kind, words and remedy."""
    if not head:
        return "empty clip", "it is empty (0 bytes)", AGAIN
    if head.lstrip()[:1] == b"<":
        page = head.decode("latin-1").strip().splitlines()[0][:40]
        return "no video", f"it is a web page ({page})", "Download it again. Are you signed in?"
    if head[4:8] == b"ftyp" and b"moov" not in _boxes(path):
        what = "its end is missing (no moov box): recording or download was stopped"
        return "damaged clip", what, AGAIN
    return "damaged clip", DAMAGED, AGAIN


def _boxes(path: Path) -> list[bytes]:
    """Kinds of an mp4's outermost boxes."""
    kinds, at = [], 0
    with path.open("rb") as file:
        while len(head := file.read(16)) >= 8:
            size = int.from_bytes(head[:4], "big")
            if size == 1:  # a long box has its size after its kind
                size = int.from_bytes(head[8:], "big")
            kinds.append(head[4:8])
            if size < 8:  # 0: up to the end
                break
            at += size
            file.seek(at)
    return kinds


@dataclass(frozen=True)
class Survey:
    """What a player shows of a video.

    Attributes:
        times: When each frame is shown, in seconds, rising, shape ``(frames,)``.
        seconds: When the last frame has been shown.
        fps: Frames per second, on average.
        width, height: Width and height of the pictures, in pixels.
        assumed: Frames a second that were assumed, as the file holds no times; else None.
    """

    times: np.ndarray
    seconds: float
    fps: float
    width: int
    height: int
    assumed: float | None = None

    def __len__(self) -> int:
        return len(self.times)


def survey(path: str | Path) -> Survey:
    """Find out what a player shows of a video.

    All of it is decoded, as only that tells which packets become frames; but for an mp4 with h264 that
    hides none and begins with a whole picture, such as all of MA-52's, whose packets tell it a hundred
    times as fast.

    Raises:
        FileNotFoundError, VideoError: If it cannot be read, or holds no frame.
    """
    with open_video(path) as video:
        found = video.survey_packets()
    if found is not None:
        return found
    with open_video(path) as video:
        for _ in video.frames():
            pass
        return video.survey()


def evenly(times: np.ndarray, count: int) -> np.ndarray:
    """Numbers of ``count`` frames that are spread evenly in time, from the first to the last.

    ``times`` says when each frame is shown, in seconds, rising, shape ``(frames,)``; of fewer frames
    than ``count`` some come twice.
    """
    last = len(times) - 1
    # In units of a mean gap, so that a steady clip's frames lie at 0, 1, 2, ... to the last bit.
    at = ((times - times[0]) / max(times[-1] - times[0], 1e-9) * last).round(6)
    return np.interp(np.linspace(0, last, count), at, np.arange(last + 1)).round().astype(int)


def shown_at(times: np.ndarray, when: np.ndarray) -> np.ndarray:
    """Numbers of the frames that are seen at the moments ``when``, in seconds; before all, the first."""
    return np.maximum(np.searchsorted(times, when + 1e-6, side="right") - 1, 0)


def _survey(
    ticks: list[int], duration: int | None, tick: Fraction, size: tuple[int, int], assumed: float | None
) -> Survey:
    """Frames by their ticks, the last of which is shown for ``duration`` (0: as long as usual)."""
    rising = np.maximum.accumulate(np.array(ticks, np.int64))
    gaps = np.diff(rising)
    usual = np.median(gaps[gaps > 0]) if gaps.any() else 1
    end = int(rising[-1]) + int(duration or usual)
    fps = len(ticks) / ((end - int(rising[0])) * tick)
    times = rising * tick.numerator / tick.denominator
    return Survey(times, float(end * tick), float(fps), *size, assumed)


def shrink(frames: Iterable[av.VideoFrame], box: Box = WHOLE, size: int | None = None) -> np.ndarray:
    """Cut the same part out of all frames and shrink it: `shrunk`, as one array.

    Returns:
        Red, green, blue, uint8 ``(time, height, width, 3)``.
    """
    return np.stack(list(shrunk(frames, box, size)))


def shrunk(
    frames: Iterable[av.VideoFrame], box: Box = WHOLE, size: int | None = None
) -> Iterator[np.ndarray]:
    """Cut the same part out of all frames and shrink it, frame by frame.

    Args:
        frames: Decoded frames, from `decode`.
        box: The part, in shares of the frame.
        size: Pixels of the part's shorter side; by default as they are.

    Yields:
        Red, green, blue, uint8 ``(height, width, 3)``.
    """
    reformatter = VideoReformatter()  # one for all: each new one would build its tables anew
    for frame in frames:
        yield _shrink_one(reformatter, frame, box, size)


def thumbnails(frames: Iterable[av.VideoFrame]) -> Iterator[np.ndarray]:
    """Small frames, enough to find a person: uint8 RGB ``(height, width, 3)``, about 120 pixels wide."""
    reformatter = VideoReformatter()
    for frame in frames:
        yield _shrink_one(reformatter, frame, WHOLE, min(120, frame.width))


def _shrink_one(
    reformatter: VideoReformatter, frame: av.VideoFrame, box: Box, size: int | None
) -> np.ndarray:
    width, height, part = _scaled(frame.width, frame.height, box, size)
    return reformatter.reformat(frame, width, height, "rgb24", interpolation="AREA").to_ndarray()[part]


def _scaled(width: int, height: int, box: Box, size: int | None) -> tuple[int, int, tuple]:
    """Size of the whole frame at which the part has its size, and the part's rows and columns."""
    across, down = (box.right - box.left) * width, (box.bottom - box.top) * height
    scale = 1.0 if size is None else size / min(across, down)
    part_width, part_height = (2 * round(scale * side / 2) for side in (across, down))  # h264 needs even
    width, height = max(part_width, round(scale * width)), max(part_height, round(scale * height))
    left = min(round(box.left * width), width - part_width)
    top = min(round(box.top * height), height - part_height)
    return width, height, (slice(top, top + part_height), slice(left, left + part_width))
