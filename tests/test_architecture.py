"""The drawing of the architecture: current, well-formed, and marked for the chapter that shows it."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tools.architecture import ALT, BOXES, CHAPTERS, HEIGHT, HERE, WHOLE, WIDTH, draw
from tools.chapters import list_chapters

ROOT = Path(__file__).parents[1]
SVG = "{http://www.w3.org/2000/svg}"


def marked(text):
    """Names of the boxes that are filled as the reader's own place."""
    boxes = [rect for rect in ElementTree.fromstring(text).iter(f"{SVG}rect") if rect.get("rx") == "6"]
    return [box.lines[0] for box, rect in zip(BOXES, boxes, strict=True) if rect.get("fill") == HERE]


@pytest.mark.parametrize("chapter", ["", *CHAPTERS, WHOLE])
def test_the_committed_drawing_is_current(chapter):
    name = f"architecture-{chapter}".removesuffix("-")
    assert (ROOT / "notebooks" / "pictures" / f"{name}.svg").read_text() == draw(chapter)


def test_each_part_is_marked_in_its_chapter_alone():
    assert marked(draw()) == []
    assert marked(draw("03")) == ["temporal branch"]
    assert marked(draw("05")) == ["fusion", "consistency loss"]
    assert all(len(marked(draw(chapter))) >= 1 for chapter in CHAPTERS)
    assert {chapter for box in BOXES for chapter in box.chapters} == {*CHAPTERS}


def test_the_whole_method_has_numbered_blocks():
    text = draw(WHOLE)
    headings = (ROOT / "notebooks" / "08_piumr_from_scratch.py").read_text()
    numbers = {int(number) for number in re.findall(r">block (\d)<", text)}
    drawn_in_others = {4, 8}  # TFAM, which holds 1 to 3, and the training loop
    assert numbers == {int(n) for n in re.findall(r"^# ## (\d) ", headings, re.M)} - drawn_in_others
    assert marked(text) == [] and "chapter" not in text and "you are here" not in text


def test_boxes_lie_in_the_drawing_and_apart():
    for box in BOXES:
        assert box.x > 0 and box.x + box.width < WIDTH and box.y + box.height < HEIGHT - 40
        for other in BOXES:
            apart_across = box.x + box.width < other.x or other.x + other.width < box.x
            apart_down = box.y + box.height < other.y or other.y + other.height < box.y
            assert box is other or apart_across or apart_down


@pytest.mark.parametrize("chapter", ["00", *CHAPTERS, WHOLE])
def test_the_chapter_shows_it_with_its_words(chapter):
    (found,) = list_chapters(ROOT, [chapter])
    name = "architecture" if chapter == "00" else f"architecture-{chapter}"
    assert f"![{ALT}](pictures/{name}.svg)" in found.path.read_text()
