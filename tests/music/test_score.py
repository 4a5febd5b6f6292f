"""Scores and their canonical form."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.music.score import NOTE_DTYPE, Score


def rows(score):
    return [tuple(row) for row in score.notes.tolist()]


def test_notes_are_sorted_by_onset_then_pitch():
    score = Score([(24, 24, 60, 80), (0, 24, 64, 80), (0, 24, 60, 80)])
    assert rows(score) == [(0, 24, 60, 80), (0, 24, 64, 80), (24, 24, 60, 80)]
    assert not score.notes.flags.writeable


def test_notes_of_one_pitch_do_not_overlap():
    score = Score([(0, 100, 60, 80), (24, 24, 60, 81), (24, 48, 60, 82), (0, 30, 61, 80)])
    assert rows(score) == [(0, 24, 60, 80), (0, 30, 61, 80), (24, 48, 60, 82)]


def test_equal_music_is_an_equal_score():
    notes = [(0, 24, 60, 80), (24, 24, 62, 80)]
    assert Score(notes) == Score(np.array(notes[::-1], NOTE_DTYPE))
    assert hash(Score(notes)) == hash(Score(notes[::-1]))
    assert Score(notes) != Score(notes, tempo_bpm=60)
    assert Score(notes) != notes


def test_notes_may_be_the_rows_of_an_array():
    assert Score(np.array([[0, 24, 60, 80]])) == Score([(0, 24, 60, 80)])
    assert Score(np.zeros((0, 4), int)) == Score()


@pytest.mark.parametrize("note", [(0.5, 24, 60, 80), (0, 24.7, 60, 80), (0, 24, float("nan"), 80)])
def test_fractions_of_a_tick_are_errors(note):
    with pytest.raises(ValueError, match=r"must be a whole number in .*, got (0\.5|24\.7|nan)"):
        Score([note])


def test_derived_values():
    score = Score([(0, 24, 60, 80), (90, 7, 62, 80)], tempo_bpm=60.004)
    assert (len(score), score.bars, score.ticks_per_bar, score.length_ticks) == (2, 2, 96, 192)
    assert score.tempo_bpm == 60
    assert score.length_seconds == pytest.approx(8)
    assert score.offset_ticks.tolist() == [24, 97]
    assert Score().length_ticks == Score().bars == 0


@pytest.mark.parametrize(("beats", "ticks"), [(4, 96), (3.5, 84), (1 / 3, 8), (31 / 24, 31)])
def test_bars_are_whole_ticks(beats, ticks):
    assert Score(beats_per_bar=beats).ticks_per_bar == ticks


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"ticks_per_beat": 0}, "ticks_per_beat"),
        ({"ticks_per_beat": 961}, "ticks_per_beat"),
        ({"beats_per_bar": 0}, "beats_per_bar"),
        ({"beats_per_bar": 1.01}, "beats_per_bar"),
        ({"beats_per_bar": float("inf")}, "beats_per_bar"),
        ({"beats_per_bar": float("nan")}, "beats_per_bar"),
        ({"tempo_bpm": 3.99}, "tempo_bpm"),
        ({"tempo_bpm": float("nan")}, "tempo_bpm"),
        ({"length_ticks": 23}, "length_ticks"),
        ({"length_ticks": 96.5}, "length_ticks"),
        ({"ticks_per_beat": 2.5}, "ticks_per_beat"),
        ({"notes": [(-1, 24, 60, 80)]}, "onset_tick"),
        ({"notes": [(2**40, 24, 60, 80)]}, "onset_tick"),
        ({"notes": [(0, 0, 60, 80)]}, "duration_ticks"),
        ({"notes": [(0, 24, 128, 80)]}, "pitch"),
        ({"notes": [(0, 24, 70_000, 80)]}, "pitch"),
        ({"notes": [(0, 24, 60, 0)]}, "velocity"),
    ],
)
def test_values_out_of_range_are_named(fields, name):
    with pytest.raises(ValueError, match=name):
        Score(**{"notes": [(0, 24, 60, 80)], **fields})


def test_roll():
    roll = Score([(1, 2, 60, 80), (2, 1, 64, 1)], ticks_per_beat=1).roll()
    assert roll.shape == (4, 128)
    assert roll.dtype == np.uint8
    assert roll[:, 60].tolist() == [0, 80, 80, 0]
    assert roll[:, 64].tolist() == [0, 0, 1, 0]
    assert roll.sum() == 161


def test_transpose():
    assert rows(Score([(0, 24, 60, 80)]).transpose(-60)) == [(0, 24, 0, 80)]
    with pytest.raises(ValueError, match=r"outside MIDI's range 0..127"):
        Score([(0, 24, 60, 80)]).transpose(68)


def test_slice():
    score = Score([(0, 24, 60, 80), (24, 100, 62, 80), (96, 24, 64, 80)])
    piece = score.slice(24, 96)
    assert rows(piece) == [(0, 72, 62, 80)]
    assert piece.length_ticks == 72
    with pytest.raises(ValueError, match="start_tick <= end_tick"):
        score.slice(96, 24)


@given(
    st.lists(
        st.tuples(st.integers(0, 99), st.integers(1, 99), st.integers(0, 127), st.integers(1, 127)),
        max_size=30,
    ),
    st.randoms(),
)
@settings(max_examples=60, deadline=None)
def test_canonical_form_does_not_depend_on_the_order(notes, random):
    score = Score(notes)
    assert Score(score.notes) == score
    assert {row[::2] for row in rows(score)} == {note[::2] for note in notes}
    for pitch in range(128):
        of_pitch = score.notes[score.notes["pitch"] == pitch]
        ends = of_pitch["onset_tick"] + of_pitch["duration_ticks"]
        assert (ends[:-1] <= of_pitch["onset_tick"][1:]).all()


def test_import_is_light():
    heavy = "music21", "pretty_midi", "matplotlib", "numba", "scipy", "fluidsynth", "torch"
    code = f"import sys, toccata.music; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_time_signatures_say_where_bars_begin() -> None:
    notes = [(0, 24, 60, 80), (7 * 72, 24, 60, 80), (8 * 72 + 96, 24, 62, 80)]
    score = Score(notes, time_signatures=[(0, 3, 4), (3 * 72, 6, 8), (8 * 72, 4, 4)])
    assert score.beats_per_bar == 3
    assert score.length_ticks == 8 * 72 + 2 * 96 and score.bars == 10
    assert score.bar_ticks.tolist() == [*range(0, 8 * 72, 72), 8 * 72, 8 * 72 + 96]
    assert score.next_bar_line(8 * 72 - 1) == 8 * 72 and score.next_bar_line(8 * 72 + 1) == 8 * 72 + 96
    last = score.slice(8 * 72, score.length_ticks)
    assert (last.time_signatures, last.beats_per_bar) == ((), 4)
    middle = score.slice(2 * 72, 6 * 72)
    assert middle.time_signatures == ((0, 3, 4), (72, 6, 8)) and middle.beats_per_bar == 3
    assert score.transpose(1).time_signatures == score.time_signatures
    assert score.barred(2).time_signatures == () and score.barred(2).bars == 16


def test_equal_bar_lines_are_equal_scores() -> None:
    assert Score(time_signatures=[(0, 4, 4)], length_ticks=96) == Score(length_ticks=96)
    assert Score(time_signatures=[(0, 6, 8)], length_ticks=72) != Score(beats_per_bar=3, length_ticks=72)
    repeated = Score(time_signatures=[(0, 3, 4), (72, 3, 4), (140, 3, 4)], length_ticks=300)
    assert repeated.time_signatures == ((0, 3, 4), (140, 3, 4))  # the second changes no bar line
    assert repeated.bar_ticks.tolist() == [0, 72, 140, 212, 284]
    assert Score(time_signatures=[(0, 3, 4), (72, 4, 4)], length_ticks=72).time_signatures == ()
    assert Score(time_signatures=[(0, 3, 4), (72, 4, 4)], length_ticks=72).beats_per_bar == 3


@pytest.mark.parametrize(
    ("signatures", "message"),
    [
        ([(1, 3, 4)], "first of time_signatures must be at tick 0, got 1"),
        ([(0, 3, 4), (0, 4, 4)], "must rise, got 0 after 0"),
        ([(0, 3, 3)], "one of 1, 2, 4, 8, 16, 32, 64, got 3/3"),
        ([(0, 256, 4)], "1..255"),
        ([(0, 5, 64)], "no whole number of ticks"),
        ([(0, 3)], "must be"),
        ([(0.5, 3, 4)], "must be"),
    ],
)
def test_impossible_time_signatures_are_refused(signatures: list[tuple], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Score(time_signatures=signatures)
    with pytest.raises(ValueError, match="beats_per_bar is 4, a bar of none of the time_signatures 3/4"):
        Score(beats_per_bar=4, time_signatures=[(0, 3, 4)], length_ticks=96)


def test_key_signatures_say_how_pitches_are_spelled() -> None:
    score = Score([(0, 24, 60, 80)], key_signatures=[(0, -4), (48, -4), (72, 6)])
    assert score.key_signatures == ((0, -4), (72, 6))
    assert score == Score([(0, 24, 60, 80)])
    assert score.transpose(1).key_signatures == ((0, 3), (72, 1))
    assert score.transpose(12).key_signatures == score.key_signatures
    assert score.slice(50, 96).key_signatures == ((0, -4), (22, 6))
    for keys in ([(0, 8)], [(-1, 0)], [(3, 1), (3, 2)]):
        with pytest.raises(ValueError, match="key_signatures"):
            Score(key_signatures=keys)
