"""Metrics of rhythm."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.music.metrics import (
    empty_bar_rate,
    empty_beat_rate,
    groove_similarity,
    ioi_entropy,
    note_density,
    silence_rate,
    syncopation,
)
from toccata.music.score import Score

BEAT = 24


def exactly(value: float):
    return pytest.approx(value, abs=1e-12)


def test_empty_beats_and_silence_count_to_the_end_of_the_piece(line):
    score = Score([(0, 12, 60, 80), (BEAT, BEAT + 1, 64, 80)], length_ticks=8 * BEAT)  # sounds in beats 0, 1, 2
    assert empty_beat_rate(score) == exactly(5 / 8)
    assert silence_rate(score) == exactly(1 - 37 / 192)
    full = line(60, 62, 64, 65)
    assert empty_beat_rate(full) == silence_rate(full) == 0
    last_beat_empty = line(60, 62, 64)
    assert empty_beat_rate(last_beat_empty) == silence_rate(last_beat_empty) == exactly(1 / 4)


def test_silence_of_a_short_note_during_a_long_one():
    score = Score([(0, 4 * BEAT, 48, 80), (0, 6, 60, 80), (BEAT, 6, 64, 80)])
    assert silence_rate(score) == empty_beat_rate(score) == 0


def test_note_density_is_per_beat(line):
    assert note_density(line(*range(60, 68), gap=BEAT // 2, duration=1)) == 2
    assert note_density(line(60, length_ticks=8 * BEAT)) == exactly(1 / 8)


def test_groove_similarity():
    same = [(bar * 96 + tick, 6, 60, 80) for bar in range(3) for tick in (0, 24, 36, 72)]
    assert groove_similarity(Score(same)) == 1
    assert groove_similarity(Score([*same, (12, 6, 67, 80)])) == exactly(1 - (2 / 3) / 96)
    opposite = [(tick, 1, 60, 80) for tick in range(96)]
    assert groove_similarity(Score(opposite, length_ticks=2 * 96)) == 0


def test_groove_similarity_equals_its_definition_over_pairs_of_bars():
    rng = np.random.default_rng(0)
    score = Score([(int(onset), 3, 60, 80) for onset in rng.integers(0, 6 * 96 - 3, 70)], length_ticks=6 * 96)
    grooves = np.zeros((6, 96), bool)
    grooves.reshape(-1)[score.notes["onset_tick"]] = True
    pairs = [1 - (grooves[a] ^ grooves[b]).mean() for a in range(6) for b in range(a)]
    assert groove_similarity(score) == exactly(np.mean(pairs))


def test_empty_bars_are_bars_in_which_nothing_sounds():
    score = Score([(0, 97, 60, 80), (3 * 96, 24, 64, 80)], length_ticks=5 * 96 + 1)  # bars 0, 1 and 3 of six
    assert empty_bar_rate(score) == exactly(3 / 6)
    three_quarters = Score([(0, 24, 60, 80), (72, 24, 64, 80)], beats_per_bar=3, length_ticks=3 * 72)
    assert empty_bar_rate(three_quarters) == exactly(1 / 3)


def test_ioi_entropy(line):
    assert ioi_entropy(line(60, 62, 64, 65, 67)) == 0  # a steady pulse
    score = Score([(tick, 12, 60, 80) for tick in (0, 24, 48, 60, 72)])  # two quarters, two eighths
    assert ioi_entropy(score) == exactly(1)
    chord = Score([(tick, 12, pitch, 80) for tick in (0, 24, 48, 60, 72) for pitch in (60, 64)])
    assert ioi_entropy(chord) == exactly(1)  # of ticks, not of notes
    assert ioi_entropy(line(60, 62)) == ioi_entropy(Score()) == 0


def at(*onsets: int, **fields: float) -> Score:
    return Score([(onset, 1, 60, 80) for onset in onsets], **fields)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (at(0, 24, 48, 72, 96), 0),  # every beat
        (at(0, 12, 24, 36, 48), 0),  # eighths: a beat follows each off-beat
        (at(0, 36, 72), (0 + 1) / 2),  # 0: nothing is stronger. 36 (level -2), next 72: beat 48 (-1) lies between
        (at(72, 120), 1),  # beat 4 (-1), held over the bar line (0)
        (at(84, 108), 2),  # the last eighth (-2), held over the bar line (0)
        (at(90, 108), 3),  # the last sixteenth (-3)
        (at(93, 108), 4),  # the last thirty-second (-4)
        (at(95, 108), 5),  # the last tick
        (at(88, 108), 2),  # the last triplet eighth
        (at(72, 96), 0),  # the bar line has an onset
        (at(48, 84, beats_per_bar=3), 1),  # beat 3 of 3/4, held over the bar line at 72
        (at(72, 90, beats_per_bar=3.5), 1),  # the last eighth of 7/8 is a beat; the bar line is at 84
        (at(4, 5), 0),
        (at(3, 5), 1),  # a thirty-second (-4); a sextuplet sixteenth (-3) lies between
        (at(0), 0),
    ],
)
def test_syncopation(score, expected):
    assert syncopation(score) == exactly(expected)
    if score.ticks_per_beat == 24:
        fine = Score(
            [(4 * int(onset), 4, 60, 80) for onset in score.notes["onset_tick"]], 96, beats_per_bar=score.beats_per_bar
        )
        if expected < 5:  # the tick before a bar line is a finer level on a finer grid too, but not the last one
            assert syncopation(fine) == exactly(expected)


def level(tick: int, ticks_per_bar: int) -> int:
    """The level of a tick of a grid of 24 a quarter, by its definition."""
    tick %= ticks_per_bar
    if tick == 0:
        return 0
    for number, steps in ((-1, (24,)), (-2, (12, 8)), (-3, (6, 4)), (-4, (3, 2))):
        if any(tick % step == 0 for step in steps):
            return number
    return -5


@given(st.lists(st.integers(0, 400), min_size=2, max_size=12, unique=True), st.sampled_from([0.5, 2, 3, 3.5, 4]))
def test_syncopation_is_that_of_its_definition(onsets, beats_per_bar):
    score = at(*onsets, beats_per_bar=beats_per_bar)
    levels = [level(tick, score.ticks_per_bar) for tick in range(401)]
    expected = [max(max(levels[a + 1 : b], default=-5) - levels[a], 0) for a, b in pairwise(sorted(onsets))]
    assert syncopation(score) == exactly(np.mean(expected))
