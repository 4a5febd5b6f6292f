"""Pieces and batches of pieces."""

import pickle

import numpy as np
import pytest

from toccata.envs import Dynamics, Piano, Piece, Pieces, encode
from toccata.music import Score

SHORT = Score([(0, 24, 60, 64), (24, 24, 64, 100)])

LONG = Score([(0, 24, 60, 64), (100, 24, 67, 64)])


def test_pieces_are_a_sequence_of_pieces() -> None:
    pieces = Pieces([SHORT, Piece(LONG, genre="jazz")])
    assert len(pieces) == 2
    assert pieces[1].genre == "jazz"
    assert [piece.score for piece in pieces] == [SHORT, LONG]
    assert isinstance(pieces[:1], Pieces)
    assert pieces[:1].scores == (SHORT,)
    assert pieces.genres == (None, "jazz")
    assert len(Pieces([])) == 0


def test_rolls_are_computed_once_and_padded_with_silence() -> None:
    pieces = Pieces([SHORT, LONG], Piano(lowest=48, highest=72))
    assert pieces.rolls.shape == (2, 192, 25)
    assert pieces.rolls is pieces.rolls
    np.testing.assert_array_equal(pieces.rolls[0, :96], SHORT.roll()[:, 48:73])
    assert not pieces.rolls[0, 96:].any()
    assert Pieces([]).rolls.shape == (0, 0, 88)


def test_own_is_the_part_of_the_agent() -> None:
    pieces = Pieces([Piece(LONG, start_tick=96), SHORT])
    assert pieces.own[0].notes.tolist() == [(4, 24, 67, 64)]
    assert pieces.own[0].length_ticks == 96
    assert pieces.own[1] is SHORT


def test_actions_are_the_agents_or_the_encoded_score() -> None:
    played = np.array([[0, 12]], np.int16)
    pieces = Pieces([Piece(Score(length_ticks=96), actions=played), SHORT])
    assert pieces.actions[0] is played
    np.testing.assert_array_equal(pieces.actions[1], encode(SHORT)[0])


def test_the_function_of_a_lazy_score_is_called_once_when_the_score_is_read() -> None:
    calls = []

    def make_score() -> Score:
        calls.append(1)
        return SHORT

    piece = Piece(make_score, "rock", 24, None)
    assert (piece.genre, piece.start_tick, piece.actions, calls) == ("rock", 24, None, [])
    assert piece.score is SHORT is piece.score
    assert calls == [1]


def test_pieces_with_equal_parts_are_equal() -> None:
    actions = np.zeros((7, 2), np.int16)
    piece, same = Piece(SHORT, "rock", 24, actions), Piece(lambda: SHORT, "rock", 24, actions.copy())
    assert piece == same
    assert len({piece, same}) == 1
    others = [
        Piece(LONG, "rock", 24, actions),
        Piece(SHORT, "folk", 24, actions),
        Piece(SHORT, "rock", 0, actions),
        Piece(SHORT, "rock", 24, actions + 1),
        Piece(SHORT, "rock", 24, actions[:3]),
        Piece(SHORT, "rock", 24, None),
        SHORT,
    ]
    assert all(piece != other for other in others)
    assert Piece(SHORT) == Piece(SHORT)


def test_the_representation_shows_score_genre_and_actions() -> None:
    piece = Piece(lambda: SHORT, "rock", 24, np.zeros((7, 2), np.int16))
    assert repr(piece) == f"Piece({SHORT!r}, genre='rock', start_tick=24, actions=<7 actions>)"
    assert "actions=None" in repr(Piece(SHORT))


def test_pieces_can_be_pickled_before_and_after_the_score_is_read() -> None:
    dynamics = Dynamics(1, Piano(), 10)
    dynamics.begin([0], ticks_per_bar=96, end_tick=96)
    dynamics.step(np.array([[40, 8]]))
    piece = Piece(dynamics.lazy_score(0, 96, 120.0), "rock", 0, None)
    for _ in range(2):
        copy = pickle.loads(pickle.dumps(piece))
        assert copy.score == piece.score == dynamics.score(0, 96, 120.0)
        assert (copy.genre, copy.start_tick, copy.actions) == ("rock", 0, None)


def test_sound_of_pieces() -> None:
    pytest.importorskip("fluidsynth")
    pieces = Pieces([SHORT, LONG])
    assert pieces.audio.dtype == np.float32
    assert pieces.audio.shape == (2, pieces.audio_samples.max())
    assert pieces.audio_samples[0] < pieces.audio_samples[1]
    assert pieces.log_mel.ndim == 3
    assert pieces.mel_frames[0] < pieces.mel_frames[1] == pieces.log_mel.shape[2]
    assert np.isfinite(pieces.log_mel).all()
