"""Pictures as a player shows them, which need not be as they are stored.

A phone stores every clip lying, with a *display matrix* that says how to turn it; pixels of broadcasts
are wider than high; a browser's recording changes its size with the window.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any

from av import VideoFrame
from av.filter import Graph

# Where the display matrix sends the two axes, to FFmpeg's filters that do so.
TURNS: dict[tuple[int, ...], tuple[tuple[str, str], ...]] = {
    (1, 0, 0, 1): (),
    (-1, 0, 0, 1): (("hflip", ""),),
    (1, 0, 0, -1): (("vflip", ""),),
    (-1, 0, 0, -1): (("hflip", ""), ("vflip", "")),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
}


class Upright:
    """Turns the frames of one video upright, one by one.

    Args:
        pixel: Width of a pixel over its height, as stored; None is taken for 1.
    """

    def __init__(self, pixel: Fraction | None = None) -> None:
        self.pixel = float(pixel or 1)
        self.graph: Graph | None = None
        self.made_for: tuple = ()
        self.shown: tuple[int, int] | None = None  # width and height of the first frame, shown

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The frame turned, with square pixels and the size of the first; itself if nothing is to do."""
        stored = (frame.width, frame.height, frame.format.name)
        if stored != self.made_for:
            self.made_for, self.graph = stored, self._make_graph(frame)
        if self.graph is None:
            return frame
        self.graph.vpush(frame)
        return self.graph.vpull()

    def _make_graph(self, frame: VideoFrame) -> Graph | None:
        steps, (width, height) = turns(frame), (frame.width, frame.height)
        square = max(1, round(width * self.pixel)), height
        turned = square[::-1] if any(name == "transpose" for name, _ in steps) else square
        self.shown = self.shown or turned
        if turned != self.shown or square != (width, height):
            steps = (*steps, ("scale", "{}:{}".format(*self.shown)))
        if not steps:
            return None
        graph = Graph()
        source = graph.add_buffer(
            width=width, height=height, format=frame.format, time_base=frame.time_base
        )
        graph.link_nodes(source, *(graph.add(*step) for step in steps), graph.add("buffersink"))
        graph.configure()
        return graph


def turns(frame: VideoFrame) -> tuple[tuple[str, str], ...]:
    """Filters, each a name and its argument, that do what a frame's display matrix says.

    Players turn by quarters and mirror; an angle in between is taken for the nearest quarter.
    """
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return ()
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    along = abs(a) + abs(d) >= abs(b) + abs(c)  # whether rows stay rows
    axes = (a, 0, 0, d) if along else (0, b, c, 0)
    return TURNS.get(tuple((value > 0) - (value < 0) for value in axes), ())
