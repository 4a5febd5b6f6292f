"""Chords that are estimated from notes."""

import numpy as np
import pytest

from toccata.music.chord_estimation import SEVENTH_CHORDS, TRIADS, estimate_chords, pitch_class_durations
from toccata.music.score import Score

BAR = 96


def arpeggios(*chords: tuple[int, ...]) -> Score:
    """A bar of quavers for each chord, up and down its notes."""
    notes = []
    for bar, chord in enumerate(chords):
        turns = [*chord, *chord[::-1]]
        notes += [(bar * BAR + 12 * i, 12, turns[i % len(turns)], 80) for i in range(8)]
    return Score(notes)


def named(spans) -> list[tuple[int, int, tuple[int, ...]]]:
    return [(span.onset_tick, span.chord.root, span.chord.intervals) for span in spans]


def test_a_cadence_of_triads():
    score = arpeggios((60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67))
    major = (0, 4, 7)
    assert named(estimate_chords(score, BAR)) == [(0, 0, major), (96, 5, major), (192, 7, major), (288, 0, major)]


@pytest.mark.parametrize("key", range(12))
def test_two_five_one_in_every_key(key):
    score = arpeggios((62, 65, 69, 72), (67, 71, 74, 77), (60, 64, 67, 71)).transpose(key)
    expected = [(0, 2, (0, 3, 7, 10)), (96, 7, (0, 4, 7, 10)), (192, 0, (0, 4, 7, 11))]
    assert named(estimate_chords(score, BAR, SEVENTH_CHORDS)) == [
        (onset, (root + key) % 12, quality) for onset, root, quality in expected
    ]


def test_equal_neighbours_are_one_chord_and_half_bars_are_possible():
    score = arpeggios((60, 64, 67), (60, 64, 67))
    assert named(estimate_chords(score, BAR // 2)) == [(0, 0, (0, 4, 7))]


def test_first_tick_leaves_out_what_is_before():
    score = arpeggios((61, 65, 68), (60, 64, 67), (60, 64, 67))
    spans = estimate_chords(score, BAR, first_tick=BAR)
    assert named(spans) == [(96, 0, (0, 4, 7))]


def test_silence_has_no_chords_and_bad_arguments_are_named():
    assert estimate_chords(Score(length_ticks=960), BAR) == []
    assert estimate_chords(Score(), BAR) == []
    with pytest.raises(ValueError, match="ticks_per_chord must be at least 1, got 0"):
        estimate_chords(Score(), 0)
    for quality in ((0,), tuple(range(12))):
        with pytest.raises(ValueError, match="must have 2 to 11 pitch classes"):
            estimate_chords(Score([(0, 24, 60, 80)]), 96, [quality])
    with pytest.raises(ValueError, match="at least one chord quality"):
        estimate_chords(Score(), 96, ())


def test_durations_are_those_of_the_notes():
    score = Score([(0, 150, 60, 80), (90, 12, 67, 80)])
    durations = pitch_class_durations(score, BAR)
    assert durations.shape == (2, 12)
    np.testing.assert_array_equal(durations[:, 0], [96, 54])
    np.testing.assert_array_equal(durations[:, 7], [6, 6])
    assert durations.sum() == 162


def test_every_quality_is_found_in_itself():
    for qualities in (TRIADS, SEVENTH_CHORDS):
        for quality in qualities:
            if quality in ((0, 4, 8), (0, 3, 6, 9)):
                continue  # symmetric: their root is not determined
            chord = tuple(60 + each for each in quality)
            spans = estimate_chords(arpeggios(chord, chord, chord), BAR, qualities)
            assert spans[0].chord.pitch_classes == {pitch % 12 for pitch in chord}
