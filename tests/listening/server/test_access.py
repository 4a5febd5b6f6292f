from collections.abc import Callable

import pytest

from helpers.listening import Browser
from toccata.listening.server.access import Access, Buckets, Rate

TOKEN = "a-token-of-24-characters"


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8420", True),
        ("localhost:9000", True),
        ("LOCALHOST", True),
        ("[::1]:8420", True),
        ("evil.example.org", False),
        ("localhost.evil.example.org", False),
        ("127.0.0.1.evil.example.org:8420", False),
        ("192.168.1.5:8420", False),
        ("", False),
        ("[", False),
        (":", False),
    ],
)
def test_hosts_of_a_server_on_loopback(connect: Callable[..., Browser], host: str, known: bool) -> None:
    assert Access().knows(host) is known
    answer = connect().get("/api/session", headers={"host": host})
    assert answer.status_code == (200 if known else 421), "another name may be one that was made to point here"


def test_hosts_of_a_server_that_others_reach() -> None:
    access = Access(TOKEN, names=("piano.example.org",))
    assert all(
        access.knows(host) for host in ("192.168.1.5:8420", "[2001:db8::1]", "Piano.Example.org:443", "localhost")
    )
    assert not access.knows("evil.example.org")


def test_without_the_token_nothing_is_served(connect: Callable[..., Browser]) -> None:
    browser = connect(Access(TOKEN))
    for path in (
        "/",
        "/static/page.js",
        "/api/session",
        "/sound/1",
        "/?token=",
        "/?token=wrong",
        f"/api/pair?token={TOKEN}",
    ):
        answer = browser.get(path)
        assert answer.status_code == 401
        assert set(answer.json()) == {"error"}
        assert "set-cookie" not in answer.headers
    browser.client.cookies.set("token", "wrong")
    assert browser.get("/").status_code == 401


def test_the_token_becomes_a_cookie_and_leaves_the_address(connect: Callable[..., Browser]) -> None:
    browser = connect(Access(TOKEN))
    answer = browser.get(f"/?token={TOKEN}")
    assert answer.status_code == 200
    assert 'http-equiv="refresh" content="0;url=/"' in answer.text
    assert TOKEN not in answer.text
    assert "HttpOnly; SameSite=Strict" in answer.headers["set-cookie"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert browser.get("/").text == "<!doctype html>"
    assert browser.enter()["consented"] is True


def test_servers_of_two_databases_have_their_own_cookies(connect: Callable[..., Browser]) -> None:
    browser = connect(Access(TOKEN, suffix="-a"))
    browser.get(f"/?token={TOKEN}")
    browser.enter()
    assert set(browser.client.cookies) == {"token-a", "csrf-a", "listener-a"}
    other = connect(Access(TOKEN, suffix="-b"))
    other.client.cookies = browser.client.cookies  # of one machine, at another port
    assert other.get("/api/session").status_code == 401


def test_a_listener_who_asks_too_fast_waits(connect: Callable[..., Browser]) -> None:
    browser = connect(Access(listener_rate=Rate(5, 0.001), address_rate=Rate(100, 1)))
    browser.enter()
    answers = [browser.get("/api/radio") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) > 0
    other = connect(Access(listener_rate=Rate(5, 0.001), address_rate=Rate(100, 1)))
    other.enter()
    assert other.get("/api/radio").status_code == 200, "others need not wait"


def test_listeners_cannot_be_made_without_end(connect: Callable[..., Browser]) -> None:
    access = Access(listener_rate=Rate(100, 1), address_rate=Rate(6, 0.001))
    browser = connect(access)
    browser.csrf = browser.get("/api/session").json()["csrf"]
    statuses = []
    for number in range(8):
        browser.client.cookies.set("listener", f"{number:032x}")  # as if it were new each time
        statuses.append(browser.post("/api/consent").status_code)
    assert statuses == [200] * 5 + [429] * 3


def test_tokens_cannot_be_tried_without_end(connect: Callable[..., Browser]) -> None:
    browser = connect(Access(TOKEN, address_rate=Rate(5, 0.001)))
    statuses = [browser.get(f"/?token={number}").status_code for number in range(7)]
    assert statuses == [401] * 5 + [429] * 2


def test_who_has_no_token_takes_nothing_from_who_has_one(connect: Callable[..., Browser]) -> None:
    browser = connect(Access(TOKEN, address_rate=Rate(5, 0.001)))  # of one address, as behind a proxy
    assert [browser.get("/api/session").status_code for _ in range(6)] == [401] * 5 + [429]
    browser.get(f"/?token={TOKEN}")
    assert browser.get("/api/session").status_code == 200


def test_a_bucket_fills_again() -> None:
    now = [0.0]
    buckets = Buckets(Rate(2, 0.5), most=2, clock=lambda: now[0])
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 2]
    now[0] = 1.0
    assert buckets.take("a") == pytest.approx(1.0)
    now[0] = 2.0
    assert buckets.take("a") == 0
    now[0] = 1e6
    assert [buckets.take("a") for _ in range(3)][-1] > 0, "never more than the burst"
    buckets.take("b")
    buckets.take("c")
    assert len(buckets._levels) == 2
