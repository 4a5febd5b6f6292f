"""PPO for policies on sequences: rollouts with a cache; the update is in `update.py`, the KL in `reference_kl.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer
from stable_baselines3.common.utils import explained_variance

from toccata.agents.devices import torch_compiled
from toccata.agents.policies.cache import Cache
from toccata.agents.policies.sequence_network import SequenceNetwork
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.ppo.device_step import DeviceStep
from toccata.agents.ppo.history import History, observations_by_env
from toccata.agents.ppo.losses import Losses, LossWeights, losses_of
from toccata.agents.ppo.primers import BARS_FINISHED, PrimerSteps, prefill_primers, primers_of_envs
from toccata.agents.ppo.reference_kl import AdaptiveKLController, kl_of_pieces, kl_of_steps
from toccata.agents.ppo.update import UpdateSettings, sequences_of, update_epoch, update_figures
from toccata.agents.sb3 import SequenceRolloutBuffer
from toccata.envs.reward_model import RewardModel

NOT_SAVED = ("device_step", "packs_steps", "amp", "compiles", "losses_of")  # of how a machine computes


@dataclass
class SequenceRollout:
    """What an update needs besides the rollout buffer.

    Attributes:
        initial_cache: (envs) of the policy, before the first step.
        cache: (envs) of the policy, after the last step so far.
        device_step: plays the steps in place of the policy, and holds their cache; None on a CPU.
        kl_coef: reward per nat in this rollout.
        logits: of every step so far, (envs, ...) each; only with a reference policy, and not of a device step.
        reference_logits: (envs, steps, ...) of the reference policy; None without one.
        primers: of every step so far, the primers of the environments whose piece begins with it.
    """

    initial_cache: Cache
    cache: Cache
    kl_coef: float
    device_step: DeviceStep | None = None
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

    Attributes:
        amp: compute the updates of a transformer in bfloat16 where float32 is not needed; False unless set.
        compiles: compile the loss of a transformer, if there is a compiler, and on a GPU capture steps as CUDA graphs;
            False unless set.
        packs_steps: play with a `DeviceStep`, unless the policy is the user's own class; True on a GPU.

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
        self.device_step: DeviceStep | None = None
        self.amp = self.compiles = False
        self.losses_of: Callable[..., Losses] | None = None  # once it is compiled
        arguments.setdefault("rollout_buffer_class", SequenceRolloutBuffer)
        super().__init__(policy, env, reward_model=reward_model, **arguments)
        self.packs_steps = self.device.type == "cuda"

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
        return [*super().unsaved_attributes(), "reference", "rollout", *NOT_SAVED]

    # Playing

    def begin_rollout(self) -> None:
        """Compute the cache of the pieces under way."""
        cache = self.history.prefill(self.policy.network, self.device)
        if self.packs_steps and type(self.policy) is SequencePolicy:
            self.rollout = SequenceRollout(cache, cache, self.kl_controller.coef, self._device_step())
            self.rollout.device_step.begin(cache, self.history.lengths)  # type: ignore[union-attr]  # the line above
        else:
            self.rollout = SequenceRollout(cache, cache.clone(), self.kl_controller.coef)

    def _device_step(self) -> DeviceStep:
        """The one of the last rollout, whose graphs are captured, as long as it fits."""
        keep_logits, policy, last = self.reference is not None, self.policy, self.device_step
        if last is None or not last.fits(policy, self.n_envs, self.n_steps, keep_logits, self.compiles):
            self.device_step = DeviceStep(policy, self.n_envs, self.n_steps, keep_logits, captures=self.compiles)
        assert self.device_step is not None  # since the line above
        return self.device_step

    def _bounded(self, cache: Cache) -> Cache:
        """A prefilled cache, on a GPU with a bound on its lengths, so that passes which begin with it do not wait."""
        if self.device.type == "cpu":
            return cache
        return replace(cache, room=cache.state.shape[3])  # of the others the width, which is not used

    def prepare(self, observations: Any) -> Any:
        """The observations of a step (envs, ...), with bars counted from the first one of the primer's context.

        In environments whose piece begins, the primer replaces what the cache holds.
        """
        rollout, history, envs = self.rollout, self.history, self.get_env()
        assert rollout is not None  # since begin_rollout
        assert envs is not None  # while learning
        starts = np.flatnonzero(self.last_episode_starts)
        primers = primers_of_envs(envs, observations, starts, self.policy.piano) if len(starts) else {}
        rollout.primers.append(primers)
        history.primer_bars[starts] = 0
        if primers:
            rows = torch.tensor(list(primers), device=self.device)
            prefilled = prefill_primers(self.policy.network, list(primers.values()), self.device)
            if rollout.device_step is None:
                rollout.cache = rollout.cache.put(rows, prefilled)
            else:
                lengths = np.array([len(steps) for steps in primers.values()])
                rollout.device_step.put(rows, prefilled, lengths)
            history.primer_bars[list(primers)] = [steps.bars for steps in primers.values()]
        if history.primer_bars.any():
            observations = {key: value.copy() for key, value in observations.items()}
            observations["place"][:, BARS_FINISHED] += history.primer_bars.astype(observations["place"].dtype)
            for env, steps in primers.items():
                observations["last"][env] = steps.last
        return observations

    def act(self, observations: Any, masks: np.ndarray | None) -> tuple[np.ndarray, torch.Tensor, torch.Tensor]:
        """Actions (envs, 2), values and log-probabilities (envs,) of one step."""
        rollout = self.rollout
        assert rollout is not None  # since begin_rollout
        if rollout.device_step is not None:
            assert masks is not None  # pianos have some
            return rollout.device_step.play(observations, masks), *rollout.device_step.last()
        with torch.no_grad():
            actions, values, log_probs, logits, rollout.cache = self.policy(
                observations, rollout.cache, action_masks=masks
            )
        if self.reference is not None:
            rollout.logits.append(logits)
        return actions.cpu().numpy(), values, log_probs

    def buffered(self, values: torch.Tensor, log_probs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What of a step's values and log-probabilities (envs,) goes into the buffer at once: nothing from a device."""
        assert self.rollout is not None  # since begin_rollout
        if self.rollout.device_step is None:
            return values, log_probs
        return torch.zeros(self.n_envs), torch.zeros(self.n_envs)

    def complete(self, rollout_buffer: MaskableDictRolloutBuffer) -> None:
        """Fetch the values and log-probabilities of a rollout from the device."""
        assert self.rollout is not None  # since begin_rollout
        steps = self.rollout.device_step
        if steps is not None:
            rollout_buffer.values[:] = steps.values.cpu().numpy()
            rollout_buffer.log_probs[:] = steps.log_probs.cpu().numpy()

    def _cache(self) -> Cache:
        """(envs) of the policy, after the last step so far."""
        assert self.rollout is not None  # since begin_rollout
        return self.rollout.cache if self.rollout.device_step is None else self.rollout.device_step.cache

    def values_of(self, observations: Any) -> torch.Tensor:
        """(envs,) values of the observations that follow the last step of a rollout."""
        assert self.rollout is not None  # since begin_rollout
        with torch.no_grad():
            return self.policy.predict_values(observations, self._cache())

    def value_after(self, terminal_observation: Any, env: int) -> float:
        """Value of the observation with which an environment's truncated episode ended."""
        assert self.rollout is not None  # since begin_rollout
        batch = {key: np.array(value)[None] for key, value in terminal_observation.items()}
        batch["place"][:, BARS_FINISHED] += self.history.primer_bars[env].astype(batch["place"].dtype)
        with torch.no_grad():
            cache = self._cache()[torch.as_tensor([env], device=self.device)]
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
        logits = torch.stack(rollout.logits) if rollout.device_step is None else rollout.device_step.logits
        rollout.logits = []
        cache = self._bounded(self.history.prefill(reference, self.device))
        kl, rollout.reference_logits = kl_of_steps(
            self.policy, reference, rollout_buffer, logits, cache, rollout.primers
        )
        return kl

    def _log_kl(self, kl: np.ndarray, episode_starts: np.ndarray, dones: np.ndarray) -> None:
        """Log the KL (envs, steps) by step and by piece, and adapt the coefficient.

        Args:
            kl: nats.
            episode_starts: (steps, envs) bool.
            dones: (envs,) bool, whose piece ended with the last step.
        """
        of_pieces, self.history.kl = kl_of_pieces(kl, episode_starts, dones, self.history.kl)
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
        cache = self._bounded(rollout.initial_cache)
        sequences = sequences_of(buffer, cache, rollout.primers, rollout.reference_logits, self.device)
        settings = UpdateSettings(
            self._losses_of(),
            LossWeights(clip_range, clip_range_vf, self.ent_coef, self.vf_coef, rollout.kl_coef),
            rows_per_batch=self.n_envs if self.batch_size is None else max(1, self.batch_size // self.n_steps),
            normalize_advantage=self.normalize_advantage,
            max_grad_norm=self.max_grad_norm,
            target_kl=self.target_kl,
            amp=self.amp and self._is_transformer,
        )
        epochs: list[list[torch.Tensor]] = []  # (6,) `Losses` of each minibatch
        for _ in range(self.n_epochs):
            losses, stops_early = update_epoch(policy, sequences, settings, self.num_timesteps)
            epochs.append(losses)
            self.count_update()
            if stops_early:
                break
        self.check_finite()
        record = self.logger.record
        for name, value in update_figures(epochs).items():
            record(name, value)
        record("train/explained_variance", explained_variance(buffer.values.flatten(), buffer.returns.flatten()))
        record("train/n_updates", self.updates, exclude="tensorboard")
        record("train/clip_range", clip_range)
        if clip_range_vf is not None:
            record("train/clip_range_vf", clip_range_vf)

    def _losses_of(self) -> Callable[..., Losses]:
        """The function `losses_of`, compiled if that is wanted."""
        if not (self.compiles and self._is_transformer):
            return losses_of
        if self.losses_of is None:
            self.losses_of = torch_compiled(losses_of, self.device, "updates are")
        return self.losses_of

    @property
    def _is_transformer(self) -> bool:
        """Whether updates can be in bfloat16 and compiled: an LSTM has a kernel of its own, on CPUs in float32 only."""
        return self.policy.network.config.backbone == "transformer"
