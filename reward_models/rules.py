"""Rules: penalties for what no reward should buy, nothing for what real pieces do.

Each is in [-1, 0]: 0 up to a limit that 95 of 100 real pieces keep to, then falling on a straight line to -1 at the
worst there is. They judge what the agent itself wrote, without the primer.

The limits that come with them are the greatest 95th percentile among four bodies of real music, cut into 8 bars and
played by the instrument: Bach's chorales, folk tunes, Chopin, and keyboard music of the Mutopia Project (see
docs/rewards.md for the table). `from_scores` takes them from a corpus of one's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from toccata.envs.pieces import Pieces
from toccata.music.metrics import loop_rate, note_density, polyphony, repeated_note_rate, silence_rate
from toccata.music.score import Score

PERCENTILE = 95  # of real pieces that keep to a limit: one in twenty does so for effect, more would be a mannerism
WORST_DENSITY = 3.0  # times the limit, from where on more notes a beat cost no more: 30, ten fingers in triplets
WORST_POLYPHONY = 10.0  # fingers


@dataclass(frozen=True)
class Silence:
    """Penalty for the share of time at which nothing sounds, see `silence_rate`; -1 for a silent piece.

    Args:
        limit: greatest share of silence that costs nothing, in [0, 1).
    """

    limit: float = 0.24

    name = "silence"

    def __post_init__(self) -> None:
        _check(self, 0, 1)

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32 in [-1, 0]."""
        return _penalty([silence_rate(score) for score in pieces.own], self.limit, 1.0)

    @classmethod
    def from_scores(cls, scores: Iterable[Score]) -> Silence:
        """With the limit of real pieces, which should be as long as those that are judged."""
        return cls(_limit([silence_rate(score) for score in scores], 0, 1))


@dataclass(frozen=True)
class Repetition:
    """Penalty for repeating oneself at once; -1 for one note or chord, or one figure, from beginning to end.

    The worse of two: strikes that equal the strike before, see `repeated_note_rate`, and strikes that end a
    figure of up to four played twice in a row, see `loop_rate`.

    Args:
        repeated_limit: greatest share of repeated strikes that costs nothing, in [0, 1).
        loop_limit: greatest share of looped strikes that costs nothing, in [0, 1).
    """

    repeated_limit: float = 0.26
    loop_limit: float = 0.3

    name = "repetition"

    def __post_init__(self) -> None:
        _check(self, 0, 1)

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32 in [-1, 0]."""
        repeated = _penalty([repeated_note_rate(score) for score in pieces.own], self.repeated_limit, 1.0)
        looped = _penalty([loop_rate(score) for score in pieces.own], self.loop_limit, 1.0)
        return np.minimum(repeated, looped)

    @classmethod
    def from_scores(cls, scores: Iterable[Score]) -> Repetition:
        """With the limits of real pieces, which should be as long as those that are judged."""
        scores = list(scores)
        return cls(
            _limit([repeated_note_rate(score) for score in scores], 0, 1),
            _limit([loop_rate(score) for score in scores], 0, 1),
        )


@dataclass(frozen=True)
class Density:
    """Penalty for a wall of notes: the worse of too many struck and too many sounding at once.

    Args:
        density_limit: greatest number of notes a beat that costs nothing, see `note_density`; three times as many
            cost 1.
        polyphony_limit: greatest mean number of notes at once that costs nothing, see `polyphony`, below 10;
            10 cost 1.
    """

    density_limit: float = 10.5
    polyphony_limit: float = 4.7

    name = "density"

    def __post_init__(self) -> None:
        _check(self, 0, np.inf)
        if self.polyphony_limit >= WORST_POLYPHONY:
            raise ValueError(f"polyphony_limit must be in [0, 10), got {self.polyphony_limit}")

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32 in [-1, 0]."""
        most = max(WORST_DENSITY * self.density_limit, 1.0)
        dense = _penalty([note_density(score) for score in pieces.own], self.density_limit, most)
        thick = _penalty([polyphony(score) for score in pieces.own], self.polyphony_limit, WORST_POLYPHONY)
        return np.minimum(dense, thick)

    @classmethod
    def from_scores(cls, scores: Iterable[Score]) -> Density:
        """With the limits of real pieces, which should be as long as those that are judged."""
        scores = list(scores)
        return cls(
            _limit([note_density(score) for score in scores], 0, np.inf),
            _limit([polyphony(score) for score in scores], 0, WORST_POLYPHONY),
        )


def _penalty(values: list[float], limit: float, worst: float) -> np.ndarray:
    """(n,) float32: 0 up to `limit`, -1 from `worst` on, a straight line between."""
    return np.clip((limit - np.array(values, np.float64)) / (worst - limit), -1, 0).astype(np.float32)


def _limit(values: list[float], low: float, high: float) -> float:
    """What 95 of 100 `values` keep to, inside [low, high)."""
    if not values:
        raise ValueError("a limit needs at least one real score")
    return float(np.clip(np.percentile(values, PERCENTILE), low, np.nextafter(high, low)))


def _check(rule: Silence | Repetition | Density, low: float, high: float) -> None:
    """Raise for a limit outside [low, high)."""
    for limit in fields(rule):
        value = getattr(rule, limit.name)
        if not low <= value < high:
            raise ValueError(f"{limit.name} must be in [{low}, {high}), got {value}")
