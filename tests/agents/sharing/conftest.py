from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.hub import TOKEN, FakeHub, running_hub
from helpers.runs import WritePrior
from helpers.sharing import pushed


@pytest.fixture
def prior_repository(write_prior: WritePrior, tmp_path: Path) -> Path:
    """The repository of a small prior, as `toccata push --to` writes it."""
    write_prior("prior")
    return Path(pushed(tmp_path / "prior", to=tmp_path / "repository", samples=0))


@pytest.fixture(scope="session")
def hub_server() -> Iterator[FakeHub]:
    pytest.importorskip("huggingface_hub")  # the extra `hub`
    with running_hub() as hub:
        yield hub


@pytest.fixture
def hub(hub_server: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """An empty Hub of this machine, and a token for it; none of the user's own is found."""
    from huggingface_hub import constants

    for content in (hub_server.repositories, hub_server.objects, hub_server.requests):
        content.clear()
    hub_server.answer = None
    monkeypatch.setattr(constants, "ENDPOINT", hub_server.address)  # HF_ENDPOINT, as read at the import
    template = hub_server.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # a storage with another protocol, instead of Git LFS
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return hub_server


@pytest.fixture
def evaluated_run(evaluated: tuple[Path, dict[str, Any], str]) -> Path:
    """A toy run with its evaluation; to be read only."""
    return evaluated[0]
