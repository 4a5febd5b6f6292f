"""Bars and strong beats of scores whose metre changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.music.metrics import dissonance_rate, empty_bar_rate
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
