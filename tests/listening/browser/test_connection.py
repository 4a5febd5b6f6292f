"""Lost connections: what a listener said is kept in the browser, shown as unsaved, and saved once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from helpers.listening_page import NETWORK_ERROR, agree, hear_both, rows, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

    from helpers.listening_page import Server

pytestmark = pytest.mark.browser

VOTES = "SELECT count(*) FROM votes"
NOT_FOUND = re.compile(r"^Failed to load resource: the server responded with a status of 404")
UNSAVED = "Not saved yet, trying again."


def test_an_answer_given_without_a_connection_is_saved_when_it_is_back(
    server: Server, listener: Callable[..., Page]
) -> None:
    page = listener(allow=NETWORK_ERROR)
    agree(page, server.address, "pairs")
    hear_both(page)
    [(before,)] = rows(server.database, VOTES)
    page.context.set_offline(True)
    page.locator("#answers [data-choice=first]").click()
    page.get_by_text(UNSAVED).wait_for()
    assert page.locator("#answers button:enabled").count() == 0  # no second answer to the same pair
    assert rows(server.database, VOTES) == [(before,)]
    page.context.set_offline(False)
    page.get_by_text("Thank you, 1 answer.").wait_for()
    page.get_by_text(UNSAVED).wait_for(state="hidden")
    page.get_by_text("Question 2").wait_for()
    assert rows(server.database, VOTES) == [(before + 1,)]


def test_an_unsaved_answer_is_saved_when_the_page_opens_again(server: Server, listener: Callable[..., Page]) -> None:
    page = listener(allow=NETWORK_ERROR)
    agree(page, server.address, "pairs")
    hear_both(page)
    [(before,)] = rows(server.database, VOTES)
    page.route("**/api/vote", lambda route: route.abort())
    page.locator("#answers [data-choice=second]").click()
    page.get_by_text(UNSAVED).wait_for()
    page.close()
    later = page.context.new_page()
    later.goto(f"{server.address}#pairs")
    later.get_by_text("Question 2").wait_for()
    assert rows(server.database, VOTES) == [(before + 1,)]


def test_an_acknowledgement_that_is_lost_doubles_nothing(server: Server, listener: Callable[..., Page]) -> None:
    page = listener(allow=NETWORK_ERROR)
    agree(page, server.address, "pairs")
    hear_both(page)
    [(before,)] = rows(server.database, VOTES)
    lost = []

    def lose_the_first_reply(route: Route) -> None:
        reply = route.fetch()  # the server has saved it
        if lost:
            route.fulfill(response=reply)
        else:
            lost.append(reply.status)
            route.abort()

    page.route("**/api/vote", lose_the_first_reply)
    page.locator("#answers [data-choice=first]").click()
    page.get_by_text("Thank you, 1 answer.").wait_for()
    assert lost == [200]
    assert rows(server.database, VOTES) == [(before + 1,)]


def test_plays_and_likes_wait_for_the_connection_too(server: Server, listener: Callable[..., Page]) -> None:
    page = listener(allow=NETWORK_ERROR)
    agree(page, server.address, "radio")
    page.locator("audio").evaluate(
        "a => a.readyState >= 4 || new Promise((r) => a.addEventListener('canplaythrough', r))"
    )
    [(plays, likes)] = rows(server.database, "SELECT (SELECT count(*) FROM plays), (SELECT count(*) FROM likes)")
    page.context.set_offline(True)
    page.get_by_role("button", name="Play the radio piece").click()
    page.locator("#like:enabled").click()
    page.get_by_text(UNSAVED).wait_for()
    page.context.set_offline(False)
    page.get_by_text("You like this piece.").wait_for()
    query = "SELECT (SELECT count(*) FROM plays), (SELECT count(*) FROM likes)"
    assert rows(server.database, query) == [(plays + 1, likes + 1)]


def test_the_next_piece_is_asked_for_until_the_connection_is_back(
    server: Server, listener: Callable[..., Page]
) -> None:
    page = listener(allow=NETWORK_ERROR)
    agree(page, server.address, "radio")
    page.locator("audio[src]").wait_for(state="attached")
    before = page.locator("audio").get_attribute("src")
    page.context.set_offline(True)
    page.get_by_role("button", name="Next piece").click()
    page.get_by_text("The connection is lost, trying again.").wait_for()
    page.context.set_offline(False)
    playing = f"a => a.getAttribute('src') !== '{before}' && a.currentTime > 0.1"
    wait_until(page, f"({playing})(document.querySelector('audio'))")
    page.get_by_text("The connection is lost, trying again.").wait_for(state="hidden")


def test_sound_that_did_not_arrive_is_asked_for_again(server: Server, listener: Callable[..., Page]) -> None:
    page = listener(allow=NETWORK_ERROR)
    page.route("**/sound/*", lambda route: route.abort())
    agree(page, server.address, "pairs")
    page.get_by_text("The sound did not arrive, trying again.").wait_for()
    page.unroute("**/sound/*")
    page.get_by_text("The sound did not arrive, trying again.").wait_for(state="hidden")
    hear_both(page)


def test_sound_that_is_gone_is_said_to_be_gone(server: Server, listener: Callable[..., Page]) -> None:
    page = listener(allow=NOT_FOUND)
    page.route("**/sound/*", lambda route: route.fulfill(status=404))
    agree(page, server.address, "radio")
    page.get_by_text("The server has lost this sound.").wait_for()
    page.unroute("**/sound/*")
    page.get_by_role("button", name="Next piece").click()
    page.get_by_text("The server has lost this sound.").wait_for(state="hidden")
    wait_until(page, "document.querySelector('audio').currentTime > 0.1")


def test_sound_that_the_browser_cannot_play_is_given_up(server: Server, listener: Callable[..., Page]) -> None:
    page = listener()
    page.route("**/sound/*", lambda route: route.fulfill(body="no sound", content_type="audio/ogg"))
    agree(page, server.address, "radio")
    page.get_by_text("This browser cannot play this sound; another one may.").wait_for()


def test_a_listener_goes_on_after_the_server_was_killed(
    start: Callable[..., Server], listener: Callable[..., Page], tmp_path: Path
) -> None:
    server = start(tmp_path / "votes.sqlite")
    page = listener(allow=NETWORK_ERROR)
    agree(page, server.address, "pairs")
    hear_both(page)
    server.process.kill()
    server.process.wait()
    page.locator("#answers [data-choice=first]").click()
    page.get_by_text(UNSAVED).wait_for()
    start(tmp_path / "votes.sqlite", "--port", str(urlsplit(server.address).port))
    page.get_by_text("Thank you, 1 answer.").wait_for(timeout=60_000)
    page.get_by_text("Question 2").wait_for()
    assert rows(server.database, VOTES) == [(1,)]
