"""PPO on whole sequences: rollouts, updates and the KL to a prior, each against what it should be by brute force."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.callbacks import MaskableEvalCallback
from sb3_contrib.common.maskable.evaluation import evaluate_policy
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback, StopTrainingOnMaxEpisodes
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

import toccata  # noqa: F401  # registers the environments
from toccata.agents.policies.feedforward_policy import FeedforwardPolicy
from toccata.agents.policies.sequence_network import NetworkConfig, SequenceNetwork, episode_starts_of, tensors_of
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.history import observations_by_env
from toccata.agents.ppo.kl_controller import GAIN, LEAST_COEF, MOST_COEF
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.prior.prior import frozen
from toccata.agents.runs.random_state import random_state, set_random_state
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModelError
from toccata.music.score import Score

SMALL = Piano(lowest=58, highest=62, chords=(), values=(6, 12))
MELODY = Piano(lowest=58, highest=62, chords=(), values=(6, 12), max_sounding=1)
DEFAULT_NETWORKS = {"transformer": {"width": 16, "layers": 2, "heads": 2}, "lstm": {"width": 16, "layers": 2}}
NEAR = {"rtol": 0.0, "atol": 1e-5}


class Notes:
    """A tenth for every note."""

    name = "notes"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array([len(score) / 10 for score in pieces.scores], np.float32)


class OnlyC:
    """A quarter for every C and less a quarter for every other note: a bar of four C is 1, and nothing is more."""

    name = "only_c"

    def score(self, pieces: Pieces) -> np.ndarray:
        pitches = [score.notes["pitch"] for score in pieces.scores]
        return np.array([np.where(each == 60, 0.25, -0.25).sum() for each in pitches], np.float32)


class Rising:
    """A third for every note a semitone above the last.

    A melody of the bar's four places has at most three, so that the most is 1.
    """

    name = "rising"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array([(np.diff(score.notes["pitch"].astype(int)) == 1).sum() / 3 for score in pieces.scores])


def envs_of(count: int, **changes: Any) -> PianoVecEnv:
    settings = {"bars": 1, "beats_per_bar": 1, "piano": SMALL, "observation": "actions", **changes}
    return PianoVecEnv(count, **settings)


def composer(env: Any, backbone: str = "transformer", noise: float = 0.3, **changes: Any) -> SequenceComposerPPO:
    """An agent whose weights are far from the tame first ones, so that a mistake shows."""
    piano = changes.pop("piano", SMALL)
    settings: dict[str, Any] = {"n_steps": 24, "batch_size": 48, "n_epochs": 1, "gamma": 0.97, "gae_lambda": 0.9}
    settings |= {"seed": 5, "device": "cpu"} | changes
    kwargs = {"piano": piano, "backbone": backbone, "network_config": DEFAULT_NETWORKS[backbone]}
    model = SequenceComposerPPO(SequencePolicy, env, policy_kwargs=kwargs, **settings)
    disturb(model.policy, noise)
    return model


def disturb(module: torch.nn.Module, noise: float) -> None:
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += noise * torch.randn(parameter.shape, generator=generator)


@pytest.fixture(params=["transformer", "lstm"])
def backbone(request: pytest.FixtureRequest) -> str:
    return request.param


class Rollouts(BaseCallback):
    """Keeps all that was seen, and what each rollout came to."""

    model: SequenceComposerPPO

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, np.ndarray]] = []  # (envs, steps, ...) each, of each rollout
        self.rollouts: list[dict[str, np.ndarray]] = []  # (envs, steps, ...) each
        self.logged: list[dict[str, float]] = []
        self.steps: list[tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]] = []

    def _on_step(self) -> bool:
        self.steps.append(tuple(copy.deepcopy(self.locals[name]) for name in ("rewards", "dones", "infos")))  # type: ignore[arg-type]
        return True

    def _on_rollout_end(self) -> None:
        buffer = self.model.rollout_buffer
        names = ("rewards", "returns", "advantages", "values", "log_probs", "episode_starts", "actions", "action_masks")
        self.rollouts.append({name: np.swapaxes(getattr(buffer, name), 0, 1).copy() for name in names})
        self.seen.append(observations_by_env(buffer))  # type: ignore[arg-type]
        self.logged.append(dict(self.logger.name_to_value))
        self.look()

    def look(self) -> None:
        """Something to look at while the weights are those that the rollout was played with."""

    def history(self) -> dict[str, np.ndarray]:
        """(envs, all steps so far, ...) each."""
        return {key: np.concatenate([each[key] for each in self.seen], axis=1) for key in self.seen[0]}

    def judged_at_once(self, network: SequenceNetwork) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and values of the last rollout's steps (envs, steps, ...), in one pass over all that was seen."""
        observations = tensors_of(self.history(), torch.device("cpu"), time=True)
        with torch.no_grad():
            logits, values = network(observations, episode_starts_of(observations))
        steps = self.model.n_steps
        return logits[:, -steps:], values[:, -steps:]


