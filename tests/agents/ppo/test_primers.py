"""Primers are context in training: a policy plays, and is updated, as if it had played the primer's actions itself."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.sequence_agents import (
    NEAR,
    SMALL,
    Notes,
    RolloutRecorder,
    disturbed_copy,
    make_agent,
    make_envs,
    weights_of,
)
from toccata.agents.policies.cache import Cache
from toccata.agents.policies.sequence_network import SequenceNetwork, episode_starts_of, tensors_of
from toccata.agents.ppo.model_file import load_model, save_model
from toccata.agents.ppo.primers import prefill_primers, primer_steps, with_primers
from toccata.agents.prior.prior import frozen
from toccata.agents.prior.trajectories import record_trajectories
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.codec import encode
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.score import Score
from toccata.settings.genres import GENRES

PRIMER = Score([(0, 12, 60, 80), (12, 6, 62, 80), (30, 6, 59, 80)], beats_per_bar=1, length_ticks=48)
OTHER = Score([(0, 6, 61, 80), (6, 18, 58, 80)], beats_per_bar=1, length_ticks=24)


@pytest.fixture(params=["transformer", "lstm", "wavenet"])
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
            context = int(trajectory.lengths[0]) - len(piece.actions)
            lengths.add(context)
            for key, values in seen.items():
                np.testing.assert_array_equal(values[env_number, own], trajectory.observations[key][0, context:], key)
            observations = tensors_of(trajectory.observations, torch.device("cpu"), time=True)
            with torch.no_grad():
                logits, values = model.policy.network(observations, episode_starts_of(observations))
            masks = torch.as_tensor(kept["action_masks"][env_number, own])
            distribution = model.policy.distribution(logits[0, context:], masks)
            log_probs = distribution.log_prob(torch.as_tensor(kept["actions"][env_number, own]))
            np.testing.assert_allclose(values[0, context:], kept["values"][env_number, own], **NEAR)
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


def test_the_context_of_a_primer() -> None:
    piano = Piano()
    bar = 96
    long = Score([(bar * k, 24, 60, 80) for k in range(70)], length_ticks=70 * bar)
    steps = primer_steps(long, piano, 2, GENRES.index("jazz"))
    assert steps is not None
    assert steps.bars == 64
    assert steps.observations["place"][0].tolist() == [0, bar, 0, 66]
    assert set(steps.observations["genre"]) == {2}
    assert primer_steps(Score(length_ticks=bar), piano, 2, 0) is None, "silence"


def test_equal_primers_are_computed_once(backbone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_agent(make_envs(1), backbone)
    network, prefill, rows = model.policy.network, SequenceNetwork.prefill, []
    some = [primer_steps(primer, SMALL, 2, genre) for primer, genre in ((PRIMER, 0), (OTHER, 0), (PRIMER, 1))]
    assert primer_steps(copy.deepcopy(PRIMER), SMALL, 2, 0) is some[0]

    def counted(self, observations, lengths):
        rows.append(len(lengths))
        return prefill(self, observations, lengths)

    monkeypatch.setattr(SequenceNetwork, "prefill", counted)
    order = [0, 1, 0, 2, 1, 0]
    cache = prefill_primers(network, [some[k] for k in order], torch.device("cpu"))
    assert rows == [3]
    assert cache.lengths.tolist() == [len(some[k]) for k in order]
    for row, k in enumerate(order):
        alone = prefill_primers(network, [some[k]], torch.device("cpu"))
        same = cache.state[:, :, row : row + 1]
        if backbone == "transformer":  # behind its length there is padding
            same = same[:, :, :, : len(some[k])]
            alone = Cache(alone.lengths, alone.state[:, :, :, : len(some[k])])
        np.testing.assert_allclose(same, alone.state, **NEAR)


def test_a_piece_that_begins_after_the_rollout_adds_nothing_to_it() -> None:
    observations = {"genre": np.zeros((2, 3), np.int32), "place": np.zeros((2, 3, 4), np.int32)}
    steps = primer_steps(PRIMER, SMALL, 2, 0)
    same, positions = with_primers(observations, [{}, {}, {}, {1: steps}])
    assert positions is None
    assert same is observations


def test_training_resumes_exactly_where_a_piece_begins(backbone: str, tmp_path: Path) -> None:
    """Every piece of five steps is truncated with the rollout; the saved state has the primers of the next ones."""

    def pianos() -> PianoVecEnv:
        env = make_envs(3, bars=2, genre=None, max_steps=5, primer=PRIMER)
        env.seed(3)
        return env

    model = make_agent(pianos(), backbone, n_steps=5, batch_size=15, reward_model=Notes()).learn(30)
    env = model.get_env()
    assert env.get_attr("primer") == [PRIMER] * 3
    save_model(model, tmp_path / "model.zip")
    other = pianos()
    assert other.get_attr("primer") == [None] * 3
    again = load_model(tmp_path / "model.zip", env=other, resume=True)
    again.reward_model = Notes()
    other.set_state(env.state())
    other.set_random_state(env.random_state())
    assert other.get_attr("primer") == [PRIMER] * 3
    results = []
    for each in (model, again):
        assert each.last_episode_starts.all()
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002  # SB3 draws from it
        each.learn(15, reset_num_timesteps=False)
        results.append((each.rollout_buffer.values, weights_of(each)))
        assert each.rollout.primers[0].keys() == {0, 1, 2}
    np.testing.assert_array_equal(results[0][0], results[1][0])
    assert all(torch.equal(*pair) for pair in zip(results[0][1], results[1][1], strict=True))
