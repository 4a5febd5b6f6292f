"""Pieces of what acts, one of each environment."""

from __future__ import annotations

from typing import Any

import numpy as np

from toccata.agents.generation.rollouts import play_pieces
from toccata.agents.vec_env import PianoVecEnv


def test_one_piece_of_each_environment_is_played_and_counted() -> None:
    states, illegal = [], np.array([[1, 0], [2, 0], [3, 0]])  # durations of 0 ticks

    def act(observations: Any, masks: np.ndarray, state: Any, starts: np.ndarray) -> tuple[np.ndarray, Any]:
        states.append(state)
        assert starts.all() == (state is None)
        return illegal, (state or 0) + 1

    env = PianoVecEnv(3, bars=1, reward_at="piece")
    pieces, counts = play_pieces(act, env, 4)
    assert [piece.score.bars for piece in pieces] == [1, 1, 1]
    assert counts["actions"] == sum(len(piece.actions) for piece in pieces) == 3 * len(states)
    assert states == [None, *range(1, len(states))]
