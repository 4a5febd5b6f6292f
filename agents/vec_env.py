"""The Stable-Baselines3 vector environment: many pianos, stepped in one batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding

from toccata.agents.sb3 import BatchedVecEnv
from toccata.agents.step_infos import StepInfos
from toccata.envs.core import PianoCore, Step
from toccata.settings.specs import is_reward_spec


class PianoVecEnv(BatchedVecEnv):
    """`num_envs` copies of `PianoEnv`, whose arguments it takes, as a Stable-Baselines3 `VecEnv`.

    An env whose piece ends begins the next one in the same step; its last observation is in
    `info["terminal_observation"]`, and the info of the new piece in `reset_infos`. `env_method("action_masks")`
    gives each env's legal actions, `get_attr("piece")` and `get_attr("score")` its piece so far, `get_attr("primer")`
    what it began with. With `flat=True` the actions are those of `PianoDiscreteEnv`. An info is made when it is first
    read; what it holds does not depend on when that is.
    """

    def __init__(self, num_envs: int, *, flat: bool = False, render_mode: str | None = None, **arguments: Any) -> None:
        if is_reward_spec(arguments.get("reward")):
            from toccata.reward_models import load_reward

            arguments["reward"] = load_reward(arguments["reward"])
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        self.core = PianoCore(num_envs, flat=flat, **arguments)
        self.render_mode = render_mode
        self._rngs = [seeding.np_random()[0] for _ in range(num_envs)]
        self._actions = np.zeros((num_envs, len(self.core.piano.nvec)), np.int64)
        super().__init__(num_envs, self.core.observation_space, self.core.action_space)

    def reset(self) -> dict[str, np.ndarray]:
        """Begin a piece in every env, with the seeds and options set for it."""
        for i, (seed, options) in enumerate(zip(*self.take_seeds_and_options(), strict=True)):
            if seed is not None:
                self._rngs[i] = seeding.np_random(seed)[0]
            self.core.reset([i], [self._rngs[i]], options)
        self.reset_infos = [self._info(i) for i in range(self.num_envs)]
        return self.core.observe()

    def step_async(self, actions: np.ndarray) -> None:
        """Store the actions of the next step."""
        self._actions = actions

    def step_wait(self) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Play one action in every env."""
        step = self.core.step(self._actions)
        dones = step.terminated | step.truncated
        rows = np.flatnonzero(dones)
        last = self.core.observe(rows) if len(rows) else {}
        infos = self._infos(step, {i: k for k, i in enumerate(rows.tolist())}, last)
        if len(rows):
            self.core.reset(rows, [self._rngs[i] for i in rows.tolist()])
            for i in rows.tolist():
                self.reset_infos[i] = self._info(i)
        return self.core.observe(), step.rewards.astype(np.float32), dones, infos

    def _infos(self, step: Step, ended: dict[int, int], last: dict[str, np.ndarray]) -> StepInfos:
        """The infos of a step, before the envs of `ended` begin new pieces.

        Args:
            step: its results.
            ended: of the envs whose piece has ended, where each is in `last`.
            last: their last observations.
        """
        masks, illegal = self.core.dynamics.masks, self.core.dynamics.states["illegal_actions"].copy()

        def make(i: int) -> dict[str, Any]:
            info: dict[str, Any] = {
                "action_mask": self.core.action_masks(masks[i : i + 1])[0],
                "illegal_actions": int(illegal[i]),
                "reward_terms": {
                    name: float(term[i]) for name, term in step.terms.items() if name == "illegal" or i in step.pieces
                },
                "TimeLimit.truncated": bool(step.truncated[i]),
            }
            if i in step.pieces:
                info["piece"] = step.pieces[i]
            if i in ended:
                info["terminal_observation"] = {key: value[ended[i]] for key, value in last.items()}
            return info

        return StepInfos(self.num_envs, make, step.pieces)

    def _info(self, i: int) -> dict[str, Any]:
        """The info of an env whose piece begins."""
        illegal = int(self.core.dynamics.states["illegal_actions"][i])
        mask = self.core.action_masks(self.core.dynamics.masks[i : i + 1])[0]
        return {"action_mask": mask, "illegal_actions": illegal, "reward_terms": {}}

    def action_masks(self) -> np.ndarray:
        """The legal actions of each env, (n, whats + values) bool, flat ones (n, whats * values)."""
        return self.core.action_masks()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """A piano roll of each env's piece as it stands."""
        from toccata.envs.rendering import picture

        clocks = self.core.dynamics.states["clock"]
        return [picture(self.core.piece(i).score, int(clocks[i]), self.core.piano) for i in range(self.num_envs)]

    # State, for resuming exactly

    def state(self) -> dict[str, np.ndarray]:
        """Every array that the next steps depend on, by name."""
        return self.core.state()

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `state` returned."""
        self.core.set_state(state)

    def random_state(self) -> list[dict[str, Any]]:
        """The state of each env's random number generator, as JSON holds it."""
        return [dict(rng.bit_generator.state) for rng in self._rngs]

    def set_random_state(self, states: list[dict[str, Any]]) -> None:
        """Restore what `random_state` returned; seeds that were set for the next reset do not count any more."""
        self.take_seeds_and_options()
        for rng, state in zip(self._rngs, states, strict=True):
            rng.bit_generator.state = state

    # Attributes and methods of the single envs

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[Any]:
        """The attribute of each env; they share all but `piece`, `score` and `primer`."""
        rows = self.rows(indices)
        if attr_name == "primer":
            return [self.core.primer_of(i) for i in rows]
        if attr_name == "piece":
            return [self.core.piece(i) for i in rows]
        if attr_name == "score":
            return [self.core.piece(i).score for i in rows]
        owner = self if hasattr(self, attr_name) else self.core
        return [getattr(owner, attr_name)] * len(rows)

    def set_attr(self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None) -> None:
        """Set an attribute of all envs.

        Raises:
            ValueError: for some of them only: they share it.
        """
        if len(self.rows(indices)) != self.num_envs:
            raise ValueError(f"the envs share {attr_name!r}; it can be set for all of them only")
        setattr(self.core if hasattr(self.core, attr_name) else self, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: int | Iterable[int] | None = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call `action_masks` of the envs.

        Raises:
            AttributeError: for any other method.
        """
        rows = self.rows(indices)
        if method_name != "action_masks":
            raise AttributeError(f"of a PianoVecEnv's envs only action_masks can be called, not {method_name!r}")
        masks = self.action_masks()
        return [masks[i] for i in rows]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper], indices: int | Iterable[int] | None = None
    ) -> list[bool]:
        """False for every env: single envs cannot be wrapped."""
        return [False] * len(self.rows(indices))

    def close(self) -> None:
        """There is nothing to close."""
