"""Listeners compare pairs: they hear, answer, reload, go back and use a second tab."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from helpers.listening_page import HALF, agree, hear_both, position, rows, sounding, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from helpers.listening_page import Server

pytestmark = pytest.mark.browser


def test_a_listener_hears_two_pieces_and_answers(server: Server, listener: Callable[..., Page]) -> None:
    page = listener()
    before = len(rows(server.database, "SELECT * FROM votes"))
    agree(page, server.address)
    page.get_by_role("link", name="Compare pairs").click()
    page.get_by_text("Question 1").wait_for()
    assert sounding(page) == [False, False]  # nothing plays before a gesture
    assert page.locator("#answers button:enabled").count() == 0

    page.get_by_role("button", name="Play the first piece").click()
    wait_until(page, "document.querySelector('audio').currentTime > 0.3")
    heard = position(page)
    wait_until(page, f"document.querySelector('audio').currentTime > {heard}")
    assert sounding(page) == [True, False]
    wait_until(page, HALF)
    assert page.locator("#answers button:enabled").count() == 0  # the second was not heard

    page.get_by_role("button", name="Play the second piece").click()
    page.locator("#answers [data-choice=first]:enabled").wait_for()
    assert sounding(page) == [False, True]  # never both
    page.locator("#answers [data-choice=first]").click()
    page.get_by_text("Thank you, 1 answer.").wait_for()
    page.get_by_text("Question 2").wait_for()
    assert len(rows(server.database, "SELECT * FROM votes")) == before + 1


def test_the_same_pair_comes_again_after_a_reload_and_after_going_back(
    server: Server, listener: Callable[..., Page]
) -> None:
    page = listener()
    agree(page, server.address, "pairs")
    page.locator("audio[src]").first.wait_for(state="attached")
    sounds = "all => all.map(a => a.getAttribute('src'))"
    before = page.locator("audio").evaluate_all(sounds)
    page.reload()
    page.get_by_text("Question 1").wait_for()
    page.locator("audio[src]").nth(1).wait_for(state="attached")
    assert page.locator("audio").evaluate_all(sounds) == before
    page.get_by_role("link", name="Radio").click()
    page.locator("#radio .player").wait_for()
    page.go_back()
    page.locator("audio[src]").nth(1).wait_for(state="attached")
    assert page.locator("audio").evaluate_all(sounds) == before
    page.go_back()  # to the page before the music; consent was given
    page.get_by_role("heading", name="Which").wait_for(state="detached")


def test_an_answer_counts_once_when_two_tabs_show_the_same_pair(server: Server, listener: Callable[..., Page]) -> None:
    page = listener()
    agree(page, server.address, "pairs")
    page.get_by_text("Question 1").wait_for()
    other = page.context.new_page()
    other.goto(f"{server.address}#pairs")
    other.get_by_text("Question 1").wait_for()
    before = len(rows(server.database, "SELECT * FROM votes"))
    page.bring_to_front()
    hear_both(page)
    page.locator("#answers [data-choice=second]").click()
    page.get_by_text("Question 2").wait_for()
    other.get_by_text("Question 2").wait_for()  # it does not ask what is answered
    assert len(rows(server.database, "SELECT * FROM votes")) == before + 1


def test_only_one_tab_sounds(server: Server, listener: Callable[..., Page]) -> None:
    page = listener()
    agree(page, server.address, "pairs")
    page.get_by_role("button", name="Play the first piece").click()
    wait_until(page, "document.querySelector('audio').currentTime > 0.1")
    other = page.context.new_page()
    other.goto(f"{server.address}#radio")
    other.get_by_role("button", name="Play the radio piece").click()
    wait_until(page, "document.querySelector('audio').paused")


def test_whoever_does_not_agree_is_asked_again_and_nothing_is_kept(
    server: Server, listener: Callable[..., Page]
) -> None:
    page = listener()
    before = rows(server.database, "SELECT count(*) FROM listeners")
    page.goto(f"{server.address}#pairs")
    page.get_by_role("button", name="I do not agree").click()
    page.get_by_text("Nothing was saved.").wait_for()
    page.reload()
    page.get_by_role("heading", name="Before you listen").wait_for()
    assert rows(server.database, "SELECT count(*) FROM listeners") == before


def test_a_listener_takes_everything_back(server: Server, listener: Callable[..., Page]) -> None:
    page = listener()
    before = rows(server.database, "SELECT count(*) FROM listeners")
    agree(page, server.address, "pairs")
    hear_both(page)
    page.locator("#answers [data-choice=first]").click()
    page.get_by_text("Thank you").wait_for()
    page.get_by_role("link", name="Toccata").click()
    page.get_by_text("1 answer").wait_for()
    page.get_by_role("button", name="Delete my answers").click()
    page.get_by_role("button", name="Keep them").click()
    page.get_by_role("button", name="Delete my answers").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("heading", name="Before you listen").wait_for()
    page.get_by_text("Your answers are deleted.").wait_for()
    assert rows(server.database, "SELECT count(*) FROM listeners") == before
