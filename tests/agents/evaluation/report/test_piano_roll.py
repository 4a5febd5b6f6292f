from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.agents.evaluation.report.piano_roll import piano_roll, pitch_name, pitch_range, velocities
from toccata.music.score import Score

notes = st.lists(
    st.tuples(st.integers(0, 200), st.integers(1, 96), st.integers(12, 100), st.integers(1, 127)), max_size=20
)


def paths(roll: str) -> list[str]:
    """The paths of notes, which alone have an opacity."""
    return re.findall(r'<path d="([^"]+)" fill="[^"]+" fill-opacity', roll)


def test_a_quarter_of_middle_c() -> None:
    """A quarter at 120 bpm lasts 500 ms, less a gap of 25; row 71 - 60 = 11 from the top, 10 units each."""
    roll = piano_roll(Score([(24, 24, 60, 80)]), "Piece 1", (48, 72), 2.0, "red")
    assert paths(roll) == ["M500 111h475v8h-475z"]
    assert 'viewBox="0 0 2000 240"' in roll
    assert 'aria-label="piano roll of Piece 1: 1 note from C4 to C4 in 1 bar"' in roll
    assert 'data-axis="2.000" data-end="2.000" data-bar="2.0000"' in roll
    assert roll.count(">C") == 2  # C3 and C4 are named


@pytest.mark.parametrize("score", [Score(), Score(length_ticks=96), Score(length_ticks=1)])
def test_silence(score: Score) -> None:
    roll = piano_roll(score, "it", pitch_range([score]), 1.0, "red")
    assert paths(roll) == []
    assert "silence" in roll
    assert "nan" not in roll


def test_a_wall_of_notes_is_small() -> None:
    wall = Score([(tick, 6, pitch, 80) for tick in range(0, 768, 6) for pitch in range(21, 109, 4)])
    roll = piano_roll(wall, "it", pitch_range([wall]), 16.0, "red")
    assert len(paths(roll)) == 1
    assert len(roll) < 30 * len(wall)


def test_velocity_is_shown_where_it_varies() -> None:
    same, varying = Score([(0, 6, 60, 80), (6, 6, 60, 80)]), Score([(0, 6, 60, 10), (6, 6, 60, 120)])
    assert velocities([same]) is None
    assert velocities([Score()]) is None
    assert velocities([same, varying]) == (10, 120)
    assert len(paths(piano_roll(same, "it", (48, 72), 1.0, "red"))) == 1
    assert len(paths(piano_roll(varying, "it", (48, 72), 1.0, "red"))) == 2


@given(notes)
def test_the_range_holds_all_notes(some: list[tuple[int, int, int, int]]) -> None:
    score = Score(some)
    low, high = pitch_range([score, Score()])
    assert 0 <= low < high
    assert high - low >= 24
    assert np.all((score.notes["pitch"] >= low) & (score.notes["pitch"] < high))


@given(notes, st.integers(-12, 12))
def test_transposed_music_looks_the_same(some: list[tuple[int, int, int, int]], semitones: int) -> None:
    score = Score(some)
    low, high = pitch_range([score])
    here = piano_roll(score, "it", (low, high), 10.0, "red")
    there = piano_roll(score.transpose(semitones), "it", (low + semitones, high + semitones), 10.0, "red")
    assert paths(here) == paths(there)


def test_names_of_pitches() -> None:
    assert [pitch_name(pitch) for pitch in (0, 21, 60, 61, 127)] == ["C-1", "A0", "C4", "C♯4", "G9"]
