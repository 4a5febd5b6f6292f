"""A primer as a sequence network is given it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from toccata.agents.prior.dataset import LONGEST_BARS
from toccata.envs.codec import encode
from toccata.envs.instrument import Piano
from toccata.music.score import Score

NO_ACTIONS = np.empty((0, 2), np.int64)


@dataclass(frozen=True)
class PreparedPrimer:
    """What stands before the part of the network.

    Attributes:
        score: the whole primer as the piano plays it, to a bar line.
        heard: those of its bars that the network is told.
        actions: (steps, 2) int64, which play `heard`.
    """

    score: Score
    heard: Score
    actions: np.ndarray

    @classmethod
    def of(cls, primer: Score | None, piano: Piano, beats_per_bar: float, tempo_bpm: float) -> PreparedPrimer:
        """The opening that a primer is, or an empty page in some metre and tempo.

        The network is told the last 64 bars, for no passage that it was fitted to is longer; and of them those from
        the first note on, for none begins with silence.

        Raises:
            ValueError: for a primer without a note that the piano plays.
        """
        if primer is None:
            page = Score(beats_per_bar=beats_per_bar, tempo_bpm=tempo_bpm)
            return cls(page, page, NO_ACTIONS)
        if not len(primer):
            raise ValueError("the primer has no notes")
        score = encode(primer, piano)[1].score
        if not len(score):
            raise ValueError(
                f"none of the primer's {len(primer)} notes is on the piano's keys {piano.lowest}..{piano.highest}"
            )
        bar, bars = score.ticks_per_bar, score.bars
        score = replace(score, length_ticks=bars * bar)
        first = max(0, bars - LONGEST_BARS)
        onsets = score.notes["onset_tick"] // bar
        first = int(onsets[onsets >= first].min(initial=bars))
        heard = score.slice(first * bar, bars * bar)
        return cls(score, heard, encode(heard, piano)[0].astype(np.int64) if first < bars else NO_ACTIONS)
