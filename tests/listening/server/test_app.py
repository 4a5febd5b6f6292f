import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.listening import Browser
from toccata.listening.server.app import MAX_BODY
from toccata.listening.server.identity import listener_of
from toccata.listening.server.state import ServerState

FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the application may be reused
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
POSTS = ("vote", "play", "like", "withdraw", "consent")


def test_a_listener_agrees_votes_plays_and_likes(connect: Callable[..., Browser], state: ServerState) -> None:
    browser = connect()
    session = browser.get("/api/session").json()
    assert session | {"csrf": ""} == {
        "csrf": "",
        "consented": False,
        "consent_text": "Do you agree?",
        "pieces": 9,
        "votes": 0,
        "likes": [],
        "modes": ["pairs", "radio"],
    }
    session = browser.enter()
    assert session["consented"] is True
    pair = browser.get("/api/pair").json()
    assert browser.get("/api/pair").json() == pair, "a page that is loaded again asks the same"
    assert pair["number"] == 1
    vote = {"pair": pair["pair"], "choice": "second", "seconds": 4.5}
    for _ in range(2):
        answer = browser.post("/api/vote", vote)
        assert (answer.status_code, answer.json()) == (200, {"ok": True, "votes": 1})
    answer = browser.post("/api/vote", vote | {"choice": "first"})
    assert (answer.status_code, answer.json()) == (409, {"error": "this pair is answered already, with second"})
    radio = browser.get("/api/radio").json()
    assert radio["liked"] is False
    like = {"piece": radio["piece"], "liked": True}
    assert browser.post("/api/like", like).status_code == 422, "not heard yet"
    play = {"id": str(uuid4()), "piece": radio["piece"], "heard_seconds": 5.9}
    answer = browser.post("/api/play", play)
    assert (answer.status_code, answer.json()["error"]) == (422, "heard_seconds must be at least 6.0 for a play")
    for _ in range(2):
        assert browser.post("/api/play", play | {"heard_seconds": 6.0}).json() == {"ok": True}
    assert browser.post("/api/like", like).json() == {"ok": True, "liked": True}
    assert browser.get("/api/session").json()["likes"] == [radio["piece"]]
    assert browser.get("/api/radio").json()["piece"] != radio["piece"]
    tables = {
        table: len(state.store.rows(f"SELECT * FROM {table}")) for table in ("listeners", "votes", "plays", "likes")
    }
    assert tables == {"listeners": 1, "votes": 1, "plays": 1, "likes": 1}


def test_who_withdraws_is_a_stranger_again(browser: Browser, state: ServerState) -> None:
    pair = browser.get("/api/pair").json()
    browser.post("/api/vote", {"pair": pair["pair"], "choice": "first", "seconds": 1})
    assert browser.post("/api/withdraw").json() == {"ok": True}
    for table in ("listeners", "pairs", "votes", "plays", "likes"):
        assert state.store.rows(f"SELECT * FROM {table}") == []
    assert browser.get("/api/session").json()["consented"] is False
    assert browser.get("/api/pair").status_code == 403
    assert browser.enter()["votes"] == 0


def test_nothing_is_asked_of_who_has_not_agreed(connect: Callable[..., Browser], state: ServerState) -> None:
    browser = connect()
    browser.csrf = browser.get("/api/session").json()["csrf"]
    for path in ("pair", "radio"):
        assert browser.get(f"/api/{path}").status_code == 403
    for path in ("vote", "play", "like", "withdraw"):
        assert browser.post(f"/api/{path}").json() == {"error": "agree to take part first"}
    browser.client.cookies.set("listener", "0" * 32)  # of nobody
    assert browser.get("/api/pair").status_code == 403
    assert state.store.rows("SELECT * FROM listeners") == []


def test_to_agree_twice_is_to_agree(browser: Browser, state: ServerState) -> None:
    assert browser.post("/api/consent").json()["consented"] is True
    assert len(state.store.rows("SELECT * FROM listeners")) == 1


