"""Databases of listening, made by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from toccata.listening.schema import SCHEMA, VERSION
from toccata.music.score import Score

Vote = tuple[str, str, int, int, str | None, str | None]  # listener, question, first, second, attention, choice


def scale(lowest: int, step: int, count: int = 16) -> Score:
    """Notes in quarters, each a step above the one before it, eight at a time."""
    return Score([(24 * i, 24, lowest + step * (i % 8), 80) for i in range(count)])


@pytest.fixture
def database(tmp_path: Path) -> Callable[..., Path]:
    """Makes a database: `database(sources, votes, plays, likes)`.

    `sources` are (name, by_person) of each piece, whose ids are 100, 101 and so on; `votes` are rows of `Vote`, where a
    choice of None is a pair without an answer; `plays` and `likes` are (listener, piece).
    """

    def make(
        sources: Sequence[tuple[str, bool]],
        votes: Sequence[Vote] = (),
        plays: Sequence[tuple[str, int]] = (),
        likes: Sequence[tuple[str, int]] = (),
    ) -> Path:
        path = tmp_path / "listening.sqlite"
        connection = sqlite3.connect(path)
        connection.executescript(SCHEMA)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        for number, (source, by_person) in enumerate(sources):
            file = tmp_path / f"{number:02d}.mid"
            scale(48 + number, 1 + number % 5).to_midi(file)
            row = (100 + number, str(number), source, str(file), int(by_person), None, 8.0)
            connection.execute("INSERT INTO pieces VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        for name in sorted({row[0] for row in (*votes, *plays, *likes)}):
            connection.execute("INSERT INTO listeners VALUES (?, '2026-01-01')", (name,))
        for number, (name, question, first, second, attention, choice) in enumerate(votes):
            row = (str(number), name, question, first, second, attention)
            connection.execute("INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?)", row)
            if choice is not None:
                connection.execute("INSERT INTO votes VALUES (?, ?, 1.0)", (str(number), choice))
        for number, (name, piece) in enumerate(plays):
            connection.execute("INSERT INTO plays VALUES (?, ?, ?)", (str(number), name, piece))
        connection.executemany("INSERT INTO likes VALUES (?, ?)", likes)
        connection.commit()
        connection.close()
        return path

    return make
