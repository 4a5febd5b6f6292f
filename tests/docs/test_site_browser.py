"""The documentation site in Chromium: no page asks for anything that is not there, on desktops and phones."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def site(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    subprocess.run(command, cwd=repository, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=True, timeout=300)
    return folder


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None: ...


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def opened(chromium: Any) -> Iterator[Any]:
    """`opened(size, scheme)` gives a page and the list of what goes wrong in it."""
    contexts = []

    def open_page(size: str = "desktop", scheme: str = "light") -> tuple[Any, list[str]]:
        context = chromium.new_context(viewport=SIZES[size], color_scheme=scheme)
        contexts.append(context)
        page, wrong = context.new_page(), []
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
        page.on("response", lambda each: wrong.append(f"{each.status}: {each.url}") if each.status >= 400 else None)
        page.on("request", lambda each: wrong.append(f"outside: {each.url}") if outside(each.url) else None)
        return page, wrong

    yield open_page
    for context in contexts:
        context.close()


def outside(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "data:", "blob:", "file:", "about:"))


@pytest.mark.parametrize("size", SIZES)
def test_every_page_opens_without_an_error_and_fits(opened: Any, site: Path, address: str, size: str) -> None:
    page, wrong = opened(size)
    for path in sorted(site.rglob("*.html")):
        if path.name == "404.html" or path.is_relative_to(site / "examples"):
            continue
        page.goto(address + path.relative_to(site).as_posix(), wait_until="load")
        assert wrong == [], path
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, path
        assert page.locator("article h1").count() == 1, path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_and_can_be_changed(opened: Any, address: str, scheme: str) -> None:
    page, wrong = opened(scheme=scheme)
    page.goto(address, wait_until="load")
    names = {"light": "default", "dark": "slate"}
    assert page.get_attribute("body", "data-md-color-scheme") == names[scheme]
    page.locator("label.md-header__button[for^=__palette]:visible").click()
    assert page.get_attribute("body", "data-md-color-scheme") != names[scheme]
    assert wrong == []


@pytest.mark.parametrize("served", [True, False], ids=["served", "as files"])
def test_search_finds_a_page(opened: Any, site: Path, address: str, served: bool) -> None:
    page, wrong = opened()
    page.goto(address if served else (site / "index.html").as_uri(), wait_until="load")
    page.locator("input.md-search__input").click()
    page.keyboard.type("watchdog")
    found = page.locator(".md-search-result__link").first
    found.wait_for(timeout=20_000)
    assert "training.html" in (found.get_attribute("href") or "")
    assert wrong == []


def test_a_sound_can_be_played(opened: Any, address: str) -> None:
    page, wrong = opened()
    page.goto(address, wait_until="load")
    assert page.locator("audio").first.get_attribute("aria-label") == "hear it"
    page.evaluate("() => { const sound = document.querySelector('audio'); sound.muted = true; return sound.play(); }")
    page.wait_for_function("document.querySelector('audio').currentTime > 0.2")
    assert wrong == []