def test_a_consent_whose_answer_is_lost_is_of_one_listener(connect: Callable[..., Browser], state: ServerState) -> None:
    browser = connect()
    browser.csrf = browser.get("/api/session").json()["csrf"]
    before = dict(browser.client.cookies)
    for _ in range(2):
        browser.client.cookies.clear()
        browser.client.cookies.update(before)  # what the first answer set has not arrived
        assert browser.post("/api/consent").json()["consented"] is True
    assert len(state.store.rows("SELECT * FROM listeners")) == 1


def test_the_database_holds_no_cookie(browser: Browser, state: ServerState) -> None:
    cookie = browser.client.cookies["listener"]
    assert state.store.rows("SELECT id FROM listeners") == [(listener_of(cookie),)]
    assert cookie not in str(state.store.rows("SELECT * FROM listeners"))


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(connect: Callable[..., Browser]) -> None:
    cookies = connect().get("/api/session").headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == ["csrf", "listener"]
    assert all("HttpOnly" in cookie and "SameSite=strict" in cookie for cookie in cookies)


@pytest.mark.parametrize("path", POSTS)
def test_a_page_of_another_site_can_send_nothing(browser: Browser, state: ServerState, path: str) -> None:
    before = state.store.rows("SELECT * FROM listeners")
    for csrf in ("", "0" * 32, "\xff" * 32):
        answer = browser.client.post(f"/api/{path}", json={}, headers={"x-csrf-token": csrf.encode("latin-1")})
        assert answer.status_code == 403
    plain = browser.client.post(
        f"/api/{path}", content="{}", headers={"x-csrf-token": browser.csrf, "content-type": "text/plain"}
    )
    assert plain.status_code == 415, "a form of another site can send text"
    assert state.store.rows("SELECT * FROM listeners") == before


