"""Animations are small, have a still twin and words, and are those that the library draws today."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools import pictures
from tools.__main__ import main
from tools.animations import ANIMATIONS, Animation
from tools.chapters import list_chapters, to_notebook
from tools.pictures import MOST_BYTES, picture, write_pictures

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks" / "pictures"
PROSE = [
    cell.source
    for chapter in list_chapters(ROOT)
    for cell in to_notebook(chapter.path).cells
    if cell.cell_type == "markdown"
]


@pytest.mark.parametrize("name", ANIMATIONS)
def test_committed_files_are_small_and_have_a_twin(name):
    assert (FOLDER / f"{name}.gif").stat().st_size <= MOST_BYTES == 400_000
    with Image.open(FOLDER / f"{name}.gif") as gif, Image.open(FOLDER / f"{name}.png") as still:
        assert gif.n_frames >= 30 and gif.info["loop"] == 0 and gif.size == still.size
        gif.seek(ANIMATIONS[name].still)
        frame, twin = (np.asarray(image.convert("RGB"), float) for image in (gif, still))
    assert np.abs(frame - twin).mean() < 4  # a GIF has few colours
    assert frame[0, 0].tolist() == twin[0, 0].tolist() == [255, 255, 255]
    assert len(ANIMATIONS[name].alt) >= 30


@pytest.mark.parametrize("name", ANIMATIONS)
def test_the_committed_file_is_what_is_drawn_today(name):
    first = next(pictures._images(ANIMATIONS[name]))
    with Image.open(FOLDER / f"{name}.gif") as gif:
        committed = np.asarray(gif.convert("RGB"), float)
    assert np.abs(np.asarray(first, float) - committed).mean() < 4, "run: python -m tools pictures"


@pytest.mark.parametrize("name", ANIMATIONS)
def test_a_chapter_shows_it(name):
    assert sum(picture(name) in text for text in PROSE) == 1


def test_chapters_show_no_other_pictures_and_say_what_they_show():
    shown = [tag for text in PROSE for tag in re.findall(r"<picture>.*?</picture>", text, re.S)]
    assert sorted(shown) == sorted(map(picture, ANIMATIONS))


def test_the_command_draws_what_is_asked_for(tmp_path, monkeypatch, capsys):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    short = Animation(lambda: islice(ANIMATIONS["epsilon"].draw(), 2), "two", still=1)
    monkeypatch.setattr(pictures, "ANIMATIONS", {"short": short})
    assert main(["--root", str(tmp_path), "pictures", "--only", "short"]) == 0
    with Image.open(tmp_path / "notebooks" / "pictures" / "short.gif") as gif:
        assert gif.n_frames == 2
    assert "short.png" in capsys.readouterr().out
    assert main(["--root", str(tmp_path), "pictures", "--only", "long"]) == 1
    assert (
        "only: 'long' is unknown. Choose from short, architecture, contrasts." in capsys.readouterr().err
    )
    monkeypatch.setattr(pictures, "MOST_BYTES", 10)
    with pytest.raises(ValueError, match=r"short: \d+ bytes, at most 10\. Draw less"):
        write_pictures(tmp_path)
