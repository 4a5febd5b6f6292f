"""Wrappers that give other frameworks the legal actions where they look for them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

MASK = "action_mask"


class _FlatWithMask(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """An observation of two keys: the flat observation, and the legal actions, which then are not in the infos.

    Args:
        env: a `PianoEnv` or a `PianoDiscreteEnv`, wrapped or not.
    """

    observation_key: str
    mask_key: str
    mask_dtype: type

    def __init__(self, env: gym.Env) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        super().__init__(env)
        space = env.observation_space
        if not isinstance(space, spaces.Dict):
            raise ValueError(f"{type(self).__name__} flattens the piano's Dict of observations, got {space}")
        self._space = spaces.Dict({key: part for key, part in space.items() if key != MASK})
        actions = len(env.get_wrapper_attr("action_masks")())
        flat = spaces.flatten_space(self._space)
        assert isinstance(flat, spaces.Box)
        low, high = flat.low.astype(np.float32), flat.high.astype(np.float32)
        self.observation_space = spaces.Dict(
            {
                self.observation_key: spaces.Box(low, high, dtype=np.float32),
                self.mask_key: spaces.Box(0, 1, (actions,), self.mask_dtype),
            }
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin a piece."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._with_mask(observation, info), info

    def step(self, action: Any) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Play one action."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._with_mask(observation, info), float(reward), terminated, truncated, info

    def _with_mask(self, observation: dict[str, np.ndarray], info: dict[str, Any]) -> dict[str, np.ndarray]:
        """The observation of this wrapper; takes the mask out of the info."""
        flat = spaces.flatten(self._space, {key: observation[key] for key in self._space})
        return {
            self.observation_key: np.asarray(flat, np.float32),
            self.mask_key: info.pop(MASK).astype(self.mask_dtype),
        }


class RLlibActionMask(_FlatWithMask):
    """The convention of RLlib's action-masking modules: a `Dict` of `observations` and `action_mask`, both float32.

    `observations` is the observation as `gymnasium.spaces.flatten` makes it, `action_mask` is 1 for a legal action. So
    `ray.rllib.examples.rl_modules.classes.action_masking_rlm.ActionMaskingTorchRLModule` reads it, whose logits have
    one mask entry each. Its masks for `toccata/Piano-v0` are the two dimensions concatenated. The infos have no mask:
    RLlib keeps and copies those of a whole episode.

    Args:
        env: a `PianoEnv` or a `PianoDiscreteEnv`, wrapped or not.

    Raises:
        ValueError: when its observations are no `Dict`.
    """

    observation_key, mask_key, mask_dtype = "observations", "action_mask", np.float32


class TianshouActionMask(_FlatWithMask):
    """The convention of Tianshou's policies for discrete actions: a `Dict` of `obs`, float32, and `mask`, int8.

    `obs` is the observation as `gymnasium.spaces.flatten` makes it, `mask` is 1 for a legal action; the policies read
    `batch.obs.obs` and `batch.obs.mask`. The infos have no mask, no piece and no reward terms: Tianshou's buffers store
    infos, and refuse what is not in every step.

    Args:
        env: a `PianoDiscreteEnv`, wrapped or not.

    Raises:
        ValueError: when its observations are no `Dict`.
    """

    observation_key, mask_key, mask_dtype = "obs", "mask", np.int8

    def _with_mask(self, observation: dict[str, np.ndarray], info: dict[str, Any]) -> dict[str, np.ndarray]:
        for name in ("piece", "reward_terms"):
            info.pop(name, None)
        return super()._with_mask(observation, info)
