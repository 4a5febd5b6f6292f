"""PPO with rewards for whole pieces, which `collect_rollouts` adds."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv

from toccata.agents.ppo.signed_zip import has_signature, with_signature
from toccata.agents.sb3 import OpenMaskablePPO
from toccata.agents.step_infos import pieces_in
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.pieces import Piece, Pieces
from toccata.envs.reward_model import RewardModel, contributions, total
from toccata.errors import ToccataError
from toccata.files import write_atomically
from toccata.signatures import UntrustedError

ADVICE = "lower the learning rate, or the weights of rewards that are very large"


class DivergenceError(ToccataError, ArithmeticError):
    """Training has led to numbers that are not finite; names the step and what is not finite."""


class PendingReward(NamedTuple):
    """A piece that a reward is due for, and the transition that the reward belongs to."""

    step: int  # of the rollout
    env: int
    piece: Piece  # as far as it was written then
    done: bool  # the piece ends with this step


class ComposerPPO(OpenMaskablePPO):
    """sb3-contrib's `MaskablePPO` with rewards for whole pieces.

    The environment says by `info["piece"]` when a reward is due. With `reward_model` given, all pieces that are due in
    a rollout are scored in one batch when it ends, and their rewards are added before advantages are computed. That is
    the reward that an environment with this reward model would give step by step, far faster.

    Args:
        policy: a policy class such as `FeedforwardPolicy`; a `SequencePolicy` needs `SequenceComposerPPO`.
        env: a `PianoVecEnv`, or anything else that Stable-Baselines3 takes; made without a reward of its own where
            `reward_model` is given.
        reward_model: scores the pieces; None leaves rewards to the environment.
        arguments: of `MaskablePPO`.

    Attributes:
        finished: the pieces finished in the last rollout.
        rewarded: (envs,) reward that each piece under way was given so far.
    """

    def __init__(self, policy: Any, env: Any, *, reward_model: RewardModel | None = None, **arguments: Any) -> None:
        self.reward_model = reward_model
        self.was_trained_with_reward_model = False  # saved, while the model itself is not
        self.finished = Pieces([])
        self.rewarded = np.zeros(0)
        super().__init__(policy, env, **arguments)

    def on_model_built(self) -> None:
        """Refuse policies that this class cannot play with."""
        if getattr(self.policy, "needs_cache", False):
            raise ValueError(f"{type(self.policy).__name__} needs a cache while it plays: use SequenceComposerPPO")

    def on_learn(self, episodes_begin: bool) -> None:
        """Check that there is exactly one source of rewards, and drop those of pieces that were abandoned."""
        self._check_rewards()
        if episodes_begin:
            self.rewarded = np.zeros(self.n_envs)

    def unsaved_attributes(self) -> list[str]:
        """A saved model holds neither its reward model nor pieces."""
        return ["reward_model", "finished"]

    def collect_rollouts(  # type: ignore[override]  # sb3-contrib's too takes use_masking and its own buffers
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: MaskableDictRolloutBuffer,
        n_rollout_steps: int,
        use_masking: bool = True,
    ) -> bool:
        """Play a rollout, score its pieces, and compute advantages.

        A rollout that is aborted, by a callback or while it is played, is lost: the next call of `learn` resets the
        environments.

        Returns:
            False when a callback wants to stop.

        Raises:
            ValueError: for an environment without masks.
            RewardModelError: naming the reward model, when it fails; the rewards of the rollout are lost, but not the
                observations that follow it: the next call of `learn` continues the pieces under way.
            DivergenceError: when rewards, returns or advantages are not finite.
        """
        if use_masking and not is_masking_supported(env):
            raise ValueError("Environment does not support action masking. Consider using ActionMasker wrapper")
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()

        # 1. Play, and collect the pieces that rewards are due for.
        pending: list[PendingReward] = []
        observations, self.last_observations = self.last_observations, None  # until the rollout is complete
        self.begin_rollout()
        dones = np.zeros(env.num_envs, bool)
        for step in range(n_rollout_steps):
            masks = self.masks_of(env) if use_masking else None
            observations = self.prepare(observations)
            actions, values, log_probs = self.act(observations, masks)
            new_obs, rewards, dones, infos = env.step(actions)
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            pending += [PendingReward(step, i, piece, bool(dones[i])) for i, piece in pieces_in(infos).items()]
            if self.reward_model is None:
                self.record_monitored_episodes(infos, dones)
            for i in np.flatnonzero(dones):
                if self._goes_on_after(infos[i]):
                    rewards[i] += self.gamma * self.value_after(infos[i]["terminal_observation"], int(i))
            if isinstance(self.action_space, spaces.Discrete):
                actions = actions.reshape(-1, 1)
            rollout_buffer.add(
                observations,
                actions,
                rewards,
                self.last_episode_starts,
                *self.buffered(values, log_probs),
                action_masks=masks,
            )
            observations = new_obs
            self.last_episode_starts = dones
        self.complete(rollout_buffer)
        last_values = self.values_of(self.prepare(observations))
        self.last_observations = observations

        # 2. The KL of every step from the reference policy, where there is one.
        kl_penalty = self.kl_penalty(rollout_buffer, dones)

        # 3. Score the pieces in one batch.
        piece_rewards = self.piece_rewards(pending)

        with np.errstate(over="ignore", invalid="ignore"):  # checked below
            # 4. Add their rewards, subtract the KL. 5. Advantages (GAE).
            rollout_buffer.rewards += piece_rewards - kl_penalty
            rollout_buffer.compute_returns_and_advantage(last_values=last_values, dones=dones)
        for name in ("rewards", "values", "log_probs", "returns", "advantages"):
            if not np.isfinite(getattr(rollout_buffer, name)).all():
                where = f"step {self.num_timesteps:,}"
                raise DivergenceError(f"training diverged at {where}: the {name} of a rollout are not finite; {ADVICE}")
        callback.on_rollout_end()
        return True

    def train(self) -> None:
        """Update the policy from the rollout, as `MaskablePPO.train` does.

        Raises:
            DivergenceError: when parameters or optimizer are not finite afterwards.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # of what is logged
            super().train()
        self.check_finite()

    def check_finite(self) -> None:
        """Raise DivergenceError when a parameter, or the optimizer's state of one, is not finite."""
        optimizer_state = self.policy.optimizer.state
        tensors = {
            (name, key): tensor
            for name, parameter in self.policy.named_parameters()
            for key, tensor in {"value": parameter, **optimizer_state.get(parameter, {})}.items()
        }
        finite = torch.stack([torch.isfinite(tensor).all().to(self.device) for tensor in tensors.values()]).tolist()
        for (name, key), is_finite in zip(tensors, finite, strict=True):
            if not is_finite:
                raise DivergenceError(
                    f"training diverged at step {self.num_timesteps:,}: the {key} of parameter {name} is not finite; "
                    f"{ADVICE}"
                )

    # Files of Stable-Baselines3; runs are saved by `model_file.save_model`

    def save(self, path: Any, exclude: Iterable[str] | None = None, include: Iterable[str] | None = None) -> None:
        """Save as Stable-Baselines3 does, in a zip file that holds pickles, and sign it: `load` takes it back.

        Args:
            path: of the file, `.zip` is added where it has no suffix; or an open binary file.
            exclude: attributes to leave out besides those of `unsaved_attributes`.
            include: attributes to save although they would be left out.
        """
        buffer = BytesIO()
        super().save(buffer, exclude, include)
        data = with_signature(buffer.getvalue())
        if not isinstance(path, (str, PathLike)):
            path.write(data)
            return
        file = Path(path) if Path(path).suffix else Path(f"{path}.zip")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, data)

    @classmethod
    def load(
        cls,
        path: Any,
        env: Any = None,
        device: torch.device | str = "auto",
        *arguments: Any,
        trust: bool = False,
        **named: Any,
    ) -> Any:
        """Load a model that `save` wrote, or the model.zip of a run.

        Files of `save` hold pickles, which can run any code when they are loaded. So they must have been saved by this
        user on this machine, or be trusted by name. A run's model.zip holds none.

        Args:
            path: of the file, or an open binary file.
            env: as in Stable-Baselines3.
            device: as in Stable-Baselines3.
            arguments: of Stable-Baselines3's `load`.
            trust: load a file that somebody else made.
            named: of Stable-Baselines3's `load`: attributes to set, such as `reward_model`.

        Raises:
            UntrustedError: for a file that was not saved by this user on this machine, unless `trust` is set.
        """
        from toccata.agents.ppo.model_file import is_model_file, load_model

        if isinstance(path, (str, PathLike)):
            file = Path(path) if Path(path).is_file() else Path(f"{path}.zip")
            data = file.read_bytes()
        else:
            file, data = Path(getattr(path, "name", "file")), path.read()
        if is_model_file(data):
            model = load_model(data, device, env if env is None else cls.vectorized(env), name=file)
            vars(model).update(named)
            return model
        if not (trust or has_signature(data)):
            raise UntrustedError(
                f"{file}: was not saved by you on this machine, and loading it can run any code that is in it; "
                "if you trust whoever made it, load it with trust=True"
            )
        return super().load(BytesIO(data), env, device, *arguments, **named)

    # How the policy plays; overridden for policies that need a cache

    def begin_rollout(self) -> None:
        """Prepare the policy for the first step of a rollout."""

    def buffered(self, values: torch.Tensor, log_probs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What of a step's values and log-probabilities (envs,) goes into the buffer at once."""
        return values, log_probs

    def complete(self, rollout_buffer: MaskableDictRolloutBuffer) -> None:
        """Called after the last step of a rollout, before its rewards: put into the buffer what is not there yet."""

    @staticmethod
    def masks_of(env: VecEnv) -> np.ndarray:
        """(envs, whats + values) bool, the legal actions."""
        return env.action_masks() if isinstance(env, PianoVecEnv) else get_action_masks(env)

    def prepare(self, observations: Any) -> Any:
        """The observations of a step as the policy is given them; here they are what the environment gives."""
        return observations

    def act(self, observations: Any, masks: np.ndarray | None) -> tuple[np.ndarray, torch.Tensor, torch.Tensor]:
        """Actions (envs, ...), values and log-probabilities of one step."""
        with torch.no_grad():
            tensors = obs_as_tensor(observations, self.device)
            actions, values, log_probs = self.policy(tensors, action_masks=masks)
        return actions.cpu().numpy(), values, log_probs

    def values_of(self, observations: Any) -> torch.Tensor:
        """Values of the observations that follow the last step of a rollout."""
        with torch.no_grad():
            return self.policy.predict_values(obs_as_tensor(observations, self.device))

    def value_after(self, terminal_observation: Any, env: int) -> float:
        """Value of the observation with which an environment's truncated episode ended."""
        with torch.no_grad():
            return float(self.policy.predict_values(self.policy.obs_to_tensor(terminal_observation)[0])[0])

    def kl_penalty(self, rollout_buffer: MaskableDictRolloutBuffer, dones: np.ndarray) -> np.ndarray | float:
        """(steps, envs) what the KL of each step from a reference policy costs; here there is none.

        Args:
            rollout_buffer: the rollout, its rewards not yet complete.
            dones: (envs,) bool, whose episode ended with the last step.
        """
        return 0.0

    # Rewards

    def piece_rewards(self, pending: list[PendingReward]) -> np.ndarray:
        """(steps, envs) rewards of a rollout's pieces: of each, its score less what it was given before.

        Raises:
            RewardModelError: naming the reward model, when it fails.
        """
        rewards = np.zeros((self.n_steps, self.n_envs))
        finished = [k for k, due in enumerate(pending) if due.done]
        piano = getattr(self.policy, "piano", None)
        self.finished = Pieces([pending[k].piece for k in finished], piano)
        if self.reward_model is None or not pending:
            return rewards
        started = time.perf_counter()
        try:
            with torch.set_grad_enabled(torch.is_grad_enabled()):  # as before, whatever a reward model does to it
                terms = contributions(self.reward_model, Pieces([due.piece for due in pending], piano))
        except BaseException:
            for k in finished:  # lost with the rollout; the next piece there must not receive it
                self.rewarded[pending[k].env] = 0.0
            raise
        scores = total(terms)
        for due, score in zip(pending, scores.tolist(), strict=True):
            rewards[due.step, due.env] += score - self.rewarded[due.env]
            self.rewarded[due.env] = 0.0 if due.done else score
        for k in finished:
            actions = pending[k].piece.actions
            self.record_episode(float(scores[k]), 0 if actions is None else len(actions))
        if finished:
            self.logger.record("reward/total", float(scores[finished].mean(dtype=float)))
            for name, term in terms.items():
                self.logger.record(f"reward/{name}", float(term[finished].mean(dtype=float)))
            self.logger.record("reward/pieces", len(finished))
        self.logger.record("time/reward_seconds", time.perf_counter() - started)
        return rewards

    def _goes_on_after(self, info: dict[str, Any]) -> bool:
        """Whether a finished episode is bootstrapped: it was truncated, and the reward model does not score it."""
        if self.reward_model is not None and "piece" in info:
            return False  # a truncated piece is scored in full: nothing more is to come
        return info.get("TimeLimit.truncated", False) and info.get("terminal_observation") is not None

    def _check_rewards(self) -> None:
        """Refuse rewards that would count twice or not at all.

        Raises:
            ValueError: where both the environment and the agent have a reward model, and where the agent had one when
                it was saved and neither has one now.

        Warns:
            UserWarning: where nothing rewards a new agent.
        """
        if self.reward_model is not None:
            self.was_trained_with_reward_model = True
        try:
            models = self.get_env().get_attr("reward_model")  # type: ignore[union-attr]  # there is one while learning
        except AttributeError:
            return  # another environment, with rewards of its own
        if self.reward_model is not None and any(model is not None for model in models):
            raise ValueError(
                "both the environment and the agent have a reward model, so that every reward would count twice; "
                "make the environment without reward, or the agent without reward_model"
            )
        if self.reward_model is not None or any(model is not None for model in models) or self.has_penalty():
            return
        if self.was_trained_with_reward_model:
            raise ValueError(
                "this agent was trained with a reward model, which a saved model does not hold, and now has none: "
                "set model.reward_model before learn()"
            )
        warnings.warn("nothing rewards this agent: neither it nor its environment has a reward model", stacklevel=4)

    def has_penalty(self) -> bool:
        """Whether something else than a reward model makes rewards: an illegal penalty, or a KL penalty."""
        return any(self.get_env().get_attr("illegal_penalty"))  # type: ignore[union-attr]  # of a piano

    def dump_logs(self, iteration: int = 0) -> None:
        """Write a row of progress; rollouts are counted over all calls of `learn`."""
        super().dump_logs(self.num_timesteps // (self.n_steps * self.n_envs))
