"""A figure that is updated during a long computation."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from piumar_lib.notebook.figure import to_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Live:
    """Draws its rows in place of the previous figure.

    Args:
        draw: Turns the rows of a history into a figure and its alternative text.
        seconds: Least time between two drawings, to limit their cost.
    """

    def __init__(self, draw: Callable[[list[dict]], tuple[Figure, str]], seconds: float = 2.0) -> None:
        self.draw, self.seconds = draw, seconds
        self.last, self.handle = float("-inf"), None

    def __call__(self, rows: list[dict]) -> None:
        """Draw ``rows``, unless less than ``seconds`` have passed since the last drawing."""
        if time.monotonic() - self.last >= self.seconds:
            self.finish(rows)

    def finish(self, rows: list[dict]) -> None:
        """Draw the whole history of a finished run, also of one that was finished before."""
        from IPython.display import display

        picture: Any = to_image(*self.draw(rows))
        if self.handle is None:
            self.handle = display(picture, display_id=True)
        else:
            self.handle.update(picture)
        self.last = time.monotonic()
