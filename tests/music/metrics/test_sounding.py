"""Bars and strong beats of scores whose metre changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.music.metrics import (
    dissonance_rate,
    empty_bar_rate,
    self_similarity,
    structureness_short,
    syncopation,
)
from toccata.music.metrics.sounding import bars_before, strong_beats_before
from toccata.music.score import Score


def test_bars_and_strong_beats_follow_the_time_signatures():
    """Two bars of 6/8, an incomplete one of 3/4, one of 4/4 from tick 170 on."""
    score = Score([(0, 266, 60, 80)], time_signatures=[(0, 6, 8), (144, 3, 4), (170, 4, 4)])
    assert bars_before(score, np.array([0, 1, 72, 73, 144, 145, 171, 266])).tolist() == [0, 1, 1, 2, 2, 3, 4, 4]
    strong = [0, 36, 72, 108, 144, 170, 218]
    before = strong_beats_before(score, np.arange(267))
    assert before.tolist() == [sum(tick < each for tick in strong) for each in range(267)]


@given(st.integers(1, 400), st.sampled_from([1, 2, 3, 3.5, 4, 6]))
def test_without_signatures_they_are_those_of_the_bar(length, quarters):
    score = Score(beats_per_bar=quarters, length_ticks=length)
    ticks = np.arange(length + 1)
    assert bars_before(score, ticks).tolist() == np.searchsorted(score.bar_ticks, ticks).tolist()


def test_what_is_measured_at_bar_lines_follows_them():
    """C major over F sharp at the second dotted quarter of 6/8, which is no strong beat of 3/4."""
    notes = [(0, 36, 60, 80), (36, 36, 60, 80), (36, 36, 66, 80)]
    assert dissonance_rate(Score(notes, time_signatures=[(0, 6, 8)])) == 1
    assert dissonance_rate(Score(notes, beats_per_bar=3)) == 0
    silent_bars = Score([(0, 84, 60, 80)], time_signatures=[(0, 4, 4), (96, 2, 4)], length_ticks=96 + 4 * 48)
    assert empty_bar_rate(silent_bars) == pytest.approx(4 / 5)


def test_syncopation_and_similarity_follow_a_change_of_the_metre():
    changes = [(0, 4, 4), (96, 3, 4)]  # one bar of 4/4, then bars of 3/4
    tied = [
        (0, 96, 60, 80),
        (96, 48, 60, 80),
        (144, 48, 62, 80),
        (192, 24, 64, 80),
        (216, 24, 62, 80),
        (240, 72, 60, 80),
    ]
    assert syncopation(Score(tied, time_signatures=changes)) == pytest.approx(1 / 5)  # the third, held over a bar line
    bars = [note for bar in range(96, 528, 72) for note in ((bar, 48, 60, 80), (bar + 48, 24, 62, 80))]
    waltz = Score([(0, 96, 60, 80), *bars], time_signatures=changes)
    # six equal bars, and one that shares eight of twelve parts with each
    assert self_similarity(waltz) == pytest.approx((15 + 6 * 8 / 12) / 21)
    assert structureness_short(Score(bars, time_signatures=changes)) == structureness_short(
        Score([(onset - 96, *rest) for onset, *rest in bars], beats_per_bar=3)
    )
