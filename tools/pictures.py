"""Writes animations as GIFs, each with a still twin, and drawings: ``python -m tools pictures``.

The repository's page, the book and slides show a GIF without a script; readers who prefer no motion see
the twin, see `picture`.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from html import escape
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from piumar_lib.evidence import contrasts, forest
from piumar_lib.notebook.profile import STYLE
from piumar_lib.support.files import whole
from tools.animations import ANIMATIONS, Animation
from tools.architecture import write_architecture

MILLISECONDS, HOLD = 80, 1500  # that a frame lasts; the last frame
MOST_BYTES = 400_000
DPI, COLORS = 140, 48
LINES = ("#000000", "#0072B2", "#D55E00")  # colours of thin lines, which have too few pixels to be seen
FOLDER = "pictures"  # below notebooks/


def write_pictures(root: Path, only: list[str] | None = None) -> list[Path]:
    """Draw animations with their still twins, and drawings, into ``notebooks/pictures/``.

    Raises:
        ValueError: If a name is unknown, or an animation becomes larger than `MOST_BYTES`.
    """
    known = (*ANIMATIONS, *DRAWINGS)
    if unknown := sorted({*(only or ())} - {*known}):
        raise ValueError(f"only: {unknown[0]!r} is unknown. Choose from {', '.join(known)}.")
    folder, written = root / "notebooks" / FOLDER, []
    folder.mkdir(exist_ok=True)
    for name in only or known:
        if name in DRAWINGS:
            written += DRAWINGS[name](folder)
            continue
        images = [*_images(ANIMATIONS[name])]
        gif = _encode(images)
        if len(gif) > MOST_BYTES:
            raise ValueError(f"{name}: {len(gif)} bytes, at most {MOST_BYTES}. Draw less, or smaller.")
        still = io.BytesIO()
        images[ANIMATIONS[name].still].save(still, "PNG", optimize=True)
        for ending, content in (("gif", gif), ("png", still.getvalue())):
            with whole(folder / f"{name}.{ending}") as part:
                part.write_bytes(content)
            written.append(folder / f"{name}.{ending}")
    return written


def write_contrasts(folder: Path) -> list[Path]:
    """Draw the planned contrasts of the committed records; the file has them in words, too."""
    path = folder / "contrasts.svg"
    with plt.style.context(["default", STYLE, {"svg.hashsalt": path.stem}]), whole(path) as part:
        figure, words = forest.draw_contrasts(contrasts.compute())
        figure.savefig(part, format="svg", metadata={"Date": None, "Description": words})
        plt.close(figure)
    return [path]


DRAWINGS = {"architecture": write_architecture, "contrasts": write_contrasts}


def _images(animation: Animation) -> Iterator[Image.Image]:
    """Its frames, laid out like the first."""
    own = {"figure.dpi": DPI, "savefig.dpi": DPI}
    with plt.style.context(["default", STYLE, own]):  # whatever style the caller has
        for figure in animation.draw():
            packed = io.BytesIO()
            figure.savefig(packed, format="png")
            figure.set_layout_engine("none")
            yield Image.open(packed).convert("RGB")
        plt.close()


def _encode(images: list[Image.Image]) -> bytes:
    """A GIF of one palette, which repeats."""
    width, height = images[0].size
    sample = Image.new("RGB", (width, 2 * height + 40 * len(LINES)))
    sample.paste(images[0])
    sample.paste(images[-1], (0, height))
    for row, color in enumerate(LINES):
        sample.paste(color, (0, 2 * height + 40 * row, width, 2 * height + 40 * (row + 1)))
    palette = sample.quantize(COLORS, Image.Quantize.MEDIANCUT, kmeans=1)
    colors = np.array(palette.getpalette()).reshape(-1, 3)
    colors[colors.min(1) > 249] = 255  # a background that is not quite white would show
    palette.putpalette(colors.ravel().tolist())
    few = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    lasting = [MILLISECONDS] * (len(few) - 1) + [HOLD]
    packed = io.BytesIO()
    few[0].save(
        packed, "GIF", save_all=True, append_images=few[1:], duration=lasting, loop=0, optimize=True
    )
    return packed.getvalue()


def copy_pictures(root: Path, *folders: Path) -> None:
    """Put animations and drawings, if there are any, into folders of pages that show them."""
    source = root / "notebooks" / FOLDER
    for folder in folders if source.is_dir() else ():
        shutil.copytree(source, folder / FOLDER, dirs_exist_ok=True)


def picture(name: str, folder: str = FOLDER) -> str:
    """HTML of an animation; readers who prefer no motion get its still twin, and so does print."""
    alt = escape(ANIMATIONS[name].alt, quote=True)
    media = "(prefers-reduced-motion: reduce), print"
    still = f'<source media="{media}" srcset="{folder}/{name}.png">'
    return f'<picture>{still}<img src="{folder}/{name}.gif" alt="{alt}"></picture>'
