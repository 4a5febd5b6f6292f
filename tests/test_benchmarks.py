"""The scripts in benchmarks/ find what they import."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

NAMES = [path.stem for path in sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))]


@pytest.mark.parametrize("name", NAMES)
def test_a_script_can_be_imported(name: str, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    assert importlib.import_module(name).__doc__
