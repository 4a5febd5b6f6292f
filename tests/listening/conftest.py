"""A database and a room that serves pieces without anything rendered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.listening import make_room
from toccata.listening.server.room import Room
from toccata.listening.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "listening.sqlite")
    opened.rows("PRAGMA synchronous = OFF")  # tests that pull no plug need not wait for the disk
    yield opened
    opened.close()


@pytest.fixture
def room(tmp_path: Path, store: Store) -> Room:
    return make_room(tmp_path, store)
