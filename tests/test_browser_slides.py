"""A lecture from its first slide to its last, in headless Chromium; skipped where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.chapters import list_chapters
from tools.slides import build_slides

ROOT = Path(__file__).parents[1]
STEMS = [chapter.stem for chapter in list_chapters(ROOT)]
# How far the slide that is shown reaches beyond reveal's canvas, in its own pixels.
LOOK = """() => {
    const slide = Reveal.getCurrentSlide(), {width, height} = Reveal.getConfig();
    const name = slide.querySelector("h1, h2, h3")?.textContent ?? "(no title)";
    const figures = [...slide.querySelectorAll("img")].every((image) => image.naturalWidth > 0);
    // Only printed lines below it may make a figure smaller.
    const alone = !slide.querySelector(".jp-OutputArea pre");
    const small = alone && [...slide.querySelectorAll("img")].some((image) => image.height < 580);
    const below = slide.scrollHeight - height, beside = slide.scrollWidth - width;
    return {name, figures, small, below, beside, last: Reveal.isLastSlide()};
}"""


@pytest.fixture(scope="module")
def decks():
    return build_slides(ROOT).parent


@pytest.mark.parametrize("stem", STEMS)
def test_the_space_bar_leads_through_every_slide_and_each_fits(page, decks, stem):
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto((decks / f"{stem}.html").as_uri())
    page.wait_for_function("window.Reveal?.isReady()")
    slides, seen = page.evaluate("Reveal.getTotalSlides()"), []
    for _ in range(slides):
        seen.append(page.evaluate(LOOK))
        page.keyboard.press("Space")
    assert [slide["last"] for slide in seen] == [False] * (slides - 1) + [True]
    wrong = [s for s in seen if s["below"] > 0 or s["beside"] > 0 or s["small"] or not s["figures"]]
    assert not wrong


def test_the_list_of_chapters_opens_a_deck_that_keeps_its_place(page, decks):
    page.goto((decks / "index.html").as_uri())
    assert page.locator("li a").count() == len(STEMS)
    page.locator("li a").nth(2).click()
    page.wait_for_function("window.Reveal?.isReady()")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    where = page.evaluate("Reveal.getIndices()")
    page.wait_for_url("**#/3")  # reveal writes the address once a second
    page.reload()
    page.wait_for_function("window.Reveal?.isReady()")
    assert page.evaluate("Reveal.getIndices()") == where
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("Reveal.getIndices()") != where


def test_speaker_notes_open_in_a_window_of_their_own_and_follow(page, decks):
    page.goto((decks / f"{STEMS[1]}.html").as_uri())
    page.wait_for_function("window.Reveal?.isReady()")
    with page.expect_popup() as opened:
        page.keyboard.press("s")
    there = "Reveal.getCurrentSlide().querySelector('aside.notes').textContent"
    shown = "document.querySelector('.speaker-controls-notes .value').textContent"
    for _ in range(3):
        page.keyboard.press("Space")
        opened.value.wait_for_function(f"notes => {shown} === notes", arg=page.evaluate(there))


@pytest.mark.parametrize("width", [1280, 400])
def test_without_javascript_all_slides_stand_below_each_other(browser, decks, width):
    context = browser.new_context(
        java_script_enabled=False, offline=True, viewport={"width": width, "height": 720}
    )
    page = context.new_page()
    page.goto((decks / f"{STEMS[1]}.html").as_uri())
    boxes = [slide.bounding_box() for slide in page.locator(".slides > section > section").all()]
    assert len(boxes) > 10 and boxes[0]["y"] > 0 and min(box["height"] for box in boxes) > 40
    ends = [box["y"] + box["height"] for box in boxes]
    assert all(box["y"] >= end - 1 for box, end in zip(boxes[1:], ends, strict=False))
    assert all(box["width"] <= width for box in boxes)
    for part in page.locator(".plain, .slides :is(h1, img):not(aside *)").all():
        assert part.is_visible()
    assert "Without it, they stand below each other" in page.locator(".plain").inner_text()
    context.close()
