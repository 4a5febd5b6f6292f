"""Pieces of an agent, in one batch of environments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from stable_baselines3.common.utils import set_random_seed

from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.step_infos import pieces_in
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.pieces import Piece

# Actions (n, ...) and the next state, of observations, masks (n, whats + values), state and (n,) episode starts.
Act = Callable[[Any, np.ndarray, Any, np.ndarray], tuple[np.ndarray, Any]]


def play_pieces(
    act: Act, env: PianoVecEnv, seed: int, on_progress: Callable[[float], object] | None = None
) -> tuple[list[Piece], dict[str, int]]:
    """One piece of each environment, stepped in one batch.

    Args:
        act: plays a step of all of them; its state is None at first.
        env: gives a piece at its end only: `reward_at="piece"`.
        seed: of the environments, and of the global random number generators of Python, numpy and torch.
        on_progress: called after every step with the fraction of the least finished piece that is done, in [0, 1].

    Returns:
        the pieces, and over all of them the number of `actions` and of `illegal_actions`, which became rests.
    """
    set_random_seed(seed)
    env.seed(seed)
    observations: Any = env.reset()
    starts = np.ones(env.num_envs, bool)
    state: Any = None
    pieces: dict[int, Piece] = {}
    counts = {"actions": 0, "illegal_actions": 0}
    while len(pieces) < env.num_envs:
        actions, state = act(observations, env.action_masks(), state, starts)
        observations, _, starts, infos = env.step(actions)
        for i, piece in pieces_in(infos).items():
            if i not in pieces:
                pieces[i] = piece
                counts["actions"] += len(piece.actions)  # type: ignore[arg-type]  # an agent wrote it
                counts["illegal_actions"] += infos[i]["illegal_actions"]
        if on_progress is not None:
            states = env.core.dynamics.states
            left = [i for i in range(env.num_envs) if i not in pieces]
            on_progress(float((states["clock"][left] / states["end_tick"][left]).min(initial=1.0)))
    return [pieces[i] for i in range(env.num_envs)], counts


def generate_pieces(model: ComposerPPO, count: int, seed: int, environment: dict[str, Any]) -> list[Piece]:
    """Generate pieces in one batch of environments.

    Args:
        model: the agent, whose policy is sampled.
        count: number of pieces.
        seed: equal seeds give equal pieces.
        environment: arguments of `PianoEnv`.
    """
    env = PianoVecEnv(count, **{**environment, "reward_at": "piece"})

    def act(observations: Any, masks: np.ndarray, state: Any, starts: np.ndarray) -> tuple[np.ndarray, Any]:
        return model.predict(observations, state, action_masks=masks)

    return play_pieces(act, env, seed)[0]
