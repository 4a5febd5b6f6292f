import numpy as np
import pytest

from helpers.songs import song, words
from toccata.envs.pieces import Piece, Pieces
from toccata.music.score import Score
from toccata.reward_models import load_reward
from toccata.reward_models.lyrics.terms import FIGURES


def piece(pattern: str, pitches: list[int], quarters: list[float], all_words: str | None = None) -> Piece:
    """A piece with words, of which only the first are sung where `all_words` has more."""
    score, underlay = song(pattern, pitches, quarters)
    return Piece(score, lyrics=underlay.lyrics if all_words is None else words(all_words))


TROCHEES = piece("A-b C-d E-f G", [60, 64, 67, 72, 67, 64, 60], [1.5, 0.5, 1.5, 0.5, 1.5, 0.5, 4])
IAMBS_ON_BEATS = piece("a-B c-D e-F g", [72, 67, 64, 60, 64, 67, 73], [2.5, 1.5, 2.5, 1.5, 2.5, 1.5, 0.5])
SILENCE = Piece(Score(length_ticks=96))
ONE_NOTE = piece("A", [60], [1])
NO_SYLLABLE_YET = Piece(Score([(0, 24, 40, 80)]), lyrics=words("A b"))
TOO_MANY_NOTES = Piece(TROCHEES.score, lyrics=words("A"))


@pytest.mark.parametrize("name", FIGURES)
def test_good_songs_score_higher_than_bad_ones(name: str) -> None:
    reward = load_reward(name)
    good, bad = reward.score(Pieces([TROCHEES, IAMBS_ON_BEATS]))
    assert -1 <= bad < good <= 1
    assert reward.score_range == (-1.0, 1.0)  # type: ignore[attr-defined]  # of those of Toccata


@pytest.mark.parametrize("name", [*FIGURES, "lyric_agreement", "lyrics"])
def test_pieces_without_words_or_with_wrong_ones_score_0(name: str) -> None:
    scores = load_reward(name).score(Pieces([SILENCE, Piece(TROCHEES.score), NO_SYLLABLE_YET, TOO_MANY_NOTES]))
    np.testing.assert_array_equal(scores, np.zeros(4, np.float32))
    assert scores.dtype == np.float32


@pytest.mark.parametrize("name", [*FIGURES, "lyric_agreement", "lyrics"])
def test_one_note_and_clusters_are_finite_and_in_range(name: str) -> None:
    cluster = Piece(Score([(0, 24, pitch, 80) for pitch in range(48, 72)]), lyrics=words("A"))
    scores = load_reward(name).score(Pieces([ONE_NOTE, cluster]))
    assert (np.abs(scores) <= 1).all()


def test_of_an_unfinished_piece_the_words_so_far_count() -> None:
    so_far = piece("A-b C-d", [60, 64, 67, 72], [1, 1, 1, 1], "A-b C-d E-f G / h i")
    reward = load_reward("stress_on_beats")
    np.testing.assert_array_equal(reward.score(Pieces([so_far, TROCHEES])), [1, 1])
