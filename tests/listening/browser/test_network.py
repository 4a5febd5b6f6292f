"""Listeners at other machines, whose browsers give a page without TLS less than one of localhost."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from helpers.listening_page import PATIENCE_MS, rows

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from helpers.listening_page import Server

pytestmark = pytest.mark.browser


def test_a_listener_enters_with_the_token_and_likes_a_piece(
    start: Callable[..., Server], listener: Callable[..., Page], tmp_path: Path
) -> None:
    server = start(tmp_path / "votes.sqlite", "--host", "0.0.0.0")
    name = urlsplit(server.address).hostname
    try:
        socket.gethostbyname(name or "")
    except OSError:
        pytest.skip(f"the name of this machine, {name}, has no address")
    page = listener()
    page.goto(server.address)
    page.get_by_role("button", name="I agree").click()
    assert page.evaluate("isSecureContext") is False
    assert "token" not in page.url  # nor in what a listener copies from the address bar
    page.get_by_role("navigation").get_by_role("link", name="Radio").click()
    page.get_by_role("button", name="Play the radio piece").click()
    page.locator("#like:enabled").click(timeout=PATIENCE_MS)
    page.get_by_text("You like this piece.").wait_for()
    assert rows(server.database, "SELECT count(*) FROM likes") == [(1,)]


def test_without_the_token_a_sentence_says_what_to_do(
    start: Callable[..., Server], chromium: Browser, tmp_path: Path
) -> None:
    server = start(tmp_path / "votes.sqlite", "--host", "0.0.0.0")
    page = chromium.new_page()
    page.goto(f"http://127.0.0.1:{urlsplit(server.address).port}/")
    assert "token" in page.locator("body").inner_text()
    page.close()