@pytest.mark.parametrize(("bars", "n_steps"), [(1, 40), (3, 7)], ids=["shorter pieces", "longer pieces"])
def test_a_rollout_is_what_one_pass_over_all_that_was_played_gives(backbone: str, bars: int, n_steps: int) -> None:
    """In several rollouts in a row, each with other weights; by the cache and from the beginning."""

    class Watch(Rollouts):
        def look(self) -> None:
            kept, policy = self.rollouts[-1], self.model.policy
            logits, values = self.judged_at_once(policy.network)  # type: ignore[arg-type]
            masks = kept["action_masks"].reshape(-1, kept["action_masks"].shape[-1])
            distribution = policy.distribution(logits.flatten(0, 1), masks)  # type: ignore[operator]
            log_probs = distribution.log_prob(torch.as_tensor(kept["actions"]).reshape(-1, 2))
            np.testing.assert_allclose(values.flatten(), kept["values"].flatten(), **NEAR)
            np.testing.assert_allclose(log_probs, kept["log_probs"].flatten(), **NEAR)
            begun.extend(kept["episode_starts"][:, 1:].sum(axis=1))

    class Update(SequenceComposerPPO):
        def train(self) -> None:
            assert self.rollout is not None
            buffer = self.rollout_buffer
            actions, masks = (
                torch.as_tensor(np.swapaxes(each, 0, 1)) for each in (buffer.actions, buffer.action_masks)
            )
            with torch.no_grad():
                cache = self.rollout.initial_cache
                values, log_probs, _ = self.policy.evaluate_actions(observations_by_env(buffer), actions, cache, masks)  # type: ignore[arg-type]
            np.testing.assert_allclose(values, buffer.values.T.flatten(), **NEAR)
            np.testing.assert_allclose(log_probs, buffer.log_probs.T.flatten(), **NEAR)
            super().train()
            changed.append(float(self.logger.name_to_value["train/approx_kl"]))

    begun: list[float] = []
    changed: list[float] = []
    model = composer(
        envs_of(3, bars=bars, reward=Notes()), backbone, n_steps=n_steps, batch_size=None, learning_rate=0.01
    )
    model.__class__ = Update
    model.learn(3 * n_steps * 6, Watch())
    assert (max(begun) > 1) == (bars == 1), "several pieces in a row, or none"
    assert len(changed) == 6
    assert np.abs(changed).max() < 1e-8, "the first minibatch's ratio is 1"


def discounted(rewards: np.ndarray, values: np.ndarray, ends: np.ndarray, gamma: float, lam: float) -> np.ndarray:
    """(steps,) advantages from the definition; `values` has one more."""
    answer = np.zeros(len(rewards))
    for start in range(len(rewards)):
        weight = 1.0
        for step in range(start, len(rewards)):
            after = 0.0 if ends[step] else values[step + 1]
            answer[start] += weight * (rewards[step] + gamma * after - values[step])
            if ends[step]:
                break
            weight *= gamma * lam
    return answer


