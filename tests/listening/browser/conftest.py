"""A server as users start it, and Chromium as listeners have it: playwright drives the browser of the system."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from helpers.listening_page import DESKTOP, PATIENCE_MS, Server
from toccata.music.score import Score

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page


def write_tunes(folder: Path, seeds: range) -> None:
    """Pieces whose sound is 3 s long: all that the page waits for is over soon."""
    folder.mkdir()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        notes = [(12 * step, 12, int(rng.choice([60, 62, 64, 65, 67, 69, 71, 72])), 80) for step in range(4)]
        Score([*notes, (0, 48, 48, 70)], tempo_bpm=120, length_ticks=48).to_midi(folder / f"{seed}.mid")


@pytest.fixture(scope="session")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the folders `machine` and `people`."""
    root = tmp_path_factory.mktemp("pieces")
    write_tunes(root / "machine", range(5))
    write_tunes(root / "people", range(5, 10))
    return root


@pytest.fixture(scope="session")
def start(pieces: Path) -> Iterator[Callable[..., Server]]:
    """Start `toccata listen` on a database, with further options."""
    started: list[subprocess.Popen[str]] = []

    def starter(database: Path, *options: str) -> Server:
        command = [
            sys.executable,
            "-m",
            "toccata",
            "listen",
            str(pieces / "machine"),
            "--people",
            str(pieces / "people"),
        ]
        command += ["--db", str(database), "--port", "0", *options]
        log = database.with_suffix(".log")
        with log.open("w") as errors:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1)
        started.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"http://[\w.:\[\]-]+/\S*", line):
                return Server(process, found.group(), database)
        raise AssertionError(f"no address, but {log.read_text()}")

    yield starter
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def server(start: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The server of most tests; each test is a listener of its own."""
    return start(tmp_path_factory.mktemp("votes") / "votes.sqlite")


@pytest.fixture
def listener(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page as a new listener, with options of a browser context.

    No page may write a warning or an error to its console but those that the pattern `allow` finds something in.
    """
    contexts = []
    errors: list[str] = []

    def opened(allow: re.Pattern[str] | None = None, **options: object) -> Page:
        def note(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not (allow and allow.search(message.text)):
                errors.append(message.text)

        def watch(page: Page) -> None:
            page.on("console", note)
            page.on("pageerror", lambda error: errors.append(str(error)))

        context = chromium.new_context(**{"viewport": DESKTOP, **options})
        context.set_default_timeout(PATIENCE_MS)
        context.on("page", watch)
        contexts.append(context)
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()
    assert not errors, errors
