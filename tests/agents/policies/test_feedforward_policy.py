from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.utils import obs_as_tensor

from helpers.rounding import float32_rounding
from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.feedforward_policy import FeedforwardPolicy
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.instrument import Piano
from toccata.settings.genres import GENRES

SMALL = Piano(lowest=58, highest=62, chords=(), values=(6, 12))  # keys of two octaves, so of two kinds
WHATS, VALUES = SMALL.nvec
ACTIONS = torch.tensor(list(product(range(WHATS), range(VALUES))))


def distribution_of(logits: torch.Tensor, masks: np.ndarray | None = None) -> JointDistribution:
    distribution = JointDistribution(SMALL)
    distribution.proba_distribution(logits)
    if masks is not None:
        distribution.apply_masking(masks)
    return distribution


def random_logits(batch: int, seed: int = 0) -> torch.Tensor:
    kinds = JointDistribution(SMALL).kinds
    return 2 * torch.randn(batch, WHATS + kinds * VALUES, generator=torch.Generator().manual_seed(seed))


def rounding_of(*logits: torch.Tensor) -> float:
    """Bound on the rounding error of log-probabilities, and so on the relative one of probabilities, and of a KL.

    A KL is two log-softmaxes of each of two rows of logits, and an expectation.
    """
    terms = 5 * (WHATS + JointDistribution(SMALL).kinds * VALUES)
    largest_log_prob = 2 * max(float(each.detach().abs().max()) for each in logits) + np.log(WHATS * VALUES)
    return float32_rounding(terms, largest_log_prob)


def brute_force(logits: torch.Tensor, mask: np.ndarray) -> np.ndarray:
    """(whats, values) probabilities of one row, from the definition: softmax of what, then of value given its kind."""
    logits = logits.double().numpy()
    kinds = [0, 1, 1, 2, 2, 2]  # a wait, A#3 and B3, C4 and on
    what = np.where(mask[:WHATS], np.exp(logits[:WHATS]), 0)
    value = np.exp(logits[WHATS:].reshape(-1, VALUES)) * mask[WHATS:]
    value /= value.sum(1, keepdims=True)
    return (what / what.sum())[:, None] * value[kinds]


MASKS = np.array([[1, 1, 1, 1, 1, 1, 1, 1], [1, 0, 1, 0, 0, 1, 1, 0], [1, 0, 0, 0, 0, 0, 0, 1]], bool)


def test_probabilities_and_entropy_are_those_of_enumeration() -> None:
    logits = random_logits(3)
    distribution = distribution_of(logits, MASKS)
    for row, mask in enumerate(MASKS):
        expected = brute_force(logits[row], mask)
        one = distribution_of(logits[row : row + 1].repeat(len(ACTIONS), 1), np.repeat(mask[None], len(ACTIONS), 0))
        found = one.log_prob(ACTIONS).exp().reshape(WHATS, VALUES).numpy()
        np.testing.assert_allclose(found, expected, rtol=rounding_of(logits), atol=1e-12)
        assert (found[expected == 0] == 0).all(), "what is masked has probability exactly 0"
        positive = expected[expected > 0]
        entropy = -(positive * np.log(positive)).sum()
        assert distribution.entropy()[row].item() == pytest.approx(entropy, abs=rounding_of(logits))


def test_samples_follow_the_probabilities_and_the_masks() -> None:
    torch.manual_seed(0)
    count = 20_000
    for logits, mask in zip(random_logits(3), MASKS, strict=True):
        distribution = distribution_of(logits.repeat(count, 1), np.repeat(mask[None], count, 0))
        actions = distribution.sample().numpy()
        frequencies = np.zeros((WHATS, VALUES))
        np.add.at(frequencies, tuple(actions.T), 1 / count)
        expected = brute_force(logits, mask)
        np.testing.assert_allclose(frequencies, expected, atol=0.015)
        assert (frequencies[expected == 0] == 0).all()


def test_the_mode_is_the_likeliest_what_and_its_likeliest_value() -> None:
    logits = random_logits(3)
    modes = distribution_of(logits, MASKS).mode().numpy()
    for mode, row, mask in zip(modes, logits, MASKS, strict=True):
        probabilities = brute_force(row, mask)
        assert mode[0] == probabilities.sum(1).argmax()
        assert mode[1] == probabilities[mode[0]].argmax()


def test_masked_actions_get_no_gradient() -> None:
    logits = random_logits(3).requires_grad_()
    distribution = distribution_of(logits, MASKS)
    (
        distribution.entropy().sum()
        + distribution.log_prob(torch.zeros(3, 2)).where(torch.tensor([1, 0, 0]) > 0, torch.tensor(0.0)).sum()
    ).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[:, :WHATS][~torch.as_tensor(MASKS[:, :WHATS])] == 0).all()


def test_new_masks_replace_the_old() -> None:
    distribution = distribution_of(random_logits(3), MASKS)
    distribution.apply_masking(None)
    free = distribution_of(random_logits(3))
    assert torch.equal(distribution.what_log_probs, free.what_log_probs)


