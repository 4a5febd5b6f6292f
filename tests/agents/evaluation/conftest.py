from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from toccata.agents.evaluation.config import EvaluateConfig
from toccata.agents.evaluation.evaluate import evaluate, evaluate_folder


@pytest.fixture(scope="session")
def evaluated(toy_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """A run folder with an evaluation, what that returned and what it printed."""
    run = tmp_path_factory.mktemp("evaluated") / "run"
    shutil.copytree(toy_run, run)
    (run / "evaluation").mkdir()
    (run / "evaluation" / "old.txt").write_text("of an earlier evaluation")
    printed = StringIO()
    summary = evaluate_folder(EvaluateConfig(run, pieces=2, samples=6, device="cpu"), Console(file=printed, width=100))
    return run, summary, printed.getvalue()


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