def test_nothing_before_the_vote_tells_who_wrote_a_piece(browser: Browser, state: ServerState) -> None:
    told = []
    for _ in range(12):
        pair = browser.get("/api/pair")
        told.append(pair.text)
        for piece in (pair.json()["first"], pair.json()["second"]):
            assert set(piece) == {"piece", "sound", "roll", "seconds"}
            for address in (piece["sound"], piece["roll"]):
                answer = browser.get(address)
                told.append(str(answer.headers) + answer.text)
                assert answer.headers["last-modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"
        vote = {"pair": pair.json()["pair"], "choice": "first", "seconds": 1}
        told.append(browser.post("/api/vote", vote).text)
    for word in ("one", "other", "people", "attention", ".mid", "check", "person_"):
        for text in told:
            assert f'"{word}' not in text
    assert set(json.loads(told[0])) == {"pair", "question", "first", "second", "number"}


def test_checks_are_asked_and_look_like_the_others(browser: Browser, state: ServerState) -> None:
    shapes = Counter()
    while (answer := browser.get("/api/pair")).status_code == 200:
        pair = answer.json()
        shapes[tuple(pair)] += 1
        assert browser.post("/api/vote", {"pair": pair["pair"], "choice": "first", "seconds": 1}).status_code == 200
    assert answer.status_code == 204
    assert len(shapes) == 1
    assert len(state.store.rows("SELECT * FROM pairs WHERE attention IS NOT NULL")) == 2
    # 9 pieces, 3 by people and 6 by machines, 2 checks, and who wrote what was in a check is not asked any more
    assert 36 + 6 + 2 <= shapes.total() <= 36 + 18 + 2


def test_sound_is_served_in_parts(browser: Browser) -> None:
    piece = browser.get("/api/radio").json()
    whole = browser.get(piece["sound"])
    assert (whole.status_code, whole.headers["content-type"], len(whole.content)) == (200, "audio/ogg", 1024)
    part = browser.get(piece["sound"], headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert part.headers["content-range"] == "bytes 100-199/1024"
    end = browser.get(piece["sound"], headers={"range": "bytes=-24"})
    assert end.content == whole.content[-24:]
    assert browser.get(piece["sound"], headers={"range": "bytes=5000-"}).status_code == 416
    assert browser.get(piece["roll"]).json() == {"seconds": 12.0, "notes": [[0.0, 1.0, 60, 80]]}


@pytest.mark.parametrize(
    "path",
    [
        "/static/../secret.js",
        "/static/%2e%2e/secret.js",
        "/static/..%2fsecret.js",
        "/static//etc/passwd",
        "/static/notes.txt",
        "/static/",
        "/static/%00",
        "/sound/1",
        "/sound/-1",
        "/sound/0x1",
        "/sound/1.ogg",
        f"/sound/{'9' * 5000}",
        "/sound/٣",
        "/roll/1",
        "/roll/%2e%2e",
        "/listening.sqlite",
        "/docs",
        "/api",
        "/api/",
        "/api/results",
    ],
)
def test_only_what_is_listed_is_served(browser: Browser, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text
    assert answer.headers["content-type"] == "application/json"


def test_the_page_and_its_files(browser: Browser) -> None:
    assert browser.get("/").text == "<!doctype html>"
    answer = browser.get("/static/page.js")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


def test_every_answer_has_the_headers_that_keep_strangers_out(browser: Browser) -> None:
    piece = browser.get("/api/radio").json()
    answers = [browser.get(path) for path in ("/", "/static/page.js", piece["sound"], "/api/pair", "/nowhere")]
    answers += [browser.post("/api/vote"), browser.client.put("/api/vote"), browser.client.delete("/")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers
    assert answers[3].headers["cache-control"] == "no-store"
    assert [answer.status_code for answer in answers[-2:]] == [405, 405]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 10_000, 400),
        (b'{"seconds": ' + b"9" * 5000 + b"}", 400),
        (b"[]", 422),
        (b"null", 422),
        (b"{}", 422),
        (b'{"pair": 1, "choice": "first", "seconds": 1}', 422),
        (b'{"pair": "' + b"0" * 32 + b'", "choice": "first", "seconds": NaN}', 422),
        (b'{"pair": "' + b"0" * 32 + b'", "choice": "first", "seconds": -1}', 422),
        (b'{"pair": "' + b"0" * 32 + b'", "choice": "first", "seconds": true}', 422),
        (b'{"pair": "' + b"0" * 32 + b'", "choice": ["first"], "seconds": 1}', 422),
        (b'{"pair": "' + b"0" * 32 + b'", "choice": "first", "seconds": 1}', 409),
        (b'{"pad": "' + b"x" * MAX_BODY + b'"}', 413),
    ],
)
def test_votes_that_are_none(browser: Browser, state: ServerState, body: bytes, status: int) -> None:
    headers = {"x-csrf-token": browser.csrf, "content-type": "application/json"}
    answer = browser.client.post("/api/vote", content=body, headers=headers)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert state.store.rows("SELECT * FROM votes") == []


def test_a_body_without_end_is_cut_off(browser: Browser) -> None:
    sent = []

    def endless():
        while len(sent) < 1000:
            sent.append(1)
            yield b" " * 1024

    headers = {"x-csrf-token": browser.csrf, "content-type": "application/json"}
    answer = browser.client.post("/api/vote", content=endless(), headers=headers)
    assert answer.status_code == 413


def test_a_connection_that_is_lost_within_a_body_is_no_fault_of_the_server(browser: Browser) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.client.cookies.items())
    headers = {"host": "localhost", "cookie": cookies, "x-csrf-token": browser.csrf, "content-type": "application/json"}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/vote",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    sent = []

    async def receive() -> dict:
        return messages.pop(0)

    async def send(message: dict) -> None:
        sent.append(message)

    asyncio.run(browser.client.app(scope, receive, send))  # raises nothing that would be printed
    assert sent[0]["status"] == 400


