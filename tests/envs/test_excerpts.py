"""Excerpts of real music."""

import re

import numpy as np
import pytest

from toccata.envs import Piano, play
from toccata.envs.excerpts import TRANSPOSITION, ExcerptDataset, random_excerpt
from toccata.music import Score

LONG = Score([(24 * i, 24, 60 + i % 12, 80) for i in range(64)], tempo_bpm=90)
SHORT = Score([(24 * i, 24, 60 + i % 5, 80) for i in range(8)])
WALTZ = Score([(24 * i, 24, 60, 80) for i in range(12)], beats_per_bar=3)


def test_excerpts_have_the_length_tempo_and_genre_of_the_dataset() -> None:
    dataset = ExcerptDataset([LONG], 4, tempo_bpm=100, genre="folk")
    for piece in dataset.sample(20, np.random.default_rng(0)):
        assert (piece.score.bars, piece.score.tempo_bpm, piece.genre, piece.start_tick) == (4, 100, "folk", 0)
        assert play(piece.actions, tempo_bpm=100) == piece.score


def test_excerpts_begin_at_bar_lines_and_include_openings_and_endings() -> None:
    pieces = ExcerptDataset([LONG], 4).sample(60, np.random.default_rng(0), transpose=False)
    first_bars = {(int(piece.score.notes["pitch"][0]) - 60) for piece in pieces}
    assert first_bars <= {4 * bar % 12 for bar in range(13)}
    openings = sum(piece.score.notes.tolist() == LONG.slice(0, 4 * 96).notes.tolist() for piece in pieces)
    endings = sum(piece.score.notes.tolist() == LONG.slice(12 * 96, 16 * 96).notes.tolist() for piece in pieces)
    assert openings >= 10
    assert endings >= 10


def lowest_pitches(dataset: ExcerptDataset, count: int) -> set[int]:
    return {int(piece.score.notes["pitch"].min()) for piece in dataset.sample(count, np.random.default_rng(0))}


def test_transpositions_stay_on_the_keyboard() -> None:
    assert lowest_pitches(ExcerptDataset([LONG], 4, Piano(lowest=58, highest=73)), 60) == set(range(58, 63))
    assert lowest_pitches(ExcerptDataset([LONG], 4), 200) == set(range(60 - TRANSPOSITION, 60 + TRANSPOSITION + 1))


def test_short_works_are_used_whole_and_other_metres_are_left_out() -> None:
    dataset = ExcerptDataset([SHORT, WALTZ, Score()], 4)
    assert dataset.scores == [SHORT]
    (piece,) = dataset.sample(1, np.random.default_rng(0), transpose=False)
    assert piece.score == SHORT
    assert ExcerptDataset([SHORT, WALTZ], 4, beats_per_bar=3).scores == [WALTZ]


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        ([], "none of the 0 scores has a note"),
        ([Score(length_ticks=960), Score()], "none of the 2 scores has a note"),
        ([SHORT.slice(0, 96), WALTZ], "none of the 1 scores in a metre of 4 beats is longer than one bar"),
        ([WALTZ], "none of the 1 scores has a metre that divides a bar of 4 beats; their bars have 3 beats"),
        (
            [WALTZ, Score([(0, 24, 60, 80)], beats_per_bar=3.5), Score()],
            "none of the 3 scores has a metre that divides a bar of 4 beats; their bars have 3, 3.5 beats",
        ),
    ],
)
def test_the_error_gives_the_right_reason(scores: list[Score], reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        ExcerptDataset(scores, 4)


def test_excerpts_of_a_changing_metre_are_of_stretches_in_it() -> None:
    notes = [(24 * i, 24, 60 + i % 12, 80) for i in range(3 + 7 * 4 + 3 + 5 * 4)]
    score = Score(notes, time_signatures=[(0, 3, 4), (72, 4, 4), (744, 3, 4), (816, 4, 4)])
    rng = np.random.default_rng(0)
    starts = {int(random_excerpt(score, 4, 4, rng).notes["pitch"][0]) - 60 for _ in range(200)}
    assert starts == {(3 + 4 * bar) % 12 for bar in range(4)} | {(34 + 4 * bar) % 12 for bar in range(2)}
    starts = {int(random_excerpt(score, 3, 8, rng).notes["pitch"][0]) - 60 for _ in range(200)}
    assert starts == {3 + 0}  # of bars of two bars, counted from the change
    assert random_excerpt(score, 9, 4, rng) == score.slice(72, 744)  # the longest stretch
    assert random_excerpt(score, 9, 4, rng).time_signatures == ()


def test_one_seed_gives_one_sample() -> None:
    dataset = ExcerptDataset([LONG, SHORT], 2)
    first, second = (dataset.sample(10, np.random.default_rng(3)) for _ in range(2))
    assert [piece.score for piece in first] == [piece.score for piece in second]
