"""Video files: writing clips as MA-52's are written, and reading them smaller."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from piumar_lib.ma52.crop import WHOLE, Box

if TYPE_CHECKING:
    import av


def write_mp4(
    path: Path,
    frames: np.ndarray,
    rate: int = 30,
    keyframe_every: int = 250,
    crf: int = 18,
    between: int = 1,
) -> None:
    """Write an h264 clip (yuv420p), whole or not at all.

    Args:
        path: Ends in ``.mp4``; an old file is replaced once the new one is complete.
        frames: Red, green, blue, uint8 ``(time, height, width, 3)``; even height and width.
        rate: Frames per second.
        keyframe_every: Frames from one keyframe to the next; MA-52's clips have one alone.
        between: Frames that lean on both neighbours, between two that do not; MA-52's clips have one.
        crf: Constant rate factor of x264: 0 is lossless, 18 looks so, 23 is its default.

    Raises:
        ValueError: If the frames have another shape or type, or an odd height or width.
    """
    import av

    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
        raise ValueError(
            f"frames: {frames.dtype} of shape {frames.shape} is not uint8 (time, height, width, 3)."
        )
    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise ValueError(f"frames: {width} x {height} pixels. h264 needs even numbers; crop one line.")
    part = path.with_name(f"{path.stem}.part.mp4")
    options = {"crf": str(crf), "preset": "veryfast", "profile": "main"}
    options |= {"bf": str(between), "b_strategy": "0"}
    # With x264's macroblock tree, or more than one thread, equal frames gave different files.
    options |= {"mbtree": "0", "threads": "1"}
    convert = av.video.reformatter.VideoReformatter().reformat
    with av.open(part, "w") as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = keyframe_every
        for picture in frames:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(convert(frame, format="yuv420p")))
        container.mux(stream.encode())
    os.replace(part, path)


def read_frames(
    path: Path, box: Box = WHOLE, size: int | None = None, which: Sequence[int] | None = None
) -> np.ndarray:
    """Decode a clip, cut a part out of it, and shrink it: `decode`, then `shrink`."""
    return shrink(decode(path, which), box, size)


def decode(path: Path, which: Sequence[int] | None = None) -> Iterator[av.VideoFrame]:
    """Decode a clip.

    Args:
        path: Any video that FFmpeg reads.
        which: Numbers of the frames that are wanted, rising; by default all.

    Yields:
        Frames as they are stored, mostly yuv420p: 2 MB each at MA-52's size.

    Raises:
        ValueError: If a frame is asked for that the clip does not have.
        av.error.FFmpegError: If it cannot be decoded.
    """
    import av

    wanted = None if which is None else set(which)
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1  # processes run side by side
        for number, frame in enumerate(container.decode(stream)):
            if wanted is None:
                yield frame
            elif number in wanted:
                yield frame
                wanted.remove(number)
                if not wanted:
                    return
    if wanted:
        raise ValueError(f"{path}: frames {sorted(wanted)} are not there. Ask for fewer.")


def shrink(frames: Iterable[av.VideoFrame], box: Box = WHOLE, size: int | None = None) -> np.ndarray:
    """Cut the same part out of all frames and shrink it.

    Args:
        frames: At least one, from `decode`.
        box: The part, in shares of the frame.
        size: Pixels of the part's shorter side; by default as they are.

    Returns:
        Red, green, blue, uint8 ``(time, height, width, 3)``.
    """
    from av.video.reformatter import VideoReformatter

    convert = VideoReformatter().reformat  # one for all: each new one would build its tables anew
    pictures = []
    for frame in frames:
        width, height, part = _scaled(frame.width, frame.height, box, size)
        pictures.append(convert(frame, width, height, "rgb24", interpolation="AREA").to_ndarray()[part])
    return np.stack(pictures)


def _scaled(width: int, height: int, box: Box, size: int | None) -> tuple[int, int, tuple]:
    """Size of the whole frame at which the part has its size, and the part's rows and columns."""
    across, down = (box.right - box.left) * width, (box.bottom - box.top) * height
    scale = 1.0 if size is None else size / min(across, down)
    part_width, part_height = (2 * round(scale * side / 2) for side in (across, down))  # h264 needs even
    width, height = max(part_width, round(scale * width)), max(part_height, round(scale * height))
    left = min(round(box.left * width), width - part_width)
    top = min(round(box.top * height), height - part_height)
    return width, height, (slice(top, top + part_height), slice(left, left + part_width))
