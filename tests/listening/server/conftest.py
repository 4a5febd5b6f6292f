"""The application without a network, and a browser that has agreed to take part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from helpers.listening import Browser
from toccata.listening.server.access import Access, Rate
from toccata.listening.server.app import make_app
from toccata.listening.server.state import ServerState

QUICK = Rate(100_000, 100_000)  # tests click fast


@pytest.fixture
def static(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html>")
    (folder / "page.js").write_text("export {};")
    (folder / "notes.txt").write_text("no part of the page")
    (tmp_path / "secret.js").write_text("secret")
    return folder


@pytest.fixture
def connect(state: ServerState, static: Path) -> Callable[..., Browser]:
    """Makes a browser that has no cookie yet; `access` says who may ask."""
    apps = {}

    def make(access: Access | None = None, **options: object) -> Browser:
        access = access or Access(listener_rate=QUICK, address_rate=QUICK)
        app = apps.setdefault(access, make_app(state, access, static))
        return Browser(TestClient(app, **{"base_url": "http://127.0.0.1", **options}))

    return make


@pytest.fixture
def browser(connect: Callable[..., Browser]) -> Browser:
    """A browser that has agreed."""
    made = connect()
    made.enter()
    return made
