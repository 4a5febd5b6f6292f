"""The piano with a vector reward, one entry for each reward model, in the form of MO-Gymnasium, which is not needed."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from toccata.envs.core import PianoCore, checked_penalty
from toccata.envs.env import PianoEnv
from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModel, check_model, total
from toccata.envs.reward_vector import reward_bounds, score_bounds, term_weights, unweighted
from toccata.envs.vector import PianoVectorEnv

ILLEGAL = "illegal"  # the entry of illegal actions, as the term of `PianoCore`


class MOPianoCore(PianoCore):
    """`PianoCore` whose rewards are vectors (n, entries) float32; see `MOPianoEnv`.

    Attributes:
        reward_names: of the entries.
        reward_dim: how many there are.
        reward_space: Box (entries,) float32, bounded where the reward models give their `score_range`.
    """

    reward_names: tuple[str, ...] = ()  # until the first reward model and penalty are set

    def __init__(self, num_envs: int = 1, **arguments: Any) -> None:
        super().__init__(num_envs, **arguments)
        self.reward_names = self._names(self.reward_model, self.illegal_penalty)
        self.reward_dim = len(self.reward_names)
        low, high = np.array(
            [reward_bounds(*each, self.reward_at == "bar") for each in score_bounds(self.reward_model).values()]
            + [(-1, 0)] * (ILLEGAL in self.reward_names),
            np.float32,
        ).T
        self.reward_space = spaces.Box(low, high, dtype=np.float32)

    @property
    def reward_weights(self) -> np.ndarray:
        """(entries,) float64 weights: their product with a reward vector is the reward of `PianoEnv`."""
        weights = [*term_weights(self.reward_model).values()]
        return np.array([*weights, self.illegal_penalty] if ILLEGAL in self.reward_names else weights, np.float64)

    @property
    def reward_model(self) -> RewardModel:
        """The reward model.

        Setting another raises TypeError for what is no reward model, ValueError for None and for other terms than
        those of the entries, and RewardModelError for weights that are not finite.
        """
        assert self._reward_model is not None
        return self._reward_model

    @reward_model.setter
    def reward_model(self, reward: RewardModel | None) -> None:
        if reward is None:
            raise ValueError('a piano with a vector reward needs a reward model, such as reward=["rating", "realism"]')
        check_model(reward)
        terms = tuple(term_weights(reward))
        if self.reward_names and self._names(reward, self.illegal_penalty) != self.reward_names:
            raise ValueError(f"the entries of the reward are {', '.join(self.reward_names)}, got {', '.join(terms)}")
        self._reward_model = reward

    @property
    def illegal_penalty(self) -> float:
        """The weight of the entry of illegal actions; setting it raises ValueError unless it is in [0, inf).

        There is such an entry if it was positive in the beginning. It must stay positive then, and 0 otherwise.
        """
        return self._illegal_weight

    @illegal_penalty.setter
    def illegal_penalty(self, penalty: float) -> None:
        penalty = checked_penalty(penalty)
        if self.reward_names and (penalty > 0) != (ILLEGAL in self.reward_names):
            now = "an" if ILLEGAL in self.reward_names else "no"
            raise ValueError(f"the reward has {now} entry of illegal actions, so illegal_penalty cannot be {penalty}")
        self._illegal_weight = penalty
        self._illegal_penalty = 1.0 if penalty else 0.0  # of the unweighted entry

    @staticmethod
    def _names(reward: RewardModel, penalty: float) -> tuple[str, ...]:
        """Names of the entries."""
        return (*term_weights(reward), *([ILLEGAL] if penalty else []))

    def _scores(self, pieces: Pieces) -> dict[str, np.ndarray]:
        return unweighted(self.reward_model, pieces)

    def _rewards(self, terms: dict[str, np.ndarray]) -> np.ndarray:
        """(n, entries) float32."""
        rewards = np.zeros((self.num_envs, self.reward_dim), np.float32)
        for column, name in enumerate(self.reward_names):
            if name in terms:
                rewards[:, column] = total({name: terms[name]})  # which checks that it is finite in float32
        return rewards


class _RewardVector:
    """The attributes of a reward vector, which are those of `core`; see `MOPianoEnv`."""

    core: MOPianoCore

    @property
    def reward_space(self) -> spaces.Box:
        """Box (entries,) float32."""
        return self.core.reward_space

    @property
    def reward_dim(self) -> int:
        """Number of entries."""
        return self.core.reward_dim

    @property
    def reward_names(self) -> tuple[str, ...]:
        """The entries."""
        return self.core.reward_names

    @property
    def reward_weights(self) -> np.ndarray:
        """(entries,) float64."""
        return self.core.reward_weights


class MOPianoEnv(_RewardVector, PianoEnv):
    """`PianoEnv` with a vector reward, for multi-objective reinforcement learning, as MO-Gymnasium defines it.

    ## Description

    As `PianoEnv`, except for the reward. `gym.make` and `mo_gymnasium.make` make it. Gymnasium's own wrappers for
    rewards and its `SyncVectorEnv` take scalars, those of MO-Gymnasium vectors.

    ## Action Space

    As `PianoEnv`; with `flat=True` as `PianoDiscreteEnv`.

    ## Observation Space

    As `PianoEnv`; with `flat=True` as `PianoDiscreteEnv`.

    ## Rewards

    (entries,) float32, one for each reward model: its score, unweighted, paid when `PianoEnv` pays, at bar lines the
    change. With a positive `illegal_penalty` the last one is -1 for an illegal action.

    | Attribute | Meaning |
    |-----------|---------|
    | reward_names | the entries: the terms of a weighted sum of models, or the name of a single one; "illegal" |
    | reward_dim | number of entries |
    | reward_space | Box (entries,) float32, with bounds where a model has a `score_range` |
    | reward_weights | (entries,) float64: weights of the sum, 1 for a single model; `illegal_penalty` |

    `np.dot(reward, env.unwrapped.reward_weights)` is the reward of `PianoEnv` with the same arguments, but for rounding
    to float32. A model with weight 0 is an entry too. `info["reward_terms"]` has the entries that are paid by name.

    ## Starting State

    As `PianoEnv`.

    ## Episode End

    As `PianoEnv`.

    ## Arguments

    As `PianoEnv`, and:

    | Argument | Default | Meaning |
    |----------|---------|---------|
    | reward | | a reward model, needed; of `toccata/MOPiano-v0` by default silence, repetition and density |
    | flat | False | one flat action, as in `PianoDiscreteEnv` |

    ## Version History

    - v0: first version.
    """

    core_type = MOPianoCore
    core: MOPianoCore

    def __init__(self, render_mode: str | None = None, *, flat: bool = False, **arguments: Any) -> None:
        self.flat = _checked_flat(flat)
        super().__init__(render_mode, **arguments)

    def step(  # type: ignore[override]  # Gymnasium's type is a scalar, MO-Gymnasium's a vector
        self, action: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, bool, bool, dict[str, Any]]:
        """Play one action; the reward is (entries,) float32."""
        step, info = self._play(action)
        return self._observation(), step.rewards[0], bool(step.terminated[0]), bool(step.truncated[0]), info


class MOPianoVectorEnv(_RewardVector, PianoVectorEnv):
    """`num_envs` copies of `MOPianoEnv`; see `PianoVectorEnv`. Rewards are (n, entries) float32.

    `reward_space`, `reward_dim`, `reward_names` and `reward_weights` are those of one env, as in MO-Gymnasium's
    `MOSyncVectorEnv`.
    """

    core_type = MOPianoCore
    core: MOPianoCore

    def __init__(
        self, num_envs: int = 1, render_mode: str | None = None, *, flat: bool = False, **arguments: Any
    ) -> None:
        self.flat = _checked_flat(flat)
        super().__init__(num_envs, render_mode, **arguments)


def _checked_flat(flat: bool) -> bool:
    if not isinstance(flat, (bool, np.bool_)):
        raise TypeError(f"flat must be True or False, got {flat!r}")
    return bool(flat)
