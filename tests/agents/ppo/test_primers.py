"""Primers are heard in training: a policy plays, and is updated, as if it had played the primer's actions itself."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from helpers.sequence_agents import NEAR, SMALL, Notes, RolloutRecorder, disturbed_copy, make_agent, make_envs
from toccata.agents.policies.sequence_network import episode_starts_of, tensors_of
from toccata.agents.ppo.primers import primer_steps
from toccata.agents.prior.prior import frozen
from toccata.agents.prior.trajectories import record_trajectories
from toccata.envs.codec import encode
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.score import Score
from toccata.settings.genres import GENRES

PRIMER = Score([(0, 12, 60, 80), (12, 6, 62, 80), (30, 6, 59, 80)], beats_per_bar=1, length_ticks=48)
OTHER = Score([(0, 6, 61, 80), (6, 18, 58, 80)], beats_per_bar=1, length_ticks=24)


@pytest.fixture(params=["transformer", "lstm"])
def backbone(request: pytest.FixtureRequest) -> str:
    return request.param


def whole_trajectory(piece: Piece) -> Piece:
    """The piece with the primer's actions before the agent's."""
    actions = [] if not piece.start_tick else [encode(piece.score.slice(0, piece.start_tick), SMALL)[0]]
    return Piece(piece.score, piece.genre, actions=np.concatenate([*actions, piece.actions]).astype(np.int64))


@pytest.mark.parametrize("n_steps", [7, 40], ids=["longer pieces", "shorter pieces"])
def test_a_rollout_is_conditioned_on_the_primer(backbone: str, n_steps: int) -> None:
    """Values and log-probabilities are those of one pass over the primer's actions and the agent's."""
    env = make_envs(3, bars=2, genre=None, primer=PRIMER)
    env.seed(3)
    env.set_options([{}, {"primer": OTHER}, {}])
    model = make_agent(env, backbone, n_steps=n_steps, learning_rate=0.0, reward_model=Notes())
    rollouts = RolloutRecorder()
    model.learn(3 * 84, rollouts)
    kept = {
        name: np.concatenate([rollout[name] for rollout in rollouts.rollouts], axis=1)
        for name in ("actions", "values", "log_probs", "episode_starts", "action_masks")
    }
    seen = rollouts.history()
    lengths = set()
    for env_number in range(3):
        starts = np.flatnonzero(kept["episode_starts"][env_number])
        ends = [step for step, (_, dones, _) in enumerate(rollouts.steps) if dones[env_number]]
        for start, end in zip(starts, ends, strict=False):
            own = slice(start, end + 1)
            piece = rollouts.steps[end][2][env_number]["piece"]
            np.testing.assert_array_equal(piece.actions, kept["actions"][env_number, own])
            trajectory = record_trajectories([whole_trajectory(piece)], SMALL)
            heard = int(trajectory.lengths[0]) - len(piece.actions)
            lengths.add(heard)
            for key, values in seen.items():
                np.testing.assert_array_equal(values[env_number, own], trajectory.observations[key][0, heard:], key)
            observations = tensors_of(trajectory.observations, torch.device("cpu"), time=True)
            with torch.no_grad():
                logits, values = model.policy.network(observations, episode_starts_of(observations))
            masks = torch.as_tensor(kept["action_masks"][env_number, own])
            distribution = model.policy.distribution(logits[0, heard:], masks)
            log_probs = distribution.log_prob(torch.as_tensor(kept["actions"][env_number, own]))
            np.testing.assert_allclose(values[0, heard:], kept["values"][env_number, own], **NEAR)
            np.testing.assert_allclose(log_probs, kept["log_probs"][env_number, own], **NEAR)
    assert lengths == {len(encode(primer, SMALL)[0]) for primer in (PRIMER, OTHER)}


@pytest.mark.parametrize("n_steps", [7, 40], ids=["longer pieces", "shorter pieces"])
def test_the_update_begins_at_a_ratio_of_one(backbone: str, n_steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np.random, "permutation", np.arange)  # rows in their order
    model = make_agent(
        make_envs(3, bars=2, primer=PRIMER), backbone, n_steps=n_steps, batch_size=None, reward_model=Notes()
    )
    evaluate, longest = model.policy.evaluate_actions, []

    def evaluated(observations, actions, *others):
        values, log_probs, distribution = evaluate(observations, actions, *others)
        buffer = model.rollout_buffer
        np.testing.assert_allclose(values.detach(), buffer.values.T.flatten(), **NEAR)
        np.testing.assert_allclose(log_probs.detach(), buffer.log_probs.T.flatten(), **NEAR)
        longest.append(observations["genre"].shape[1])
        return values, log_probs, distribution

    monkeypatch.setattr(model.policy, "evaluate_actions", evaluated)
    model.learn(3 * 84)
    assert max(longest) > n_steps
    assert len(longest) >= 3


def test_the_kl_from_a_reference_hears_the_primer_too(backbone: str) -> None:
    logged = []
    for same in (True, False):
        model = make_agent(
            make_envs(3, bars=2, primer=PRIMER),
            backbone,
            n_steps=20,
            learning_rate=0.0,
            prior_kl_coef=0.1,
            reward_model=Notes(),
        )
        model.reference = frozen(copy.deepcopy(model.policy.network)) if same else disturbed_copy(model)
        rollouts = RolloutRecorder()
        model.learn(3 * 60, rollouts)
        logged.append([row["kl/nats_per_step"] for row in rollouts.logged])
    assert max(map(abs, logged[0])) < 1e-5
    assert min(logged[1]) > 1e-3


def test_a_primer_changes_what_is_played() -> None:
    values = []
    for primer in (PRIMER, OTHER, None):
        model = make_agent(make_envs(2, bars=2, primer=primer), n_steps=4, learning_rate=0.0, reward_model=Notes())
        model.learn(8)
        values.append(float(model.rollout_buffer.values[0, 0]))
    assert len({round(value, 4) for value in values}) == 3


def test_what_is_heard_of_a_primer() -> None:
    piano = Piano()
    bar = 96
    long = Score([(bar * k, 24, 60, 80) for k in range(70)], length_ticks=70 * bar)
    steps = primer_steps(long, piano, 2)
    assert steps is not None
    assert steps.bars == 64
    assert steps.observations["place"][0].tolist() == [0, bar, 0, 66]
    jazz = steps.with_genre(GENRES.index("jazz"))
    assert set(jazz.observations["genre"]) == {2}
    assert set(steps.observations["genre"]) != {2}
    assert primer_steps(Score(length_ticks=bar), piano, 2) is None, "silence"
