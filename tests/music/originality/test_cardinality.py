"""The cardinality score on point sets with known answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.music.originality import cardinality
from toccata.music.originality.cardinality import Points, cardinality_score, points_of, windows_of
from toccata.music.score import Score

SCALE = [(0, 60), (24, 62), (48, 64), (72, 65)]


def points(notes: list[tuple[int, int]]) -> Points:
    array = np.array(sorted(notes), np.int64).reshape(-1, 2)
    return Points(array[:, 0], array[:, 1])


def moved(notes: list[tuple[int, int]], ticks: int, semitones: int) -> list[tuple[int, int]]:
    return [(tick + ticks, pitch + semitones) for tick, pitch in notes]


def test_known_scores() -> None:
    scale = points(SCALE)
    assert cardinality_score(scale, points(moved(SCALE, 5000, -7))) == 1
    assert cardinality_score(scale, points([*SCALE[:3], (72, 66)])) == pytest.approx(3 / 4), "one changed note"
    # the scale that begins at tick 12: the window to tick 108 has three other notes
    assert cardinality_score(scale, points(SCALE + moved(SCALE, 12, 20)), 96) == pytest.approx(4 / 7)
    assert cardinality_score(scale, points([(0, 60)]), 96) == pytest.approx(1 / 4)
    assert cardinality_score(points([(0, 60)]), scale, 12) == 1


def test_silence_has_score_zero() -> None:
    nothing = points([])
    assert cardinality_score(nothing, points(SCALE)) == cardinality_score(points(SCALE), nothing) == 0
    assert list(windows_of(nothing)) == []


def test_a_wall_of_notes_does_not_contain_everything() -> None:
    wall = points([(tick, pitch) for tick in range(0, 96, 12) for pitch in range(40, 90)])
    assert cardinality_score(points(SCALE), wall, 96) < 0.1


def test_points_of_another_grid_are_equal() -> None:
    fine = Score([(480, 480, 60, 80), (960, 480, 64, 80)], ticks_per_beat=480)
    assert points_of(fine).ticks.tolist() == [24, 48]
    finer = Score([(0, 1, 60, 80), (3, 1, 60, 80), (5, 1, 64, 80)], ticks_per_beat=480)
    assert [each.tolist() for each in points_of(finer)] == [[0, 0], [60, 64]], "one point of two notes"
    assert cardinality_score(points_of(finer), points_of(finer)) == 1


def test_windows_cover_a_piece() -> None:
    # ten bars of quarters, 40 beats: windows of 16 beats begin at beats 0, 8, 16, 24
    windows = list(windows_of(points([(24 * i, 60) for i in range(40)])))
    assert [len(window.ticks) for window in windows] == [16] * 4
    assert all(window.ticks[0] == 0 for window in windows)
    few = list(windows_of(points([(0, 60), (100, 61)])))
    assert [window.ticks.tolist() for window in few] == [[0, 100]]
    far = list(windows_of(points([(0, 60), (2**28, 61)])))
    assert len(far) <= 3, "silence has no windows"


NOTES = st.lists(st.tuples(st.integers(0, 383), st.integers(30, 90)), min_size=1, max_size=12, unique=True)


@given(NOTES, NOTES, st.integers(0, 6000), st.integers(-20, 20))
def test_the_score_is_that_of_all_translations(
    window: list[tuple[int, int]], work: list[tuple[int, int]], ticks: int, semitones: int
) -> None:
    best = 0.0
    for shift in {w[0] - p[0] for w in work for p in window}:
        inside = [(tick, pitch) for tick, pitch in work if shift <= tick < shift + 384]
        for up in {w[1] - p[1] for w in work for p in window}:
            common = len(set(moved(window, shift, up)) & set(inside))
            best = max(best, common / max(len(window), len(inside)))
    assert cardinality_score(points(window), points(moved(work, ticks, semitones))) == pytest.approx(best)


def test_long_works_and_many_pairs_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    work = [
        (int(tick), int(pitch)) for tick, pitch in zip(range(0, 30_000, 60), rng.integers(40, 80, 500), strict=True)
    ]
    copied = [(tick - 25_020, pitch + 3) for tick, pitch in work if 25_020 <= tick < 25_020 + 384]
    monkeypatch.setattr(cardinality, "MAX_PAIRS", 16)
    assert cardinality_score(points(copied), points(work)) == 1
