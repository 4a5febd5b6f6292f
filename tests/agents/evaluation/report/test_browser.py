"""The pages in a browser: no request, no error, nothing wider than the window, and a cursor that moves."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from toccata.agents.evaluation.compare.compare import compare
from toccata.agents.evaluation.config import CompareConfig
from toccata.agents.runs.run_folder import Run

WINDOWS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "no script": {"viewport": {"width": 390, "height": 844}, "java_script_enabled": False},
}
WIDER = """() => [...document.querySelectorAll("main *")]
    .filter(each => !each.closest(".scroll") && each.getBoundingClientRect().right > innerWidth + 1)
    .map(each => each.outerHTML.slice(0, 99))"""

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(evaluated: tuple[Path, dict[str, Any], str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """report.html and compare.html, each alone in a folder."""
    place = tmp_path_factory.mktemp("pages")
    run, other = evaluated[0], place / "other"
    shutil.copytree(run, other)
    config = Run.open(run).config.to_json().replace('"seed": 0', '"seed": 1')
    (other / "config.json").write_text(config)
    compare(CompareConfig((run, other), out=place / "comparison"))
    return {
        "report": Path(shutil.copy(run / "evaluation/report.html", place / "report.html")),
        "compare": Path(shutil.copy(place / "comparison/compare.html", place / "compare.html")),
    }


def opened(chromium: Any, path: Path, messages: list[str], **window: Any) -> Any:
    """The page in a new window; requests and messages of the console are collected."""
    page = chromium.new_context(**window).new_page()
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("requestfailed", lambda request: messages.append(f"failed: {request.url[:80]}"))
    page.on(
        "request",
        lambda request: (
            None if request.url == path.as_uri() or request.url.startswith("data:") else messages.append(request.url)
        ),
    )
    page.goto(path.as_uri())
    page.wait_for_timeout(300)
    return page


@pytest.mark.parametrize("name", ["report", "compare"])
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_pages_fit_every_window_and_ask_for_nothing(
    chromium: Any, pages: dict[str, Path], name: str, window: dict[str, Any]
) -> None:
    messages: list[str] = []
    page = opened(chromium, pages[name], messages, **window)
    if window.get("java_script_enabled", True):
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(WIDER) == []
        background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert (background == "rgb(255, 255, 255)") == (window.get("color_scheme") != "dark")
    assert messages == []
    page.context.close()


def test_audio_and_cursor(chromium: Any, pages: dict[str, Path]) -> None:
    messages: list[str] = []
    page = opened(chromium, pages["report"], messages, **WINDOWS["desktop"])
    page.wait_for_function("[...document.querySelectorAll('audio')].every(each => each.readyState > 0)")
    durations = page.evaluate("[...document.querySelectorAll('audio')].map(each => each.duration)")
    assert durations == pytest.approx([4.0] * len(durations), abs=0.1)  # a bar of 2 s at 120 bpm, release and reverb
    roll = page.locator(".roll").first
    sheet = page.locator(".roll .sheet").first
    sheet.click(position={"x": sheet.bounding_box()["width"] / 2, "y": 5})
    assert float(roll.get_attribute("aria-valuenow")) == pytest.approx(1.0, abs=0.1)
    roll.focus()
    page.keyboard.press("ArrowRight")
    assert float(roll.get_attribute("aria-valuenow")) == pytest.approx(1.5, abs=0.1)
    page.keyboard.press("Home")
    assert roll.get_attribute("aria-valuenow") == "0.0"
    assert roll.get_attribute("aria-valuetext") == "0.0 seconds, bar 1"
    page.keyboard.press("End")
    assert page.locator(".roll .cursor").first.evaluate("each => each.style.left") == "100%"
    assert messages == []
    page.context.close()


def test_print_has_no_players(chromium: Any, pages: dict[str, Path]) -> None:
    page = opened(chromium, pages["report"], [], viewport={"width": 760, "height": 1000}, color_scheme="dark")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert not page.locator("audio").first.is_visible()
    assert page.evaluate("[...document.querySelectorAll('details')].every(each => each.open)")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.context.close()
