"""Pianos with velocities and the agents of Toccata: what trains, and what refuses them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from helpers.tunes import actions_of, encoded, tune
from toccata.agents.evaluation.players import random_player
from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.feedforward_policy import FeedforwardPolicy
from toccata.agents.policies.sequence_network import DEFAULT_NETWORKS, SequenceNetwork
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.prior.behaviour_cloning import record_demonstrations
from toccata.agents.prior.trajectories import record_trajectories
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs import Piano, Piece, encode
from toccata.envs.core import PianoCore
from toccata.music import Score
from toccata.reward_models import Silence

PIANO = Piano(lowest=48, highest=72, values=(6, 12, 24), velocities=(32, 64, 96))


@pytest.mark.parametrize(
    "refused",
    [
        lambda: ComposerPPO(FeedforwardPolicy, PianoVecEnv(1, piano=PIANO)),
        lambda: ComposerPPO(FeedforwardPolicy, PianoVecEnv(1, piano=PIANO), policy_kwargs={"piano": PIANO}),
        lambda: SequenceComposerPPO(SequencePolicy, PianoVecEnv(1, piano=PIANO, observation="actions")),
        lambda: SequenceNetwork(PIANO, DEFAULT_NETWORKS["lstm"]),
        lambda: JointDistribution(PIANO),
        lambda: record_trajectories([encoded(tune(1))], PIANO),
    ],
    ids=["mlp", "mlp of the piano", "transformer", "network", "distribution", "trajectories"],
)
def test_what_plays_what_and_value_alone_says_what_to_do(refused: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r'use a piano with velocities=None, or MaskablePPO\("MultiInputPolicy"'):
        refused()


def test_composer_ppo_trains_a_policy_of_stable_baselines3() -> None:
    env = PianoVecEnv(2, bars=1, piano=PIANO)
    model = ComposerPPO(
        "MultiInputPolicy",
        env,
        reward_model=Silence(),
        n_steps=32,
        batch_size=32,
        n_epochs=1,
        policy_kwargs={"net_arch": [8]},
        seed=0,
    )
    model.learn(64)
    assert len(model.finished)
    assert all(actions.shape[1] == 3 for actions in model.finished.actions)


def test_trajectories_leave_velocities_out() -> None:
    plain = encoded(tune(2))
    dynamic = np.c_[actions_of(plain), np.ones(len(actions_of(plain)), np.int16)]
    one, other = (record_trajectories([Piece(plain.score, actions=each)]) for each in (actions_of(plain), dynamic))
    np.testing.assert_array_equal(one.actions, other.actions)
    np.testing.assert_array_equal(one.masks, other.masks)


def test_demonstrations_have_velocities() -> None:
    score = Score([(0, 24, 60, 32), (24, 24, 62, 96)])
    actions, report = encode(score, PIANO)
    core = PianoCore(2, bars=1, piano=PIANO)
    demonstrations = record_demonstrations([Piece(report.score, actions=actions), Piece(report.score)], core)
    np.testing.assert_array_equal(demonstrations.actions, actions)
    np.testing.assert_array_equal(demonstrations.observations["last"][1:], actions[:-1])


def test_random_play() -> None:
    played = random_player({"bars": 1, "piano": PIANO})(3, 0)
    velocities = {int(velocity) for piece in played.pieces for velocity in piece.score.notes["velocity"]}
    assert velocities <= set(PIANO.velocities or ())
    assert len(velocities) > 1
    assert played.counts["illegal_actions"] == 0
