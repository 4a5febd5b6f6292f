"""Scores for the metrics."""

from collections.abc import Callable

import pytest

from toccata.music.score import Score

BEAT = 24


@pytest.fixture
def line() -> Callable[..., Score]:
    """`line(*onsets, gap, duration, ...)`: one onset every `gap` ticks; each is a pitch or a tuple of pitches."""

    def make(*onsets: int | tuple[int, ...], gap: int = BEAT, duration: int = BEAT, **fields: float) -> Score:
        chords = [(onset,) if isinstance(onset, int) else onset for onset in onsets]
        return Score([(i * gap, duration, pitch, 80) for i, chord in enumerate(chords) for pitch in chord], **fields)

    return make
