"""A whole session without a mouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from helpers.listening_page import HALF, agree, position, rows, sounding, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from helpers.listening_page import Server

pytestmark = pytest.mark.browser

HEARD = "!document.querySelector('#answers [data-choice=first]').disabled"


def focused(page: Page) -> str:
    """The words of what has the focus."""
    return str(page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"))


def tab_to(page: Page, words: str) -> None:
    """Press Tab until what has these words has the focus, which must be visible."""
    for _ in range(25):
        page.keyboard.press("Tab")
        if words in focused(page):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid"
            return
    raise AssertionError(f"Tab does not lead to {words!r}")


def test_a_session_with_the_keyboard_alone(server: Server, listener: Callable[..., Page]) -> None:
    page = listener()
    page.goto(server.address)
    page.get_by_role("heading", name="Before you listen").wait_for()
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    tab_to(page, "I agree")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Listen to piano pieces").wait_for()
    tab_to(page, "Compare pairs")
    page.keyboard.press("Enter")
    page.get_by_text("Question 1").wait_for()
    page.locator("audio[src]").nth(1).wait_for(state="attached")

    page.keyboard.press("Space")
    wait_until(page, HALF)
    page.keyboard.press("Space")
    assert sounding(page) == [False, False]
    page.keyboard.press("ArrowLeft")
    assert position(page) == 0  # five seconds back, at most to the beginning
    page.keyboard.press("2")
    wait_until(page, HEARD)
    assert sounding(page) == [False, True]
    page.keyboard.press("s")
    page.get_by_text("Question 2").wait_for()
    page.get_by_text("Thank you, 1 answer.").wait_for()
    assert focused(page).startswith("Which piece")  # screen readers read the next question

    page.get_by_role("link", name="Radio").focus()
    page.keyboard.press("Enter")
    page.locator("#radio audio[src]").wait_for(state="attached")
    page.keyboard.press("Space")
    page.locator("#like:enabled").wait_for()
    page.keyboard.press("l")
    page.get_by_text("You like this piece.").wait_for()
    before = page.locator("audio").get_attribute("src")
    page.keyboard.press("n")
    wait_until(page, f"document.querySelector('audio').getAttribute('src') !== '{before}'")


def test_help_opens_with_a_key_and_turns_the_keys_off(server: Server, listener: Callable[..., Page]) -> None:
    page = listener()
    agree(page, server.address, "pairs")
    page.locator("audio[src]").nth(1).wait_for(state="attached")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("1")  # does nothing under a dialog
    page.get_by_label("Use these keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    page.keyboard.press("?")
    assert sounding(page) == [False, False]
    assert page.get_by_role("dialog").count() == 0
    page.reload()
    page.locator("audio[src]").nth(1).wait_for(state="attached")
    page.keyboard.press("1")
    assert sounding(page) == [False, False]


def test_an_answer_key_does_nothing_before_both_were_heard(server: Server, listener: Callable[..., Page]) -> None:
    page = listener()
    agree(page, server.address, "pairs")
    page.locator("audio[src]").nth(1).wait_for(state="attached")
    before = rows(server.database, "SELECT count(*) FROM votes")
    for key in "fsd":
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    assert page.locator("#number").inner_text() == "Question 1"
    assert rows(server.database, "SELECT count(*) FROM votes") == before
