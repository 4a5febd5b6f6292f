"""The KL from the reference policy: exact, in the reward and the loss, and its adapted coefficient."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import toccata  # noqa: F401  # registers the environments
from helpers.rounding import float32_rounding
from helpers.sequence_agents import (
    NEAR,
    Notes,
    RolloutRecorder,
    disturb,
    disturbed_copy,
    make_agent,
    make_envs,
)
from toccata.agents.ppo.reference_kl import GAIN, MAX_COEF, MIN_COEF, kl_of_pieces
from toccata.agents.prior.prior import frozen


@pytest.fixture(params=["transformer", "lstm", "wavenet"])
def backbone(request: pytest.FixtureRequest) -> str:
    return request.param


def test_each_step_is_penalised_by_its_exact_kl_and_pieces_are_summed_across_rollouts(backbone: str) -> None:
    class Watch(RolloutRecorder):
        def look(self) -> None:
            model, kept = self.model, self.rollouts[-1]
            masks = kept["action_masks"].reshape(-1, kept["action_masks"].shape[-1])
            logits = [
                self.forward_over_history(each)[0].flatten(0, 1) for each in (model.policy.network, model.reference)
            ]  # type: ignore[arg-type]
            p, q = (model.policy.distribution(each, masks).joint_log_probs().double().numpy() for each in logits)  # type: ignore[operator]
            legal = q > -1e6
            kl = np.where(legal, np.exp(p) * (p - q), 0.0).sum(axis=(1, 2)).reshape(3, -1)
            assert kl.mean() > 0.05
            np.testing.assert_allclose(kept["rewards"], -0.5 * kl, **NEAR)
            pieces = []
            for row in range(3):
                for step in range(model.n_steps):
                    under_way[row] += kl[row, step]
                    if self.steps[-model.n_steps + step][1][row]:
                        pieces.append(under_way[row])
                        under_way[row] = 0.0
            counts.append(len(pieces))
            logged = self.logged[-1]
            assert logged["kl/coef"] == 0.5
            assert logged["kl/nats_per_step"] == pytest.approx(kl.mean(), abs=NEAR["atol"])
            if pieces:
                assert logged["kl/nats_per_piece"] == pytest.approx(np.mean(pieces), rel=NEAR["atol"])
                assert logged["reward/kl"] == pytest.approx(-0.5 * np.mean(pieces), rel=NEAR["atol"])
            else:
                assert "kl/nats_per_piece" not in logged

    counts: list[int] = []
    model = make_agent(make_envs(3, bars=2), backbone, n_steps=8, prior_kl_coef=0.5, learning_rate=0.01)
    model.reference = disturbed_copy(model, noise=0.4)
    under_way = np.zeros(3)
    model.learn(3 * 8 * 8, Watch())
    assert 0 in counts
    assert sum(counts) > 3


def test_pieces_are_summed_from_their_first_step_to_their_last() -> None:
    starts = np.array([[False, True], [False, False], [True, False]])  # (steps, envs)
    kl = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    ended, under_way = kl_of_pieces(kl, starts, np.array([False, True]), before=np.array([0.5, 100.0]))
    assert ended == [3.5, 56.0]
    assert under_way.tolist() == [4.0, 0.0]


def test_a_policy_equal_to_its_prior_is_not_penalised(backbone: str) -> None:
    model, rollouts = make_agent(make_envs(3, bars=2), backbone, prior_kl_coef=1.0, batch_size=None), RolloutRecorder()
    model.reference = disturbed_copy(model, noise=0.0)
    model.learn(3 * 24, rollouts)
    assert np.abs(rollouts.rollouts[0]["rewards"]).max() < NEAR["atol"]
    assert abs(rollouts.logged[0]["kl/nats_per_step"]) < NEAR["atol"]


@pytest.mark.parametrize("normalize", [True, False])
def test_the_kl_is_a_term_of_the_loss_in_units_of_the_advantages(normalize: bool) -> None:
    losses = []
    for coef in (0.0, 0.5):
        model = make_agent(
            make_envs(3, bars=2, reward=Notes()), batch_size=None, prior_kl_coef=coef, normalize_advantage=normalize
        )
        model.reference = disturbed_copy(model)
        rollouts = RolloutRecorder()
        model.learn(3 * 24, rollouts)
        losses.append(rollouts.logged[0] | model.logger.name_to_value)
        spread = float(torch.as_tensor(model.rollout_buffer.advantages).std()) if normalize else 1.0
    without = losses[1]["train/policy_gradient_loss"] + 0.5 * losses[1]["train/value_loss"]
    kl = losses[1]["kl/nats_per_step"]
    rounding = float32_rounding(3 * 24, max(1.0, losses[1]["train/loss"]))  # of means over the steps
    assert losses[0]["train/loss"] == pytest.approx(
        losses[0]["train/policy_gradient_loss"] + 0.5 * losses[0]["train/value_loss"], abs=rounding
    )
    assert losses[1]["train/loss"] - without == pytest.approx(0.5 / spread * kl, abs=rounding)


@pytest.mark.parametrize("shift", ["above", "below"])
def test_an_adapted_coefficient_moves_to_its_target_within_bounds(shift: str) -> None:
    target, first = (1e-3, 3e4) if shift == "above" else (1e3, 3e-5)
    env = make_envs(2, max_steps=3)  # a piece ends in every rollout
    model = make_agent(env, n_steps=4, prior_kl_coef=first, prior_kl_target=target, learning_rate=0.0)
    model.reference = disturbed_copy(model)
    coefficients = [first]

    class Watch(RolloutRecorder):
        def look(self) -> None:
            assert self.logged[-1]["kl/coef"] == coefficients[-1], "the coefficient that the rewards used"
            coefficients.append(self.model.kl_controller.coef)

    model.learn(2 * 4 * 32, Watch())
    steps = np.diff(np.log(coefficients))
    assert ((steps if shift == "above" else -steps) >= 0).all()
    assert coefficients[-1] == (MAX_COEF if shift == "above" else MIN_COEF)


def test_the_update_uses_the_coefficient_of_its_rollout() -> None:
    model = make_agent(
        make_envs(4), n_steps=24, batch_size=None, prior_kl_coef=1.0, prior_kl_target=1e-3, normalize_advantage=False
    )
    model.reference = disturbed_copy(model)
    rollouts = RolloutRecorder()
    model.learn(4 * 24, rollouts)
    logged = rollouts.logged[0] | model.logger.name_to_value
    assert model.kl_controller.coef == pytest.approx(1 + GAIN)
    without = logged["train/policy_gradient_loss"] + 0.5 * logged["train/value_loss"]
    rounding = float32_rounding(4 * 24, max(1.0, logged["train/loss"]))  # of means over the steps
    assert logged["train/loss"] - without == pytest.approx(logged["kl/nats_per_step"], abs=rounding)


def test_without_a_reward_the_kl_pulls_the_policy_back(backbone: str) -> None:
    model, rollouts = (
        make_agent(make_envs(8), backbone, n_steps=24, n_epochs=4, prior_kl_coef=0.2, learning_rate=5e-3),
        RolloutRecorder(),
    )
    model.reference = frozen(copy.deepcopy(model.policy.network))  # type: ignore[arg-type]
    disturb(model.policy, 0.3)
    model.learn(8 * 24 * 7, rollouts)
    nats = [each["kl/nats_per_step"] for each in rollouts.logged]
    assert nats[0] > 0.05
    assert nats[-1] < nats[0] / 3, nats
