"""A lecture from its first slide to its last, in headless Chromium; skipped where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from executed_chapters import executed, is_current
from slow import slow_but

from tools import slides as slides_module
from tools.chapters import list_chapters
from tools.slides import build_slides

ROOT = Path(__file__).parents[1]
CHAPTERS = {chapter.stem: chapter for chapter in list_chapters(ROOT)}
SOME = [stem for stem in CHAPTERS if stem[:2] in ("00", "04", "07", "09", "12")]
# What is on the slide that is shown, and how far it reaches beyond reveal's canvas, in its own pixels.
LOOK = """() => {
    const slide = Reveal.getCurrentSlide(), scale = Reveal.getScale();
    const {width, height} = Reveal.getConfig();
    const all = [...slide.querySelectorAll("img, pre, table, math, p, li")];
    const shown = all.filter((part) => !part.closest("aside"));
    const size = (part) => parseFloat(getComputedStyle(part).fontSize);
    const of = (name) => shown.filter((part) => part.matches(name));
    const signs = [...slide.querySelectorAll("math :is(mi, mo, mn, mtext)")];
    const wide = shown.concat(signs.filter((part) => !part.closest("aside")));
    return {
        name: slide.querySelector(":is(h1, h2, h3):not(aside *)").textContent,
        empty: shown.length === 0,
        figures: of("img").map((i) => i.naturalWidth && i.getBoundingClientRect().height / scale),
        code: of("pre").map((pre) => size(pre) / size(slide)),
        tables: of("table").map((table) => size(table) / size(slide)),
        below: slide.scrollHeight - height,
        beside: Math.max(0, ...wide.map((p) => p.getBoundingClientRect().right / scale)) - width,
        last: Reveal.isLastSlide(),
    };
}"""


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    (folder / "notebooks").symlink_to(ROOT / "notebooks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slides_module, "find_executed", executed)
        return build_slides(folder).parent


@pytest.mark.parametrize("stem", slow_but(SOME, CHAPTERS))
def test_the_space_bar_leads_through_every_slide_and_each_fits(page, decks, stem):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto((decks / f"{stem}.html").as_uri())
    page.wait_for_function("window.Reveal?.isReady()")
    slides, seen = page.evaluate("Reveal.getTotalSlides()"), []
    for _ in range(slides):
        seen.append(page.evaluate(LOOK))
        page.keyboard.press("Space")
    assert [slide["last"] for slide in seen] == [False] * (slides - 1) + [True]
    assert slides <= 40
    assert all(url.startswith(("file://", "data:")) for url in asked)
    assert [s for s in seen if s["below"] > 0 or s["beside"] > 0] == []
    assert [s for s in seen if any(height < 300 for height in s["figures"])] == []
    assert [s for s in seen if any(share < 0.6 for share in s["code"] + s["tables"])] == []
    assert not is_current(CHAPTERS[stem]) or [s for s in seen if s["empty"]] == []


def test_the_list_of_chapters_opens_a_deck_that_keeps_its_place(page, decks):
    page.goto((decks / "index.html").as_uri())
    assert page.locator("li a").count() == len(CHAPTERS)
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
    page.goto((decks / "01_person_shift.html").as_uri())
    page.wait_for_function("window.Reveal?.isReady()")
    with page.expect_popup() as opened:
        page.keyboard.press("s")
    notes = "[...Reveal.getCurrentSlide().querySelectorAll('aside.notes')].map((n) => n.textContent)"
    shown = "document.querySelector('.speaker-controls-notes .value').textContent"
    said = []
    for _ in range(4):
        page.keyboard.press("Space")
        said.append(page.evaluate(f"{notes}.join('\\n')"))
        if said[-1]:  # of a slide without notes the window hides those before
            opened.value.wait_for_function(f"notes => {shown} === notes", arg=said[-1])
    assert any(len(text) > 100 for text in said)


@pytest.mark.parametrize("width", [1280, 400])
def test_without_javascript_all_slides_stand_below_each_other(browser, decks, width):
    context = browser.new_context(
        java_script_enabled=False, offline=True, viewport={"width": width, "height": 720}
    )
    page = context.new_page()
    page.goto((decks / "01_person_shift.html").as_uri())
    boxes = [slide.bounding_box() for slide in page.locator(".slides > section > section").all()]
    assert len(boxes) > 10 and boxes[0]["y"] > 0 and min(box["height"] for box in boxes) > 40
    ends = [box["y"] + box["height"] for box in boxes]
    assert all(box["y"] >= end - 1 for box, end in zip(boxes[1:], ends, strict=False))
    assert all(box["width"] <= width for box in boxes)
    for part in page.locator("noscript p, .slides :is(h1, img):not(aside *)").all():
        assert part.is_visible() and part.bounding_box()["width"] <= width
    assert "Without it, they stand below each other" in page.locator("noscript").inner_text()
    assert not page.locator("aside").first.is_visible()
    context.close()
