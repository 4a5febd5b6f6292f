"""Copies of works are found, named and placed; new pieces are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.music.originality import (
    OriginalityIndex,
    cardinality_score,
    fingerprints,
    metric_values,
    originality,
    summary,
)
from toccata.music.originality.cardinality import points_of, windows_of
from toccata.music.score import Score

BAR = 96


def melody(seed: int, bars: int = 8, low: int = 60) -> list[tuple[int, int, int, int]]:
    """Random eighths of a major scale, eight a bar."""
    pitches = low + np.random.default_rng(seed).choice([0, 2, 4, 5, 7, 9, 11, 12], 8 * bars)
    return [(12 * i, 12, int(pitch), 80) for i, pitch in enumerate(pitches)]


def accompaniment(seed: int, bars: int = 8) -> list[tuple[int, int, int, int]]:
    """A held chord a bar, below the melody."""
    roots = np.random.default_rng(seed).choice([36, 40, 43], bars)
    return [(BAR * i, BAR, int(root) + above, 60) for i, root in enumerate(roots) for above in (0, 7)]


WORKS = [Score(melody(seed) + accompaniment(seed)) for seed in range(20)]
INDEX = OriginalityIndex.build(WORKS, [f"work {number}" for number in range(20)])


def test_a_transposed_copy_with_one_note_changed_is_found() -> None:
    notes = WORKS[7].transpose(3).notes.copy()
    changed = np.flatnonzero(notes["onset_tick"] == 27 * 12)[-1]  # the last but four of bar 4, bars from 1
    notes["pitch"][changed] += 1
    (match,) = originality([Score(notes)], INDEX)
    assert match.nearest_work == "work 7"
    assert match.passage is not None
    assert match.passage.work == "work 7"
    # Of 64 onsets number 27 is changed: 36 follow, with the 8 held notes of bars 5 to 8
    assert match.passage.voice == "texture"
    assert match.longest_passage == match.passage.notes == 36 + 8
    assert match.passage.piece_bars == match.passage.work_bars == (4, 8)
    assert match.shared_ngram_share == pytest.approx((57 - 8) / 57), "eight n-grams have the changed note"
    assert match.originality_score == 0, "the last 16 beats are the same"


def test_a_copied_melody_over_another_accompaniment_is_found() -> None:
    (match,) = originality([Score(melody(4) + accompaniment(99))], INDEX)
    assert match.nearest_work == "work 4"
    assert match.passage is not None
    assert (match.passage.voice, match.passage.notes) == ("melody", 64)
    assert match.shared_ngram_share == 1


def test_a_copy_without_a_common_ngram_is_found_by_its_points() -> None:
    notes = WORKS[11].transpose(-2).notes.copy()
    notes["pitch"][(notes["onset_tick"] // 12) % 6 == 5] += 1  # every sixth eighth, none on a bar line
    (match,) = originality([Score(notes)], INDEX)
    assert (match.longest_passage, match.nearest_work) == (0, None)
    assert match.coinciding_work == "work 11"
    assert match.originality_score == pytest.approx(5 / 40), "5 of the 32 + 8 notes of 16 beats"


def test_the_place_of_a_quotation_is_told() -> None:
    quoted = [(onset + 2 * BAR, length, pitch - 2, velocity) for onset, length, pitch, velocity in melody(5)[16:32]]
    own = [(12 * i, 24, 84 - i % 7, 80) for i in range(0, 16, 2)]
    (match,) = originality([Score(own + quoted)], INDEX)
    assert match.passage is not None
    assert match.passage.work == "work 5"
    assert match.passage.notes == 16
    assert (match.passage.piece_bars, match.passage.work_bars) == ((5, 6), (3, 4))
    assert match.nearest_work == "work 5"


def test_a_copy_in_doubled_note_values_and_on_another_grid_is_found() -> None:
    slow = Score([(20 * onset, 20 * length, pitch, 80) for onset, length, pitch, _ in melody(9)], ticks_per_beat=240)
    (match,) = originality([slow], INDEX)
    assert (match.nearest_work, match.longest_passage, match.shared_ngram_share) == ("work 9", 64, 1)


def test_another_piece_shares_nothing() -> None:
    (match,) = originality([Score(melody(1000, low=61))], INDEX)
    assert (match.longest_passage, match.shared_ngram_share) == (0, 0)
    assert match.passage is None
    assert match.nearest_work is None
    assert 0.3 < match.originality_score <= 1


@pytest.mark.parametrize(
    "score",
    [Score(), Score(length_ticks=BAR), Score(melody(7)[:1]), Score(melody(7)[:2]), Score(melody(7)[:7])],
    ids=["empty", "silence", "one note", "two notes", "seven notes"],
)
def test_pieces_of_fewer_than_eight_notes_are_original(score: Score) -> None:
    (match,) = originality([score], INDEX)
    assert (match.longest_passage, match.shared_ngram_share, match.originality_score) == (0, 0, 1)


def test_repeated_notes_chords_and_walls_of_notes_are_measured() -> None:
    drone = Score([(12 * i, 12, 60, 80) for i in range(400)])
    wall = Score([(12 * i, 12, pitch, 80) for i in range(64) for pitch in range(21, 109)])
    chord = Score([(0, BAR, pitch, 80) for pitch in range(40, 60)])
    index = OriginalityIndex.build([drone, wall, Score()], ["drone", "wall", "silence"])
    matches = originality([drone, wall, chord, Score(melody(0))], index)
    assert [match.longest_passage for match in matches] == [400, 64 * 88, 0, 0]
    assert [match.nearest_work for match in matches] == ["drone", "wall", None, None]
    assert all(np.isfinite(values).all() for values in metric_values(matches).values())


def test_a_copy_of_more_equal_triples_than_have_votes_is_no_original(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "MAX_VOTES", 50)
    drone = Score([(12 * i, 12, 60, 80) for i in range(64)])
    match = originality([drone], OriginalityIndex.build([drone], ["drone"]))[0]
    assert match.originality_score == 0
    assert match.coinciding_work == "drone"


def test_of_works_with_as_many_ngrams_the_one_with_the_longer_passage_is_nearest() -> None:
    notes = melody(3)
    gap = [(onset + 480, *rest) for onset, *rest in notes[24:33]]  # two n-grams each, in two passages or in one
    works = [Score(notes[:8] + gap[:8]), Score(notes[:9])]
    index = OriginalityIndex.build(works, ["two passages", "one passage"])
    (match,) = originality([Score(notes)], index)
    assert (match.nearest_work, match.longest_passage) == ("one passage", 9)


def test_an_index_of_nothing_and_no_pieces() -> None:
    index = OriginalityIndex.build([], [])
    (match,) = originality([WORKS[0]], index)
    assert (match.nearest_work, match.originality_score) == (None, 1)
    assert originality([], INDEX) == []
    assert summary([], np.random.default_rng(0)) == {}
    with pytest.raises(ValueError, match="1 scores, but 2 names"):
        OriginalityIndex.build([Score()], ["one", "two"])


def test_the_summary_has_intervals() -> None:
    matches = originality([WORKS[0], Score(melody(1000, low=61))], INDEX)
    result = summary(matches, np.random.default_rng(0))
    assert result["shared_ngram_share"].mean == pytest.approx(0.5)
    assert result["shared_ngram_share"].low == 0
    assert result["longest_passage"].high == 80


@given(st.integers(0, 19), st.integers(-12, 12), st.integers(0, 400))
def test_transposition_and_shift_in_time_change_no_ngram(number: int, semitones: int, ticks: int) -> None:
    notes = WORKS[number].transpose(semitones).notes.copy()
    notes["onset_tick"] += ticks
    (match,) = originality([Score(notes)], INDEX)
    assert (match.nearest_work, match.longest_passage, match.shared_ngram_share) == (f"work {number}", 80, 1)


@given(st.integers(0, 19), st.integers(0, 4), st.integers(-5, 5))
def test_fingerprints_find_the_work_of_a_passage(number: int, window: int, semitones: int) -> None:
    windows = list(windows_of(points_of(WORKS[number].transpose(semitones))))
    passage = windows[window % len(windows)]
    works = INDEX.fingerprints.candidates(passage, 8)
    assert works[0] == number
    assert cardinality_score(passage, INDEX.points[works[0]]) == 1
