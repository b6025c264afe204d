"""Figures with alternative text, and tables."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.display import Image
    from matplotlib.figure import Figure

SHORTEST_ALT = 30
PIXELS = 110  # per inch of a figure on a page; it is drawn with twice as many
NUMBER = r"\W*\d|\W*$|nan"  # optionally after a sign or a bracket; or empty


def show(fig: Figure, alt: str) -> None:
    """Display a figure as one PNG with alternative text, then close it.

    nbconvert reads the text from ``output.metadata["image/png"]["alt"]``, which the inline backend
    leaves empty; so the figure is displayed here instead of at the end of the cell. ``alt`` says, in at
    least 30 characters, what the figure *shows* ("accuracy falls from 0.98 to 0.71 on unseen people"),
    not what it is ("a bar chart").

    Raises:
        ValueError: If the text is too short to say anything.
    """
    from IPython.display import display

    if len(alt.strip()) < SHORTEST_ALT:
        raise ValueError(
            f"alt: {alt!r} has fewer than {SHORTEST_ALT} characters. Say what the figure shows."
        )
    display(to_image(fig, " ".join(alt.split())))


def to_image(fig: Figure, alt: str) -> Image:
    """Draw a figure as a PNG, shown with `PIXELS` per inch, then close it."""
    import matplotlib.pyplot as plt
    from IPython.display import Image
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    drawn = io.BytesIO()
    # Drawn once and with little compression, because a widget waits for it; `savefig` draws twice.
    FigureCanvasAgg(fig).print_png(drawn, pil_kwargs={"compress_level": 1})
    plt.close(fig)
    width = round(PIXELS * fig.get_figwidth())
    return Image(data=drawn.getvalue(), format="png", width=width, metadata={"alt": alt})


def fixed_figure(
    width: float, height: float, columns: int = 1, right: float = 0.15, left: float = 0.85
) -> tuple[Figure, Any]:
    """A figure that is drawn fast, for a widget: fixed margins and few ticks.

    Finding a layout takes as long as drawing, and a tick takes as long as a curve. All sizes are in
    inches: the margin on the ``right`` is for a legend beside the axes, that on the ``left`` for labels.
    Returns the figure, and its ``columns`` axes as from `matplotlib.pyplot.subplots`.
    """
    import matplotlib.pyplot as plt

    margins = {
        "left": left / width,
        "right": 1 - right / width,
        "bottom": 0.5 / height,
        "top": 1 - 0.35 / height,
        "wspace": 0.3,
    }
    fig, axes = plt.subplots(1, columns, figsize=(width, height), layout="none", gridspec_kw=margins)
    for ax in fig.axes:
        ax.locator_params(nbins=5)
    return fig, axes


def show_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Display a table, see `markdown_table`."""
    from IPython.display import Markdown, display

    display(Markdown(markdown_table(header, rows)))


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table as Markdown; a number is shown with one decimal place.

    The first column names the rows. Others are right-aligned if their cells begin with a number.

    Raises:
        ValueError: If a row has another number of entries than the header.
    """
    if wrong := [row for row in rows if len(row) != len(header)]:
        raise ValueError(f"rows: {len(wrong[0])} entries for {len(header)} columns in {wrong[0]}.")
    text = [[f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    others = list(zip(*text, strict=True))[1:]
    rule = ["---:" if all(re.match(NUMBER, cell) for cell in column) else "---" for column in others]
    lines: list[Sequence[str]] = [header, ["---", *rule], *text]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
