"""Attention checks: pairs of a piece and its notes at random, where everybody who listens gives one answer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from toccata.files import cache_folder, sha256_of_file
from toccata.listening.schema import ATTENTION_SOURCE
from toccata.listening.sources import Found, find_pieces
from toccata.music.score import Score

CHECKS = 8  # of a listener who answers a hundred questions
LOWEST, HIGHEST = 28, 100  # pitches of random notes: all of the piano but its extremes


def attention_pairs(pieces: Sequence[Found], seed: int) -> list[tuple[Found, Found]]:
    """Pairs of a piece that a person wrote and the same piece with its notes at random.

    Where none of the pieces is by a person, chorales by Bach are taken, which are heard in these checks only.

    Args:
        pieces: all that is heard.
        seed: of the choice and of the random notes.
    """
    written = [piece for piece in pieces if piece.by_person and piece.score is not None]
    if not written:
        found, _ = find_pieces((), ("bach",), CHECKS, seed)
        written = [replace(piece, source=ATTENTION_SOURCE) for piece in found]
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(written))[:CHECKS]
    folder = cache_folder() / "listening" / "checks"
    folder.mkdir(parents=True, exist_ok=True)
    return [(written[index], _as_found(written[index], folder, seed)) for index in sorted(chosen)]


def randomised(score: Score, rng: np.random.Generator) -> Score:
    """A score with the durations and velocities of another one, and pitches and onsets at random.

    Where two notes of one pitch would sound at once the earlier one ends, so that notes may become shorter or fewer.
    """
    notes = score.notes.copy()
    notes["pitch"] = rng.integers(LOWEST, HIGHEST + 1, len(notes))
    notes["onset_tick"] = rng.integers(0, np.maximum(1, score.length_ticks - notes["duration_ticks"] + 1))
    return replace(score, notes=notes)


def _as_found(piece: Found, folder: Path, seed: int) -> Found:
    """The piece with its notes at random, as a file in the cache."""
    assert piece.score is not None
    key = hashlib.sha256(f"{piece.digest} {seed}".encode())
    score = randomised(piece.score, np.random.default_rng(int.from_bytes(key.digest()[:8], "big")))
    path = folder / f"{key.hexdigest()[:32]}.mid"
    if not path.is_file():
        score.to_midi(path)
    return Found(sha256_of_file(path), ATTENTION_SOURCE, path, False, None, score)
