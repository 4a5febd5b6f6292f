from __future__ import annotations

import numpy as np

from toccata.music.score import Score
from toccata.music.skyline import skyline


def test_a_single_line_is_its_own_skyline() -> None:
    tune = Score([(24 * i, 24, 60 + i % 5, 80) for i in range(16)])
    assert skyline(tune) == tune
    assert skyline(Score(length_ticks=96)) == Score(length_ticks=96)


def test_of_a_chord_the_highest_note_is_kept() -> None:
    score = Score([(0, 24, 60, 80), (0, 24, 64, 80), (0, 24, 67, 80), (24, 24, 62, 80)])
    assert skyline(score) == Score([(0, 24, 67, 80), (24, 24, 62, 80)])


def test_notes_below_a_held_one_are_left_out_until_it_ends() -> None:
    melody = [(0, 48, 72, 80), (48, 24, 71, 80), (96, 24, 76, 80)]
    accompaniment = [(12, 6, 60, 80), (47, 6, 64, 80), (72, 24, 55, 80)]
    score = Score([*melody, *accompaniment], length_ticks=192)
    assert skyline(score) == Score([*melody, (72, 24, 55, 80)], length_ticks=192)


def test_a_key_struck_again_is_kept() -> None:
    score = Score([(0, 48, 60, 80), (24, 24, 60, 80)])
    assert len(skyline(score)) == 2


def test_as_a_definition_by_all_pairs_says() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        notes = [(int(rng.integers(90)), int(rng.integers(1, 40)), int(rng.integers(50, 70)), 80) for _ in range(30)]
        score = Score(notes)
        onset, offset = score.notes["onset_tick"].astype(int), score.offset_ticks.astype(int)
        pitch = score.notes["pitch"].astype(int)
        covered = (onset <= onset[:, None]) & (offset > onset[:, None]) & (pitch > pitch[:, None])
        expected = score.notes[~covered.any(axis=1)]
        np.testing.assert_array_equal(skyline(score).notes, expected)
        assert skyline(skyline(score)) == skyline(score)
        assert skyline(score).length_ticks == score.length_ticks
