"""Every view, light and dark, on a phone and on a desktop: axe-core finds nothing, and all fits and can be touched."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.listening_page import DESKTOP, PHONE, agree, hear_both, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from helpers.listening_page import Server

pytestmark = pytest.mark.browser

AXE = "axe-core@4.14.1"
SMALLEST = 44  # CSS pixels of what is touched (WCAG 2.5.5)
VIEWS = ("consent", "start", "pairs", "radio")
LOOKS = [(size, scheme) for size in ("phone", "desktop") for scheme in ("light", "dark")]


@pytest.fixture(scope="session")
def axe(repository: Path) -> str:
    """The source of axe-core, which npm keeps in build/axe."""
    folder = repository / "build" / "axe"
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("needs npm, which fetches axe-core")
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--no-save", AXE]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"npm could not fetch {AXE}: {done.stderr.strip().splitlines()[-1:]}")
    return script.read_text(encoding="utf-8")


def opened(page: Page, address: str, view: str) -> None:
    """Bring the page to a view, with its pieces loaded."""
    if view == "consent":
        page.goto(address)
        page.locator("#consent").wait_for()
        return
    agree(page, address, view)
    if view != "start":
        page.locator("audio[src]").last.wait_for(state="attached")


def violations(page: Page, axe: str) -> list[str]:
    """Rules that the page breaks, with the elements."""
    page.evaluate(axe)
    found = page.evaluate(
        "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })"
    )
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found["violations"] for node in rule["nodes"]]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_axe_finds_nothing(
    server: Server, listener: Callable[..., Page], axe: str, size: str, scheme: str, view: str
) -> None:
    page = listener(viewport=PHONE if size == "phone" else DESKTOP, color_scheme=scheme)
    opened(page, server.address, view)
    assert violations(page, axe) == []


def test_axe_finds_nothing_when_answers_are_enabled_and_in_the_dialogs(
    server: Server, listener: Callable[..., Page], axe: str
) -> None:
    page = listener()
    agree(page, server.address, "pairs")
    hear_both(page)
    assert violations(page, axe) == []
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    assert violations(page, axe) == []
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Toccata").click()
    page.get_by_role("button", name="Delete my answers").click()
    page.get_by_role("dialog", name="Delete my answers").wait_for()
    assert violations(page, axe) == []


@pytest.mark.parametrize("width", [320, PHONE["width"]])  # 320: also 1280 magnified four times (WCAG 1.4.10)
@pytest.mark.parametrize("view", VIEWS)
def test_on_a_phone_everything_fits_and_can_be_touched(
    server: Server, listener: Callable[..., Page], view: str, width: int
) -> None:
    page = listener(viewport={**PHONE, "width": width}, has_touch=True, is_mobile=True)
    opened(page, server.address, view)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    targets = "all => all.filter(e => e.checkVisibility()).map(e => [e.textContent.trim(), e.getBoundingClientRect()])"
    for words, box in page.locator("button, main a, header a, input[type=range], label").evaluate_all(targets):
        assert min(box["width"], box["height"]) >= SMALLEST, (words, box)


def test_on_a_phone_a_pair_is_answered_without_scrolling(server: Server, listener: Callable[..., Page]) -> None:
    page = listener(viewport=PHONE, has_touch=True, is_mobile=True)
    opened(page, server.address, "pairs")
    for element in page.locator(".play, [data-choice=first]").all():
        box = element.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= PHONE["height"]


ROLL = """async () => {
  const canvas = document.querySelector("canvas");
  const pixels = () => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    return copy.getImageData(0, 0, canvas.width, canvas.height).data;
  };
  const before = pixels();
  await new Promise((resolve) => setTimeout(resolve, 400));
  const after = pixels();
  return before.reduce((count, value, index) => count + (value !== after[index]), 0) / before.length;
}"""


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_the_roll_moves_unless_motion_is_to_be_reduced(
    server: Server, listener: Callable[..., Page], motion: str
) -> None:
    page = listener(reduced_motion=motion)
    opened(page, server.address, "pairs")
    page.get_by_role("button", name="Play the first piece").click()
    wait_until(page, "document.querySelector('audio').currentTime > 0.3")
    changed = page.evaluate(ROLL)
    # Scrolling moves every note; otherwise the playhead moves, and notes under it change their colour.
    assert changed > 0.01 if motion == "no-preference" else 0 < changed < 0.05