def test_vote_of_another_listener(browser: Browser, connect: Callable[..., Browser]) -> None:
    other = connect()
    other.enter()
    pair = other.get("/api/pair").json()
    answer = browser.post("/api/vote", {"pair": pair["pair"], "choice": "first", "seconds": 1})
    assert (answer.status_code, answer.json()["error"]) == (409, "you were not asked this pair")


def test_plays_and_likes_that_are_none(browser: Browser, state: ServerState) -> None:
    piece = browser.get("/api/radio").json()["piece"]
    check = next(each.id for each in state.served.values() if each.check)
    play = {"id": str(uuid4()), "piece": piece, "heard_seconds": 12}
    for change, status in [
        ({"piece": check}, 404),
        ({"piece": True}, 404),
        ({"piece": -1}, 404),
        ({"piece": str(piece)}, 404),
        ({"id": "my name"}, 422),
        ({"id": None}, 422),
        ({"heard_seconds": "12"}, 422),
        ({"heard_seconds": 10**400}, 200),
    ]:
        assert browser.post("/api/play", play | change).status_code == status, change
    assert browser.post("/api/like", {"piece": piece, "liked": 1}).status_code == 422
    assert browser.post("/api/like", {"piece": check, "liked": True}).status_code == 404
    assert len(state.store.rows("SELECT * FROM plays")) == 1


@FIXTURES
@given(st.sampled_from(POSTS[:3]), JSON)
def test_whatever_is_sent_is_answered_in_words(browser: Browser, state: ServerState, path: str, body: object) -> None:
    headers = {"x-csrf-token": browser.csrf, "content-type": "application/json"}
    answer = browser.client.post(f"/api/{path}", content=json.dumps(body), headers=headers)
    assert 400 <= answer.status_code < 500
    assert set(answer.json()) == {"error"}
    assert state.store.rows("SELECT COUNT(*) FROM votes") == [(0,)]


@FIXTURES
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "pair": st.sampled_from(["0" * 32, "'; DROP TABLE votes; --", ""]) | JSON,
            "choice": st.sampled_from(["first", "tie", "third"]) | JSON,
            "seconds": st.floats() | JSON,
            "piece": st.integers() | JSON,
            "liked": st.booleans() | JSON,
            "id": st.uuids().map(str) | JSON,
            "heard_seconds": st.floats() | JSON,
        },
    ),
    st.sampled_from(POSTS[:3]),
)
def test_fields_of_any_kind_are_answered_in_words(browser: Browser, state: ServerState, body: dict, path: str) -> None:
    headers = {"x-csrf-token": browser.csrf, "content-type": "application/json"}
    answer = browser.client.post(f"/api/{path}", content=json.dumps(body), headers=headers)
    if path == "like" and answer.status_code == 200:
        return  # nothing is liked no longer
    assert 400 <= answer.status_code < 500
    assert state.store.rows("SELECT COUNT(*) FROM votes") == [(0,)]


@FIXTURES
@given(st.text(min_size=1, max_size=60))
def test_any_path_is_answered(browser: Browser, path: str) -> None:
    from urllib.parse import quote

    answer = browser.get("/" + quote(path, safe="/%.?#&="), follow_redirects=False)
    assert answer.status_code in (200, 404, 405)


def test_a_full_disk_is_said_and_the_vote_can_be_sent_again(
    browser: Browser, state: ServerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = browser.get("/api/pair").json()
    vote = {"pair": pair["pair"], "choice": "first", "seconds": 1}
    store_vote = state.store.vote

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(state.store, "vote", full)
    answer = browser.post("/api/vote", vote)
    assert (answer.status_code, answer.json()) == (503, {"error": "the answer could not be saved; try again"})
    monkeypatch.setattr(state.store, "vote", store_vote)
    assert browser.post("/api/vote", vote).json()["votes"] == 1


def test_a_piece_whose_file_is_gone(browser: Browser, state: ServerState, tmp_path: Path) -> None:
    piece = browser.get("/api/radio").json()
    state.served[piece["piece"]].sound.unlink()
    assert browser.get(piece["sound"]).status_code == 404
