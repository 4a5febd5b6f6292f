"""Batches of pieces, and what may be a reward."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from toccata.envs import Piano, Piece, Pieces, RewardModel, RewardModelError, checked, contributions, encode
from toccata.music import Score

SHORT = Score([(0, 24, 60, 64), (24, 24, 64, 100)])
LONG = Score([(0, 24, 60, 64), (100, 24, 67, 64)])


class Length:
    name = "length"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array([score.bars for score in pieces.scores])


class Sum:
    name = "sum"

    def __init__(self, **terms: object) -> None:
        self.terms = terms

    def contributions(self, pieces: Pieces) -> object:
        return self.terms

    def score(self, pieces: Pieces) -> np.ndarray:
        return sum(self.terms.values())


def test_pieces_are_a_sequence_of_pieces() -> None:
    pieces = Pieces([SHORT, Piece(LONG, genre="jazz")])
    assert len(pieces) == 2
    assert pieces[1].genre == "jazz"
    assert [piece.score for piece in pieces] == [SHORT, LONG]
    assert isinstance(pieces[:1], Pieces)
    assert pieces[:1].scores == (SHORT,)
    assert pieces.genres == (None, "jazz")
    assert len(Pieces([])) == 0


def test_views_are_computed_once_and_padded_with_silence() -> None:
    pieces = Pieces([SHORT, LONG], Piano(lowest=48, highest=72))
    assert pieces.rolls.shape == (2, 192, 25)
    assert pieces.rolls is pieces.rolls
    np.testing.assert_array_equal(pieces.rolls[0, :96], SHORT.roll()[:, 48:73])
    assert not pieces.rolls[0, 96:].any()
    assert Pieces([]).rolls.shape == (0, 0, 88)


def test_own_is_what_the_agent_wrote() -> None:
    pieces = Pieces([Piece(LONG, start_tick=96), SHORT])
    assert pieces.own[0].notes.tolist() == [(4, 24, 67, 64)]
    assert pieces.own[0].length_ticks == 96
    assert pieces.own[1] is SHORT


def test_actions_are_the_agents_or_the_encoded_score() -> None:
    played = np.array([[0, 12]], np.int16)
    pieces = Pieces([Piece(Score(length_ticks=96), actions=played), SHORT])
    assert pieces.actions[0] is played
    np.testing.assert_array_equal(pieces.actions[1], encode(SHORT)[0])


def test_a_piece_made_later_is_read_once() -> None:
    calls = []

    def draft() -> Score:
        calls.append(1)
        return SHORT

    piece = Piece.later(draft, "rock", 24, None)
    assert (piece.genre, piece.start_tick, piece.actions, calls) == ("rock", 24, None, [])
    assert piece.score is SHORT is piece.score
    assert calls == [1]
    assert replace(piece, genre="folk").score is SHORT
    assert "rock" in repr(piece)
    with pytest.raises(AttributeError, match="no attribute 'scores'"):
        piece.scores  # noqa: B018


def test_pieces_travel_between_processes() -> None:
    from toccata.envs import Dynamics

    dynamics = Dynamics(1, Piano(), 10)
    dynamics.begin([0], ticks_per_bar=96, end_tick=96)
    dynamics.step(np.array([[40, 8]]))
    piece = pickle.loads(pickle.dumps(Piece.later(dynamics.draft(0, 96, 120.0), "rock", 0, None)))
    assert piece.score == dynamics.score(0, 96, 120.0)


def test_sound_of_pieces() -> None:
    pytest.importorskip("fluidsynth")
    pieces = Pieces([SHORT, LONG])
    assert pieces.audio.dtype == np.float32
    assert pieces.audio.shape == (2, pieces.audio_samples.max())
    assert pieces.audio_samples[0] < pieces.audio_samples[1]
    assert pieces.log_mel.ndim == 3
    assert pieces.mel_frames[0] < pieces.mel_frames[1] == pieces.log_mel.shape[2]
    assert np.isfinite(pieces.log_mel).all()


def test_checked_gives_float32() -> None:
    scores = checked(Length(), Pieces([SHORT, LONG]))
    assert scores.dtype == np.float32
    assert scores.tolist() == [1, 2]
    assert isinstance(Length(), RewardModel)


def test_one_model_is_its_own_term_and_a_sum_has_many() -> None:
    pieces = Pieces([SHORT, LONG])
    assert {name: term.tolist() for name, term in contributions(Length(), pieces).items()} == {"length": [1, 2]}
    terms = contributions(Sum(a=[1, 2], b=np.zeros(2)), pieces)
    assert {name: term.tolist() for name, term in terms.items()} == {"a": [1, 2], "b": [0, 0]}
    assert all(term.dtype == np.float32 for term in terms.values())


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"a": [1.0, np.inf]}, "reward model 'sum', term 'a', must return finite scores, got inf for piece 1"),
        ({"a": [1.0]}, r"reward model 'sum', term 'a', must return shape \(2,\)"),
        ({"a": None}, "reward model 'sum', term 'a', must return"),
    ],
)
def test_a_bad_term_is_named(terms: dict, message: str) -> None:
    with pytest.raises(RewardModelError, match=message):
        contributions(Sum(**terms), Pieces([SHORT, LONG]))


def test_contributions_must_be_named_terms() -> None:
    model = Sum()
    model.terms = [1, 2]
    with pytest.raises(RewardModelError, match="'sum' must return a dict, got list"):
        contributions(model, Pieces([SHORT, LONG]))


def test_a_model_made_of_others_lets_the_guilty_one_be_named() -> None:
    class Guilty:
        name = "guilty"

        def score(self, pieces: Pieces) -> np.ndarray:
            raise KeyError("tension")

    class Outer:
        name = "outer"

        def score(self, pieces: Pieces) -> np.ndarray:
            return checked(Guilty(), pieces)

    with pytest.raises(RewardModelError, match="reward model 'guilty' raised KeyError: 'tension'"):
        checked(Outer(), Pieces([SHORT]))
