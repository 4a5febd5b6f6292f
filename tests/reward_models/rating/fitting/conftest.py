from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toccata.music.score import Score
from toccata.reward_models.preferences import Preference, PreferenceTable
from toccata.reward_models.rating.fitting import agreement, fit, report, transcription
from toccata.reward_models.rating.fitting.config import FitRatingConfig
from toccata.reward_models.rating.fitting.sanity_probes import sanity_probes
from toccata.reward_models.rating.fitting.synthetic import random_melody
from toccata.reward_models.rating.network import RatingConfig

SHORT_FIT = {
    "supported": (),
    "refit_transcribers": True,
    "synthetic_pieces": 10,
    "transcriber_epochs": 1,
    "negatives": 10,
    "copies": 1,
    "epochs": 2,
    "folds": 2,
}


@pytest.fixture
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks and a short report, so that a fit takes a second."""
    few = {name: piece for name, piece in sanity_probes().items() if name in ("silence", "one note")}
    small = partial(RatingConfig, bins=4, channels=8, sound_channels=4, hidden=8)
    monkeypatch.setattr(fit, "RatingConfig", small)
    monkeypatch.setattr(transcription, "TEST_PIECES", 2)
    monkeypatch.setattr(agreement, "RESAMPLES", 10)
    monkeypatch.setattr(report, "sanity_probes", lambda: few)
    monkeypatch.setattr(report, "INVARIANCE_PIECES", 2)


@pytest.fixture
def short_fit() -> Callable[..., FitRatingConfig]:
    """Makes the configuration of a short fit: `short_fit(data, out, **options)`."""

    def make(data: Path | str = ".", out: Path | str = "out", **options: Any) -> FitRatingConfig:
        return FitRatingConfig(data=Path(data), out=Path(out), **{**SHORT_FIT, **options})

    return make


@pytest.fixture
def make_tune() -> Callable[[int], Score]:
    """Makes random melodies of at least eight notes on more than one key: `make_tune(seed)`."""

    def make(seed: int) -> Score:
        rng = np.random.default_rng(seed)
        while True:
            score = random_melody(rng)
            if len(score) >= 8 and len(set(score.notes["pitch"].tolist())) > 1:
                return score

    return make


@pytest.fixture
def make_table() -> Callable[..., PreferenceTable]:
    """Makes tables of scores with 1,000 plays: `make_table(scores, likes, **columns)`."""

    def make(scores: Sequence[Score], likes: Sequence[float], **columns: Sequence[Any]) -> PreferenceTable:
        rows = zip(scores, likes, *columns.values(), strict=True)
        return PreferenceTable(
            tuple(
                Preference(f"row {i}", 1_000, k, score=score, **dict(zip(columns, rest, strict=True)))
                for i, (score, k, *rest) in enumerate(rows)
            )
        )

    return make


@pytest.fixture
def write_manifest() -> Callable[..., Path]:
    """Writes manifest.csv into a folder and returns the folder: `write_manifest(folder, rows)`."""

    def write(folder: Path, rows: Sequence[Sequence[object]]) -> Path:
        folder.mkdir(exist_ok=True)
        lines = ["file,plays,likes", *(",".join(map(str, row)) for row in rows)]
        (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder

    return write


@pytest.fixture
def midi_rows(make_tune: Callable[[int], Score]) -> Callable[[Path, int], list[tuple[str, int, int]]]:
    """Writes MIDI files and returns their rows of a manifest: `midi_rows(folder, count)`."""

    def write(folder: Path, count: int) -> list[tuple[str, int, int]]:
        folder.mkdir(exist_ok=True)
        for index in range(count):
            make_tune(index).to_midi(folder / f"{index}.mid")
        return [(f"{index}.mid", 1_000, 10 + 20 * index) for index in range(count)]

    return write


@pytest.fixture
def fit_facts() -> Callable[[Path], dict[str, Any]]:
    """Reads the facts of a fit from the config.json in a folder: `fit_facts(folder)`."""

    def read(folder: Path) -> dict[str, Any]:
        return json.loads((folder / "config.json").read_text())["fit"]

    return read
