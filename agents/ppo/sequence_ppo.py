"""PPO for policies on sequences: rollouts with a cache, updates in one causal pass, and the KL from the reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer
from stable_baselines3.common.utils import explained_variance
from torch.nn import functional as F

from toccata.agents.policies.cache import Cache
from toccata.agents.policies.sequence_network import SequenceNetwork, episode_starts_of, tensors_of
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.composer_ppo import ADVICE, ComposerPPO, DivergenceError
from toccata.agents.ppo.history import History, observations_by_env
from toccata.agents.ppo.kl_controller import AdaptiveKLController
from toccata.agents.ppo.primers import BARS_FINISHED, PrimerSteps, prefill_primers, primer_steps, with_primers
from toccata.envs.reward_model import RewardModel

CPU_ROWS_PER_PASS = 16  # of a pass of the reference policy: more would need more memory and gain nothing
GPU_STEPS_PER_PASS = 32_768  # a GPU is idle with less


@dataclass
class SequenceRollout:
    """What an update needs besides the rollout buffer.

    Attributes:
        initial_cache: (envs) of the policy, before the first step.
        cache: (envs) of the policy, after the last step so far.
        kl_coef: reward per nat in this rollout.
        logits: of every step so far, (envs, ...) each; only with a reference policy.
        reference_logits: (envs, steps, ...) of the reference policy; None without one.
        primers: of every step so far, the primers of the environments whose piece begins with it.
    """

    initial_cache: Cache
    cache: Cache
    kl_coef: float
    logits: list[torch.Tensor] = field(default_factory=list)
    reference_logits: torch.Tensor | None = None
    primers: list[dict[int, PrimerSteps]] = field(default_factory=list)


class SequenceComposerPPO(ComposerPPO):
    """`ComposerPPO` for a `SequencePolicy`, with an exact KL penalty towards a frozen reference policy.

    A row of a rollout is one environment's `n_steps` steps, with as many pieces as fell into them. The cache of what
    came before is computed with the current weights when a rollout begins; the update takes it as given, as truncated
    backpropagation through time does. A minibatch is as many rows as make `batch_size` steps, at least one.

    Of a piece that begins with a primer of the environment, the policy is given the primer's last 64 bars, as in
    `sample_pieces`: their actions are in the cache, and in the update their steps are context without a loss.

    The objective is the reward minus `prior_kl_coef` times the KL of the piece from the reference policy.

    Args:
        policy: `SequencePolicy` or a subclass.
        env: as `ComposerPPO`, with `observation="actions"`.
        reward_model: as `ComposerPPO`.
        reference: frozen network that the KL is measured from, of the policy's piano; None: no KL.
        prior_kl_coef: reward per nat.
        prior_kl_target: nats a piece that the coefficient is adapted to; None leaves it as it is.
        arguments: of `MaskablePPO`.

    Raises:
        ValueError: for a coefficient or a target out of range, and for a policy that is no `SequencePolicy`.
    """

    policy: SequencePolicy  # type: ignore[assignment]  # on_model_built refuses others

    def __init__(
        self,
        policy: Any,
        env: Any,
        *,
        reward_model: RewardModel | None = None,
        reference: SequenceNetwork | None = None,
        prior_kl_coef: float = 0.0,
        prior_kl_target: float | None = None,
        **arguments: Any,
    ) -> None:
        self.kl_controller = AdaptiveKLController(prior_kl_coef, prior_kl_target)
        self.reference = reference
        self.history = History.empty(0)
        self.rollout: SequenceRollout | None = None
        super().__init__(policy, env, reward_model=reward_model, **arguments)

    def on_model_built(self) -> None:
        """Refuse other policies."""
        if not isinstance(self.policy, SequencePolicy):
            raise ValueError(f"SequenceComposerPPO needs a SequencePolicy, got {type(self.policy).__name__}")

    def on_learn(self, episodes_begin: bool) -> None:
        """Check reference policy and rewards, and drop the history of pieces that were abandoned.

        Raises:
            ValueError: for a reference policy of another piano, and for a coefficient without a reference policy.
        """
        if self.reference is None and self.kl_controller.coef > 0:
            raise ValueError(
                f"prior_kl_coef is {self.kl_controller.coef:g}, but there is no reference policy, which a saved model "
                "does not hold: set model.reference before learn(), or make the agent with prior_kl_coef=0"
            )
        if self.reference is not None and self.reference.vocabulary != self.policy.network.vocabulary:
            raise ValueError(
                "the reference policy plays another piano than the policy: the KL between them cannot be measured"
            )
        super().on_learn(episodes_begin)
        if episodes_begin:
            self.history = History.empty(self.n_envs)

    def has_penalty(self) -> bool:
        """Whether something else than a reward model makes rewards."""
        return (self.reference is not None and self.kl_controller.coef > 0) or super().has_penalty()

    def unsaved_attributes(self) -> list[str]:
        """A saved model holds neither its reference policy nor a rollout."""
        return [*super().unsaved_attributes(), "reference", "rollout"]

    # Playing

    def begin_rollout(self) -> None:
        """Compute the cache of the pieces under way."""
        cache = self.history.prefill(self.policy.network, self.device)
        self.rollout = SequenceRollout(cache, cache.clone(), self.kl_controller.coef)

    def prepare(self, observations: Any) -> Any:
        """The observations of a step (envs, ...), with bars counted from the first one of the primer's context.

        In environments whose piece begins, the primer replaces what the cache holds.
        """
        rollout, history = self.rollout, self.history
        assert rollout is not None  # since begin_rollout
        starts = np.flatnonzero(self.last_episode_starts)
        primers = self._primers(observations, starts) if len(starts) else {}
        rollout.primers.append(primers)
        history.primer_bars[starts] = 0
        if primers:
            rows = torch.tensor(list(primers), device=self.device)
            prefilled = prefill_primers(self.policy.network, list(primers.values()), self.device)
            rollout.cache = rollout.cache.put(rows, prefilled)
            history.primer_bars[list(primers)] = [steps.bars for steps in primers.values()]
        if history.primer_bars.any():
            observations = {key: value.copy() for key, value in observations.items()}
            observations["place"][:, BARS_FINISHED] += history.primer_bars.astype(observations["place"].dtype)
            for env, steps in primers.items():
                observations["last"][env] = steps.last
        return observations

    def _primers(self, observations: Any, starts: np.ndarray) -> dict[int, PrimerSteps]:
        """The primers of the environments `starts` whose piece begins with these observations, by environment."""
        try:
            scores = self.get_env().get_attr("primer", starts.tolist())  # type: ignore[union-attr]  # while learning
        except AttributeError:
            return {}  # another environment than a piano's
        primers = {}
        for env, score in zip(starts.tolist(), scores, strict=True):
            bars = int(observations["place"][env][-1])
            genre = int(observations["genre"][env])
            steps = None if score is None else primer_steps(score, self.policy.piano, bars, genre)
            if steps is not None:
                primers[env] = steps
        return primers

    def act(self, observations: Any, masks: np.ndarray | None) -> tuple[np.ndarray, torch.Tensor, torch.Tensor]:
        """Actions (envs, 2), values and log-probabilities (envs,) of one step."""
        rollout = self.rollout
        assert rollout is not None  # since begin_rollout
        with torch.no_grad():
            actions, values, log_probs, logits, rollout.cache = self.policy(
                observations, rollout.cache, action_masks=masks
            )
        if self.reference is not None:
            rollout.logits.append(logits)
        return actions.cpu().numpy(), values, log_probs

    def values_of(self, observations: Any) -> torch.Tensor:
        """(envs,) values of the observations that follow the last step of a rollout."""
        assert self.rollout is not None  # since begin_rollout
        with torch.no_grad():
            return self.policy.predict_values(observations, self.rollout.cache)

    def value_after(self, terminal_observation: Any, env: int) -> float:
        """Value of the observation with which an environment's truncated episode ended."""
        assert self.rollout is not None  # since begin_rollout
        batch = {key: np.array(value)[None] for key, value in terminal_observation.items()}
        batch["place"][:, BARS_FINISHED] += self.history.primer_bars[env].astype(batch["place"].dtype)
        with torch.no_grad():
            cache = self.rollout.cache[torch.as_tensor([env], device=self.device)]
            return float(self.policy.predict_values(batch, cache)[0])

    # The KL from the reference policy

    def kl_penalty(self, rollout_buffer: MaskableDictRolloutBuffer, dones: np.ndarray) -> np.ndarray | float:
        """(steps, envs) coefficient times the exact KL of each step from the reference; then adapts the coefficient.

        The history of the pieces under way is extended by the rollout.
        """
        penalty: np.ndarray | float = 0.0
        if self.reference is not None:
            kl = self._kl_of_steps(rollout_buffer, self.reference)
            penalty = self.kl_controller.coef * kl.T.astype(np.float32)
            self._log_kl(kl, rollout_buffer.episode_starts.astype(bool), dones)
        starts = rollout_buffer.episode_starts.T.astype(bool)
        assert self.rollout is not None  # since begin_rollout
        self.history.extend(observations_by_env(rollout_buffer), starts, dones, self.rollout.primers)
        return penalty

    def _kl_of_steps(self, rollout_buffer: MaskableDictRolloutBuffer, reference: SequenceNetwork) -> np.ndarray:
        """(envs, steps) exact KL of the policy from the reference at each step, in nats; keeps their logits."""
        rollout = self.rollout
        assert rollout is not None  # since begin_rollout
        observations, positions = with_primers(observations_by_env(rollout_buffer), rollout.primers)
        logits = torch.stack(rollout.logits)  # (steps, envs, ...)
        rollout.logits = []
        cache = self.history.prefill(reference, self.device)
        reference_logits = []
        kl = np.empty((self.n_envs, self.n_steps))
        rows_per_pass = CPU_ROWS_PER_PASS
        if self.device.type != "cpu":
            rows_per_pass = max(CPU_ROWS_PER_PASS, GPU_STEPS_PER_PASS // self.n_steps)
        with torch.no_grad():
            for start in range(0, self.n_envs, rows_per_pass):
                stop = min(start + rows_per_pass, self.n_envs)
                rows = torch.arange(start, stop, device=self.device)
                some = tensors_of({key: value[start:stop] for key, value in observations.items()}, self.device, True)
                theirs_of_all = reference(some, episode_starts_of(some), cache[rows])[0]
                if positions is not None:
                    own = torch.as_tensor(positions[start:stop], device=self.device)
                    theirs_of_all = theirs_of_all[torch.arange(len(rows), device=self.device)[:, None], own]
                reference_logits.append(theirs_of_all)
                masks = np.swapaxes(rollout_buffer.action_masks[:, start:stop], 0, 1)
                masks = masks.reshape(-1, masks.shape[-1])
                ours = self.policy.distribution(logits[:, rows].transpose(0, 1).flatten(0, 1), masks)
                theirs = self.policy.distribution(reference_logits[-1].flatten(0, 1), masks)
                kl[start:stop] = ours.kl(theirs).view(len(rows), -1).cpu().numpy()
        rollout.reference_logits = torch.cat(reference_logits)
        return kl

    def _log_kl(self, kl: np.ndarray, episode_starts: np.ndarray, dones: np.ndarray) -> None:
        """Log the KL (envs, steps) by step and by piece, and adapt the coefficient.

        Args:
            kl: nats.
            episode_starts: (steps, envs) bool.
            dones: (envs,) bool, whose piece ended with the last step.
        """
        ends = np.concatenate([episode_starts[1:], dones[None]]).T  # (envs, steps): a piece ends with this step
        total = np.where(episode_starts[0], 0.0, self.history.kl)
        of_pieces: list[float] = []
        for step in range(self.n_steps):
            total += kl[:, step]
            of_pieces += total[ends[:, step]].tolist()
            total[ends[:, step]] = 0.0
        self.history.kl = total
        self.logger.record("kl/nats_per_step", float(kl.mean()))
        self.logger.record("kl/coef", self.kl_controller.coef)
        if of_pieces:
            nats = float(np.mean(of_pieces))
            self.logger.record("kl/nats_per_piece", nats)
            self.logger.record("reward/kl", -self.kl_controller.coef * nats)
            self.kl_controller.update(nats)

    # The update

    def train(self) -> None:
        """Update the policy from the rollout, as `MaskablePPO.train` does, with rows of the rollout as minibatches.

        Raises:
            DivergenceError: when a gradient, or afterwards a parameter, is not finite.
        """
        policy, buffer, rollout = self.policy, self.rollout_buffer, self.rollout
        assert rollout is not None  # since collect_rollouts
        policy.set_training_mode(True)
        self.update_learning_rate()
        clip_range = self.clip_range(self.remaining_progress)  # type: ignore[operator]  # a schedule since set-up
        clip_range_vf = None
        if self.clip_range_vf is not None:
            clip_range_vf = self.clip_range_vf(self.remaining_progress)  # type: ignore[operator]  # as above
        device = self.device
        arrays, own_steps = with_primers(observations_by_env(buffer), rollout.primers)
        observations = {key: torch.as_tensor(value, device=device) for key, value in arrays.items()}
        positions = None if own_steps is None else torch.as_tensor(own_steps, device=device)
        actions, old_values, old_log_probs, advantages, returns, masks = (
            torch.as_tensor(np.swapaxes(array, 0, 1), device=device)  # (envs, steps, ...)
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
        rows_per_batch = self.n_envs if self.batch_size is None else max(1, self.batch_size // self.n_steps)
        loss = torch.zeros(())
        stop_early = False
        for _ in range(self.n_epochs):
            approx_kls = []
            order = torch.as_tensor(np.random.permutation(self.n_envs))  # noqa: NPY002  # as SB3's buffers draw
            for rows in order.split(rows_per_batch):
                values, log_prob, distribution = policy.evaluate_actions(
                    {key: value[rows] for key, value in observations.items()},
                    actions[rows],
                    rollout.initial_cache[rows.to(device)],
                    masks[rows],
                    None if positions is None else positions[rows],
                )
                advantage = advantages[rows].flatten()
                std = torch.ones((), device=device)
                if self.normalize_advantage and len(advantage) > 1:
                    std = advantage.std() + 1e-8
                    advantage = (advantage - advantage.mean()) / std
                log_ratio = log_prob - old_log_probs[rows].flatten()
                ratio = log_ratio.exp()
                clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
                policy_loss = -torch.min(advantage * ratio, advantage * clipped).mean()
                if clip_range_vf is not None:
                    before = old_values[rows].flatten()
                    values = before + (values - before).clamp(-clip_range_vf, clip_range_vf)
                value_loss = F.mse_loss(returns[rows].flatten(), values)
                entropy_loss = -distribution.entropy().mean()
                loss = policy_loss + self.ent_coef * entropy_loss + self.vf_coef * value_loss
                if rollout.reference_logits is not None:
                    reference_logits = rollout.reference_logits[rows].flatten(0, 1)
                    reference = policy.distribution(reference_logits, masks[rows].reshape(ratio.numel(), -1))
                    loss = (
                        loss + rollout.kl_coef / std * distribution.kl(reference).mean()
                    )  # in units of the advantages
                with torch.no_grad():
                    approx_kls.append(float((ratio - 1 - log_ratio).mean()))
                    logs["clipped"].append(float(((ratio - 1).abs() > clip_range).float().mean()))
                logs["entropy"].append(entropy_loss.item())
                logs["policy"].append(policy_loss.item())
                logs["value"].append(value_loss.item())
                if self.target_kl is not None and approx_kls[-1] > 1.5 * self.target_kl:
                    stop_early = True
                    break
                policy.optimizer.zero_grad()
                loss.backward()
                norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), self.max_grad_norm)
                if not torch.isfinite(norm):
                    raise DivergenceError(
                        f"training diverged at step {self.num_timesteps:,}: the gradient of the loss, "
                        f"{loss.item():g}, is not finite; {ADVICE}"
                    )
                policy.optimizer.step()
            logs["kl"] = approx_kls
            self.count_update()
            if stop_early:
                break
        self.check_finite()
        record = self.logger.record
        record("train/entropy_loss", np.mean(logs["entropy"]))
        record("train/policy_gradient_loss", np.mean(logs["policy"]))
        record("train/value_loss", np.mean(logs["value"]))
        record("train/approx_kl", np.mean(logs["kl"]))
        record("train/clip_fraction", np.mean(logs["clipped"]))
        record("train/loss", loss.item())
        record("train/explained_variance", explained_variance(buffer.values.flatten(), buffer.returns.flatten()))
        record("train/n_updates", self.updates, exclude="tensorboard")
        record("train/clip_range", clip_range)
        if clip_range_vf is not None:
            record("train/clip_range_vf", clip_range_vf)
