from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.songs import words
from toccata.envs.dynamics.song_schedule import BREATH_TICKS, SHORTEST_TICKS, schedule
from toccata.envs.instrument import Piano
from toccata.music.lyrics import LyricsError

BAR = 96


def test_seven_syllables_in_two_bars() -> None:
    windows = schedule(words("a b c d e f g"), Piano(), BAR)
    assert windows.bars == 2
    assert windows.latest.tolist() == [24, 48, 72, 96, 120, 144, 168, 192]  # the even place and a beat
    assert windows.earliest.tolist() == [0, 0, 24, 48, 72, 96, 120]
    assert not windows.rest_after.any()


def test_lines_have_whole_bars_and_a_breath_between() -> None:
    windows = schedule(words("a b c / d e f g h i j k"), Piano(), BAR)
    assert windows.bars == 1 + 2
    assert windows.rest_after.tolist() == [0, 0, 12] + [0] * 8
    assert windows.earliest[3] == BAR - 24  # an upbeat


def test_eight_syllables_take_two_bars_of_four_or_three_of_three() -> None:
    line = words("a b c d e f g h")
    assert schedule(line, Piano(), BAR).bars == 2
    assert schedule(line, Piano(), 72).bars == 3


def test_melismas_count_as_notes() -> None:
    assert len(schedule(words("a__ b"), Piano(), BAR).earliest) == 4


def test_bars_that_are_given_go_where_the_most_notes_are() -> None:
    text = words("a b c d e f g h / i j")  # at least 2 bars and 1
    assert schedule(text, Piano(), BAR, 3).latest[8] == 2 * BAR + 12
    windows = schedule(text, Piano(), BAR, 5)
    assert windows.bars == 5
    assert windows.latest[8] == 4 * BAR + 24
    with pytest.raises(LyricsError, match="bars must be at least 3 for lyrics of 2 lines and 10 notes, got 2"):
        schedule(text, Piano(), BAR, 2)


def test_songs_that_cannot_be() -> None:
    with pytest.raises(LyricsError, match=r"a sung note has at least 12 ticks; the piano's values are \(1, 6\)"):
        schedule(words("a"), Piano(values=(1, 6)), BAR)
    with pytest.raises(LyricsError, match="the lyrics need 11,200 bars, a piece has at most 10,000"):
        schedule(words(" / ".join(["a a a a a a a a"] * 200)), Piano(values=(1, 12)), 3)


GRIDS = [(1, 3, 4, 6, 8, 12, 16, 18, 24, 36, 48, 72, 96), (12, 24), (24,), (1, 48), (9, 18, 36), (5, 10, 20)]


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=5),
    st.sampled_from(GRIDS),
    st.integers(1, 8),
    st.integers(0, 5),
    st.booleans(),
)
def test_every_window_leaves_room_for_the_next(
    notes: list[int], values: tuple[int, ...], steps_of_bar: int, more: int, given_bars: bool
) -> None:
    piano = Piano(values=values)
    text = words(" / ".join(" ".join("a" * n) for n in notes))
    ticks_per_bar = values[0] * steps_of_bar * 4
    windows = schedule(text, piano, ticks_per_bar)
    if given_bars:
        windows = schedule(text, piano, ticks_per_bar, windows.bars + more)
        assert windows.bars >= more
    shortest = min(value for value in values if value >= SHORTEST_TICKS)
    assert windows.latest[-1] == windows.bars * ticks_per_bar
    assert (windows.latest % values[0] == 0).all()
    assert (windows.earliest % values[0] == 0).all()
    assert (windows.earliest <= windows.latest[:-1]).all()
    assert (np.diff(windows.latest) >= shortest + windows.rest_after).all()
    ends = np.cumsum(notes)[:-1] - 1
    assert (windows.rest_after[ends] >= BREATH_TICKS).all()
    assert windows.rest_after.sum() == windows.rest_after[ends].sum()
