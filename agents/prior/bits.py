"""Bits per action and per note of held-out music under a model, with bootstrap intervals over works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toccata.envs.pieces import Piece
from toccata.settings.genres import ALL_GENRES, with_added
from toccata.stats import RESAMPLES, Interval, percentile_interval

ALL = ALL_GENRES  # the row of all genres together


@dataclass(frozen=True)
class Bits:
    """Negative log-likelihood of music under a model, in bits; lower is better.

    Attributes:
        per_action: bits per action.
        per_note: the same bits, those of rests included, per note; a chord counts its notes.
        works: number of works; versions of one work count once.
        actions, notes: their numbers.
    """

    per_action: Interval
    per_note: Interval
    works: int
    actions: int
    notes: int


def bits(
    log_probs: Sequence[np.ndarray], pieces: Sequence[Piece], works: Sequence[str] | None = None, seed: int = 0
) -> dict[str, Bits]:
    """Bits of pieces under a model, by genre and under "all" together.

    Args:
        log_probs: (steps,) log-probabilities in nats of the actions of each piece. With the differences of two models'
            log-probabilities the result is the difference of their bits.
        pieces: with scores as played and genres; pieces without genre count under "all" only.
        works: the work that each piece is of; whole works are resampled for the intervals. None: each piece is one.
        seed: of the bootstrap (percentile; Efron & Tibshirani 1993, chapter 13).
    """
    piece_bits = np.array([-values.sum() / np.log(2) for values in log_probs])
    actions = np.array([len(values) for values in log_probs])
    notes = np.array([len(piece.score) for piece in pieces])
    piece_works = np.arange(len(pieces)) if works is None else np.array(works)
    names = with_added(piece.genre for piece in pieces if piece.genre is not None)
    genres = {genre: np.array([piece.genre == genre for piece in pieces]) for genre in names}
    results = {}
    for genre, selected in {**genres, ALL: np.ones(len(pieces), bool)}.items():
        if not notes[selected].sum():
            continue
        work = np.unique(piece_works[selected], return_inverse=True)[1]
        sums = np.stack([np.bincount(work, each[selected]) for each in (piece_bits, actions, notes)])  # (3, works)
        count = sums.shape[1]
        resampled = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES) @ sums.T
        resampled = resampled[resampled[:, 2] > 0]  # a resample may hold only works whose notes were all dropped
        total = sums.sum(axis=1)
        results[genre] = Bits(
            per_action=percentile_interval(total[0] / total[1], resampled[:, 0] / resampled[:, 1]),
            per_note=percentile_interval(total[0] / total[2], resampled[:, 0] / resampled[:, 2]),
            works=count,
            actions=int(total[1]),
            notes=int(total[2]),
        )
    return results
