from __future__ import annotations

from collections.abc import Callable
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from toccata.agents.evaluation.evaluate import evaluate


@pytest.fixture
def quickly(corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """`evaluate` of few short pieces by rules alone, in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("toccata.agents.evaluation.measuring.measured.sibling_rating", lambda _: None)
    return partial(
        evaluate,
        rewards=[("silence", 1.0), ("repetition", 0.5)],
        corpus=str(corpus_folder),
        bars=1,
        pieces=1,
        samples=3,
        console=Console(file=StringIO(), width=100),
    )
