from __future__ import annotations

import numpy as np
import pytest
import torch

from toccata.agents.policies.feedforward_policy import FeedforwardPolicy
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.prior import behaviour_cloning as cloning
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.core import PianoCore
from toccata.envs.env import PianoEnv
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.pieces import Piece

BARS = 2


def feedforward_policy(seed: int = 0) -> FeedforwardPolicy:
    env = PianoVecEnv(1, bars=BARS)
    torch.manual_seed(seed)
    return FeedforwardPolicy(env.observation_space, env.action_space, lambda _: 1e-3)


def test_demonstrations_are_legal_and_equal_those_of_the_environment(music: ExcerptDataset) -> None:
    pieces = music.sample(4, np.random.default_rng(0))
    steps = cloning.record_demonstrations(pieces, PianoCore(6, bars=BARS))
    whats = music.piano.nvec[0]
    assert steps.masks[np.arange(len(steps.actions)), steps.actions[:, 0]].all()
    assert steps.masks[np.arange(len(steps.actions)), whats + steps.actions[:, 1]].all()
    assert len(steps.actions) == sum(len(piece.actions) for piece in pieces if piece.actions is not None)

    expected: list[tuple[bytes, ...]] = []
    for piece in pieces:
        env = PianoEnv(bars=BARS)
        observation, info = env.reset(seed=0)
        assert piece.actions is not None
        for action in piece.actions:
            values = [
                *(observation[key] for key in env.observation_space),
                info["action_mask"],
                action.astype(np.int64),
            ]
            expected.append(tuple(np.asarray(value).tobytes() for value in values))
            observation, _, _, _, info = env.step(action)
        assert info["illegal_actions"] == 0
        assert env.score.notes.tolist() == piece.score.notes.tolist()
    keys = list(steps.observations)
    recorded = [
        tuple(
            np.asarray(value).tobytes()
            for value in (*(steps.observations[key][i] for key in keys), steps.masks[i], steps.actions[i])
        )
        for i in range(len(steps.actions))
    ]
    assert sorted(recorded) == sorted(expected)


def test_no_actions_to_demonstrate_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing to demonstrate"):
        cloning.record_demonstrations([], PianoCore(2, bars=BARS))


def test_the_loss_falls_and_one_seed_gives_one_policy(music: ExcerptDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloning, "EXCERPTS", 48)
    monkeypatch.setattr(cloning, "BATCH_SIZE", 128)
    progress: list[float] = []

    def clone() -> tuple[FeedforwardPolicy, list[float]]:
        policy = feedforward_policy()
        progress.clear()
        losses = cloning.clone_steps(
            policy,
            music,
            environment={"bars": BARS},
            epochs=4,
            rng=np.random.default_rng(0),
            on_batch=lambda done, loss: progress.append(done),
        )
        return policy, losses

    policy, losses = clone()
    assert losses[-1] < 0.7 * losses[0]
    assert progress == sorted(progress)
    assert progress[-1] == 1
    assert not policy.training
    again, same = clone()
    assert losses == same
    assert all(torch.equal(one, other) for one, other in zip(policy.parameters(), again.parameters(), strict=True))


def test_the_loss_of_a_sequence_policy_falls(music: ExcerptDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloning, "EXCERPTS", 24)
    env = PianoVecEnv(1, bars=BARS, observation="actions")
    torch.manual_seed(0)
    sizes = {"width": 16, "layers": 1, "heads": 1}
    policy = SequencePolicy(env.observation_space, env.action_space, lambda _: 1e-3, network_config=sizes)
    critic = [parameter.clone() for parameter in policy.network.critic.parameters()]
    losses = cloning.clone_sequences(policy, music, epochs=3, rng=np.random.default_rng(0), learning_rate=1e-2)
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    unchanged = zip(critic, policy.network.critic.parameters(), strict=True)
    assert all(torch.equal(before, after) for before, after in unchanged)


def test_masks_raise_the_probability_of_demonstrated_actions(music: ExcerptDataset) -> None:
    policy = feedforward_policy()
    pieces: list[Piece] = music.sample(2, np.random.default_rng(0))
    steps = cloning.record_demonstrations(pieces, PianoCore(2, bars=BARS))
    batch = np.arange(len(steps.actions))
    masked = cloning.log_likelihood(policy, steps, batch)
    unmasked = cloning.log_likelihood(
        policy, cloning.Demonstrations(steps.observations, steps.actions, np.ones_like(steps.masks)), batch
    )
    assert torch.isfinite(masked).all()
    assert (masked >= unmasked - 1e-5).all()
