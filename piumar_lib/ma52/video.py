"""Video files: writing a clip as MA-52's are written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np


def write_mp4(
    path: Path, frames: np.ndarray, rate: int = 30, keyframe_every: int = 250, crf: int = 18
) -> None:
    """Write an h264 clip (yuv420p), whole or not at all.

    Args:
        path: Ends in ``.mp4``; an old file is replaced once the new one is complete.
        frames: Red, green, blue, uint8 ``(time, height, width, 3)``; even height and width.
        rate: Frames per second.
        keyframe_every: Frames from one keyframe to the next; MA-52's clips have one alone.
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
    options |= {"bf": "1", "b_strategy": "0"}  # every other frame leans on both neighbours, as in MA-52
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
