"""The private members of Stable-Baselines3 and sb3-contrib that Toccata relies on: all of them, in this one file.

Where an API of theirs is private, a class here gives it a public name. An update of either library is checked against
this file; `pyproject.toml` bounds their versions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.vec_env import VecEnv
from torch import nn


class OpenMaskablePPO(MaskablePPO):
    """`MaskablePPO` whose state between rollouts has public names, and whose set-up has hooks.

    Subclasses override `on_model_built`, `on_learn` and `unsaved_attributes`.
    """

    rollout_buffer: MaskableDictRolloutBuffer  # type: ignore[assignment]  # pianos have Dict observations

    def on_model_built(self) -> None:
        """Called once policy and rollout buffer exist."""

    def on_learn(self, episodes_begin: bool) -> None:
        """Called when `learn` begins; `episodes_begin` where it has reset the environments."""

    def unsaved_attributes(self) -> list[str]:
        """Names of the attributes that `save` leaves out."""
        return []

    def set_learning_rate(self, learning_rate: float) -> None:
        """Train at a constant learning rate from the next update on."""
        self.learning_rate = learning_rate
        self._setup_lr_schedule()

    @property
    def last_observations(self) -> Any:
        """The observations that the next step is played from; None before the first reset or after an abort."""
        return self._last_obs

    @last_observations.setter
    def last_observations(self, observations: Any) -> None:
        self._last_obs = observations

    @property
    def last_episode_starts(self) -> np.ndarray:
        """(envs,) bool, whether an episode begins with those observations."""
        assert self._last_episode_starts is not None  # since learn
        return self._last_episode_starts

    @last_episode_starts.setter
    def last_episode_starts(self, starts: np.ndarray) -> None:
        self._last_episode_starts = starts

    @property
    def remaining_progress(self) -> float:
        """1 at the start of training and 0 at its end, what schedules take."""
        return self._current_progress_remaining

    def record_monitored_episodes(self, infos: list[dict[str, Any]], dones: np.ndarray) -> None:
        """Add what `Monitor` and `VecMonitor` wrote into `infos` to the episode statistics that are logged."""
        self._update_info_buffer(infos, dones)

    def record_episode(self, reward: float, length: int) -> None:
        """Add one episode to the statistics that are logged as `rollout/ep_rew_mean` and `rollout/ep_len_mean`."""
        assert self.ep_info_buffer is not None  # since learn
        self.ep_info_buffer.append({"r": reward, "l": length, "t": 0.0})

    def begin_episode_statistics(self) -> None:
        """Empty the episode statistics, as `learn` does for a new model."""
        self.ep_info_buffer = deque(maxlen=self._stats_window_size)
        self.ep_success_buffer = deque(maxlen=self._stats_window_size)

    def update_learning_rate(self) -> None:
        """Set the optimizer's learning rate to what the schedule says, and log it."""
        self._update_learning_rate(self.policy.optimizer)

    def count_update(self) -> None:
        """Count one more pass over a rollout."""
        self._n_updates += 1

    @property
    def updates(self) -> int:
        """Passes over rollouts so far."""
        return self._n_updates

    @updates.setter
    def updates(self, passes: int) -> None:
        self._n_updates = passes

    @classmethod
    def vectorized(cls, env: Any) -> VecEnv:
        """The environment as a `VecEnv`, wrapped if it is none."""
        return cls._wrap_env(env, 0)

    # What Stable-Baselines3 calls

    def _setup_model(self) -> None:
        super()._setup_model()
        self.on_model_built()

    def _setup_learn(self, total_timesteps: int, *arguments: Any, **named: Any) -> Any:
        before = self._last_obs
        result = super()._setup_learn(total_timesteps, *arguments, **named)
        self.on_learn(episodes_begin=before is not self._last_obs)
        return result

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), *self.unsaved_attributes()]


class SequenceRolloutBuffer(MaskableDictRolloutBuffer):
    """sb3-contrib's rollout buffer, with bool masks: a quarter of the memory of its float32 ones."""

    def reset(self) -> None:
        """Make it empty."""
        super(MaskableDictRolloutBuffer, self).reset()
        assert isinstance(self.action_space, spaces.MultiDiscrete)  # that of sequence policies
        self.mask_dims = int(sum(self.action_space.nvec))
        self.action_masks = np.ones((self.buffer_size, self.n_envs, self.mask_dims), bool)


class PassThroughExtractor(BaseFeaturesExtractor):
    """A features extractor that returns Stable-Baselines3's preprocessed observation as it is."""

    def __init__(self, observation_space: spaces.Dict) -> None:
        super().__init__(observation_space, features_dim=1)

    def forward(self, observations: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The observations, (batch, ...) float32 each."""
        return observations


class NetworkPolicy(MaskableActorCriticPolicy):
    """A policy whose actor and critic are one module, `network`, that `build_network` makes.

    Subclasses also give `action_dist` and, in `constructor_arguments`, what their constructor needs to be called again
    when a saved model is loaded.
    """

    network: nn.Module

    def __init__(
        self, observation_space: spaces.Space, action_space: spaces.Space, lr_schedule: Schedule, **arguments: Any
    ) -> None:
        arguments["features_extractor_class"] = PassThroughExtractor
        arguments.setdefault("optimizer_kwargs", {"eps": 1e-5, "fused": True})  # SB3's eps; ten times faster
        super().__init__(observation_space, action_space, lr_schedule, **arguments)

    def build_network(self) -> None:
        """Set `network` and `action_dist`."""
        raise NotImplementedError  # of this base class only

    def constructor_arguments(self) -> dict[str, Any]:
        """Arguments of the subclass's constructor by name."""
        return {}

    def _build(self, lr_schedule: Schedule) -> None:
        self.build_network()
        self._first_learning_rate = lr_schedule(1)

    @cached_property
    def optimizer(self) -> torch.optim.Optimizer:  # type: ignore[override]  # an attribute of SB3's
        """Made for training only: torch imports its compiler with it, which takes two seconds."""
        return self.optimizer_class(
            self.parameters(),
            lr=self._first_learning_rate,  # type: ignore[call-arg]  # torch types optimizers without it
            **self.optimizer_kwargs,
        )

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), **self.constructor_arguments()}


class BatchedVecEnv(VecEnv):
    """A `VecEnv` whose environments are one batch, so that it needs the seeds and options set for each of them."""

    def take_seeds_and_options(self) -> tuple[list[int | None], list[dict[str, Any]]]:
        """What `seed` and `set_options` set for each environment, which is then cleared."""
        seeds, options = list(self._seeds), list(self._options)
        self._reset_seeds()
        self._reset_options()
        return seeds, options

    def rows(self, indices: int | Iterable[int] | None) -> Sequence[int]:
        """The indices of environments that `indices` means; None means all."""
        return list(self._get_indices(indices))
