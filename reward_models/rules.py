"""Rules: penalties for degenerate pieces: silence, repetition and dense clusters.

Each penalty is 0 up to a limit, the 95th percentile of real pieces, and falls linearly to -1 at the worst value. Rules
score `Pieces.own`, what the agent itself wrote, without the primer.

The default limits are the greatest 95th percentile of four corpora, cut into 8 bars and played by the instrument:
Bach's chorales, folk tunes, Chopin, and keyboard music of the Mutopia Project (the table is in docs/rewards.md).
`from_scores` takes the limits from another corpus.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from toccata.envs.pieces import Pieces
from toccata.music.metrics import loop_rate, note_density, polyphony, repeated_note_rate, silence_rate
from toccata.music.score import Score

PERCENTILE = 95  # of real pieces: one in twenty may exceed a limit for effect
WORST_DENSITY = 3.0  # times the limit: 30 notes a beat, ten fingers in triplets; more are penalised by 1 too
WORST_POLYPHONY = 10.0  # notes, one for each finger


@dataclass(frozen=True)
class Silence:
    """Penalty for the share of time without sound, see `silence_rate`; -1 for a silent piece.

    Args:
        limit: greatest share of silence without a penalty, in [0, 1).
    """

    limit: float = 0.24

    name = "silence"
    score_range = (-1.0, 0.0)

    def __post_init__(self) -> None:
        _check_limits(self, 0, 1)

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32 in [-1, 0]."""
        return _penalty([silence_rate(score) for score in pieces.own], self.limit, 1.0)

    @classmethod
    def from_scores(cls, scores: Iterable[Score]) -> Silence:
        """The rule with the limit of real pieces, which should be as long as those to be scored."""
        return cls(_limit([silence_rate(score) for score in scores], 0, 1))


@dataclass(frozen=True)
class Repetition:
    """Penalty for immediate repetition; -1 for one note, chord or figure from beginning to end.

    The worse of two penalties: on onsets with the same notes as the onset before, see `repeated_note_rate`, and on
    onsets that end a figure of up to four onsets played twice in a row, see `loop_rate`.

    Args:
        repeated_limit: greatest share of repeated onsets without a penalty, in [0, 1).
        loop_limit: greatest share of looped onsets without a penalty, in [0, 1).
    """

    repeated_limit: float = 0.26
    loop_limit: float = 0.3

    name = "repetition"
    score_range = (-1.0, 0.0)

    def __post_init__(self) -> None:
        _check_limits(self, 0, 1)

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32 in [-1, 0]."""
        repeated = _penalty([repeated_note_rate(score) for score in pieces.own], self.repeated_limit, 1.0)
        looped = _penalty([loop_rate(score) for score in pieces.own], self.loop_limit, 1.0)
        return np.minimum(repeated, looped)

    @classmethod
    def from_scores(cls, scores: Iterable[Score]) -> Repetition:
        """The rule with the limits of real pieces, which should be as long as those to be scored."""
        scores = list(scores)
        return cls(
            _limit([repeated_note_rate(score) for score in scores], 0, 1),
            _limit([loop_rate(score) for score in scores], 0, 1),
        )


@dataclass(frozen=True)
class Density:
    """Penalty for dense clusters: the worse of those on notes a beat and on notes sounding at once.

    Args:
        density_limit: greatest number of notes a beat without a penalty, see `note_density`; three times as many,
            and no fewer than one, give -1.
        polyphony_limit: greatest mean number of notes sounding at once without a penalty, see `polyphony`, in [0, 10);
            10 give -1.
    """

    density_limit: float = 10.5
    polyphony_limit: float = 4.7

    name = "density"
    score_range = (-1.0, 0.0)

    def __post_init__(self) -> None:
        _check_limits(self, 0, np.inf)
        if self.polyphony_limit >= WORST_POLYPHONY:
            raise ValueError(f"polyphony_limit must be in [0, 10), got {self.polyphony_limit}")

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32 in [-1, 0]."""
        worst_density = max(WORST_DENSITY * self.density_limit, 1.0)
        density = _penalty([note_density(score) for score in pieces.own], self.density_limit, worst_density)
        sounding = _penalty([polyphony(score) for score in pieces.own], self.polyphony_limit, WORST_POLYPHONY)
        return np.minimum(density, sounding)

    @classmethod
    def from_scores(cls, scores: Iterable[Score]) -> Density:
        """The rule with the limits of real pieces, which should be as long as those to be scored."""
        scores = list(scores)
        return cls(
            _limit([note_density(score) for score in scores], 0, np.inf),
            _limit([polyphony(score) for score in scores], 0, WORST_POLYPHONY),
        )


def _penalty(values: list[float], limit: float, worst: float) -> np.ndarray:
    """(n,) float32: 0 up to `limit`, -1 from `worst` on, linear in between."""
    return np.clip((limit - np.array(values, np.float64)) / (worst - limit), -1, 0).astype(np.float32)


def _limit(values: list[float], low: float, high: float) -> float:
    """95th percentile of `values`, clipped to [low, high)."""
    if not values:
        raise ValueError("a limit needs at least one real score")
    return float(np.clip(np.percentile(values, PERCENTILE), low, np.nextafter(high, low)))


def _check_limits(rule: Silence | Repetition | Density, low: float, high: float) -> None:
    """Raise for a limit outside [low, high)."""
    for field in fields(rule):
        value = getattr(rule, field.name)
        if not low <= value < high:
            raise ValueError(f"{field.name} must be in [{low}, {high}), got {value}")
