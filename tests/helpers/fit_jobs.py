"""Jobs of `toccata fit-rival` at toy size."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from toccata.agents.rivals.fitting.config import FitRivalConfig
from toccata.agents.rivals.fitting.job import FitJob
from toccata.music.corpus import Corpus, Work
from toccata.music.score import Score


class StoppedError(Exception):
    """Stands for Ctrl-C."""


def stop_at(share: float) -> Callable[[float, str], None]:
    """An `on_progress` that stops a fit once this share is done."""

    def on_progress(done: float, note: str) -> None:
        if done >= share:
            raise StoppedError

    return on_progress


def toy_corpus(genre: str, lowest: int, bars: int = 8) -> Corpus:
    """Ten works: a tune in quarters over one bass note a bar."""
    rng = np.random.default_rng(lowest)
    works = []
    for number in range(10):
        tune = [(24 * beat, 24, lowest + 12 + int(rng.integers(8)), 80) for beat in range(4 * bars)]
        bass = [(96 * bar, 96, lowest + int(rng.integers(3)), 80) for bar in range(bars)]
        split = "valid" if number == 8 else "test" if number == 9 else "train"
        score = Score([*tune, *bass], length_ticks=96 * bars)
        works.append(Work(f"{genre}/{number}", genre, score, group=f"{genre}{number}", given_split=split))
    return Corpus(genre, tuple(works))


def toy_job(
    rival: Any, place: Path, on_progress: Callable[[float, str], object] = lambda done, note: None, **options: Any
) -> FitJob:
    """A job of two genres in `place`, whose checkpoint is shared by all jobs there."""
    config = FitRivalConfig(rival, place / "out", device="cpu", **{"epochs": 3, **options})
    works = {"classical": toy_corpus("classical", 48), "folk": toy_corpus("folk", 60)}
    for name in ("folder", "checkpoint"):
        (place / name).mkdir(parents=True, exist_ok=True)
    return FitJob(config, works, place / "folder", place / "checkpoint", on_progress, Console(file=StringIO()))
