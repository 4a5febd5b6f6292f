"""Many pianos as one Gymnasium vector environment, stepped in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from toccata.envs.core import PianoCore, Step
from toccata.envs.env import PianoEnv, flat_masks


class PianoVectorEnv(VectorEnv):
    """`num_envs` copies of `PianoEnv`, whose arguments it takes.

    An env whose piece ends begins the next one in the same step (`AutoresetMode.SAME_STEP`): the observation is
    the new piece's first, `infos["final_obs"]` and `infos["final_info"]` are the old one's last. From equal seeds
    it plays as single envs do; env `i` has `seed + i`.
    """

    metadata = {**PianoEnv.metadata, "autoreset_mode": AutoresetMode.SAME_STEP}
    flat = False  # one flat action, as in `PianoDiscreteEnv`

    def __init__(self, num_envs: int = 1, render_mode: str | None = None, **arguments: Any) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(
                f"render_mode must be None or 'rgb_array' for a vector environment, got {render_mode!r}"
            )
        self.core = PianoCore(num_envs, **arguments)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space = self.core.observation_space
        self.single_action_space: spaces.Space = self.core.action_space
        if self.flat:
            self.single_action_space = spaces.Discrete(int(np.prod(self.core.piano.nvec)))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._rngs = [seeding.np_random()[0] for _ in range(num_envs)]

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin a piece in every env; `options["reset_mask"]` (n,) bool names those to reset, by default all."""
        options = dict(options or {})
        mask = options.pop("reset_mask", None)
        rows = np.arange(self.num_envs) if mask is None else np.flatnonzero(mask)
        if seed is not None:
            seeds = (
                [seed + i for i in range(self.num_envs)]
                if isinstance(seed, (int, np.integer))
                else list(seed)
            )
            if len(seeds) != self.num_envs:
                raise ValueError(f"need a seed for each of {self.num_envs} envs, got {len(seeds)}")
            for i in rows:
                if seeds[i] is not None:
                    self._rngs[i] = seeding.np_random(seeds[i])[0]
        self._begin(rows, options)
        return self.core.observe(), self._infos(None, np.isin(np.arange(self.num_envs), rows))

    def _begin(self, rows: np.ndarray, options: dict[str, Any] | None = None) -> None:
        self.core.reset(rows, [self._rngs[i] for i in rows], options)

    def step(
        self, actions: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Play one action in every env."""
        if self.flat:
            actions = np.stack(np.divmod(actions, self.core.piano.nvec[1]), axis=1)
        step = self.core.step(actions)
        done = step.terminated | step.truncated
        infos: dict[str, Any] = {}
        if done.any():
            rows = np.flatnonzero(done)
            infos["final_obs"] = _objects(self.core.observe(), rows, self.num_envs)
            infos["final_info"] = self._infos(step, done)
            infos["_final_obs"], infos["_final_info"] = done, done.copy()
            self._begin(rows)
        infos.update(self._infos(step, np.ones(self.num_envs, np.bool_)))
        return self.core.observe(), step.rewards, step.terminated, step.truncated, infos

    def action_masks(self) -> np.ndarray:
        """The legal actions of each env, (n, whats + values) bool."""
        masks = self.core.dynamics.masks
        return flat_masks(masks, self.core.dynamics.whats) if self.flat else masks.copy()

    def _infos(self, step: Step | None, rows: np.ndarray) -> dict[str, Any]:
        """What is known of each env, with the masks that Gymnasium wants beside it; `rows` (n,) bool says of which."""
        infos: dict[str, Any] = {
            "action_mask": self.action_masks(),
            "_action_mask": rows.copy(),
            "illegal_actions": self.core.dynamics.states["illegal_actions"].copy(),
            "_illegal_actions": rows.copy(),
        }
        if step is not None and step.terms:
            terms = {name: term.copy() for name, term in step.terms.items()}
            infos["reward_terms"] = {**terms, **{f"_{name}": rows.copy() for name in terms}}
            infos["_reward_terms"] = rows.copy()
        if step is not None and step.pieces:
            infos["piece"] = np.full(self.num_envs, None, object)
            infos["_piece"] = np.zeros(self.num_envs, np.bool_)
            for i, piece in step.pieces.items():
                infos["piece"][i] = piece
                infos["_piece"][i] = rows[i]
        return infos

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A piano roll of each env's piece as it stands."""
        if self.render_mode is None:
            return None
        from toccata.envs.rendering import picture

        clocks = self.core.dynamics.states["clock"]
        return tuple(
            picture(self.core.piece(i).score, int(clocks[i]), self.core.piano) for i in range(self.num_envs)
        )


class PianoDiscreteVectorEnv(PianoVectorEnv):
    """`num_envs` copies of `PianoDiscreteEnv`; see `PianoVectorEnv`."""

    flat = True


def _objects(batch: dict[str, np.ndarray], rows: np.ndarray, num_envs: int) -> np.ndarray:
    """(n,) array with the single observation of each of `rows`, None elsewhere."""
    single = np.full(num_envs, None, object)
    for i in rows:
        single[i] = {key: value[i].copy() for key, value in batch.items()}
    return single
