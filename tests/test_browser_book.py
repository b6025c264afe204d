"""What a reader of the book sees and can do, tried in headless Chromium; skipped where there is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pygments.styles import get_style_by_name

from tools.book import CODE_STYLES, build_book

playwright = pytest.importorskip("playwright.sync_api", reason="make test installs playwright")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="make test installs axe")

ROOT = Path(__file__).parents[1]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def book():
    return build_book(ROOT).parent


def stems(book):
    return sorted(path.stem for path in book.glob("*.html"))


def open_page(page, book, stem):
    page.goto((book / f"{stem}.html").as_uri())


def test_every_page_is_whole_in_light_and_dark_at_the_desk_and_on_a_phone(page, book):
    problems = []
    for stem in stems(book):
        for size, scheme in ((DESK, "light"), (PHONE, "dark")):
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=scheme)
            open_page(page, book, stem)
            found = [*look(page), *judge(page, colours_only=scheme == "dark")]
            problems += [f"{stem}, {scheme}: {problem}" for problem in found]
    assert not problems, "\n".join(problems)


def look(page):
    """Return what is wrong with a page: too wide, or not drawn."""
    width = page.evaluate("document.documentElement.scrollWidth")
    if width > page.viewport_size["width"]:
        yield f"scrolls sideways, {width} pixels wide"
    undrawn = page.evaluate("""() => [...document.querySelectorAll("main math")].filter(
        (m) => !m.closest("details:not([open])") && !(m.getBoundingClientRect().width * m.clientHeight))
        .map((m) => m.textContent)""")
    yield from (f"formula without size: {text}" for text in undrawn)
    missing = page.evaluate(
        "[...document.images].filter((i) => !i.naturalWidth).map((i) => i.src.slice(0, 80))"
    )
    yield from (f"image not drawn: {source}" for source in missing)


def judge(page, colours_only):
    """Return what axe-core calls serious or critical."""
    # A coloured word of code and a sign of a formula is an element each, which takes axe minutes.
    # Each formula has the colour of its text; of code the next test judges the colours.
    page.evaluate("""() => {
        for (const code of document.querySelectorAll("pre")) code.textContent = code.textContent;
        for (const formula of document.querySelectorAll("math")) {
            const whole = document.createElementNS(formula.namespaceURI, "mtext");
            whole.textContent = formula.textContent;
            formula.replaceChildren(whole);
        }
        window.dispatchEvent(new Event("resize"));  // formulas have another width now
    }""")
    # Preloading means fetching style sheets, which a page from a file may not do.
    options = {"resultTypes": ["violations"], "preload": False}
    if colours_only:  # the rest does not depend on the scheme
        options["runOnly"] = ["color-contrast", "scrollable-region-focusable"]
    for finding in axe.Axe().run(page, options=options).response["violations"]:
        if finding["impact"] in ("serious", "critical"):
            places = {node["html"][:120] for node in finding["nodes"]}
            yield f"{finding['id']} ({finding['help']}): {len(places)}, such as {min(places)}"


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("scheme", "style"), [*zip(("light", "dark"), CODE_STYLES, strict=True)])
def test_colours_of_code_stand_out_from_its_panel(page, book, scheme, style):
    page.emulate_media(color_scheme=scheme)
    open_page(page, book, "index")
    panel = page.evaluate("getComputedStyle(document.querySelector('.highlight')).backgroundColor")
    behind = luminance("".join(f"{int(number):02x}" for number in re.findall(r"\d+", panel)[:3]))
    for token, look in get_style_by_name(style):
        lighter, darker = sorted([luminance(look["color"] or "888888"), behind], reverse=True)
        assert not look["color"] or (lighter + 0.05) / (darker + 0.05) >= 4.5, token


def test_formulas_are_drawn_with_mathml(page, book):
    open_page(page, book, "02_optimal_transport")
    boxes = page.evaluate("""() => [...document.querySelectorAll("main math mfrac")].map((m) => {
        const box = m.getBoundingClientRect(); return [box.width, box.height]; })""")
    assert boxes and all(width > 3 and height > 15 for width, height in boxes)


def test_search_finds_sinkhorn_with_the_keyboard_and_opens_its_section(page, book):
    open_page(page, book, "00_start_here")
    page.keyboard.press("/")
    page.keyboard.type("sinkhorn")
    results = page.locator(".found a")
    results.first.wait_for()
    assert 5 < results.count() <= 20
    assert "section" in page.locator(".found [role=status]").inner_text()
    assert results.first.locator("mark").count()
    titles = results.locator("strong").all_inner_texts()
    chosen = next(i for i, title in enumerate(titles) if title.startswith("The second transport"))
    for _ in range(chosen + 1):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/03_temporal_alignment.html#the-second-transport-sinkhorn-to-anchors")
    heading = page.locator("h2", has_text="Sinkhorn to anchors")
    assert 0 <= heading.bounding_box()["y"] < DESK["height"] / 2


def test_search_wants_every_word_and_says_when_there_is_nothing(page, book):
    open_page(page, book, "index")
    field, results = page.get_by_label("Search"), page.locator(".found a")
    field.fill("WORST quarter")
    results.first.wait_for()
    best = results.first.inner_text().lower()
    assert "worst quarter" in best
    field.fill("Frechet zebra")
    playwright.expect(page.locator(".found [role=status]")).to_have_text("0 sections")
    assert results.count() == 0
    page.keyboard.press("Escape")
    assert field.input_value() == "" and not page.locator(".found").is_visible()


def test_search_fits_a_phone(page, book):
    page.set_viewport_size(PHONE)
    open_page(page, book, "index")
    page.get_by_label("Search").fill("transport")
    page.locator(".found a").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_links_lead_through_the_whole_book(page, book):
    open_page(page, book, "index")
    seen = ["index"]
    while (onward := page.locator(".turn a", has_text="→")).count():
        target = onward.get_attribute("href")
        onward.click()
        page.wait_for_url(f"**/{target}")
        seen.append(Path(page.url).stem)
    assert sorted(seen) == stems(book)
    page.locator(".chapters a", has_text="Optimal transport").click()
    assert page.locator(".chapters [aria-current]").inner_text() == "02 Optimal transport"
    assert page.locator("h1").inner_text().startswith("02 · Optimal transport")


def test_print_shows_the_text_alone(page, book):
    page.emulate_media(media="print", color_scheme="dark")
    open_page(page, book, "00_start_here")
    assert page.locator("main h1").is_visible() and not page.locator(".chapters").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
