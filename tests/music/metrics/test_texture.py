"""Metrics of texture."""

import pytest

from toccata.music.metrics import playability, polyphony
from toccata.music.score import Score

BEAT = 24


def exactly(value: float):
    return pytest.approx(value, abs=1e-12)


def test_polyphony_is_the_mean_over_ticks_with_sound(line):
    assert polyphony(line((60, 64, 67), gap=4 * BEAT)) == 3
    assert polyphony(Score([(0, 10, 60, 80), (5, 10, 64, 80)])) == exactly(20 / 15)
    assert polyphony(Score([(0, 4 * BEAT, 48, 80), (0, 6, 60, 80), (BEAT, 6, 64, 80)])) == exactly(108 / 96)


def test_playability_is_weighted_by_time(line):
    two_hands, too_wide = (36, 43, 50, 60, 67, 74), (36, 52, 68)  # no hand spans two of the three keys
    assert playability(line(two_hands)) == 1
    assert playability(line(too_wide)) == 0
    assert playability(line(two_hands, too_wide, two_hands, two_hands)) == exactly(3 / 4)
    assert playability(line(two_hands, too_wide, gap=2 * BEAT)) == exactly(1 / 2)  # silence does not count
    assert playability(line(tuple(range(60, 66)))) == 1  # six adjacent keys need both hands
    assert playability(line(tuple(range(60, 71)))) == 0  # eleven fingers
