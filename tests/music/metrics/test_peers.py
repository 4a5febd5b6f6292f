"""Scores of five notes at which other libraries give another value; docs/metrics.md has the table."""

import pytest

from toccata.music.metrics import (
    empty_bar_rate,
    empty_beat_rate,
    groove_similarity,
    pitch_class_count,
    polyphony_rate,
    qualified_note_rate,
)
from toccata.music.score import Score

BEAT, BAR = 24, 96


def test_a_note_that_ends_at_a_beat_does_not_sound_in_it():
    """Quarters on beats 1, 2, 3, 5 and 6 of six: beat 4 is empty, and there is no seventh beat."""
    score = Score([(beat * BEAT, BEAT, 60, 80) for beat in (0, 1, 2, 4, 5)], length_ticks=6 * BEAT)
    assert empty_beat_rate(score) == pytest.approx(1 / 6)


def test_a_note_that_ends_at_a_bar_line_does_not_sound_in_the_next_bar():
    """Four quarters, an empty bar, a whole note."""
    score = Score([*((beat * BEAT, BEAT, 60, 80) for beat in range(4)), (2 * BAR, BAR, 60, 80)])
    assert empty_bar_rate(score) == pytest.approx(1 / 3)


def test_two_pitches_are_polyphonic():
    """C and E, D and F, then G: two of three beats."""
    notes = [(0, 60), (0, 64), (BEAT, 62), (BEAT, 65), (2 * BEAT, 67)]
    score = Score([(onset, BEAT, pitch, 80) for onset, pitch in notes], length_ticks=3 * BEAT)
    assert polyphony_rate(score) == pytest.approx(2 / 3)


def test_equal_bars_have_equal_rhythms():
    """Five whole notes."""
    assert groove_similarity(Score([(bar * BAR, BAR, 60, 80) for bar in range(5)])) == 1


def test_octaves_are_one_pitch_class():
    """C in five octaves."""
    assert pitch_class_count(Score([(i * BEAT, BEAT, 36 + 12 * i, 80) for i in range(5)])) == 1


def test_notes_of_a_tick_are_not_qualified():
    """Five of them, on beats: a thirty-second has three ticks."""
    assert qualified_note_rate(Score([(i * BEAT, 1, 60 + i, 80) for i in range(5)])) == 0