def test_advantages_and_what_a_piece_cut_off_would_have_come_to(backbone: str) -> None:
    """As defined: the values of what came last are judged from all that the env's own piece was."""

    class Watch(Rollouts):
        def look(self) -> None:
            model, kept, history = self.model, self.rollouts[-1], self.history()
            first = history["genre"].shape[1] - model.n_steps
            for row in range(3):
                ends = np.array([dones[row] for _, dones, _ in self.steps[first:]])
                paid = np.array([rewards[row] for rewards, _, _ in self.steps[first:]], np.float64)
                for step in np.flatnonzero(ends):
                    info = self.steps[first + step][2][row]
                    if info["TimeLimit.truncated"]:
                        last = info["terminal_observation"]
                        paid[step] += model.gamma * self.value_after(row, first + int(step) + 1, last)
                        cut.append(row)
                now = {key: value[row] for key, value in self.locals["new_obs"].items()}
                values = [*kept["values"][row], self.value_after(row, first + model.n_steps, now)]
                wanted = discounted(paid, np.array(values), ends, model.gamma, model.gae_lambda)
                np.testing.assert_allclose(kept["rewards"][row], paid, **NEAR)
                np.testing.assert_allclose(kept["advantages"][row], wanted, **NEAR)
                np.testing.assert_allclose(kept["returns"][row], wanted + values[:-1], **NEAR)

        def value_after(self, row: int, steps: int, last: dict[str, np.ndarray]) -> float:
            """Of `last`, when `steps` steps of the env were played, alone and in one pass."""
            own = {key: value[row, :steps] for key, value in self.history().items()}
            more = {
                key: np.concatenate([own[key], np.asarray(last[key]).reshape(1, *own[key].shape[1:])]) for key in own
            }
            tensors = tensors_of({key: value[None] for key, value in more.items()}, torch.device("cpu"), time=True)
            with torch.no_grad():
                return float(self.model.policy.network(tensors, episode_starts_of(tensors))[1][0, -1])  # type: ignore[operator,union-attr]

    cut: list[int] = []
    env = envs_of(3, bars=2, max_steps=9, reward=Notes())
    composer(env, backbone, n_steps=13, learning_rate=0.01).learn(3 * 13 * 4, Watch())
    assert set(cut) == {0, 1, 2}


# The update is MaskablePPO's


class Shuffled(torch.nn.Module):
    """A policy for `MaskablePPO.train`, which draws its only minibatch in the order `order`."""

    def __init__(self, model: SequenceComposerPPO, order: np.ndarray) -> None:
        super().__init__()
        self.model, self.order = [model], torch.as_tensor(order)
        self.policy = model.policy
        self.optimizer = model.policy.optimizer

    def set_training_mode(self, mode: bool) -> None:
        self.policy.set_training_mode(mode)

    def evaluate_actions(self, observations: Any, actions: torch.Tensor, action_masks: Any) -> tuple[torch.Tensor, ...]:
        model = self.model[0]
        assert model.rollout is not None
        buffer = model.rollout_buffer
        back = self.order.argsort()
        in_order = {key: value[back].unflatten(0, (model.n_envs, model.n_steps)) for key, value in observations.items()}
        values, log_prob, distribution = self.policy.evaluate_actions(
            in_order,
            actions[back].view(model.n_envs, model.n_steps, 2),
            model.rollout.initial_cache,
            torch.as_tensor(action_masks)[back].view(model.n_envs, model.n_steps, -1),
        )
        np.testing.assert_array_equal(
            action_masks[back].reshape(-1), buffer.action_masks.reshape(len(back), -1).ravel()
        )
        return values[self.order, None], log_prob[self.order], distribution.entropy()[self.order]  # type: ignore[union-attr]


PLAIN: dict[str, Any] = {"ent_coef": 0.01, "max_grad_norm": 0.7}


