"""Metrics by windows of whole bars."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.music.metrics import METRICS, by_window, note_density, pitch_range
from toccata.music.metrics.windows import windows
from toccata.music.score import Score

BAR = 96
# bars 1 and 2: quarters of one pitch; bars 3 and 4: two eighths, an octave apart; bar 5: one note
LONG = Score(
    [(24 * i, 24, 60, 80) for i in range(8)] + [(2 * BAR, 12, 60, 80), (3 * BAR, 12, 72, 80)] + [(4 * BAR, 12, 67, 80)]
)


def test_known_values() -> None:
    metrics = {"density": note_density, "range": pitch_range}
    values = by_window(LONG, 2, metrics)
    assert values["density"].tolist() == [1, 2 / 8], "the fifth bar fills no window"
    assert values["range"].tolist() == [0, 12]
    assert by_window(LONG, 1, metrics)["density"].tolist() == [1, 1, 1 / 4, 1 / 4, 1 / 4]
    assert by_window(LONG, 8, metrics)["density"].tolist() == [11 / 20], "shorter than one window"


def test_windows_begin_at_bar_lines_of_any_metre() -> None:
    score = Score([(72 * i, 72, 60 + i, 80) for i in range(6)], beats_per_bar=3)
    parts = windows(score, 2)
    assert [part.notes["pitch"].tolist() for part in parts] == [[60, 61], [62, 63], [64, 65]]
    assert all((part.bars, part.beats_per_bar, part.notes["onset_tick"][0]) == (2, 3, 0) for part in parts)


def test_a_note_that_is_held_into_a_window_ends_before_it() -> None:
    held = Score([(48, 4 * BAR, 60, 80)], length_ticks=8 * BAR)
    parts = windows(held, 2)
    assert [len(part) for part in parts] == [1, 0, 0, 0]
    assert parts[0].notes["duration_ticks"].tolist() == [2 * BAR - 48]


def test_nothing_and_silence() -> None:
    assert all(values.shape == (0,) for values in by_window(Score()).values())
    assert by_window(Score(length_ticks=16 * BAR))["silence_rate"].tolist() == [1, 1]
    with pytest.raises(ValueError, match="bars must be at least 1, got 0"):
        by_window(LONG, 0)


@given(st.integers(1, 9), st.integers(-12, 12))
def test_all_metrics_are_finite_in_all_windows(bars: int, semitones: int) -> None:
    values = by_window(LONG, bars)
    assert list(values) == list(METRICS)
    assert all(each.shape == (max(1, 5 // bars),) and np.isfinite(each).all() for each in values.values())
    moved = by_window(LONG.transpose(semitones), bars)
    assert all(np.allclose(moved[name], each) for name, each in values.items())


def test_windows_follow_a_change_of_the_metre() -> None:
    """One bar of 4/4, then three and a half of 3/4."""
    score = Score(
        [(0, 96, 60, 80), *((96 + 72 * i, 72, 61 + i, 80) for i in range(3))],
        time_signatures=[(0, 4, 4), (96, 3, 4)],
        length_ticks=96 + 3 * 72 + 36,
    )
    parts = windows(score, 2)
    assert [part.length_ticks for part in parts] == [96 + 72, 2 * 72]
    assert [part.notes["pitch"].tolist() for part in parts] == [[60, 61], [62, 63]]
