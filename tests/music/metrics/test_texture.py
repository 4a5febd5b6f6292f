"""Metrics of texture."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.music.metrics import (
    dissonance_rate,
    playability,
    polyphony,
    polyphony_rate,
    qualified_note_rate,
    voice_leading_size,
)
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


def scores() -> st.SearchStrategy[Score]:
    note = st.tuples(st.integers(0, 300), st.integers(1, 100), st.integers(40, 70), st.just(80))
    return st.builds(
        lambda notes, beats: Score(notes, beats_per_bar=beats), st.lists(note, max_size=25), st.sampled_from([2, 3, 4])
    )


def test_polyphony_rate_counts_ticks_of_the_piece():
    score = Score([(0, 48, 60, 80), (24, 48, 64, 80)])  # two pitches from 24 to 48, in a bar of 96
    assert polyphony_rate(score) == pytest.approx(1 / 4)
    assert polyphony_rate(Score([(0, 96, 60, 80)])) == polyphony_rate(Score()) == 0


def test_qualified_notes_are_thirty_seconds_or_longer():
    assert qualified_note_rate(Score([(0, 2, 60, 80), (24, 3, 60, 80), (48, 24, 60, 80)])) == pytest.approx(2 / 3)
    assert qualified_note_rate(Score([(0, 59, 60, 80), (480, 60, 60, 80)], 480)) == pytest.approx(1 / 2)
    assert qualified_note_rate(Score()) == 0


@pytest.mark.parametrize(
    ("chords", "expected"),
    [
        (((60, 64, 67), (60, 65, 69)), 3 / 3),  # C to F: 0 + 1 + 2
        (((60, 64, 67), (59, 62, 67)), 3 / 3),  # C to G: 1 + 2 + 0
        ((60, 67, 60), 7),
        (((60, 64, 67), 60), 11 / 3),  # all three go to one
        (((60, 72), (60, 64, 71)), (0 + 4 + 1) / 3),  # C goes to C and E, not both upper notes to B
        (((60, 64), (60, 64), (60, 65)), (0 + 1 / 2) / 2),
        ((60,), 0),
    ],
)
def test_voice_leading_size(line, chords, expected):
    assert voice_leading_size(line(*chords)) == pytest.approx(expected, abs=1e-12)


def test_held_notes_are_a_part_of_the_chord():
    """C is held while E goes to F: a semitone over two voices."""
    assert voice_leading_size(Score([(0, 48, 60, 80), (0, 24, 64, 80), (24, 24, 65, 80)])) == pytest.approx(1 / 2)


def smallest(one: list[int], other: list[int]) -> int:
    """The least sum of distances, by trying every way to pair the notes in order."""
    if len(one) == 1 or len(other) == 1:
        return sum(abs(a - b) for a in one for b in other)
    return abs(one[0] - other[0]) + min(
        smallest(one[1:], other[1:]), smallest(one, other[1:]), smallest(one[1:], other)
    )


@settings(max_examples=100, deadline=None)
@given(scores())
def test_voice_leadings_are_minimal(score):
    roll = score.roll() > 0
    chords = [np.flatnonzero(roll[tick]).tolist()[:6] for tick in np.unique(score.notes["onset_tick"])]
    if any((roll[tick]).sum() > 6 for tick in score.notes["onset_tick"]):
        return
    sizes = [smallest(a, b) / max(len(a), len(b)) for a, b in pairwise(chords)]
    assert voice_leading_size(score) == pytest.approx(np.mean(sizes) if sizes else 0, abs=1e-12)


def test_dissonance_rate(line):
    # beats 1 and 3 are strong: C-E and, over G, F: a seventh; beats 2 and 4 do not count
    assert dissonance_rate(line((60, 64), (60, 61), (55, 65), (60, 66))) == pytest.approx(1 / 2)
    assert dissonance_rate(line((60, 65), 60, (60, 72))) == 0  # a fourth and an octave
    # C E F# on the bar line: a third, a tritone, a second
    assert dissonance_rate(line((60, 64, 66))) == pytest.approx(2 / 3)
    # in 3/4 only the bar lines are strong: the second at 24 does not count
    assert dissonance_rate(line((60, 64), (60, 61), (60, 61), (60, 62), beats_per_bar=3)) == pytest.approx(1 / 2)
    assert dissonance_rate(line(60, 61)) == dissonance_rate(Score()) == 0


@settings(max_examples=50, deadline=None)
@given(scores())
def test_dissonance_rate_agrees_with_the_roll(score):
    step = 48 if score.beats_per_bar == 4 else score.ticks_per_bar
    pairs = [
        (high - low) % 12 for row in score.roll()[::step] for low, high in combinations(np.flatnonzero(row).tolist(), 2)
    ]
    dissonant = [interval for interval in pairs if interval in (1, 2, 6, 10, 11)]
    assert dissonance_rate(score) == pytest.approx(len(dissonant) / len(pairs) if pairs else 0)
