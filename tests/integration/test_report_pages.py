"""Reports in a real browser: clicks work, nothing is asked of the network, print holds everything."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from tests.analysis.constructed import constructed_session
from tests.analysis.reports.statistics_values import statistics
from tests.analysis.reports.study_tables import write_study

from duchenne.analysis.reports.pdf import browser, print_to_pdf
from duchenne.analysis.reports.study import study_report
from duchenne.analysis.reports.study_data import StudyData
from duchenne.analysis.session import analyze_session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = browser()
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


@dataclass
class Visit:
    """An open page, and what went wrong or out on it."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def drawn(self, key: str) -> Any:
        """Scroll a chart into view and wait until it is drawn."""
        place = self.page.locator(f'figure[data-chart="{key}"]')
        place.scroll_into_view_if_needed()
        self.page.wait_for_selector(
            f'figure[data-chart="{key}"][data-drawn]', timeout=PATIENCE_MS, state="attached"
        )
        return place

    def values_at_the_middle_of(self, place: Any) -> str:
        """Point at the middle of a chart and return what it tells."""
        box = place.locator(".live .nsewdrag").first.bounding_box()
        self.page.mouse.move(box["x"] + box["width"] / 2 - 3, box["y"] + box["height"] / 2)
        self.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        told = place.locator(".live .hoverlayer")
        self.page.wait_for_function(
            "element => element.textContent.length > 0",
            arg=told.element_handle(),
            timeout=PATIENCE_MS,
        )
        return str(told.text_content())


def visit(chromium: Any, file: Path) -> Visit:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    seen = Visit(page)
    page.on("console", lambda m: seen.complaints.append(m.text) if m.type != "log" else None)
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on(
        "request",
        lambda r: seen.requests.append(r.url) if not r.url.startswith(("data:", "blob:")) else None,
    )
    page.goto(file.resolve().as_uri())
    return seen


@pytest.fixture(scope="module")
def session_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    return analyze_session(constructed_session(folder / "x_session.h5")).report


@pytest.fixture(scope="module")
def study_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = write_study(tmp_path_factory.mktemp("pages") / "study", 4, per_category=1)
    data = StudyData.read(study)
    file = data.root / "report.html"
    file.write_text(study_report(data, study, statistics=statistics()), encoding="utf-8")
    return file


def test_a_session_is_clicked_through(chromium: Any, session_page: Path) -> None:
    seen = visit(chromium, session_page)
    page = seen.page
    page.click("nav a[href='#details']")
    assert page.locator("nav a[aria-current]").text_content() == "Stimulus by stimulus"
    told = seen.values_at_the_middle_of(seen.drawn("p1"))
    assert "pupil" in told
    picture = page.locator('figure[data-chart="p1"] img.still')
    assert str(picture.get_attribute("alt")).startswith("Curves around the onset of calm")
    page.get_by_role("button", name="LVHA").click()
    assert page.locator("article.card:visible").count() == 1
    assert page.locator("#shown").text_content() == "1 shown"
    page.click("a[href='#p1']")
    page.wait_for_function("() => document.querySelectorAll('article.card[hidden]').length === 0")
    page.click("#p1 .turn a[href='#p2']")
    assert page.url.endswith("#p2")
    page.keyboard.press("Home")
    page.evaluate("document.activeElement.blur()")
    page.emulate_media(media="print")
    assert picture.is_visible()
    assert not page.locator(".live").first.is_visible()
    assert not page.locator("nav").is_visible()
    assert seen.complaints == []
    assert seen.requests == [session_page.resolve().as_uri()]
    page.close()


def test_the_keyboard_skips_to_the_content(chromium: Any, session_page: Path) -> None:
    seen = visit(chromium, session_page)
    seen.page.keyboard.press("Tab")
    focused = "document.activeElement.textContent"
    assert seen.page.evaluate(focused) == "Skip to the content"
    seen.page.keyboard.press("Enter")
    assert seen.page.url.endswith("#content")
    seen.page.close()


def test_a_study_is_clicked_through(chromium: Any, study_page: Path) -> None:
    seen = visit(chromium, study_page)
    page = seen.page
    for link in page.locator("nav a").all():
        link.click()
        page.wait_for_function(
            """link => link.getAttribute("aria-current") === "true"
            || window.innerHeight + window.scrollY >= document.body.scrollHeight - 2""",
            arg=link.element_handle(),
            timeout=10_000,
        )
    assert "difference" in seen.values_at_the_middle_of(seen.drawn("c1"))
    told = seen.values_at_the_middle_of(seen.drawn("categories"))
    assert "HVHA" in told
    told = seen.values_at_the_middle_of(seen.drawn("s1"))
    assert "AU12 lip corner puller" in told
    page.get_by_role("button", name="neutral").click()
    assert page.locator("article.card[data-category]:visible").count() == 1
    page.get_by_text("Reporting checklist:").click()
    assert page.get_by_text("Head stabilisation").is_visible()
    widths = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1]
    assert seen.complaints == []
    assert seen.requests == [study_page.resolve().as_uri()]
    page.close()


def test_without_scripts_the_pictures_stay(chromium: Any, study_page: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(study_page.resolve().as_uri())
    assert page.locator("figure[data-chart] img.still").first.is_visible()
    context.close()


def test_letters_stand_out_from_what_is_behind_them(chromium: Any, study_page: Path) -> None:
    page = visit(chromium, study_page).page
    poor = page.evaluate(CONTRAST)
    assert poor == []
    page.close()


def test_a_page_is_printed(study_page: Path) -> None:
    made = print_to_pdf(study_page)
    content = made.read_bytes()
    assert made.name == "report.pdf"
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") >= 3
    assert shutil.which("chromium") is None or len(content) < 15e6


CONTRAST = """() => {
  const curve = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const channel = (value) => curve(value / 255);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const parts = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("main *, header *, nav *, footer *")) {
    const own = [...element.childNodes].some((one) => one.nodeType === 3 && one.textContent.trim());
    if (!own || element.closest("svg, .live") || !element.offsetParent) continue;
    const [a, b] = [light(parts(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${element.className} ${ratio.toFixed(2)} ${element.textContent}`);
  }
  return poor;
}"""
"""Texts whose contrast is below 4.5 (WCAG 2.2, level AA)."""
