"""Many pianos as one Gymnasium vector environment, stepped as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from toccata.envs.core import PianoCore, Step
from toccata.envs.env import PianoEnv, with_velocities

OF_EACH_ENV = ("piece", "score", "primer")  # attributes that differ from env to env; they share all others
SETTABLE = ("reward_model", "illegal_penalty")


class PianoVectorEnv(VectorEnv):
    """`num_envs` copies of `PianoEnv`, whose arguments it takes.

    Env `i` with seed `seed + i` gives the trajectory of a single env with that seed. What happens to an env whose piece
    ends is, as in Gymnasium, said by `autoreset_mode`, which is also in `metadata`:

    - `AutoresetMode.SAME_STEP`: it begins the next piece in the same step. The observation is the first of the new
      piece, `infos["final_obs"]` and `infos["final_info"]` are the last of the old one.
    - `AutoresetMode.NEXT_STEP`: it begins the next piece in the next step, whose action is ignored and whose reward
      is 0.
    - `AutoresetMode.DISABLED`: call `reset(options={"reset_mask": terminated | truncated})` before the next step.

    Args:
        num_envs: number of pianos.
        render_mode: None or "rgb_array".
        autoreset_mode: one of them, or its value: "SameStep", "NextStep", "Disabled".
        max_episode_steps: steps after which a piece is truncated, as by `gym.make`'s argument; None or -1: only
            `max_steps` counts.
        arguments: of `PianoEnv`.

    Raises:
        ValueError: for a mode, a limit or an argument out of range, naming it.
    """

    metadata = {  # noqa: RUF012  # as VectorEnv types it
        **PianoEnv.metadata,
        "render_modes": ["rgb_array"],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }
    flat = False  # one flat action, as in `PianoDiscreteEnv`
    core_type = PianoCore

    def __init__(
        self,
        num_envs: int = 1,
        render_mode: str | None = None,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        max_episode_steps: int | None = None,
        **arguments: Any,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array' for a vector environment, got {render_mode!r}")
        modes = {mode.value: mode for mode in AutoresetMode}
        if not isinstance(autoreset_mode, AutoresetMode) and autoreset_mode not in modes:
            raise ValueError(f"autoreset_mode must be one of {', '.join(modes)}, got {autoreset_mode!r}")
        self.core = self.core_type(num_envs, flat=self.flat, **arguments)
        if max_episode_steps not in (None, -1):
            if type(max_episode_steps) is not int or max_episode_steps < 1:
                raise ValueError(f"max_episode_steps must be a positive integer, or -1, got {max_episode_steps!r}")
            self.core.time_limit = max_episode_steps
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = self.core.observation_space
        self.single_action_space = self.core.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._rngs = [seeding.np_random()[0] for _ in range(num_envs)]
        self._ended = np.zeros(num_envs, np.bool_)  # whose piece has ended and who has not begun the next one

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin a piece in every env, or in those of `options["reset_mask"]` (n,) bool; the others go on."""
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
        self._ended[rows] = False

    def step(
        self, actions: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Play one action in every env.

        Raises:
            ResetNeeded: with autoreset disabled, naming the envs whose piece has ended.
        """
        if self.autoreset_mode is AutoresetMode.DISABLED and self._ended.any():
            raise ResetNeeded(
                f"the pieces of the envs {np.flatnonzero(self._ended).tolist()} have ended, and autoreset is disabled: "
                'reset them with reset(options={"reset_mask": terminated | truncated})'
            )
        playing = ~self._ended  # all but in the mode NEXT_STEP
        step = self.core.step(actions, None if playing.all() else np.flatnonzero(playing))
        if self._ended.any():
            self._begin(np.flatnonzero(self._ended))
        done = step.terminated | step.truncated
        infos: dict[str, Any] = {}
        if self.autoreset_mode is not AutoresetMode.SAME_STEP:
            self._ended = done
        elif done.any():
            rows = np.flatnonzero(done)
            infos["final_obs"] = _object_array(self.core.observe(rows), rows, self.num_envs)
            infos["final_info"] = {**self._infos(done), **self._step_infos(step, done)}
            infos["_final_obs"], infos["_final_info"] = done, done.copy()
            self._begin(rows)
            playing = ~done
        infos.update(self._infos(np.ones(self.num_envs, np.bool_)))
        infos.update(self._step_infos(step, playing))
        return self.core.observe(), step.rewards, step.terminated, step.truncated, infos

    def action_masks(self) -> np.ndarray:
        """The legal actions of each env, (n, whats + values) bool, flat ones (n, whats * values)."""
        return self.core.action_masks()

    # Attributes and methods of the single envs

    def call(self, name: str, *arguments: Any, **named: Any) -> tuple[Any, ...]:
        """Of each env, the result of its method `name`, `action_masks`, or the attribute of that name.

        Raises:
            AttributeError: when there is neither.
        """
        if arguments or named:
            raise AttributeError(f"the envs of a {type(self).__name__} have no method {name!r} that takes arguments")
        if name == "action_masks":
            return tuple(self.action_masks())
        if name == "primer":
            return tuple(self.core.primer_of(i) for i in range(self.num_envs))
        if name in OF_EACH_ENV:
            pieces = [self.core.piece(i) for i in range(self.num_envs)]
            return tuple(pieces if name == "piece" else [piece.score for piece in pieces])
        shared = {
            "action_space": self.single_action_space,
            "observation_space": self.single_observation_space,
            "render_mode": self.render_mode,
        }
        if name not in shared and (name.startswith("_") or not hasattr(self.core, name)):
            raise AttributeError(f"the envs of a {type(self).__name__} have no attribute {name!r}")
        if callable(getattr(PianoCore, name, None)):
            raise AttributeError(
                f"of the envs of a {type(self).__name__} only action_masks can be called, not {name!r}"
            )
        return (shared[name] if name in shared else getattr(self.core, name),) * self.num_envs

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """The attribute `name` of each env; they share all but `piece`, `score` and `primer`."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set `reward_model` or `illegal_penalty` of all envs, which they share.

        Args:
            name: of the attribute.
            values: one value, or a list or tuple with an equal value for each env.

        Raises:
            AttributeError: for any other attribute.
            ValueError: for another number of values, for values that differ, and for one out of range.
        """
        if name not in SETTABLE:
            raise AttributeError(
                f"of the envs of a {type(self).__name__} only {' and '.join(SETTABLE)} can be set, not {name!r}; "
                "reset(options=...) takes primer, genre and tempo_bpm"
            )
        if not isinstance(values, (list, tuple)):
            values = [values] * self.num_envs
        if len(values) != self.num_envs:
            raise ValueError(f"need a value of {name} for each of {self.num_envs} envs, got {len(values)}")
        if any(value is not values[0] and value != values[0] for value in values):
            raise ValueError(f"the envs share their {name}: it cannot differ among them, got {values!r}")
        setattr(self.core, name, values[0])

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


class PianoVelocityVectorEnv(PianoVectorEnv):
    """`num_envs` copies of `PianoVelocityEnv`; see `PianoVectorEnv`."""

    def __init__(self, num_envs: int = 1, render_mode: str | None = None, **arguments: Any) -> None:
        super().__init__(num_envs, render_mode, **with_velocities(arguments))


def _object_array(batch: dict[str, np.ndarray], rows: np.ndarray, num_envs: int) -> np.ndarray:
    """(n,) objects: at each of `rows` (k,) its observation of `batch`, which has k of them; None elsewhere."""
    objects = np.full(num_envs, None, object)
    for k, i in enumerate(rows.tolist()):
        objects[i] = {key: value[k] for key, value in batch.items()}
    return objects