@pytest.mark.parametrize(
    "changes",
    [PLAIN, {**PLAIN, "clip_range_vf": 0.05}, {"normalize_advantage": False, "vf_coef": 0.1}, {"target_kl": 1e-9}],
    ids=["plain", "clipped values", "as they are", "stopped"],
)
def test_an_update_is_maskable_ppos(backbone: str, changes: dict[str, Any]) -> None:
    """The same figures and the same gradient, from the same rollout and weights that have moved on since."""
    ours = composer(envs_of(3, bars=2, reward=Notes()), backbone, batch_size=None, learning_rate=0.0, **changes)
    ours.learn(3 * 24 * 3)
    disturb(ours.policy, 0.02)
    figures, gradients = [], []
    for train in (lambda: ours.train(), lambda: MaskablePPO.train(ours)):
        ours.policy.optimizer.zero_grad()
        ours.set_logger(configure(None, []))
        ours._n_updates = 0
        np.random.seed(3)  # noqa: NPY002  # SB3 draws from it
        if figures:
            order = np.random.permutation(3 * 24)  # noqa: NPY002
            np.random.seed(3)  # noqa: NPY002
            ours.policy = Shuffled(ours, order)  # type: ignore[assignment]
        train()
        figures.append({name: float(value) for name, value in ours.logger.name_to_value.items()})
        gradients.append([None if p.grad is None else p.grad.clone() for p in ours.policy.parameters()])
    assert figures[0] == pytest.approx(figures[1], rel=1e-4, abs=1e-6)
    assert figures[0]["train/clip_fraction"] > 0.01, "weights have moved"
    for one, other in zip(*gradients, strict=True):
        assert (one is None) == (other is None) == ("target_kl" in changes)
        if one is not None and other is not None:
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def test_minibatches_are_whole_rows() -> None:
    model = composer(envs_of(7), n_steps=6, batch_size=13, n_epochs=2)
    seen = []
    judge = model.policy.evaluate_actions

    def watched(observations: Any, *arguments: Any) -> Any:
        seen.append(tuple(observations["genre"].shape))
        return judge(observations, *arguments)

    model.policy.evaluate_actions = watched  # type: ignore[method-assign]
    model.learn(42)
    assert seen == [(2, 6), (2, 6), (2, 6), (1, 6)] * 2


def test_one_step_of_one_environment_is_no_trouble() -> None:
    model = composer(envs_of(1, reward=Notes()), n_steps=1, batch_size=1)
    model.learn(30)
    assert all(torch.isfinite(each).all() for each in model.policy.parameters())


# The KL to the prior


def prior_of(model: SequenceComposerPPO, noise: float = 0.2) -> SequenceNetwork:
    assert isinstance(model.policy, SequencePolicy)
    network = copy.deepcopy(model.policy.network)
    disturb(network, noise)
    return frozen(network)


def test_each_step_is_charged_for_its_exact_kl_and_pieces_are_summed_across_rollouts(backbone: str) -> None:
    class Watch(Rollouts):
        def look(self) -> None:
            model, kept = self.model, self.rollouts[-1]
            masks = kept["action_masks"].reshape(-1, kept["action_masks"].shape[-1])
            whole = [self.judged_at_once(each)[0].flatten(0, 1) for each in (model.policy.network, model.prior)]  # type: ignore[arg-type]
            p, q = (model.policy.distribution(each, masks).joint_log_probs().double().numpy() for each in whole)  # type: ignore[operator]
            legal = q > -1e6
            kl = np.where(legal, np.exp(p) * (p - q), 0.0).sum(axis=(1, 2)).reshape(3, -1)
            assert kl.mean() > 0.05
            np.testing.assert_allclose(kept["rewards"], -0.5 * kl, rtol=1e-4, atol=1e-5)
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
            assert logged["kl/nats_per_step"] == pytest.approx(kl.mean(), rel=1e-4)
            if pieces:
                assert logged["kl/nats_per_piece"] == pytest.approx(np.mean(pieces), rel=1e-4)
                assert logged["reward/kl"] == pytest.approx(-0.5 * np.mean(pieces), rel=1e-4)
            else:
                assert "kl/nats_per_piece" not in logged

    counts: list[int] = []
    model = composer(envs_of(3, bars=2), backbone, n_steps=8, prior_kl_coef=0.5, learning_rate=0.01)
    model.prior = prior_of(model)
    under_way = np.zeros(3)
    model.learn(3 * 8 * 8, Watch())
    assert 0 in counts
    assert sum(counts) > 3


def test_a_policy_that_is_its_prior_is_charged_nothing(backbone: str) -> None:
    model, rollouts = composer(envs_of(3, bars=2), backbone, prior_kl_coef=1.0, batch_size=None), Rollouts()
    model.prior = prior_of(model, noise=0.0)
    model.learn(3 * 24, rollouts)
    assert np.abs(rollouts.rollouts[0]["rewards"]).max() < 1e-6
    assert abs(rollouts.logged[0]["kl/nats_per_step"]) < 1e-7


