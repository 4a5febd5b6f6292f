"""A database, and the state of a server whose pieces are not rendered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.listening import make_state
from toccata.listening.server.state import ServerState
from toccata.listening.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "listening.sqlite")
    opened.rows("PRAGMA synchronous = OFF")  # tests that pull no plug need not wait for the disk
    yield opened
    opened.close()


@pytest.fixture
def state(tmp_path: Path, store: Store) -> ServerState:
    return make_state(tmp_path, store)
