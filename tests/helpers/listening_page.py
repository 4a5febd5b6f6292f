"""What listeners do on the page of `toccata listen`, for its tests in a browser."""

from __future__ import annotations

import re
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 15_000
POLL_MS = 50
# Of the first player, which is enough of the short pieces of the tests.
HALF = "(a => a.currentTime > a.duration / 2 + 0.1)(document.querySelector('audio'))"
# What Chromium itself writes to the console when a request does not get through, whatever the page does about it.
NETWORK_ERROR = re.compile(r"Failed to load resource: net::ERR_")


@dataclass
class Server:
    """A running `toccata listen` and its database."""

    process: subprocess.Popen[str]
    address: str
    database: Path


def agree(page: Page, address: str, view: str = "start") -> None:
    """Open the page, agree, and wait for the choice, or `view` that the address names."""
    page.goto(address if view == "start" else f"{address}#{view}")
    page.get_by_role("button", name="I agree").click()
    page.locator(f"#{view}").wait_for(timeout=PATIENCE_MS)


def position(page: Page, player: str = "First") -> float:
    """Seconds that the sound of a player stands at."""
    return float(page.get_by_role("group", name=f"{player} piece").locator("audio").evaluate("a => a.currentTime"))


def sounding(page: Page) -> list[bool]:
    """Which players play."""
    return list(page.locator("audio").evaluate_all("all => all.map(a => !a.paused && !a.ended)"))


def wait_until(page: Page, condition: str) -> None:
    """Wait for a condition in JavaScript, at most the patience of the tests.

    Playwright's `wait_for_function` needs `eval`, which the page's Content-Security-Policy forbids.
    """
    for _ in range(PATIENCE_MS // POLL_MS):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(POLL_MS)
    raise AssertionError(f"not within {PATIENCE_MS} ms: {condition}")


def hear_both(page: Page) -> None:
    """Play both pieces of a pair until the answers are enabled."""
    page.get_by_role("button", name="Play the first piece").click()
    wait_until(page, HALF)
    page.get_by_role("button", name="Play the second piece").click()
    page.locator("#answers [data-choice=first]:enabled").wait_for(timeout=PATIENCE_MS)


def number(page: Page) -> str:
    """The number of the question, as the page shows it."""
    return page.locator("#number").inner_text()


def rows(database: Path, query: str) -> list[tuple]:
    """What a query finds in the database of the server."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()
