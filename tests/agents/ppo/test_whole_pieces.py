"""GRPO and the distillation of best-of-n: known advantages, exact gradients, learning, saving."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.callbacks import BaseCallback

from helpers.rounding import float32_rounding
from helpers.sequence_agents import MELODY, SIZES, SMALL, Notes, OnlyC, Rising, disturb, disturbed_copy, make_envs
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.model_file import load_model, save_model
from toccata.agents.ppo.piece_losses import best_of_groups, piece_losses, relative_advantages
from toccata.agents.ppo.whole_pieces import ALGORITHMS, WholePiecePPO
from toccata.agents.prior.likelihood import distributions, kl_per_piece, log_prob, log_probs
from toccata.agents.prior.trajectories import record_trajectories
from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModelError

RETURNS = st.lists(st.floats(-100, 100), min_size=2, max_size=24)


class OnlyZero:
    name = "zero"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.zeros(len(pieces), np.float32)


def make_agent(env: Any = None, algorithm: Any = "grpo", noise: float = 0.3, **changes: Any) -> WholePiecePPO:
    piano = changes.pop("piano", SMALL)
    settings: dict[str, Any] = {"reward_model": Notes(), "n_steps": 24, "batch_size": 48, "n_epochs": 1, "seed": 5}
    backbone = changes.pop("backbone", "transformer")
    kwargs = {"piano": piano, "backbone": backbone, "network_config": SIZES[backbone]}
    env = make_envs(8, piano=piano) if env is None else env
    model = WholePiecePPO(
        SequencePolicy, env, algorithm=algorithm, policy_kwargs=kwargs, device="cpu", **(settings | changes)
    )
    disturb(model.policy, noise)
    return model


class Recorder(BaseCallback):
    """The logged values of each rollout, and its pieces."""

    model: WholePiecePPO

    def __init__(self) -> None:
        super().__init__()
        self.logged: list[dict[str, float]] = []
        self.pieces: list[Pieces] = []
        self.weights: list[dict[str, torch.Tensor]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.logged.append(dict(self.logger.name_to_value))
        self.pieces.append(self.model.finished)
        self.weights.append({key: value.clone() for key, value in self.model.policy.state_dict().items()})


def test_known_advantages() -> None:
    np.testing.assert_allclose(relative_advantages(np.array([1.0, 3.0])), [-1, 1])
    np.testing.assert_array_equal(relative_advantages(np.array([2.0, 2.0, 2.0])), [0, 0, 0])
    np.testing.assert_array_equal(best_of_groups(np.array([1.0, 5.0, 4.0, 4.0]), 2), [0, 2, 2, 0])
    np.testing.assert_array_equal(best_of_groups(np.array([0.0, 3.0, 2.0, 1.0]), 4), [0, 4, 0, 0])


@given(RETURNS)
def test_relative_advantages_have_mean_0_and_standard_deviation_1_or_are_0(returns: list[float]) -> None:
    advantages = relative_advantages(np.array(returns))
    assert advantages.mean() == pytest.approx(0, abs=1e-6)
    assert advantages.std() == pytest.approx(1, abs=1e-6) or not advantages.any()


@given(RETURNS, st.floats(0.01, 100), st.floats(-100, 100))
def test_best_of_groups_keeps_one_of_each_whatever_the_scale(returns: list[float], scale: float, shift: float) -> None:
    pairs = np.array(returns[: len(returns) // 2 * 2]).round(3)
    kept = best_of_groups(pairs, 2)
    assert kept.sum() == len(pairs)
    np.testing.assert_array_equal(kept, best_of_groups(scale * pairs + shift, 2))
    for pair, chosen in zip(pairs.reshape(-1, 2), kept.reshape(-1, 2) > 0, strict=True):
        assert pair[chosen] == pair.max()


@pytest.mark.parametrize("backbone", ["transformer", "lstm", "wavenet"])
def test_a_rollout_is_a_piece_of_each_environment_with_its_exact_kl(backbone: str) -> None:
    model = make_agent(make_envs(5, bars=2), backbone=backbone, prior_kl_coef=0.02)
    model.reference = disturbed_copy(model)
    recorder = Recorder()
    model.learn(1, recorder)
    pieces = recorder.pieces[0]
    assert len(pieces) == 5
    assert {piece.score.bars for piece in pieces} == {2}
    assert model.num_timesteps == sum(len(actions) for actions in pieces.actions)
    model.policy.load_state_dict(recorder.weights[0])
    trajectories = record_trajectories(list(pieces), SMALL)
    nats = kl_per_piece(model.policy.network, model.reference, trajectories, SMALL)
    assert recorder.logged[0]["kl/nats_per_piece"] == pytest.approx(nats.mean(), rel=1e-5)
    returns = model.reward_model.score(pieces) - 0.02 * nats
    advantages = torch.cat([part.advantages for part in model.parts]).numpy()
    np.testing.assert_allclose(advantages, relative_advantages(returns), atol=1e-4)
    assert model.kl_weight == pytest.approx(0.02 / returns.std(), rel=1e-4)
    played = torch.cat([part.log_probs.flatten()[part.batch.inside.flatten()] for part in model.parts])
    ours = np.concatenate(log_prob(model.policy.network, SMALL, trajectories))
    np.testing.assert_allclose(played.numpy(), ours, rtol=0, atol=float32_rounding(64, 8.0))


def test_the_gradient_is_that_of_the_definition() -> None:
    """At the policy that played, the surrogate's gradient is that of the advantages times the log-likelihood."""
    model = make_agent(n_epochs=1, learning_rate=1e-12, prior_kl_coef=0.5)
    model.reference = disturbed_copy(model)
    model.learn(1)
    network, distribution = model.policy.network, model.policy.action_dist
    total = sum(int(part.steps) for part in model.parts)

    parameters = list(network.parameters())

    def gradient(loss: torch.Tensor) -> torch.Tensor:
        grads = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        return torch.cat([each.flatten() for each in grads])

    defined = torch.zeros(())
    for part in model.parts:
        inside, ours = part.batch.inside, distributions(network, distribution, part.batch)
        of_steps = log_probs(network, distribution, part.batch) * part.advantages[:, None]
        nats = ours.kl(part.reference).view(inside.shape)
        defined = defined + ((0.3 * nats - of_steps) * inside).sum() / total
    found = sum(
        (piece_losses(model.policy, part, torch.tensor(total), 0.2, 0.0, 0.3).total for part in model.parts),
        torch.zeros(()),
    )
    expected = gradient(defined)
    torch.testing.assert_close(gradient(found), expected, rtol=1e-3, atol=1e-5)
    likelihood = sum(
        (piece_losses(model.policy, part, torch.tensor(total), None, 0.0, 0.3).total for part in model.parts),
        torch.zeros(()),
    )
    torch.testing.assert_close(gradient(likelihood), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("algorithm", "backbone"),
    [
        ("grpo", "transformer"),
        ("best-of-n", "lstm"),
        pytest.param("grpo", "lstm", marks=pytest.mark.slow),
        pytest.param("best-of-n", "transformer", marks=pytest.mark.slow),
    ],
)
def test_the_optimum_of_a_toy_reward_is_reached(algorithm: Any, backbone: str) -> None:
    model = make_agent(
        make_envs(64, piano=MELODY),
        algorithm,
        0.0,
        piano=MELODY,
        backbone=backbone,
        reward_model=Rising(),
        batch_size=128,
        n_epochs=2,
        learning_rate=1e-2,
        ent_coef=0.01,
    )
    recorder = Recorder()
    model.learn(64 * 4 * 40, recorder)
    earned = [each["reward/total"] for each in recorder.logged]
    assert earned[0] < 0.3
    assert np.mean(earned[-3:]) > 0.9, np.round(earned, 2)


