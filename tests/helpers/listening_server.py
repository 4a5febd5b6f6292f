"""A real `toccata listen` in a process of its own, and listeners that use it over the network."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

TOCCATA = "from toccata.cli import main; main()"
ADDRESS = re.compile(r"listen: (http://\S+)")
START_SECONDS = 120.0  # that a server may take on a busy machine


class Server:
    """A server of music in `folder`, whose database is there too.

    Args:
        folder: holds the folders `machine` and `people`.
        arguments: more of them for the command.
    """

    def __init__(self, folder: Path, *arguments: str, port: int = 0) -> None:
        self.folder, self.arguments, self.port = folder, arguments, port
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start it, and do not wait for it."""
        command = [sys.executable, "-c", TOCCATA, "listen", "machine", "--people", "people", "--port", str(self.port)]
        with (self.folder / "output.txt").open("wb") as file:
            self.process = subprocess.Popen(
                [*command, *self.arguments], cwd=self.folder, stdout=file, stderr=subprocess.STDOUT
            )

    def start(self) -> None:
        """Start it, and wait until browsers can connect; again at the same port."""
        self.launch()
        assert self.process is not None
        began = time.monotonic()
        while (found := ADDRESS.search(self.text())) is None:
            if self.process.poll() is not None or time.monotonic() - began > START_SECONDS:
                raise AssertionError(f"no server: {self.text()}")
            time.sleep(0.02)
        self.address = found[1]
        self.port = int(self.address.split(":")[2].split("/")[0])

    def kill(self) -> None:
        """End it as a power cut would: nothing of it runs any more."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def text(self) -> str:
        """What it printed."""
        return (self.folder / "output.txt").read_text()


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Server]:
    """A server that runs during the block."""
    server = Server(folder, *arguments)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class Listener:
    """A listener who agrees, votes and plays, and sends again what was not acknowledged, as the page does.

    Attributes:
        acknowledged: choice by pair, of the votes that the server has acknowledged.
        plays: ids of the plays that it has acknowledged.
        liked: pieces whose like it has acknowledged.
        seconds: of each vote from sending to the first acknowledgement, without repeats.
        repeats: requests that were sent again.
    """

    def __init__(self, server: Server, seed: int) -> None:
        self.server, self.rng = server, np.random.default_rng(seed)
        self.connection: http.client.HTTPConnection | None = None
        self.cookies: dict[str, str] = {}
        self.csrf = ""
        self.acknowledged: dict[str, str] = {}
        self.plays: set[str] = set()
        self.liked: set[int] = set()
        self.seconds: dict[str, list[float]] = {"pair": [], "vote": []}
        self.repeats = 0

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request until it is answered; (status, JSON)."""
        while (answer := self._send(method, path, body)) is None:
            self.repeats += 1
            self.close()
            time.sleep(0.05)
        return answer

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def _send(self, method: str, path: str, body: Any) -> tuple[int, Any] | None:
        """Send a request once; None when the server has gone before it answered."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if method == "POST":
            headers |= {"content-type": "application/json", "x-csrf-token": self.csrf}
        content = None if method == "GET" else json.dumps({} if body is None else body)
        try:
            self.connection.request(method, path, content, headers)
            answer = self.connection.getresponse()
            data = answer.read() if "json" in answer.headers.get("content-type", "") else answer.read() and b""
        except (OSError, http.client.HTTPException):
            return None
        for cookie in answer.headers.get_all("set-cookie") or ():
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer.status, json.loads(data) if data else None

    def enter(self) -> None:
        """Agree to take part."""
        self.csrf = self.request("GET", "/api/session")[1]["csrf"]
        status, session = self.request("POST", "/api/consent")
        assert status == 200, session

    def vote(self) -> bool:
        """Answer a pair; False when nothing is left to ask."""
        began = time.perf_counter()
        status, pair = self.request("GET", "/api/pair")
        self.seconds["pair"].append(time.perf_counter() - began)
        if status == 204:
            return False
        assert status == 200, pair
        choice = str(self.rng.choice(("first", "second")))
        began = time.perf_counter()
        status, answer = self.request("POST", "/api/vote", {"pair": pair["pair"], "choice": choice, "seconds": 1.5})
        self.seconds["vote"].append(time.perf_counter() - began)
        assert status == 200, answer
        assert pair["pair"] not in self.acknowledged, "asked once more"
        self.acknowledged[pair["pair"]] = choice
        assert answer["votes"] == len(self.acknowledged)
        return True

    def play(self) -> None:
        """Hear a piece of the radio, and like it or not."""
        status, piece = self.request("GET", "/api/radio")
        assert status == 200, piece
        number = str(uuid4())
        body = {"id": number, "piece": piece["piece"], "heard_seconds": piece["seconds"]}
        status, answer = self.request("POST", "/api/play", body)
        assert status == 200, answer
        self.plays.add(number)
        if self.rng.random() < 0.5:
            status, answer = self.request("POST", "/api/like", {"piece": piece["piece"], "liked": True})
            assert status == 200, answer
            self.liked.add(piece["piece"])


def check_kept(folder: Path, listeners: list[Listener]) -> int:
    """Compare the database with what was acknowledged, and return the number of votes; all are there, once."""
    import sqlite3

    connection = sqlite3.connect(folder / "listening.sqlite")
    try:
        votes = connection.execute("SELECT pair, choice FROM votes").fetchall()
        acknowledged = {pair: choice for each in listeners for pair, choice in each.acknowledged.items()}
        assert len(votes) == len(acknowledged)
        assert dict(votes) == acknowledged
        plays = {play for (play,) in connection.execute("SELECT id FROM plays")}
        assert plays == set().union(*(each.plays for each in listeners))
        assert connection.execute("SELECT COUNT(*) FROM likes").fetchone() == (
            sum(len(each.liked) for each in listeners),
        )
        assert connection.execute("SELECT COUNT(*) FROM listeners").fetchone() == (len(listeners),)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return len(votes)
    finally:
        connection.close()
