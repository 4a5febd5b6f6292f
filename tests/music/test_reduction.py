"""Reduction to two hands."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.music.reduction import NOTE_VALUES, ReductionReport, fits_two_hands, reduce_to_two_hands
from toccata.music.score import Score


def score_of(*notes, **fields):
    return Score([(onset, duration, pitch, 80) for onset, duration, pitch in notes], **fields)


def triples(score):
    return [tuple(note)[:3] for note in score.notes.tolist()]


@pytest.mark.parametrize(
    ("pitches", "fits"),
    [
        ([], True),
        ([60], True),
        ([48, 62, 63, 77], True),  # two ninths
        ([48, 62, 63, 78], False),
        ([48, 63, 78], False),  # three hands
        (range(60, 70), True),  # ten fingers
        (range(60, 71), False),
        ([48, 49, 50, 51, 52, 53, 54, 67], True),  # the left hand is full, the right takes over
        ([76, 48, 60, 72], True),  # order does not matter
    ],
)
def test_fits_two_hands(pitches, fits):
    assert fits_two_hands(pitches) is fits


def test_a_score_for_two_hands_is_unchanged():
    score = score_of((0, 24, 48), (0, 24, 60), (0, 48, 64), (24, 96, 50), tempo_bpm=90, beats_per_bar=3)
    assert reduce_to_two_hands(score) == (score, ReductionReport(notes=4, dropped=0, shortened=0))


def test_outer_voices_of_a_wide_chord_are_kept():
    reduced, report = reduce_to_two_hands(score_of((0, 24, 36), (0, 24, 60), (0, 24, 90)))
    assert triples(reduced) == [(0, 24, 36), (0, 24, 90)]
    assert (report.dropped, report.shortened) == (1, 0)
    assert report.kept == pytest.approx(2 / 3)


def test_inner_voices_are_released_before_the_bass():
    reduced, report = reduce_to_two_hands(score_of((0, 96, 36), (0, 96, 60), (25, 24, 90)))
    assert triples(reduced) == [(0, 96, 36), (0, 24, 60), (25, 24, 90)]
    assert (report.dropped, report.shortened) == (0, 1)


def test_no_more_keys_are_released_than_needed():
    held = [(0, 96, pitch) for pitch in (36, 38, 40, 41, 43, 60, 62, 64, 65, 67)]
    reduced, report = reduce_to_two_hands(score_of(*held, (48, 24, 69)))
    assert (report.dropped, report.shortened) == (0, 1)
    assert (48, 24, 69) in triples(reduced)


def test_durations_are_shortened_to_note_values():
    reduced, report = reduce_to_two_hands(score_of((0, 23, 60), (24, 24, 60), (48, 1000, 60)))
    assert triples(reduced) == [(0, 18, 60), (24, 24, 60), (48, 96, 60)]
    assert report.shortened == 2


def test_notes_outside_the_keys_or_below_the_values_are_dropped():
    score = score_of((0, 24, 20), (0, 24, 21), (24, 24, 108), (24, 24, 109), (48, 2, 60))
    reduced, report = reduce_to_two_hands(score, values=(3, 24))
    assert triples(reduced) == [(0, 24, 21), (24, 24, 108)]
    assert report.dropped == 3
    assert reduced.length_ticks == score.length_ticks


def test_empty_score():
    reduced, report = reduce_to_two_hands(Score())
    assert reduced == Score()
    assert report.kept == 1


@pytest.mark.parametrize("values", [(), (0, 3), (6, 3), (3, 3)])
def test_values_must_ascend(values):
    with pytest.raises(ValueError, match="ascending positive"):
        reduce_to_two_hands(Score(), values=values)


@st.composite
def dense_scores(draw):
    note = st.tuples(st.integers(0, 60), st.integers(1, 100), st.integers(15, 115), st.integers(1, 127))
    return Score(draw(st.lists(note, max_size=40)))


@given(dense_scores(), st.integers(2, 10), st.sampled_from([NOTE_VALUES, (6, 12, 24)]))
@settings(max_examples=80, deadline=None)
def test_reduction_is_playable_at_every_tick_and_idempotent(score, max_sounding, values):
    reduced, report = reduce_to_two_hands(score, max_sounding=max_sounding, values=values)
    for keys in reduced.roll():
        sounding = np.flatnonzero(keys)
        assert len(sounding) <= max_sounding
        assert fits_two_hands(sounding)
    assert set(reduced.notes["duration_ticks"]) <= set(values)
    assert len(reduced) == report.notes - report.dropped
    again, second = reduce_to_two_hands(reduced, max_sounding=max_sounding, values=values)
    assert again == reduced
    assert (second.dropped, second.shortened) == (0, 0)


@given(dense_scores())
@settings(max_examples=50, deadline=None)
def test_the_reduction_is_a_subset_of_the_score(score):
    reduced, report = reduce_to_two_hands(score)
    whole = {(onset, pitch, velocity): duration for onset, duration, pitch, velocity in score.notes.tolist()}
    parts = {(onset, pitch, velocity): duration for onset, duration, pitch, velocity in reduced.notes.tolist()}
    assert parts.keys() <= whole.keys()
    assert all(parts[note] <= whole[note] for note in parts)
    assert report.shortened == sum(parts[note] < whole[note] for note in parts)
