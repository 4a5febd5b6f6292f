"""Tunes, their encoding and corpora of them, for tests of datasets and trajectories."""

from __future__ import annotations

import numpy as np

from toccata.envs.codec import encode
from toccata.envs.pieces import Piece
from toccata.music.corpus import Corpus, Work
from toccata.music.score import Score


def tune(
    bars: int, beats_per_bar: float = 4, seed: int = 0, silent_starts: tuple[int, ...] = (), low: int = 60
) -> Score:
    """Random eighths over held basses; nothing begins on the bar lines of the bars `silent_starts`."""
    rng = np.random.default_rng(seed)
    bar = round(24 * beats_per_bar)
    notes = []
    for onset in range(0, bars * bar, 12):
        if onset % bar == 0 and onset // bar in silent_starts:
            continue
        notes.append((onset, 12, low + int(rng.choice([0, 2, 4, 5, 7, 9, 11, 12])), 80))
        if onset % bar == 0:
            notes += [(onset, 36, low - 12, 80), (onset, 24, low - 8, 80), (onset, 24, low - 5, 80)]
    return Score(notes, beats_per_bar=beats_per_bar, tempo_bpm=90, length_ticks=bars * bar)


def toy_corpus(*works: tuple[str, str, Score]) -> Corpus:
    """A corpus of works given as name, genre and score."""
    return Corpus("toy", tuple(Work(name, genre, score) for name, genre, score in works))


def encoded(score: Score, genre: str | None = "jazz") -> Piece:
    """The piece of a score with its actions."""
    actions, report = encode(score)
    return Piece(report.score, genre=genre, actions=actions)


def actions_of(piece: Piece) -> np.ndarray:
    """(steps, 2) actions of a piece that has them."""
    assert piece.actions is not None
    return piece.actions


def works(count: int, genre: str = "classical") -> tuple[Work, ...]:
    """Works of four bars: broken chords in quarters over a bass in whole notes."""
    results = []
    for number in range(count):
        tune = [(24 * beat, 24, 64 + number % 5 + (0, 3, 8, 3)[beat % 4], 80) for beat in range(16)]
        bass = [(96 * bar, 96, 52 + number % 5 + (0, 5, 7, 0)[bar], 80) for bar in range(4)]
        results.append(
            Work(f"{genre}-{number}", genre, Score(sorted(tune + bass), length_ticks=384), group=f"{number}")
        )
    return tuple(results)
