"""Two genres that are easy to tell apart, as a folder corpus with splits."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from toccata.music.score import Score

WORKS = {"train": 8, "valid": 3, "test": 4}
BARS = 6


def hymn(rng: np.random.Generator) -> Score:
    """Chords of a bar each."""
    notes = []
    for bar in range(BARS):
        root = int(rng.choice([48, 53, 55]))
        notes += [(96 * bar, 96, root + each, 80) for each in (0, 7, 12, 16)]
    return Score(sorted(notes), length_ticks=96 * BARS)


def reel(rng: np.random.Generator) -> Score:
    """One line of quavers."""
    notes = [(12 * i, 12, int(rng.choice([67, 69, 71, 72, 74, 76, 78, 79])), 80) for i in range(8 * BARS)]
    return Score(notes, length_ticks=96 * BARS)


@pytest.fixture(scope="session")
def two_genres(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of 15 hymns, classical, and 17 reels, folk."""
    root = tmp_path_factory.mktemp("genres")
    (root / "midi").mkdir()
    rng = np.random.default_rng(0)
    rows = [("file", "genre", "title", "split")]
    for genre, make, more in (("classical", hymn, 0), ("folk", reel, 2)):
        for split, count in WORKS.items():
            for number in range(count + (more if split == "train" else 0)):
                name = f"{genre}-{split}-{number}.mid"
                make(rng).to_midi(root / "midi" / name)
                rows.append((name, genre, name, split))
    with (root / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root