def test_equal_returns_teach_nothing() -> None:
    model = make_agent(reward_model=OnlyZero(), ent_coef=0.0)
    before = {key: value.clone() for key, value in model.policy.state_dict().items()}
    model.learn(1)
    for key, value in model.policy.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_the_weight_of_the_kl_is_finite_where_all_returns_are_equal() -> None:
    model = make_agent(reward_model=OnlyZero(), prior_kl_coef=0.5)
    model.reference = disturbed_copy(model, 0.0)  # equal, so that the KL is nothing
    model.learn(1)
    assert model.kl_weight == 0.5


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_training_goes_on_exactly(tmp_path: Path, algorithm: Any) -> None:
    def learned(model: Any, steps: int, seed: int) -> Any:
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002  # SB3 draws from it
        return model.learn(steps, reset_num_timesteps=False)

    model = learned(make_agent(algorithm=algorithm), 60, 0)
    save_model(model, tmp_path / "model.zip")
    state, generators = model.env.state(), model.env.random_state()
    again = load_model(tmp_path / "model.zip", env=model.env, resume=True)
    assert type(again) is WholePiecePPO
    assert (again.algorithm, again.best_of, again.updates) == (algorithm, 4, model.updates)
    save_model(again, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "model.zip").read_bytes()
    for each in (model, again):
        each.reward_model = Notes()
        each.env.set_state(state)
        each.env.set_random_state(generators)
        learned(each, 60, 1)
    assert model.num_timesteps == again.num_timesteps
    for ours, theirs in zip(model.policy.state_dict().values(), again.policy.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert type(load_model(tmp_path / "model.zip")).__name__ == "SequenceComposerPPO", "one that only plays"


def test_a_large_target_kl_changes_nothing_and_a_tiny_one_stops() -> None:
    updates: list[list[torch.Tensor]] = []
    for target in (None, 1e6, 1e-9):
        model = make_agent(n_epochs=4, learning_rate=1e-2, target_kl=target)
        start = [each.clone() for each in model.policy.state_dict().values()]
        model.learn(1)
        updates.append([b - a for a, b in zip(start, model.policy.state_dict().values(), strict=True)])
    for free, large in zip(updates[0], updates[1], strict=True):
        assert torch.equal(free, large)
    norms = [math.sqrt(sum(float((each**2).sum()) for each in update)) for update in updates]
    assert 0 < norms[2] < 0.7 * norms[0]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="algorithm must be 'grpo' or 'best-of-n', got 'ppo'"):
        make_agent(algorithm="ppo")
    with pytest.raises(ValueError, match="best_of must be at least 2 and divide the 8 environments, got 3"):
        make_agent(algorithm="best-of-n", best_of=3)
    with pytest.raises(ValueError, match="at least 2 environments, got 1"):
        make_agent(make_envs(1))
    with pytest.raises(ValueError, match="grpo needs a reward_model of the agent"):
        make_agent(make_envs(4, reward=OnlyC()), reward_model=None).learn(1)


def test_a_failing_reward_is_named_and_the_next_rollout_is_right() -> None:
    class Fails:
        name = "fails"
        calls = 0

        def score(self, pieces: Pieces) -> np.ndarray:
            self.calls += 1
            if self.calls == 1:
                raise ArithmeticError("no")
            return np.zeros(len(pieces), np.float32)

    model = make_agent(reward_model=Fails())
    with pytest.raises(RewardModelError, match="fails"):
        model.learn(1)
    recorder = Recorder()
    model.learn(1, recorder, reset_num_timesteps=False)
    assert recorder.logged[0]["reward/total"] == 0
