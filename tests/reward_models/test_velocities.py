"""Pieces whose actions have velocities: every reward model and judge that comes with Toccata scores them."""

import numpy as np
import pytest

from toccata.envs import Piano, PianoVelocityVectorEnv, Pieces
from toccata.envs.pieces import Piece
from toccata.envs.reward_model import checked
from toccata.music.metrics import measure
from toccata.reward_models import load_reward
from toccata.reward_models.judges.panel import BITS, Panel

PIANO = Piano(velocities=(32, 64, 112))


@pytest.fixture(scope="module")
def pieces() -> Pieces:
    """Two pieces of an agent, and one that nobody played."""
    env = PianoVelocityVectorEnv(2, bars=2, piano=PIANO, observation="actions")
    rng, found = np.random.default_rng(0), []
    env.reset(seed=0)
    while len(found) < 2:
        infos = env.step(env.core.dynamics.random_legal_actions(rng))[-1]
        found += [piece for piece in infos.get("final_info", {}).get("piece", ()) if piece is not None]
    return Pieces([*found[:2], found[0].score], PIANO)


def without_velocity(pieces: Pieces) -> Pieces:
    """The same pieces on the default piano, with actions of two columns."""
    return Pieces([Piece(piece.score, piece.genre, actions=piece.actions[:, :2]) for piece in list(pieces)[:2]])


def test_actions_have_three_columns(pieces: Pieces) -> None:
    assert [actions.shape[1] for actions in pieces.actions] == [3, 3, 3]
    assert len({int(velocity) for score in pieces.scores for velocity in score.notes["velocity"]}) == 3


@pytest.mark.parametrize("name", ["rating", "realism", "typicality", "silence", "repetition", "density", "lyrics"])
def test_rewards_are_finite(pieces: Pieces, name: str) -> None:
    assert checked(load_reward(name), pieces).shape == (3,)


def test_the_typicality_leaves_velocities_out(pieces: Pieces) -> None:
    reward, panel = load_reward("typicality"), Panel.load()
    plain = without_velocity(pieces)
    np.testing.assert_array_equal(reward.score(pieces[:2]), reward.score(plain))
    np.testing.assert_array_equal(panel.typicality.bits(pieces[:2]), panel.typicality.bits(plain))
    np.testing.assert_array_equal(
        panel.typicality.bits_by_window(pieces[:2], 1), panel.typicality.bits_by_window(plain, 1)
    )


def test_judges_and_metrics_are_finite(pieces: Pieces) -> None:
    judged = Panel.load().judge(pieces)
    assert BITS in judged
    assert all(np.isfinite(values).all() and len(values) == 3 for values in judged.values())
    assert all(np.isfinite(list(measure(score).values())).all() for score in pieces.own)


def test_the_rating_hears_velocities(pieces: Pieces) -> None:
    loud = pieces.scores[0].notes.copy()
    loud["velocity"] = 112
    same_notes = type(pieces.scores[0])(loud, length_ticks=pieces.scores[0].length_ticks)
    soft, louder = load_reward("rating").score(Pieces([pieces.scores[0], same_notes]))
    assert soft != louder
