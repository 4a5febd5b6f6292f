"""Many pianos as one Gymnasium vector environment, stepped as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from toccata.envs.core import PianoCore, Step
from toccata.envs.env import PianoEnv, flat_masks, flat_space, unflatten


class PianoVectorEnv(VectorEnv):
    """`num_envs` copies of `PianoEnv`, whose arguments it takes.

    An env whose piece ends begins the next one in the same step (`AutoresetMode.SAME_STEP`): the observation is the
    first of the new piece, `infos["final_obs"]` and `infos["final_info"]` are the last of the old one. Env `i` with
    seed `seed + i` gives the trajectory of a single env with that seed.
    """

    metadata = {  # noqa: RUF012  # as VectorEnv types it
        **PianoEnv.metadata,
        "render_modes": ["rgb_array"],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }
    flat = False  # one flat action, as in `PianoDiscreteEnv`

    def __init__(self, num_envs: int = 1, render_mode: str | None = None, **arguments: Any) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array' for a vector environment, got {render_mode!r}")
        self.core = PianoCore(num_envs, **arguments)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space = self.core.observation_space
        self.single_action_space: spaces.Space = flat_space(self.core.piano) if self.flat else self.core.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._rngs = [seeding.np_random()[0] for _ in range(num_envs)]

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin a piece in every env, or in those of `options["reset_mask"]` (n,) bool."""
        options = dict(options or {})
        reset_mask = np.asarray(options.pop("reset_mask", np.ones(self.num_envs, np.bool_)))
        if reset_mask.shape != (self.num_envs,) or reset_mask.dtype != np.bool_:
            raise ValueError(
                f"reset_mask must be bool of shape ({self.num_envs},), got {reset_mask.dtype} {reset_mask.shape}"
            )
        if isinstance(seed, (int, np.integer)):
            seed = [int(seed) + i for i in range(self.num_envs)]
        if seed is not None and len(seed) != self.num_envs:
            raise ValueError(f"need a seed for each of {self.num_envs} envs, got {len(seed)}")
        rows = np.flatnonzero(reset_mask)
        for i in rows.tolist():
            if seed is not None and seed[i] is not None:
                self._rngs[i] = seeding.np_random(seed[i])[0]
        self._begin(rows, options)
        return self.core.observe(), self._infos(reset_mask)

    def _begin(self, rows: np.ndarray, options: dict[str, Any] | None = None) -> None:
        self.core.reset(rows, [self._rngs[i] for i in rows.tolist()], options)

    def step(
        self, actions: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Play one action in every env."""
        actions = np.asarray(actions)
        if self.flat:
            actions = unflatten(actions, self.num_envs, self.core.piano)
        step = self.core.step(actions)
        done = step.terminated | step.truncated
        infos: dict[str, Any] = {}
        if done.any():
            rows = np.flatnonzero(done)
            infos["final_obs"] = _object_array(self.core.observe(rows), rows, self.num_envs)
            infos["final_info"] = {**self._infos(done), **self._step_infos(step, done)}
            infos["_final_obs"], infos["_final_info"] = done, done.copy()
            self._begin(rows)
        infos.update(self._infos(np.ones(self.num_envs, np.bool_)))
        infos.update(self._step_infos(step, ~done))
        return self.core.observe(), step.rewards, step.terminated, step.truncated, infos

    def action_masks(self) -> np.ndarray:
        """The legal actions of each env, (n, whats + values) bool."""
        masks = self.core.dynamics.masks  # later steps replace it and do not change it: no copy is needed
        return flat_masks(masks, self.core.dynamics.whats) if self.flat else masks

    def _infos(self, rows: np.ndarray) -> dict[str, Any]:
        """The infos of every step, each with its mask `rows` (n,) bool under `_key`, as Gymnasium defines them."""
        return {
            "action_mask": self.action_masks(),
            "_action_mask": rows.copy(),
            "illegal_actions": self.core.dynamics.states["illegal_actions"].copy(),
            "_illegal_actions": rows.copy(),
            "reward_terms": {},
            "_reward_terms": rows.copy(),
        }

    def _step_infos(self, step: Step, rows: np.ndarray) -> dict[str, Any]:
        """The reward terms and pieces of a step in the envs `rows` (n,) bool."""
        infos: dict[str, Any] = {}
        has_piece = np.zeros(self.num_envs, np.bool_)
        has_piece[list(step.pieces)] = True
        if step.terms:
            infos["reward_terms"] = {}
            for name, term in step.terms.items():
                has_term = rows.copy() if name == "illegal" else rows & has_piece
                infos["reward_terms"] |= {name: np.where(has_term, term, 0.0), f"_{name}": has_term}
        if (has_piece & rows).any():
            infos["piece"] = np.full(self.num_envs, None, object)
            infos["_piece"] = has_piece & rows
            for i in np.flatnonzero(has_piece & rows).tolist():
                infos["piece"][i] = step.pieces[i]
        return infos

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A piano roll of each env's piece so far."""
        if self.render_mode is None:
            return None
        from toccata.envs.rendering import picture

        clocks = self.core.dynamics.states["clock"]
        return tuple(picture(self.core.piece(i).score, int(clocks[i]), self.core.piano) for i in range(self.num_envs))


class PianoDiscreteVectorEnv(PianoVectorEnv):
    """`num_envs` copies of `PianoDiscreteEnv`; see `PianoVectorEnv`."""

    flat = True


def _object_array(batch: dict[str, np.ndarray], rows: np.ndarray, num_envs: int) -> np.ndarray:
    """(n,) objects: at each of `rows` (k,) its observation of `batch`, which has k of them; None elsewhere."""
    objects = np.full(num_envs, None, object)
    for k, i in enumerate(rows.tolist()):
        objects[i] = {key: value[k] for key, value in batch.items()}
    return objects
