"""A vote that was acknowledged is kept, once, whatever happens to the server and however many vote at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers.listening import write_tunes
from helpers.listening_server import Listener, Server, check_kept

PATIENCE_SECONDS = 60.0


@pytest.fixture
def server(tmp_path: Path) -> Server:
    write_tunes(tmp_path / "machine", 24)
    write_tunes(tmp_path / "people", 6, seed=1)
    made = Server(tmp_path)
    made.start()
    yield made
    made.kill()


def at_once(listeners: list[Listener], work: Callable[[Listener], None]) -> list[threading.Thread]:
    """A thread for each listener; an error in one fails the test, through pytest's warning."""

    def run(listener: Listener) -> None:
        try:
            work(listener)
        finally:
            listener.close()

    threads = [threading.Thread(target=run, args=(each,)) for each in listeners]
    for thread in threads:
        thread.start()
    return threads


def killed(server: Server, kills: int, count: int) -> tuple[int, int]:
    """Kill the server while listeners vote, and sometimes while it starts; (votes, repeated requests)."""
    listeners = [Listener(server, seed) for seed in range(count)]
    stop = threading.Event()

    def work(listener: Listener) -> None:
        listener.enter()
        while not stop.is_set():
            if listener.rng.random() < 0.2:
                listener.play()
            elif not listener.vote():
                time.sleep(0.1)
            time.sleep(0.01)  # far from the limit of rates

    rng = np.random.default_rng(0)
    threads = at_once(listeners, work)
    try:
        for number in range(kills):
            wait_for_votes(listeners, int(rng.integers(1, 2 * count)))
            time.sleep(float(rng.uniform(0, 0.1)))
            server.kill()
            if number % 5 == 2:
                server.launch()
                time.sleep(float(rng.uniform(0.2, 2.0)))
                server.kill()
            server.start()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return check_kept(server.folder, listeners), sum(each.repeats for each in listeners)


def wait_for_votes(listeners: list[Listener], votes: int) -> None:
    """Wait until that many more votes and plays are acknowledged, however busy the machine is."""

    def count() -> int:
        return sum(len(each.acknowledged) + len(each.plays) for each in listeners)

    began, before = time.monotonic(), count()
    while count() < before + votes and time.monotonic() - began < PATIENCE_SECONDS:
        time.sleep(0.002)


def loaded(server: Server, count: int, votes: int) -> dict[str, np.ndarray]:
    """Let listeners vote all at once; seconds that requests took, by kind."""
    listeners = [Listener(server, seed) for seed in range(count)]

    def work(listener: Listener) -> None:
        listener.enter()
        for number in range(votes):
            assert listener.vote()
            if number % 4 == 0:
                listener.play()

    for thread in at_once(listeners, work):
        thread.join()
    assert check_kept(server.folder, listeners) == count * votes
    assert sum(each.repeats for each in listeners) == 0
    return {kind: np.concatenate([each.seconds[kind] for each in listeners]) for kind in ("pair", "vote")}


def test_votes_survive_kills(server: Server) -> None:
    votes, repeats = killed(server, kills=3, count=4)
    assert votes > 0
    assert repeats > 0


@pytest.mark.slow
def test_votes_survive_a_hundred_kills(server: Server) -> None:
    began = time.monotonic()
    votes, repeats = killed(server, kills=100, count=8)
    print(
        f"\n100 kills in {time.monotonic() - began:.0f} s, 8 listeners: {votes:,} votes acknowledged, all kept once; "
        f"{repeats:,} requests sent again"
    )


def test_several_listeners_at_once(server: Server) -> None:
    loaded(server, count=8, votes=5)


@pytest.mark.slow
def test_fifty_listeners_at_once(server: Server) -> None:
    began = time.monotonic()
    seconds = loaded(server, count=50, votes=20)
    print(f"\n50 listeners, 1,000 votes in {time.monotonic() - began:.1f} s, all kept once")
    for kind, each in seconds.items():
        median, most = np.median(each) * 1000, np.quantile(each, 0.95) * 1000
        print(f"{kind}: median {median:.0f} ms, 95 % below {most:.0f} ms, at most {each.max() * 1000:.0f} ms")
    assert np.quantile(seconds["vote"], 0.95) < 5