def test_joint_log_probabilities_are_those_of_enumeration() -> None:
    logits = random_logits(3)
    found = distribution_of(logits, MASKS).joint_log_probs()
    assert found.shape == (3, WHATS, VALUES)
    for row, mask in enumerate(MASKS):
        expected = brute_force(logits[row], mask)
        np.testing.assert_allclose(found[row].exp().numpy(), expected, rtol=rounding_of(logits), atol=1e-12)
        assert (found[row].numpy()[expected == 0] < -1e7).all()
    torch.testing.assert_close(found.exp().sum(dim=(1, 2)), torch.ones(3))


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])  # from nearly the same to certain of different things
def test_kl_is_that_of_enumeration(scale: float) -> None:
    count = 32
    ours, theirs = scale * random_logits(3 * count), scale * random_logits(3 * count, seed=1)
    masks = np.tile(MASKS, (count, 1))
    found = distribution_of(ours, masks).kl(distribution_of(theirs, masks))
    assert found.shape == (3 * count,)
    assert (found >= -rounding_of(ours, theirs)).all()
    for row in range(3 * count):
        p, q = brute_force(ours[row], masks[row]), brute_force(theirs[row], masks[row])
        legal = p > 1e-300
        expected = (p[legal] * np.log(p[legal] / q[legal])).sum()
        assert found[row].item() == pytest.approx(expected, abs=rounding_of(ours, theirs))


@settings(max_examples=50)
@given(seed=st.integers(0, 2**31), scale=st.sampled_from([1e-3, 1.0, 100.0, 1e4]), masked=st.booleans())
def test_kl_is_never_negative_and_nothing_from_itself(seed: int, scale: float, masked: bool) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.random((8, WHATS + VALUES)) < 0.5 if masked else np.ones((8, WHATS + VALUES), bool)
    masks[:, 0] = masks[:, -1] = True  # to wait is always legal, and so is some value
    ours, theirs = scale * random_logits(8, seed), scale * random_logits(8, seed + 1)
    p, q = distribution_of(ours, masks), distribution_of(theirs, masks)
    assert torch.isfinite(p.kl(q)).all()
    assert (p.kl(q) > -rounding_of(torch.zeros(1))).all()  # only of nearly equal distributions it is about 0
    assert (p.kl(distribution_of(ours.clone(), masks)) == 0).all()


def test_the_gradient_of_kl_is_that_of_enumeration_and_spares_what_is_masked() -> None:
    ours, theirs = random_logits(3).requires_grad_(), random_logits(3, seed=1)
    distribution_of(ours, MASKS).kl(distribution_of(theirs, MASKS)).sum().backward()
    again = ours.detach().clone().requires_grad_()
    p, q = distribution_of(again, MASKS).joint_log_probs(), distribution_of(theirs, MASKS).joint_log_probs()
    legal = q > -1e6
    torch.where(legal, p.exp() * (p - q), 0.0).sum().backward()
    assert ours.grad is not None
    assert again.grad is not None
    assert ours.grad.abs().max() > 0.1
    torch.testing.assert_close(ours.grad, again.grad, rtol=0, atol=rounding_of(ours, theirs))
    assert (ours.grad[:, :WHATS][~torch.as_tensor(MASKS[:, :WHATS])] == 0).all()


@pytest.mark.parametrize("features", ["mlp", "cnn"])
def test_the_policy_reads_an_observation_by_its_names(features: str) -> None:
    env = PianoVecEnv(3, bars=1)
    policy = FeedforwardPolicy(env.observation_space, env.action_space, lambda _: 1e-3, features=features)
    env.seed(0)
    env.reset()
    for _ in range(6):
        observations = env.step(np.stack([np.arange(3) * 7 + 30, np.arange(3) + 4], axis=1))[0]
    turned = dict(reversed(list(observations.items())))
    as_space = {key: observations[key] for key in env.observation_space}
    values = [policy.predict_values(obs_as_tensor(each, "cpu")) for each in (observations, turned, as_space)]
    assert torch.equal(values[0], values[1])
    assert torch.equal(values[0], values[2])


@pytest.mark.parametrize("features", ["mlp", "cnn"])
def test_forward_and_evaluate_agree(features: str) -> None:
    env = PianoVecEnv(5, bars=1)
    policy = FeedforwardPolicy(env.observation_space, env.action_space, lambda _: 1e-3, features=features)
    env.seed(1)
    observations = obs_as_tensor(env.reset(), torch.device("cpu"))
    masks = env.action_masks()
    actions, values, log_probs = policy(observations, action_masks=masks)
    again, log_probs_again, entropy = policy.evaluate_actions(observations, actions, masks)
    torch.testing.assert_close(values, again)
    torch.testing.assert_close(log_probs, log_probs_again)
    torch.testing.assert_close(values, policy.predict_values(observations))
    assert (entropy > 0).all()
    assert masks[np.arange(5), actions[:, 0]].all()
    assert masks[np.arange(5), env.core.piano.nvec[0] + actions[:, 1]].all()


def test_a_policy_refuses_what_it_cannot_play() -> None:
    env = PianoVecEnv(1, bars=1)
    with pytest.raises(ValueError, match="MultiDiscrete"):
        FeedforwardPolicy(env.observation_space, env.action_space, lambda _: 1e-3, piano=SMALL)
    with pytest.raises(ValueError, match="MultiDiscrete"):
        FeedforwardPolicy(env.observation_space, spaces.Discrete(4), lambda _: 1e-3)  # type: ignore[arg-type]
    short = PianoVecEnv(1, bars=1, observation="actions")
    with pytest.raises(ValueError, match="full"):
        FeedforwardPolicy(short.observation_space, short.action_space, lambda _: 1e-3)
    with pytest.raises(ValueError, match="mlp"):
        FeedforwardPolicy(env.observation_space, env.action_space, lambda _: 1e-3, features="rnn")
    tango = PianoVecEnv(1, bars=1, genres=(*GENRES, "tango"))
    with pytest.raises(ValueError, match="the policy has 6 genres, the environment has 7; pass its genres as genres"):
        FeedforwardPolicy(tango.observation_space, tango.action_space, lambda _: 1e-3)
    FeedforwardPolicy(tango.observation_space, tango.action_space, lambda _: 1e-3, genres=tango.core.genres)
