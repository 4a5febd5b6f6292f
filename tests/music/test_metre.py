"""Bars of scores whose metre changes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toccata.music import Score
from toccata.music.metre import TimeSignature, bar_starts, next_bar_line, sliced
from toccata.music.score import TICKS_PER_BEAT

SIGNATURES = st.sampled_from([(4, 4), (3, 4), (2, 2), (6, 8), (7, 8), (5, 16), (1, 32)])


@st.composite
def changing_scores(draw):
    """Scores of up to five sections, some of which end with an incomplete bar."""
    signatures, tick = [], 0
    for numerator, denominator in draw(st.lists(SIGNATURES, min_size=1, max_size=5)):
        signatures.append((tick, numerator, denominator))
        tick += draw(st.integers(1, 300))
    return Score(time_signatures=signatures, length_ticks=tick)


@given(changing_scores())
def test_bars_fill_the_piece(score):
    lines = score.bar_ticks.tolist()
    assert lines[0] == 0 and lines == sorted(set(lines)) and lines[-1] < score.length_ticks
    assert score.bars == len(lines)
    assert {each.tick for each in score.time_signatures} <= set(lines)
    longest = max([score.ticks_per_bar, *(each.ticks_per_bar(TICKS_PER_BEAT) for each in score.time_signatures)])
    assert max(np.diff([*lines, score.length_ticks])) <= longest


@given(changing_scores(), st.integers(0, 1500))
def test_the_next_bar_line_is_the_first_from_there(score, tick):
    later = [line for line in score.bar_ticks.tolist() if line >= tick]
    if later:
        assert score.next_bar_line(tick) == later[0]
    else:
        assert score.next_bar_line(tick) >= max(tick, int(score.bar_ticks[-1]))


@given(changing_scores(), st.data())
def test_a_slice_from_bar_to_bar_has_the_same_bars(score, data):
    lines = [*score.bar_ticks.tolist(), score.length_ticks]
    first, last = sorted(data.draw(st.lists(st.sampled_from(lines), min_size=2, max_size=2, unique=True)))
    part = score.slice(first, last)
    assert part.bar_ticks.tolist() == [line - first for line in lines if first <= line < last]
    assert part.length_ticks == last - first


@given(changing_scores())
def test_main_bars_are_complete_bars_of_the_main_metre(score):
    lines = [*score.bar_ticks.tolist(), score.next_bar_line(int(score.bar_ticks[-1]) + 1)]
    lengths = dict(zip(lines, np.diff(lines).tolist(), strict=False))
    main = score.main_bar_ticks.tolist()
    assert main == [line for line, length in lengths.items() if length == score.ticks_per_bar]


def test_known_bars_and_slices():
    signatures = [TimeSignature(0, 6, 8), TimeSignature(100, 4, 4)]
    assert bar_starts(signatures, 24, 300).tolist() == [0, 72, 100, 196, 292]
    assert [next_bar_line(signatures, 24, 0, tick) for tick in (0, 1, 73, 100, 101)] == [0, 72, 100, 100, 196]
    assert sliced(signatures, 72, 200) == ((0, 6, 8), (28, 4, 4))
    assert sliced(signatures, 72, 100) == ((0, 6, 8),)
    assert sliced(signatures, 100, 200) == ((0, 4, 4),)
    score = Score(time_signatures=signatures, length_ticks=300)
    assert (score.beats_per_bar, score.main_bar_ticks.tolist()) == (4, [100, 196, 292])
    assert Score(length_ticks=200).main_bar_ticks.tolist() == [0, 96, 192]
    assert Score().main_bar_ticks.tolist() == []
