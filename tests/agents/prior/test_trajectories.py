from __future__ import annotations

import numpy as np
import pytest

from helpers.tunes import actions_of, encoded, toy_corpus, tune
from toccata.agents.policies.sequence_network import NO_GENRE
from toccata.agents.prior.fitting.dataset import PassageDataset
from toccata.agents.prior.trajectories import record_trajectories
from toccata.envs.codec import encode
from toccata.envs.core import GENRES, PianoCore
from toccata.envs.pieces import Piece
from toccata.music.score import Score


@pytest.fixture(scope="module")
def passages() -> list[Piece]:
    """Passages in several metres."""
    works = [
        (name, genre, tune(20, beats, seed=i))
        for i, (name, genre, beats) in enumerate(
            [("a4", "classical", 4.0), ("b3", "folk", 3.0), ("c7", "jazz", 3.5), ("d9", "folk", 4.5)]
        )
    ]
    return PassageDataset(toy_corpus(*works)).sample(50, np.random.default_rng(0))


@pytest.mark.parametrize("beats_per_bar", [2, 3, 4, 4.5])
def test_observations_are_those_of_the_environment(beats_per_bar: float) -> None:
    """Pieces of several metres and lengths in one batch, against an environment of each."""
    pieces = [encoded(tune(bars, beats, seed=bars)) for bars, beats in [(2, beats_per_bar), (1, 4), (3, 3.5)]]
    trajectories = record_trajectories(pieces)
    for row, piece in enumerate(pieces):
        core = PianoCore(
            1,
            bars=piece.score.bars,
            genre="jazz",
            observation="actions",
            beats_per_bar=piece.score.beats_per_bar,
        )
        core.reset([0], [np.random.default_rng(0)])
        assert trajectories.lengths[row] == len(actions_of(piece))
        masks = trajectories.unpacked_masks([row])[0]
        for step, action in enumerate(actions_of(piece)):
            expected = core.observe()
            assert set(expected) == set(trajectories.observations)
            for key, value in expected.items():
                recorded = trajectories.observations[key]
                assert recorded.dtype == value.dtype
                assert (recorded[row, step] == value[0]).all()
            assert (masks[step] == core.dynamics.masks[0]).all()
            assert (trajectories.actions[row, step] == action).all()
            ended = core.step(action[None].astype(np.int64)).terminated[0]
        assert ended


def test_actions_and_padding_are_legal(passages: list[Piece]) -> None:
    trajectories = record_trajectories(passages)
    assert len(trajectories) == 50
    masks = trajectories.unpacked_masks(slice(None))
    whats = trajectories.nvec[0]
    for part, dimension in ((masks[..., :whats], 0), (masks[..., whats:], 1)):
        assert np.take_along_axis(part, trajectories.actions[..., dimension : dimension + 1], axis=-1).all()
    assert (trajectories.lengths == [len(actions_of(piece)) for piece in passages]).all()
    assert trajectories.actions.shape[1] == trajectories.lengths.max()


def test_masks_of_selected_rows(passages: list[Piece]) -> None:
    trajectories = record_trajectories(passages[:5])
    masks = trajectories.unpacked_masks(slice(None))
    assert masks.shape == (*trajectories.actions.shape[:2], sum(trajectories.nvec))
    assert masks.dtype == np.bool_
    for rows in ([3, 1], np.array([0, 4]), slice(1, 3)):
        assert (trajectories.unpacked_masks(rows) == masks[rows]).all()


def test_genres_are_indices() -> None:
    pieces = [encoded(tune(1), genre) for genre in (*GENRES, None)]
    genre = record_trajectories(pieces).observations["genre"]
    assert genre[:, 0].tolist() == [*range(len(GENRES)), NO_GENRE]
    assert (genre == genre[:, :1]).all()


def test_genres_of_a_network_have_its_indices() -> None:
    genres = (*GENRES, "ragtime", "tango")
    trajectories = record_trajectories([encoded(tune(1), name) for name in ("ragtime", "folk", None)], genres=genres)

    def indices(genres: tuple[str, ...]) -> list[int]:
        return trajectories.with_genres(genres).observations["genre"][:, 0].tolist()

    assert indices(genres) == [6, 1, NO_GENRE]
    assert indices(("folk", "waltz", "ragtime")) == [2, 0, NO_GENRE]
    assert indices(GENRES) == [NO_GENRE, 1, NO_GENRE], "unknown ones are unconditional"
    assert trajectories.with_genres(("folk",)).with_genres(GENRES).genres == GENRES
    assert trajectories.with_genres(()).observations["top"] is trajectories.observations["top"]


def test_a_piece_without_actions_is_encoded() -> None:
    score = tune(2)
    without, with_actions = record_trajectories([Piece(score)]), record_trajectories([encoded(score, None)])
    assert (without.actions == with_actions.actions).all()
    assert (without.observations["place"] == with_actions.observations["place"]).all()


def test_a_piece_with_a_primer_is_recorded_from_the_end_of_the_primer() -> None:
    primer, own = tune(2), tune(3, seed=5)
    shifted = own.notes.copy()
    shifted["onset_tick"] += 192
    score = Score(np.concatenate([primer.notes, shifted]), length_ticks=5 * 96)
    piece = Piece(score, "folk", start_tick=192, actions=encode(own)[0])
    core = PianoCore(1, bars=3, genre="folk", observation="actions", primer=primer)
    core.reset([0], [np.random.default_rng(0)])
    trajectories = record_trajectories([piece])
    for step, action in enumerate(actions_of(piece)):
        for key, value in core.observe().items():
            assert (trajectories.observations[key][0, step] == value[0]).all()
        assert (trajectories.unpacked_masks([0])[0, step] == core.dynamics.masks[0]).all()
        core.step(action[None].astype(np.int64))


def test_invalid_pieces_are_errors() -> None:
    good = encoded(tune(1))
    repeated = np.array([[40, 8], [40, 8]])
    with pytest.raises(ValueError, match=r"piece 1: action 1, C4 for 24, is not legal at tick 0"):
        record_trajectories([good, Piece(good.score, actions=repeated)])
    with pytest.raises(ValueError, match=r"piece 0: action \[0, 13\] is outside"):
        record_trajectories([Piece(good.score, actions=np.array([[0, 13]]))])
    with pytest.raises(ValueError, match="piece 0: its genre 'polka' must be one of"):
        record_trajectories([Piece(good.score, "polka", actions=good.actions)])
    with pytest.raises(ValueError, match="piece 0 has no actions"):
        record_trajectories([Piece(Score())])
    with pytest.raises(ValueError, match="no piece"):
        record_trajectories([])
