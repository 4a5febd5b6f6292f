from __future__ import annotations

import numpy as np
import pytest
import torch

from toccata.agents.policies.feedforward_policy import FeedforwardPolicy
from toccata.agents.prior import behaviour_cloning as cloning
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.core import PianoCore
from toccata.envs.env import PianoEnv
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.pieces import Piece

BARS = 2


def test_demonstrations_are_legal_and_what_the_environment_shows(music: ExcerptDataset) -> None:
    pieces = music.sample(4, np.random.default_rng(0))
    steps = cloning.demonstrate(pieces, PianoCore(6, bars=BARS))
    whats = music.piano.nvec[0]
    assert steps.masks[np.arange(len(steps.actions)), steps.actions[:, 0]].all()
    assert steps.masks[np.arange(len(steps.actions)), whats + steps.actions[:, 1]].all()
    assert len(steps.actions) == sum(len(piece.actions) for piece in pieces if piece.actions is not None)

    seen: list[tuple[bytes, ...]] = []
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
            seen.append(tuple(np.asarray(value).tobytes() for value in values))
            observation, _, _, _, info = env.step(action)
        assert info["illegal_actions"] == 0
        assert env.score.notes.tolist() == piece.score.notes.tolist()
    keys = list(steps.observations)
    shown = [
        tuple(
            np.asarray(value).tobytes()
            for value in (*(steps.observations[key][i] for key in keys), steps.masks[i], steps.actions[i])
        )
        for i in range(len(steps.actions))
    ]
    assert sorted(shown) == sorted(seen)


def test_nothing_to_demonstrate() -> None:
    with pytest.raises(ValueError, match="nothing to demonstrate"):
        cloning.demonstrate([], PianoCore(2, bars=BARS))


def clone(music: ExcerptDataset, seed: int = 0, epochs: int = 4) -> tuple[FeedforwardPolicy, list[float], list[float]]:
    env = PianoVecEnv(1, bars=BARS)
    torch.manual_seed(seed)
    policy = FeedforwardPolicy(env.observation_space, env.action_space, lambda _: 1e-3)
    told: list[float] = []
    losses = cloning.clone(
        policy,
        music,
        PianoCore(cloning.EXCERPTS, bars=BARS),
        epochs=epochs,
        rng=np.random.default_rng(seed),
        on_batch=lambda done, loss: told.append(done),
    )
    return policy, losses, told


def test_the_loss_falls_and_one_seed_gives_one_policy(music: ExcerptDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloning, "EXCERPTS", 48)
    monkeypatch.setattr(cloning, "BATCH_SIZE", 128)
    policy, losses, told = clone(music)
    assert losses[-1] < 0.7 * losses[0]
    assert told == sorted(told)
    assert told[-1] == 1
    assert not policy.training
    again, same, _ = clone(music)
    assert losses == same
    assert all(torch.equal(one, other) for one, other in zip(policy.parameters(), again.parameters(), strict=True))


def test_a_demonstrated_action_is_likelier_under_its_mask(music: ExcerptDataset) -> None:
    env = PianoVecEnv(1, bars=BARS)
    torch.manual_seed(0)
    policy = FeedforwardPolicy(env.observation_space, env.action_space, lambda _: 1e-3)
    pieces: list[Piece] = music.sample(2, np.random.default_rng(0))
    steps = cloning.demonstrate(pieces, PianoCore(2, bars=BARS))
    batch = np.arange(len(steps.actions))
    masked = cloning.log_likelihood(policy, steps, batch)
    free = cloning.log_likelihood(
        policy, cloning.Demonstrations(steps.observations, steps.actions, np.ones_like(steps.masks)), batch
    )
    assert torch.isfinite(masked).all()
    assert (masked >= free - 1e-5).all()
