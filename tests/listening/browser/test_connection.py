"""Lost connections: what a listener said is kept in the browser, shown as unsaved, and saved once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from helpers.listening_page import NETWORK_ERROR, agree, hear_both, rows

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

    from helpers.listening_page import Server

VOTES = "SELECT count(*) FROM votes"
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


def test_an_unsaved_answer_survives_a_reload(server: Server, listener: Callable[..., Page]) -> None:
    page = listener(allow=NETWORK_ERROR)
    agree(page, server.address, "pairs")
    hear_both(page)
    [(before,)] = rows(server.database, VOTES)
    page.route("**/api/vote", lambda route: route.abort())
    page.locator("#answers [data-choice=second]").click()
    page.get_by_text(UNSAVED).wait_for()
    page.unroute("**/api/vote")
    page.reload()
    page.get_by_text("Question 2").wait_for()
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


def test_sound_that_did_not_arrive_is_asked_for_again(server: Server, listener: Callable[..., Page]) -> None:
    page = listener(allow=NETWORK_ERROR)
    page.route("**/sound/*", lambda route: route.abort())
    agree(page, server.address, "pairs")
    page.get_by_text("The sound did not arrive, trying again.").wait_for()
    page.unroute("**/sound/*")
    page.get_by_text("The sound did not arrive, trying again.").wait_for(state="hidden")
    hear_both(page)


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
