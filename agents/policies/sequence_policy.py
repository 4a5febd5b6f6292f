"""The `lstm`, `transformer` and `wavenet` policies: actor and critic on all actions of the episode so far."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.type_aliases import Schedule

from toccata.agents.policies.cache import Cache
from toccata.agents.policies.distribution import JointDistribution, check_action_space
from toccata.agents.policies.sequence_network import (
    DEFAULT_NETWORKS,
    NetworkConfig,
    SequenceNetwork,
    episode_starts_of,
    tensors_of,
)
from toccata.agents.sb3 import NetworkPolicy
from toccata.envs.core import genre_count
from toccata.envs.instrument import Piano


class SequencePolicy(NetworkPolicy):
    """A `SequenceNetwork` as a policy on the observation "actions" of `PianoEnv`.

    An observation alone does not tell what was played, so every method takes a `Cache` of the steps before, and those
    that play a step return the one after it. Episode starts are recognised by the observation.

    Args:
        observation_space: of `PianoEnv` with `observation="actions"`.
        action_space: of the same environment.
        lr_schedule: learning rate by remaining progress.
        piano: the instrument of the environment.
        backbone: "transformer", "lstm" or "wavenet".
        network_config: fields of `NetworkConfig` in place of the defaults, such as {"width": 64, "layers": 2}, and
            "genres" for an environment with other genres.
        arguments: of sb3-contrib's `MaskableActorCriticPolicy`.

    Raises:
        ValueError: for spaces of another environment or piano, and for sizes out of range.
    """

    needs_cache = True
    network: SequenceNetwork
    action_dist: JointDistribution  # of the instrument, without logits

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.MultiDiscrete,
        lr_schedule: Schedule,
        *,
        piano: Piano | None = None,
        backbone: str = "transformer",
        network_config: dict[str, Any] | None = None,
        **arguments: Any,
    ) -> None:
        self.piano = piano or Piano()
        if backbone not in DEFAULT_NETWORKS:
            raise ValueError(f"backbone must be one of {', '.join(DEFAULT_NETWORKS)}, got {backbone!r}")
        self.network_config = NetworkConfig(**{**asdict(DEFAULT_NETWORKS[backbone]), **(network_config or {})})
        check_action_space(action_space, self.piano)
        if not isinstance(observation_space, spaces.Dict) or "place" not in observation_space.spaces:
            raise ValueError('sequence policies need an environment with observation="actions"')
        known, genres = len(self.network_config.genres), genre_count(observation_space)
        if genres is None or genres > known:
            raise ValueError(
                f"the policy has {known} genres, the environment has {genres}; pass its genres in network_config"
            )
        self._predict_cache: Cache | None = None  # after the last `predict` without a state
        super().__init__(observation_space, action_space, lr_schedule, **arguments)

    @property
    def genres(self) -> tuple[str, ...]:
        """The genres it is conditioned on, in the order of their index."""
        return self.network_config.genres

    def build_network(self) -> None:
        """Actor and critic, randomly initialised."""
        self.action_dist = JointDistribution(self.piano)
        self.network = SequenceNetwork(self.piano, self.network_config)

    def constructor_arguments(self) -> dict[str, Any]:
        """What the constructor needs to be called again."""
        config = asdict(self.network_config)
        return {"piano": self.piano, "backbone": config.pop("backbone"), "network_config": config}

    def distribution(self, logits: torch.Tensor, masks: Any) -> JointDistribution:
        """The distribution of logits (steps, whats + kinds * values) under masks (steps, whats + values)."""
        return self.action_dist.of(logits, masks)

    # One step of every row

    def forward(  # type: ignore[override]  # with a cache, as sb3-contrib's recurrent policies with their states
        self, obs: Any, cache: Cache | None = None, deterministic: bool = False, action_masks: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, Cache]:
        """Play one step of every row.

        Returns:
            actions (rows, 2), values (rows,), log-probabilities (rows,), logits (rows, whats + kinds * values), and
            the cache after this step.
        """
        logits, values, cache = self._step(obs, cache)
        distribution = self.distribution(logits, action_masks)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, values, distribution.log_prob(actions), logits, cache

    def predict_values(self, obs: Any, cache: Cache | None = None) -> torch.Tensor:
        """(rows,) values."""
        return self._step(obs, cache)[1]

    def get_distribution(  # type: ignore[override]  # with a cache
        self, obs: Any, cache: Cache | None = None, action_masks: Any = None
    ) -> JointDistribution:
        """The distribution over the next action of every row."""
        return self.distribution(self._step(obs, cache)[0], action_masks)

    def _step(self, obs: Any, cache: Cache | None) -> tuple[torch.Tensor, torch.Tensor, Cache]:
        observations = tensors_of(obs, self.device)
        rows = len(observations["genre"])
        return self.network.step(observations, episode_starts_of(observations), cache or self.network.empty_cache(rows))

    # Whole sequences

    def evaluate_actions(  # type: ignore[override]  # with a cache
        self,
        obs: Any,
        actions: torch.Tensor,
        cache: Cache | None = None,
        action_masks: Any = None,
        positions: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, JointDistribution]:
        """Values and log-probabilities of whole sequences in one pass.

        Args:
            obs: observations (rows, time, ...); with `positions`, of more steps than those with an action.
            actions: (rows, time, 2).
            cache: of the episodes that were under way before the first step.
            action_masks: (rows, time, whats + values).
            positions: (rows, time) int64, which steps of `obs` have an action; None: all.

        Returns:
            values and log-probabilities of the actions (rows * time,), and the distributions they are of.
        """
        observations = tensors_of(obs, self.device, time=True)
        logits, values = self.network(observations, episode_starts_of(observations), cache)
        if positions is not None:
            rows = torch.arange(len(positions), device=positions.device)[:, None]
            logits, values = logits[rows, positions], values[rows, positions]
        masks = None if action_masks is None else action_masks.reshape(values.numel(), -1)
        distribution = self.distribution(logits.flatten(0, 1), masks)
        return values.flatten(), distribution.log_prob(actions.reshape(-1, 2)), distribution

    # What Stable-Baselines3's users call

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> tuple[np.ndarray, Any]:
        """Actions, and the state to pass to the next call.

        Without a state it continues from the last call without one for as many rows, unless every row begins an
        episode: so loops that pass no states, such as sb3-contrib's `evaluate_policy` with masks, work as well. A state
        can be continued once: continuing twice from the same one overwrites the first.

        Args:
            observation: of one environment, or of several with a leading axis.
            state: what the call before returned.
            episode_start: not needed: episode starts are recognised by the observation.
            deterministic: the mode instead of a sample.
            action_masks: (rows, whats + values), the legal actions.

        Raises:
            ValueError: when the state is of another number of environments.
        """
        self.set_training_mode(False)
        tensors, vectorized = self.obs_to_tensor(observation)
        observations = tensors_of(tensors, self.device)  # type: ignore[arg-type]  # a dict, as the space is one
        rows = len(observations["genre"])
        if state is not None:
            if len(state.lengths) != rows:
                raise ValueError(f"the state is of {len(state.lengths)} environments, the observation of {rows}")
            if self._predict_cache is not None and state.state is self._predict_cache.state:
                self._predict_cache = None  # the caller continues it with states from now on
            cache = state
        elif (
            self._predict_cache is None
            or len(self._predict_cache.lengths) != rows
            or bool(episode_starts_of(observations).all())
        ):
            cache = None
        else:
            cache = self._predict_cache
        with torch.no_grad():
            actions, _, _, _, after = self.forward(observations, cache, deterministic, action_masks)
        if state is None:
            self._predict_cache = after
        numpy_actions = actions.cpu().numpy()
        return (numpy_actions if vectorized else numpy_actions[0]), after
