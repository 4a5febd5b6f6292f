"""Listeners of the radio: plays, likes, the next piece, reloads and the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from helpers.listening_page import agree, rows, sounding, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from helpers.listening_page import Server

pytestmark = pytest.mark.browser

SOUND = "document.querySelector('audio').getAttribute('src')"


def hear_half(page: Page) -> None:
    """Play until the like button is enabled."""
    page.get_by_role("button", name="Play the radio piece").click()
    page.locator("#like:enabled").wait_for()


def test_a_listener_hears_a_piece_and_likes_it(server: Server, listener: Callable[..., Page]) -> None:
    page = listener()
    agree(page, server.address, "radio")
    plays, likes = (len(rows(server.database, f"SELECT * FROM {table}")) for table in ("plays", "likes"))
    assert sounding(page) == [False]
    assert page.locator("#like").is_disabled()
    hear_half(page)
    like = page.get_by_role("button", name="Like")
    assert like.get_attribute("aria-pressed") == "false"
    like.click()
    page.get_by_text("You like this piece.").wait_for()
    assert like.get_attribute("aria-pressed") == "true"
    assert len(rows(server.database, "SELECT * FROM plays")) == plays + 1
    assert len(rows(server.database, "SELECT * FROM likes")) == likes + 1
    like.click()
    page.get_by_text("The like is taken back.").wait_for()
    assert len(rows(server.database, "SELECT * FROM likes")) == likes


def test_a_reload_keeps_the_piece_and_its_like_and_counts_no_second_play(
    server: Server, listener: Callable[..., Page]
) -> None:
    page = listener()
    agree(page, server.address, "radio")
    hear_half(page)
    page.get_by_role("button", name="Like").click()
    page.get_by_text("You like this piece.").wait_for()
    plays = len(rows(server.database, "SELECT * FROM plays"))
    sound = page.evaluate(SOUND)
    page.reload()
    page.locator("#like[aria-pressed=true]").wait_for()
    assert page.evaluate(SOUND) == sound
    page.get_by_role("button", name="Play the radio piece").click()
    wait_until(page, "document.querySelector('audio').ended")
    assert len(rows(server.database, "SELECT * FROM plays")) == plays


def test_next_plays_another_piece_and_back_returns_to_the_one_before(
    server: Server, listener: Callable[..., Page]
) -> None:
    page = listener()
    agree(page, server.address, "radio")
    wait_until(page, SOUND)
    first = page.evaluate(SOUND)
    page.get_by_role("button", name="Next piece").click()
    wait_until(page, f"{SOUND} !== '{first}' && document.querySelector('audio').currentTime > 0.1")
    page.go_back()
    wait_until(page, f"{SOUND} === '{first}'")
    assert sounding(page) == [False]


def test_the_radio_goes_on_by_itself_unless_told_not_to(server: Server, listener: Callable[..., Page]) -> None:
    page = listener()
    agree(page, server.address, "radio")
    wait_until(page, SOUND)
    first = page.evaluate(SOUND)
    page.get_by_role("button", name="Play the radio piece").click()
    page.get_by_text("The next piece begins in 3 seconds.").wait_for()
    wait_until(page, f"{SOUND} !== '{first}' && document.querySelector('audio').currentTime > 0.1")
    page.get_by_label("Go on with the next piece by itself").uncheck()
    second = page.evaluate(SOUND)
    wait_until(page, "document.querySelector('audio').ended")
    page.wait_for_timeout(3500)  # longer than the pause between pieces
    assert page.evaluate(SOUND) == second
