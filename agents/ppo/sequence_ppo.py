"""PPO on whole sequences: rollouts that remember, updates in one causal pass, and the KL to a frozen prior.

`ComposerPPO` comes here when its policy is a `SequencePolicy`. A row of a rollout is one environment's `n_steps` steps,
with as many pieces as fell into them. What a row remembers from before the rollout is computed with the weights that
the rollout is played with; the update takes it as given, as truncated backpropagation through time does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import explained_variance
from stable_baselines3.common.vec_env import VecEnv
from torch.nn import functional as F

from toccata.agents.policies.cache import Memory
from toccata.agents.policies.sequence_network import OBSERVED, SequenceNetwork, tensors_of
from toccata.agents.policies.sequence_policy import SequencePolicy, begins_of

if TYPE_CHECKING:
    from toccata.agents.ppo.composer_ppo import ComposerPPO

ROWS_AT_ONCE = 16  # of a pass without gradients on a CPU: more would need more memory and gain nothing
GPU_STEPS_AT_ONCE = 32_768  # a GPU is idle with less
KL_GAIN = 0.1  # share of the relative distance from the target that an adaptive coefficient is changed by in a rollout
LEAST_KL_COEF, MOST_KL_COEF = 1e-5, 1e5  # of an adaptive one: from further off it would need too long to come back


@dataclass
class Pages:
    """What the policy was shown of each environment's piece so far, and how far that went from the prior.

    Attributes:
        observations: (envs, room, ...) int32 each.
        lengths: (envs,) int64, how many of them are of the piece under way.
        kl: (envs,) nats of the piece under way.
    """

    observations: dict[str, np.ndarray]
    lengths: np.ndarray
    kl: np.ndarray

    @classmethod
    def empty(cls, envs: int) -> Pages:
        """Pages on which nothing stands."""
        shapes = {"place": (envs, 0, 4), "last": (envs, 0, 2), "top": (envs, 0), "genre": (envs, 0)}
        observations = {key: np.zeros(shapes[key], np.int32) for key in OBSERVED}
        return cls(observations, np.zeros(envs, np.int64), np.zeros(envs))

    def add(self, observations: dict[str, np.ndarray], begins: np.ndarray, done: np.ndarray) -> None:
        """Write observations (envs, steps, ...) on, where pieces begin at `begins` and end before what comes next."""
        steps = begins.shape[1]
        last = np.where(begins.any(axis=1), steps - 1 - begins[:, ::-1].argmax(axis=1), -1)
        starts = np.where(last < 0, 0, last)
        before = np.where(last < 0, self.lengths, 0)
        lengths = np.where(done, 0, before + steps - starts)
        for key, given in observations.items():
            longer = np.zeros((len(given), int(lengths.max(initial=0)), *given.shape[2:]), np.int32)
            for i in np.flatnonzero(lengths):
                longer[i, : before[i]] = self.observations[key][i, : before[i]]
                longer[i, before[i] : lengths[i]] = given[i, starts[i] :]
            self.observations[key] = longer
        self.lengths = lengths

    def remembered_by(self, network: SequenceNetwork, device: torch.device) -> Memory:
        """What `network` remembers of the pages."""
        with torch.no_grad():
            observations = tensors_of(self.observations, device, time=True)
            return network.remember(observations, torch.as_tensor(self.lengths, device=device))


@dataclass
class Rollout:
    """What an update needs beside the rollout buffer.

    Attributes:
        memory: (envs) what the policy remembered before the first step.
        kl_coef: the coefficient that its steps were charged with.
        prior_logits: (envs, steps, ...) the prior's logits; None without a prior.
    """

    memory: Memory
    kl_coef: float
    prior_logits: torch.Tensor | None = None
    kl_of_pieces: list[float] = field(default_factory=list)  # nats of each piece that ended


def collect(
    model: ComposerPPO,
    env: VecEnv,
    callback: BaseCallback,
    rollout_buffer: MaskableDictRolloutBuffer,
    use_masking: bool,
) -> bool:
    """Play a rollout; False when a callback wants to stop. As `MaskablePPO.collect_rollouts`, with a memory.

    A rollout that is broken off, by a callback or an error, is lost: every environment begins a piece when learning
    goes on, as its piece so far is on no page.

    Raises:
        ValueError: for a prior of another piano, or an environment without masks.
    """
    policy = model.policy
    assert isinstance(policy, SequencePolicy)
    assert model._last_obs is not None
    if use_masking and not is_masking_supported(env):
        raise ValueError("Environment does not support action masking. Consider using ActionMasker wrapper")
    if model.prior is not None and _vocabulary(model.prior) != _vocabulary(policy.network):
        raise ValueError("the prior plays another piano than the policy: the KL between them cannot be measured")
    policy.set_training_mode(False)
    rollout_buffer.reset()
    callback.on_rollout_start()
    rollout = Rollout(model.pages.remembered_by(policy.network, model.device), model.kl_coef)
    memory = Memory(rollout.memory.lengths, rollout.memory.state.clone())  # steps write into its room
    logits_of_steps = []
    observation: Any = model._last_obs
    model._last_obs = None  # until the rollout is complete
    dones = np.zeros(env.num_envs, bool)
    for _ in range(model.n_steps):
        masks = get_action_masks(env) if use_masking else None
        with torch.no_grad():
            played, values, log_probs, logits, memory = policy(observation, memory, action_masks=masks)
        if model.prior is not None:
            logits_of_steps.append(logits)
        actions = played.cpu().numpy()
        new_obs, rewards, dones, infos = env.step(actions)
        model.num_timesteps += env.num_envs
        callback.update_locals(locals())
        if not callback.on_step():
            return False
        model._update_info_buffer(infos, dones)
        for i in np.flatnonzero(dones):
            if infos[i].get("TimeLimit.truncated", False) and infos[i].get("terminal_observation") is not None:
                last = {key: np.asarray(value)[None] for key, value in infos[i]["terminal_observation"].items()}
                with torch.no_grad():
                    value = policy.predict_values(last, memory[torch.as_tensor([i], device=model.device)])
                rewards[i] += model.gamma * float(value[0])
        rollout_buffer.add(
            observation, actions, rewards, model._last_episode_starts, values, log_probs, action_masks=masks
        )
        observation = new_obs
        model._last_episode_starts = dones
    with torch.no_grad():
        last_values = policy.predict_values(observation, memory)
    if model.prior is not None:
        _measure_kl(model, policy, rollout_buffer, rollout, torch.stack(logits_of_steps), dones)
    model.pages.add(by_row(rollout_buffer), rollout_buffer.episode_starts.T.astype(bool), dones)
    model._last_obs = observation
    rollout_buffer.compute_returns_and_advantage(
        last_values=last_values, dones=dones
    )  # may raise, when the reward does
    model.rollout = rollout
    callback.on_rollout_end()
    return True


def _vocabulary(network: SequenceNetwork) -> tuple[int, int, int]:
    """How many whats, values and keys a network tells apart."""
    return network.what.num_embeddings, network.value.num_embeddings, network.keys


def by_row(buffer: MaskableDictRolloutBuffer) -> dict[str, np.ndarray]:
    """The buffer's observations, (envs, steps, ...) int32 each."""
    answer = {}
    for key in OBSERVED:
        values = np.swapaxes(buffer.observations[key], 0, 1).astype(np.int32)
        answer[key] = values if key in ("place", "last") else values.reshape(values.shape[:2])
    return answer


