"""The report in a real browser: nothing loaded, no error, tables that sort and filter, readable on a phone.

Needs a Chromium or Chrome on the PATH; Playwright's own is not downloaded.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright
from support.report_samples import judged, small_store

from lrlc.results.report import write_report

pytestmark = pytest.mark.xdist_group("report_browser")  # what they share is made once

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
QUIET += ("--disable-background-networking", "--disable-component-update")
PHONE = 390
SMALLEST_TARGET = 24  # CSS pixels; WCAG 2.2, success criterion 2.5.8
SMALLEST_FONT = 14


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser on the PATH (looked for {', '.join(NAMES)})")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    return write_report(small_store(folder), folder / "report.html", verdicts=judged())


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    """The report opened on a screen; its requests and errors are checked at the end of the test."""
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    requests, errors, messages = list[str](), list[str](), list[str]()
    opened.on("request", lambda request: requests.append(request.url))
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: messages.append(message.text))
    opened.goto(report.as_uri())
    yield opened
    opened.close()
    assert requests == [report.as_uri()]
    assert errors == []
    assert messages == []


@pytest.fixture
def results(page: Page) -> Locator:
    return page.get_by_role("table", name="MNIST")


def column(table: Locator, index: int) -> list[str]:
    """The visible texts of a column."""
    return [
        text
        for row in table.locator("tbody tr:visible").all()
        for text in [row.locator("td").nth(index).inner_text()]
    ]


def test_a_header_sorts_numbers_as_numbers_with_the_empty_ones_last(page: Page, results: Locator) -> None:
    layers, ranks, parameters = column(results, 0), column(results, 1), column(results, 9)
    header = results.get_by_role("columnheader", name="rank")
    button = header.get_by_role("button")
    assert header.get_attribute("aria-sort") == "none"
    button.click()
    assert header.get_attribute("aria-sort") == "ascending"
    known = sorted(filter(None, ranks), key=int)
    assert column(results, 1) == known + [""] * (len(ranks) - len(known))
    button.focus()
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    assert column(results, 1) == known[::-1] + [""] * (len(ranks) - len(known))
    button.click()
    assert column(results, 0) == layers
    results.get_by_role("button", name="parameters").click()
    assert header.get_attribute("aria-sort") == "none"
    units = {"k": 1e3, "M": 1e6}
    assert column(results, 9) == sorted(parameters, key=lambda text: float(text[:-2]) * units[text[-1]])
    results.get_by_role("button", name=re.compile(r"^layer\b")).click()
    assert column(results, 0) == sorted(layers, key=str.lower)


def test_a_filter_keeps_the_rows_with_every_word(page: Page, results: Locator) -> None:
    layers = column(results, 0)
    field = page.get_by_role("searchbox", name="Filter MNIST")
    field.press_sequentially("fixed lrlc")
    kept = column(results, 0)
    assert kept
    assert all("LRLC, fixed" in layer for layer in kept)
    assert page.get_by_text(f"{len(kept)} of {len(layers)} rows").is_visible()
    results.get_by_role("button", name="rank").click()
    assert sorted(column(results, 0)) == sorted(kept)
    field.fill("no such layer")
    assert column(results, 0) == []
    field.fill("")
    assert sorted(column(results, 0)) == sorted(layers)


def test_tables_and_images_have_names_and_links_work(page: Page) -> None:
    for role, tag in (("table", "table"), ("img", "img")):
        everything = page.locator(tag).count()
        assert everything > 0
        assert page.get_by_role(role, name=re.compile(r"\w")).count() == everything  # type: ignore[arg-type]
    page.get_by_role("navigation", name="Contents").get_by_role("link", name="Provenance").click()
    assert page.url.endswith("#provenance")
    assert page.locator("h2#provenance").count() == 1


def test_a_phone_shows_the_whole_width_in_legible_letters(page: Page) -> None:
    page.set_viewport_size({"width": PHONE, "height": 800})
    page.get_by_text("whole error").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE
    beyond = """(width) => [...document.body.querySelectorAll("*")]
        .filter((one) => !one.closest(".scroll, pre") && one.getBoundingClientRect().right > width)
        .map((one) => one.outerHTML.slice(0, 80))"""
    assert page.evaluate(beyond, PHONE) == []
    small = """(size) => [...document.body.querySelectorAll("*")]
        .filter((one) => one.checkVisibility() && parseFloat(getComputedStyle(one).fontSize) < size)
        .map((one) => one.outerHTML.slice(0, 80))"""
    assert page.evaluate(small, SMALLEST_FONT) == []
    targets = page.locator("a, button, input, summary").all()
    boxes = [box for target in targets if (box := target.bounding_box())]
    assert len(boxes) == len(targets) > 20
    assert min(box["height"] for box in boxes) >= SMALLEST_TARGET
    assert min(box["width"] for box in boxes) >= SMALLEST_TARGET


def test_a_phone_shows_each_effect_and_marks_content_wider_than_the_screen(page: Page) -> None:
    page.set_viewport_size({"width": PHONE, "height": 800})
    evidence = page.get_by_role("table", name="Evidence for C1")
    for row in evidence.locator("tbody tr").all():
        effect = row.locator("td.estimates").first
        box = effect.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= PHONE
    page.wait_for_selector("figure .scroll.more")
    cues = page.locator("figure .scroll.more + .cue")
    assert cues.count() > 3
    assert cues.first.is_visible()
    wide = page.locator("figure .scroll.more").first.element_handle()
    wide.evaluate("(box) => { box.scrollLeft = box.scrollWidth; }")
    page.wait_for_function("(box) => !box.classList.contains('more')", arg=wide)
    page.set_viewport_size({"width": 1400, "height": 900})
    page.wait_for_function("document.querySelectorAll('figure .scroll.more').length === 0")


def test_a_dark_scheme_has_light_letters_on_a_dark_page_and_figures_on_white(page: Page) -> None:
    def lightness(selector: str, name: str) -> float:
        colour = page.locator(selector).first.evaluate("(one, name) => getComputedStyle(one)[name]", name)
        return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3

    assert lightness("body", "backgroundColor") == 255
    page.emulate_media(color_scheme="dark")
    assert lightness("body", "backgroundColor") < 40
    assert min(lightness(tag, "color") for tag in ("body", "td", "h2", "nav a", ".supported", ".note")) > 150
    assert lightness("figure img", "backgroundColor") == 255
    page.emulate_media(media="print")
    assert lightness("body", "backgroundColor") == 255


def test_it_is_readable_without_scripts(browser: Browser, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(report.as_uri())
    assert plain.get_by_role("table", name="Claims").get_by_text("✗ contradicted").is_visible()
    assert plain.get_by_role("button").count() == 0
    assert plain.get_by_role("searchbox").count() == 0
    context.close()
