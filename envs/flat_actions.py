"""Flat actions: `(what, value)` as the one number `what * values + value`."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from toccata.envs.instrument import Piano


def flat_space(piano: Piano) -> spaces.Discrete:
    """The action space of `PianoDiscreteEnv`.

    Raises:
        ValueError: for a piano with velocities, which would multiply the number of actions.
    """
    if piano.velocities is not None:
        raise ValueError(
            f"flat actions have no velocity, and the piano has the velocities {piano.velocities}: "
            "use toccata/PianoVelocity-v0, or a piano with velocities=None"
        )
    return spaces.Discrete(int(np.prod(piano.nvec)))


def flat_masks(masks: np.ndarray, whats: int) -> np.ndarray:
    """Masks (n, whats + values) of `(what, value)` as masks (n, whats * values) of flat actions."""
    return (masks[:, :whats, None] & masks[:, None, whats:]).reshape(len(masks), -1)


def unflatten(actions: np.ndarray, num_envs: int, piano: Piano) -> np.ndarray:
    """Flat actions (n,) as (n, 2) `(what, value)`.

    Raises:
        ValueError: when they are not `num_envs` integers in the flat action space.
    """
    space = flat_space(piano)
    if actions.shape != (num_envs,) or actions.dtype.kind not in "iu":
        raise ValueError(f"flat actions must be integers of shape ({num_envs},), got {actions.dtype} {actions.shape}")
    outside = (actions < 0) | (actions >= space.n)
    if outside.any():
        raise ValueError(f"action {actions[outside][0]} is outside the action space {space}")
    return np.stack(np.divmod(actions, piano.nvec[1]), axis=1)