@pytest.mark.parametrize("normalize", [True, False])
def test_the_kl_is_a_term_of_the_loss_in_the_units_of_advantages(normalize: bool) -> None:
    losses = []
    for coef in (0.0, 0.5):
        model = composer(
            envs_of(3, bars=2, reward=Notes()), batch_size=None, prior_kl_coef=coef, normalize_advantage=normalize
        )
        model.prior = prior_of(model)
        rollouts = Rollouts()
        model.learn(3 * 24, rollouts)
        losses.append(rollouts.logged[0] | model.logger.name_to_value)
        spread = float(torch.as_tensor(model.rollout_buffer.advantages).std()) if normalize else 1.0
    without = losses[1]["train/policy_gradient_loss"] + 0.5 * losses[1]["train/value_loss"]
    kl = losses[1]["kl/nats_per_step"]
    assert losses[0]["train/loss"] == pytest.approx(
        losses[0]["train/policy_gradient_loss"] + 0.5 * losses[0]["train/value_loss"], rel=1e-4
    )
    assert losses[1]["train/loss"] - without == pytest.approx(0.5 / spread * kl, rel=1e-3)


@pytest.mark.parametrize("shift", ["above", "below"])
def test_an_adaptive_coefficient_moves_to_its_target_and_stays_a_number(shift: str) -> None:
    target, first = (1e-3, 3e4) if shift == "above" else (1e3, 3e-5)
    env = envs_of(2, max_steps=3)  # a piece ends in every rollout
    model = composer(env, n_steps=4, prior_kl_coef=first, prior_kl_target=target, learning_rate=0.0)
    model.prior = prior_of(model)
    coefficients = [first]

    class Watch(Rollouts):
        def look(self) -> None:
            assert self.logged[-1]["kl/coef"] == coefficients[-1], "what was charged"
            coefficients.append(self.model.kl_controller.coef)

    model.learn(2 * 4 * 32, Watch())
    steps = np.diff(np.log(coefficients))
    assert ((steps if shift == "above" else -steps) >= 0).all()
    assert coefficients[-1] == (MOST_COEF if shift == "above" else LEAST_COEF)


def test_the_update_uses_the_coefficient_that_was_charged() -> None:
    model = composer(
        envs_of(4), n_steps=24, batch_size=None, prior_kl_coef=1.0, prior_kl_target=1e-3, normalize_advantage=False
    )
    model.prior = prior_of(model)
    rollouts = Rollouts()
    model.learn(4 * 24, rollouts)
    logged = rollouts.logged[0] | model.logger.name_to_value
    assert model.kl_controller.coef == pytest.approx(1 + GAIN)
    without = logged["train/policy_gradient_loss"] + 0.5 * logged["train/value_loss"]
    assert logged["train/loss"] - without == pytest.approx(logged["kl/nats_per_step"], rel=1e-3)


def test_without_a_reward_the_kl_pulls_the_policy_back(backbone: str) -> None:
    model, rollouts = (
        composer(envs_of(8), backbone, n_steps=24, n_epochs=4, prior_kl_coef=0.2, learning_rate=5e-3),
        Rollouts(),
    )
    model.prior = frozen(copy.deepcopy(model.policy.network))  # type: ignore[arg-type]
    disturb(model.policy, 0.2)
    model.learn(8 * 24 * 7, rollouts)
    nats = [each["kl/nats_per_step"] for each in rollouts.logged]
    assert nats[0] > 0.05
    assert nats[-1] < nats[0] / 3, nats


# It learns


@pytest.mark.parametrize("reward", [OnlyC(), Rising()], ids=lambda reward: reward.name)
def test_the_optimum_of_a_toy_is_reached(backbone: str, reward: Any) -> None:
    """Both are worth 1 at most, and random play is worth less than a fifth."""
    piano = SMALL if isinstance(reward, OnlyC) else MELODY
    model = composer(
        envs_of(32, piano=piano),
        backbone,
        0.0,
        piano=piano,
        reward_model=reward,
        n_steps=24,
        batch_size=192,
        n_epochs=4,
        learning_rate=5e-3,
        gamma=1.0,
        gae_lambda=0.95,
        ent_coef=0.005,
    )
    rollouts = Rollouts()
    model.learn(32 * 24 * 15, rollouts)
    earned = [each["reward/total"] for each in rollouts.logged]
    assert earned[0] < 0.2
    assert np.mean(earned[-3:]) > 0.9, np.round(earned, 2)
    env = VecMonitor(envs_of(2, piano=piano, reward=reward))
    assert evaluate_policy(model, env, n_eval_episodes=2, deterministic=True)[0] == pytest.approx(1.0)


