"""Notes of the right hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.music.notation.hands import right_hand
from toccata.music.reduction import FINGERS_PER_HAND, HAND_SPAN, fits_two_hands
from toccata.music.score import Score


def chords(*pitches, ticks=24):
    return Score([(ticks * i, ticks, pitch, 80) for i, chord in enumerate(pitches) for pitch in chord])


def test_melody_and_bass():
    score = chords((48, 72), (43, 74), (48, 76))
    assert right_hand(score).tolist() == [False, True] * 3


def test_a_line_that_passes_middle_c_stays_on_its_staff():
    assert right_hand(chords((67,), (64,), (60,), (57,), (55,), (60,), (67,))).all()
    assert not right_hand(chords((45,), (52,), (57,), (60,), (62,), (60,), (45,))).any()


def test_high_and_low_lines_change_hands():
    assert right_hand(chords((84,), (86,), (36,), (38,))).tolist() == [True, True, False, False]


def test_both_hands_above_middle_c():
    right = right_hand(chords((62, 65, 69, 72, 80, 92), (62, 65, 69, 72, 80, 92)))
    assert right.tolist() == [False, False, False, False, True, True] * 2


def test_without_notes():
    assert not len(right_hand(Score()))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sets(st.integers(45, 76), min_size=1, max_size=8).filter(fits_two_hands), min_size=1, max_size=6))
def test_each_hand_can_hold_its_notes_where_two_hands_can(onsets):
    score = chords(*onsets)
    right = right_hand(score)
    for tick in set(score.notes["onset_tick"].tolist()):
        now = score.notes["onset_tick"] == tick
        for hand in (right, ~right):
            pitches = score.notes["pitch"][now & hand].tolist()
            assert len(pitches) <= FINGERS_PER_HAND
            assert not pitches or max(pitches) - min(pitches) <= HAND_SPAN


@pytest.mark.parametrize("name", ["low", "high"])
def test_extreme_registers(name):
    score = chords((22, 24), (23, 25)) if name == "low" else chords((100, 104), (102, 105))
    assert set(right_hand(score).tolist()) == {name == "high"}
