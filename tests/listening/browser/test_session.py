"""One listener's whole session, as docs/listening-session.md tells it; its pictures are kept in build/screenshots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.listening_page import DESKTOP, NETWORK_ERROR, PATIENCE_MS, PHONE, hear_both, number, rows

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from helpers.listening_page import Server

pytestmark = pytest.mark.browser

DEVICES = {
    "desktop": {"viewport": DESKTOP, "color_scheme": "light"},
    "phone": {"viewport": PHONE, "color_scheme": "dark", "is_mobile": True, "has_touch": True},
}


@pytest.mark.parametrize("device", DEVICES)
def test_a_session(server: Server, listener: Callable[..., Page], repository: Path, device: str) -> None:
    page = listener(allow=NETWORK_ERROR, **DEVICES[device])
    pictures = repository / "build" / "screenshots"

    def keep_picture(name: str) -> None:
        page.screenshot(path=pictures / f"{device}-{name}.png")

    page.goto(server.address)
    page.get_by_role("heading", name="Before you listen").wait_for()
    keep_picture("consent")
    page.get_by_role("button", name="I agree").click()
    page.get_by_role("link", name="Compare pairs").wait_for()
    keep_picture("start")
    page.get_by_role("link", name="Compare pairs").click()
    hear_both(page)
    keep_picture("pair")
    page.locator("#answers [data-choice=first]").click()
    page.get_by_text("Thank you, 1 answer.").wait_for()

    page.get_by_text("Question 2").wait_for()
    page.reload()
    page.get_by_text("Question 2").wait_for()
    hear_both(page)
    page.context.set_offline(True)
    page.locator("#answers [data-choice=second]").click()
    page.get_by_text("Not saved yet, trying again.").wait_for()
    keep_picture("offline")
    page.context.set_offline(False)
    page.get_by_text("Thank you, 2 answers.").wait_for()

    page.get_by_role("navigation").get_by_role("link", name="Radio").click()
    page.get_by_role("button", name="Play the radio piece").click()
    page.locator("#like:enabled").click(timeout=PATIENCE_MS)
    page.get_by_text("You like this piece.").wait_for()
    keep_picture("radio")
    page.go_back()
    page.get_by_text("Question 3").wait_for()
    assert number(page) == "Question 3"
    page.go_back()
    page.get_by_text("So far you gave 2 answers and 1 like.").wait_for()
    keep_picture("end")

    [(last,)] = rows(server.database, "SELECT id FROM listeners ORDER BY rowid DESC LIMIT 1")
    votes = f"SELECT choice FROM votes JOIN pairs ON pair = pairs.id WHERE listener = '{last}' ORDER BY votes.rowid"
    assert rows(server.database, votes) == [("first",), ("second",)]
    assert rows(server.database, f"SELECT count(*) FROM plays WHERE listener = '{last}'") == [(1,)]
    assert rows(server.database, f"SELECT count(*) FROM likes WHERE listener = '{last}'") == [(1,)]