@pytest.mark.slow
def test_with_one_environment_it_learns_as_maskable_ppo_does() -> None:
    """Three seeds each, the same environment, hyperparameters and budget."""
    settings: dict[str, Any] = {"n_steps": 96, "batch_size": 96, "n_epochs": 6, "learning_rate": 2e-3}
    settings |= {"gamma": 1.0, "ent_coef": 0.01, "device": "cpu"}
    curves: dict[str, list[list[float]]] = {"ours": [], "theirs": []}
    for seed in range(3):
        for name in curves:
            observation = "actions" if name == "ours" else "full"
            env = VecMonitor(envs_of(1, observation=observation, reward=OnlyC()))
            earned: list[float] = []

            class Watch(BaseCallback):
                def _on_step(self) -> bool:
                    return True

                def _on_rollout_end(self, earned: list[float] = earned) -> None:
                    pieces = list(self.model.ep_info_buffer)[-10:]  # type: ignore[arg-type]
                    earned.append(float(np.mean([piece["r"] for piece in pieces])))

            model: MaskablePPO
            if name == "ours":
                kwargs = {"piano": SMALL, "network_config": {"width": 32, "layers": 1, "heads": 2}}
                model = SequenceComposerPPO(SequencePolicy, env, policy_kwargs=kwargs, seed=seed, **settings)
            else:
                model = MaskablePPO(FeedforwardPolicy, env, policy_kwargs={"piano": SMALL}, seed=seed, **settings)
            model.learn(96 * 36, Watch())
            curves[name].append(earned)
    ours, theirs = (np.array(curves[name]).mean(axis=0) for name in curves)
    assert max(ours[0], theirs[0]) < 0
    assert min(ours[-5:].mean(), theirs[-5:].mean()) > 0.9, "both reach it"
    assert abs(ours - theirs).mean() < 0.1, (np.round(ours, 2), np.round(theirs, 2))


# What Stable-Baselines3's users call


def weights(model: SequenceComposerPPO) -> list[torch.Tensor]:
    return [each.detach().clone() for each in model.policy.state_dict().values()]


def test_two_halves_with_a_save_between_are_one_run(tmp_path: Path, backbone: str) -> None:
    """Pieces go on over the gap, and their KL as well."""
    settings: dict[str, Any] = {
        "n_steps": 9,
        "batch_size": 18,
        "n_epochs": 2,
        "prior_kl_coef": 0.1,
        "prior_kl_target": 1.0,
    }
    half = 4 * 9 * 3

    def begun() -> SequenceComposerPPO:
        model = composer(envs_of(4, bars=3), backbone, reward_model=Notes(), **settings)
        model.prior = prior_of(model)
        return model

    whole = begun().learn(2 * half)
    first = begun()
    first.learn(half)
    env = first.get_env()
    assert isinstance(env, PianoVecEnv)
    first.save(tmp_path / "half.zip")
    state, chance, random = env.state(), env.random_state(), random_state()
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    new = envs_of(4, bars=3)
    second = SequenceComposerPPO.load(tmp_path / "half.zip", env=new, device="cpu", force_reset=False)
    second.reward_model, second.prior = Notes(), first.prior
    new.set_state(state)
    new.set_random_state(chance)
    set_random_state(random)
    assert (second.history.lengths > 0).any()
    second.learn(half, reset_num_timesteps=False)
    assert second.kl_controller.coef == whole.kl_controller.coef != 0.1
    assert all(torch.equal(one, other) for one, other in zip(weights(whole), weights(second), strict=True))


def assert_on_one_page(model: SequenceComposerPPO, rollouts: Rollouts) -> None:
    """The last rollout is what one pass over `rollouts.seen` gives."""
    assert isinstance(model.policy, SequencePolicy)
    values = rollouts.judged_at_once(model.policy.network)[1]
    np.testing.assert_allclose(values.flatten(), rollouts.rollouts[-1]["values"].flatten(), **NEAR)


