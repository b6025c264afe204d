"""Figures that a reader who cannot see them can still read."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHORTEST_ALT = 30


def show(fig: Figure, alt: str) -> None:
    """Display a figure as one PNG with alternative text, then close it.

    nbconvert reads the text from ``output.metadata["image/png"]["alt"]``, which the inline
    backend leaves empty; so the figure is displayed here instead of at the end of the cell.

    Args:
        fig: The figure.
        alt: What the figure *shows* ("accuracy falls from 0.98 to 0.71 on unseen people"), not
            what it is ("a bar chart"). At least 30 characters.

    Raises:
        ValueError: If the text is too short to say anything.
    """
    import matplotlib.pyplot as plt
    import numpy as np
    from IPython.display import Image, display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image as Picture

    if len(alt.strip()) < SHORTEST_ALT:
        raise ValueError(
            f"alt: {alt!r} has fewer than {SHORTEST_ALT} characters. Say what the figure shows."
        )
    # Drawn once. Saving would draw twice when there is a layout to find, which a widget's knob shows.
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    plt.close(fig)
    # 256 colours look the same and keep a chapter with a dozen figures small enough for git.
    picture = Picture.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    small = io.BytesIO()
    picture.quantize(256, dither=Picture.Dither.NONE).save(small, format="png", optimize=True)
    display(Image(data=small.getvalue(), format="png", alt=" ".join(alt.split())))


def show_table(header: list[str], rows: list[list[object]]) -> None:
    """Display a table; a number is shown with one digit behind the point.

    Args:
        header: Column names.
        rows: As many entries each as there are columns.

    Raises:
        ValueError: If a row has another number of entries.
    """
    from IPython.display import Markdown, display

    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"rows: {len(row)} entries for {len(header)} columns in {row}.")
    text = [[f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *text]
    display(Markdown("\n".join("| " + " | ".join(line) + " |" for line in lines)))