def _measure_kl(
    model: ComposerPPO,
    policy: SequencePolicy,
    buffer: MaskableDictRolloutBuffer,
    rollout: Rollout,
    logits: torch.Tensor,
    dones: np.ndarray,
) -> None:
    """Charge every step of the rollout for its KL to the prior, and adapt the coefficient where it has a target."""
    assert model.prior is not None
    observations = by_row(buffer)
    memory = model.pages.remembered_by(model.prior, model.device)
    found = []
    kl = np.empty((model.n_envs, model.n_steps))
    at_once = ROWS_AT_ONCE if model.device.type == "cpu" else max(ROWS_AT_ONCE, GPU_STEPS_AT_ONCE // model.n_steps)
    with torch.no_grad():
        for start in range(0, model.n_envs, at_once):
            rows = torch.arange(start, min(start + at_once, model.n_envs), device=model.device)
            some = tensors_of({k: v[start : start + at_once] for k, v in observations.items()}, model.device, True)
            found.append(model.prior.whole(some, begins_of(some), memory[rows])[0])
            masks = np.swapaxes(buffer.action_masks[:, start : start + at_once], 0, 1)
            masks = masks.reshape(-1, masks.shape[-1])
            ours = policy.distribution(logits[:, rows].transpose(0, 1).flatten(0, 1), masks)
            theirs = policy.distribution(found[-1].flatten(0, 1), masks)
            kl[start : start + at_once] = ours.kl(theirs).view(len(rows), -1).cpu().numpy()
    rollout.prior_logits = torch.cat(found)
    buffer.rewards -= model.kl_coef * kl.T.astype(np.float32)

    starts = np.concatenate([buffer.episode_starts[1:].astype(bool), dones[None]]).T  # a piece ended with this step
    total = np.where(buffer.episode_starts[0], 0.0, model.pages.kl)
    for step in range(model.n_steps):
        total += kl[:, step]
        rollout.kl_of_pieces += total[starts[:, step]].tolist()
        total[starts[:, step]] = 0.0
    model.pages.kl = total
    model.logger.record("kl/nats_per_step", float(kl.mean()))
    model.logger.record("kl/coef", model.kl_coef)
    if rollout.kl_of_pieces:
        nats = float(np.mean(rollout.kl_of_pieces))
        model.logger.record("kl/nats_per_piece", nats)
        model.logger.record("reward/kl", -model.kl_coef * nats)
        if model.kl_target is not None:
            moved = model.kl_coef * (1 + KL_GAIN * float(np.clip(nats / model.kl_target - 1, -1, 1)))
            model.kl_coef = float(np.clip(moved, LEAST_KL_COEF, MOST_KL_COEF))


def update(model: ComposerPPO) -> None:
    """Update the policy from the rollout, as `MaskablePPO.train` does, on rows of the rollout instead of steps."""
    policy, buffer, rollout = model.policy, model.rollout_buffer, model.rollout
    assert isinstance(policy, SequencePolicy)
    assert isinstance(buffer, MaskableDictRolloutBuffer)
    assert rollout is not None
    policy.set_training_mode(True)
    model._update_learning_rate(policy.optimizer)
    clip_range = model.clip_range(model._current_progress_remaining)
    clip_range_vf = None
    if model.clip_range_vf is not None:
        clip_range_vf = model.clip_range_vf(model._current_progress_remaining)
    device = model.device
    observations = {key: torch.as_tensor(value, device=device) for key, value in by_row(buffer).items()}
    actions, old_values, old_log_probs, advantages, returns, masks = (
        torch.as_tensor(np.swapaxes(array, 0, 1), device=device)
        for array in (
            buffer.actions,
            buffer.values,
            buffer.log_probs,
            buffer.advantages,
            buffer.returns,
            buffer.action_masks.astype(bool),
        )
    )
    logs: dict[str, list[float]] = {name: [] for name in ("entropy", "policy", "value", "kl", "clipped")}
    rows_at_once = model.n_envs if model.batch_size is None else max(1, model.batch_size // model.n_steps)
    loss = torch.zeros(())
    go_on = True
    for _ in range(model.n_epochs):
        approx_kls = []
        for rows in torch.as_tensor(np.random.permutation(model.n_envs)).split(rows_at_once):  # noqa: NPY002  # SB3's
            values, log_prob, distribution = policy.evaluate_actions(
                {key: value[rows] for key, value in observations.items()},
                actions[rows],
                rollout.memory[rows.to(device)],
                masks[rows],
            )
            advantage = advantages[rows].flatten()
            spread = torch.ones((), device=device)
            if model.normalize_advantage and len(advantage) > 1:
                spread = advantage.std() + 1e-8
                advantage = (advantage - advantage.mean()) / spread
            log_ratio = log_prob - old_log_probs[rows].flatten()
            ratio = log_ratio.exp()
            clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
            policy_loss = -torch.min(advantage * ratio, advantage * clipped).mean()
            if clip_range_vf is not None:
                before = old_values[rows].flatten()
                values = before + (values - before).clamp(-clip_range_vf, clip_range_vf)
            value_loss = F.mse_loss(returns[rows].flatten(), values)
            entropy_loss = -distribution.entropy().mean()
            loss = policy_loss + model.ent_coef * entropy_loss + model.vf_coef * value_loss
            if rollout.prior_logits is not None:
                of_prior = policy.distribution(
                    rollout.prior_logits[rows].flatten(0, 1), masks[rows].reshape(ratio.numel(), -1)
                )
                loss = loss + rollout.kl_coef / spread * distribution.kl(of_prior).mean()  # in the units of advantages
            with torch.no_grad():
                approx_kls.append(float((ratio - 1 - log_ratio).mean()))
                logs["clipped"].append(float(((ratio - 1).abs() > clip_range).float().mean()))
            logs["entropy"].append(entropy_loss.item())
            logs["policy"].append(policy_loss.item())
            logs["value"].append(value_loss.item())
            if model.target_kl is not None and approx_kls[-1] > 1.5 * model.target_kl:
                go_on = False
                break
            policy.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), model.max_grad_norm)
            policy.optimizer.step()
        logs["kl"] = approx_kls
        model._n_updates += 1
        if not go_on:
            break
    record = model.logger.record
    record("train/entropy_loss", np.mean(logs["entropy"]))
    record("train/policy_gradient_loss", np.mean(logs["policy"]))
    record("train/value_loss", np.mean(logs["value"]))
    record("train/approx_kl", np.mean(logs["kl"]))
    record("train/clip_fraction", np.mean(logs["clipped"]))
    record("train/loss", loss.item())
    record("train/explained_variance", explained_variance(buffer.values.flatten(), buffer.returns.flatten()))
    record("train/n_updates", model._n_updates, exclude="tensorboard")
    record("train/clip_range", clip_range)
    if clip_range_vf is not None:
        record("train/clip_range_vf", clip_range_vf)