def test_learning_goes_on_or_begins_anew(backbone: str) -> None:
    model, rollouts = composer(envs_of(3, bars=3, reward=Notes()), backbone, learning_rate=0.0, n_steps=9), Rollouts()
    model.learn(27, rollouts)
    model.learn(54, rollouts, reset_num_timesteps=False)
    assert not rollouts.rollouts[1]["episode_starts"][:, 0].all()
    assert_on_one_page(model, rollouts)
    again = Rollouts()
    model.learn(54, again)
    assert again.rollouts[0]["episode_starts"][:, 0].all()
    assert_on_one_page(model, again)


@pytest.mark.parametrize("how", ["callback", "interrupt"])
def test_a_rollout_that_was_broken_off_is_forgotten(backbone: str, how: str) -> None:
    class BreakOff(BaseCallback):
        def _on_step(self) -> bool:
            if self.n_calls == 20:
                if how == "callback":
                    return False
                raise KeyboardInterrupt
            return True

    settings: dict[str, Any] = {"learning_rate": 0.0, "n_steps": 12, "prior_kl_coef": 0.1}
    model = composer(envs_of(3, bars=2, reward_at="bar"), backbone, reward_model=Notes(), **settings)
    model.prior = prior_of(model)
    if how == "callback":
        model.learn(72, BreakOff())
    else:
        with pytest.raises(KeyboardInterrupt):
            model.learn(72, BreakOff())
    rollouts = Rollouts()
    model.learn(36 * 4, rollouts, reset_num_timesteps=False)
    assert rollouts.rollouts[0]["episode_starts"][:, 0].all()
    assert_on_one_page(model, rollouts)
    paid = np.concatenate([each["rewards"] for each in rollouts.rollouts])
    assert paid.max() > 0.05, "pieces were paid"


def test_a_reward_that_fails_leaves_what_was_played_on_the_page(backbone: str) -> None:
    class Fails(Notes):
        def score(self, pieces: Pieces) -> np.ndarray:
            if failing:
                raise ZeroDivisionError("of mine")
            return super().score(pieces)

    failing = True
    model = composer(envs_of(3, bars=2), backbone, reward_model=Fails(), learning_rate=0.0)
    rollouts = Rollouts()
    with pytest.raises(RewardModelError, match="of mine"):
        model.learn(72, rollouts)
    assert not rollouts.seen, "the callback did not see its end"
    rollouts.seen.append(observations_by_env(model.rollout_buffer))  # type: ignore[arg-type]
    failing = False
    model.learn(72 * 2, rollouts, reset_num_timesteps=False)
    assert not rollouts.rollouts[0]["episode_starts"][:, 0].all()
    assert_on_one_page(model, rollouts)


def test_it_saves_loads_and_predicts(tmp_path: Path, backbone: str) -> None:
    model = composer(envs_of(3), backbone, reward_model=Notes(), prior_kl_coef=0.25)
    model.prior = prior_of(model)
    model.learn(72)
    model.save(tmp_path / "model.zip")
    again = SequenceComposerPPO.load(tmp_path / "model.zip", device="cpu")
    assert (again.reward_model, again.prior, again.rollout) == (None, None, None)
    assert again.kl_controller.coef == 0.25
    env = envs_of(3)
    observations: Any = env.reset()
    for _ in range(10):
        masks = get_action_masks(env)
        one, _ = model.predict(observations, action_masks=masks, deterministic=True)
        other, _ = again.predict(observations, action_masks=masks, deterministic=True)
        np.testing.assert_array_equal(one, other)
        observations = env.step(one)[0]
    loaded = SequenceComposerPPO.load(tmp_path / "model.zip", env=envs_of(5), device="cpu", prior=model.prior)
    loaded.reward_model = Notes()
    rollouts = Rollouts()
    loaded.learn(5 * 24 * 2, rollouts)
    assert loaded.num_timesteps == 240
    assert all(each["kl/nats_per_step"] > 0 and each["kl/coef"] == 0.25 for each in rollouts.logged)


