"""What listeners do on the page of `toccata listen`, for its tests in a browser."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

PATIENCE_MS = 15_000
# What Chromium itself writes to the console when a request does not get through, whatever the page does about it.
NETWORK_ERROR = re.compile(r"Failed to load resource: net::ERR_")


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
    """Wait for a condition in JavaScript, true within the patience of the tests."""
    page.wait_for_function(condition, timeout=PATIENCE_MS)


def hear_both(page: Page) -> None:
    """Play both pieces of a pair until the answers are enabled."""
    page.get_by_role("button", name="Play the first piece").click()
    wait_until(page, "document.querySelector('audio').currentTime > 1")  # half of the pieces of the tests
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
