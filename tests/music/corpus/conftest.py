"""A folder of music files, and an empty cache."""

from collections.abc import Callable
from pathlib import Path

import pytest

from toccata.music.score import Score


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOCCATA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tune() -> Callable[..., Score]:
    """`tune(first, count, step)`: quarter notes, whose pitches `step` scales."""

    def make(first: int = 60, count: int = 4, step: int = 1) -> Score:
        return Score([(24 * index, 24, first + step * (index * index % 11), 80) for index in range(count)])

    return make


@pytest.fixture
def root(tmp_path: Path, tune: Callable[..., Score]) -> Path:
    """A folder of two genres, with four good files, two broken ones and one in a hidden folder."""
    root = tmp_path / "mine"
    for folder in ("jazz/solo", "rock", "jazz/.trash"):
        (root / folder).mkdir(parents=True)
    tune(50).to_midi(root / "jazz/one.mid")
    tune(60).to_midi(root / "jazz/solo/two.MID")
    tune(70).to_midi(root / "rock/three.midi")
    tune(71).to_musicxml(root / "rock/four.musicxml")
    tune(40).to_midi(root / "jazz/.trash/old.mid")
    (root / "rock/broken.mid").write_bytes(b"not music")
    Score().to_midi(root / "rock/silent.mid")
    (root / "rock/readme.txt").write_text("no piece")
    return root