def test_callbacks_the_logger_and_monitors(tmp_path: Path, backbone: str) -> None:
    env = VecMonitor(envs_of(3, reward=Notes()))
    model = composer(env, backbone)
    model.set_logger(configure(str(tmp_path), ["csv"]))
    evaluation = MaskableEvalCallback(
        VecMonitor(envs_of(3, reward=Notes())),
        n_eval_episodes=3,
        eval_freq=20,
        best_model_save_path=str(tmp_path / "best"),
        verbose=0,
    )
    checkpoints = CheckpointCallback(30, str(tmp_path / "checkpoints"))
    model.learn(3 * 24 * 4, [evaluation, checkpoints])
    assert evaluation.best_mean_reward > 0
    assert (tmp_path / "best" / "best_model.zip").is_file()
    model.logger.close()
    first_row = (tmp_path / "progress.csv").read_text().splitlines()[0].split(",")
    assert {"train/approx_kl", "train/explained_variance", "rollout/ep_rew_mean", "eval/mean_reward"} <= set(first_row)
    half_way = next((tmp_path / "checkpoints").glob("*.zip"))  # in the middle of a rollout
    resumed = SequenceComposerPPO.load(
        half_way, env=VecMonitor(envs_of(3, reward=Notes())), device="cpu", force_reset=False
    )
    rollouts = Rollouts()
    resumed.learn(72, rollouts, reset_num_timesteps=False)
    assert rollouts.rollouts[0]["episode_starts"][:, 0].all()
    stopped = composer(VecMonitor(envs_of(2)), backbone)
    stopped.learn(10_000, StopTrainingOnMaxEpisodes(max_episodes=2))
    assert stopped.num_timesteps < 1000


@pytest.mark.parametrize("form", ["gym.make", "Monitor", "DummyVecEnv"])
def test_it_plays_in_plain_environments(form: str) -> None:
    def make() -> gym.Env:
        env = gym.make("toccata/Piano-v0", bars=2, beats_per_bar=1, piano=SMALL, observation="actions", max_steps=7)
        return Monitor(env) if form == "Monitor" else env

    env: Any = DummyVecEnv([make, make]) if form == "DummyVecEnv" else make()
    model, rollouts = composer(env, learning_rate=0.0), Rollouts()
    model.learn(96, rollouts)
    assert sum(each["episode_starts"].sum() for each in rollouts.rollouts) > 4
    assert_on_one_page(model, rollouts)
    mean, _ = evaluate_policy(model, env, n_eval_episodes=2, warn=False)
    assert mean == 0.0


def test_pieces_behind_a_primer_and_of_any_genre() -> None:
    primer = Score([(0, 24, 60, 80)], beats_per_bar=1, length_ticks=24)
    env = envs_of(3, bars=2, primer=primer, genre=None)
    model, rollouts = composer(env, n_steps=40, learning_rate=0.0), Rollouts()
    model.learn(240, rollouts)
    assert_on_one_page(model, rollouts)
    starts = [each["episode_starts"] for each in rollouts.rollouts]
    for seen, begun in zip(rollouts.seen, starts, strict=True):
        observations = tensors_of(seen, torch.device("cpu"), time=True)
        np.testing.assert_array_equal(episode_starts_of(observations).numpy(), begun.astype(bool))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="prior_kl_coef must be finite and at least 0, got -1"):
        composer(envs_of(1), prior_kl_coef=-1)
    for target, coef in ((0.0, 1.0), (3.0, 0.0), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="prior_kl_target needs to be positive"):
            composer(envs_of(1), prior_kl_target=target, prior_kl_coef=coef)
    with pytest.raises(ValueError, match='observation="actions"'):
        composer(envs_of(1, observation="full"))
    with pytest.raises(ValueError, match="MultiDiscrete"):
        composer(envs_of(1, flat=True))
    model = composer(envs_of(1))
    model.prior = SequenceNetwork(Piano(), NetworkConfig("lstm", 8, 1))
    with pytest.raises(ValueError, match="prior plays another piano"):
        model.learn(24)
    prior = prior_of(composer(envs_of(1)))
    full = envs_of(1, observation="full")
    with pytest.raises(ValueError, match="SequencePolicy only"):
        SequenceComposerPPO(FeedforwardPolicy, full, prior=prior, policy_kwargs={"piano": SMALL}, device="cpu")

    class Maskless(gym.Wrapper):
        def __getattr__(self, name: str) -> Any:
            raise AttributeError(name)

        def get_wrapper_attr(self, name: str) -> Any:
            raise AttributeError(name)

    plain = gym.make("toccata/Piano-v0", bars=1, beats_per_bar=1, piano=SMALL, observation="actions")
    with pytest.raises(ValueError, match="does not support action masking"):
        composer(Maskless(plain)).learn(24)
