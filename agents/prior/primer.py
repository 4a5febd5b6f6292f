"""Primers, prepared for a sequence network to continue."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from toccata.envs.codec import encode
from toccata.envs.instrument import Piano
from toccata.music.score import Score

NO_ACTIONS = np.empty((0, 2), np.int64)

CONTEXT_BARS = 64  # of a primer that networks are conditioned on, its last ones


@dataclass(frozen=True)
class PreparedPrimer:
    """A primer as the piano plays it, and the part of it that a network is conditioned on.

    Attributes:
        score: the whole primer, to a bar line.
        context: its last bars, which the network is conditioned on.
        actions: (steps, 2) int64, which play `context`.
    """

    score: Score
    context: Score
    actions: np.ndarray

    @classmethod
    def from_score(cls, primer: Score | None, piano: Piano, beats_per_bar: float, tempo_bpm: float) -> PreparedPrimer:
        """Encode a primer; None gives an empty one in the given metre and tempo.

        The context has at most 64 bars, as the passages that priors are fitted to, and like them it begins in a bar
        with a note. It is empty if the last 64 bars are silent.

        Raises:
            ValueError: for a primer without a note that the piano plays.
        """
        if primer is None:
            empty = Score(beats_per_bar=beats_per_bar, tempo_bpm=tempo_bpm)
            return cls(empty, empty, NO_ACTIONS)
        if not len(primer):
            raise ValueError("the primer has no notes")
        score = encode(primer, piano)[1].score
        if not len(score):
            raise ValueError(
                f"none of the primer's {len(primer)} notes is on the piano's keys {piano.lowest}..{piano.highest}"
            )
        bar, bars = score.ticks_per_bar, score.bars
        score = replace(score, length_ticks=bars * bar)
        first = max(0, bars - CONTEXT_BARS)
        onset_bars = score.notes["onset_tick"] // bar
        first = int(onset_bars[onset_bars >= first].min(initial=bars))
        context = score.slice(first * bar, bars * bar)
        return cls(score, context, encode(context, piano)[0].astype(np.int64) if first < bars else NO_ACTIONS)
