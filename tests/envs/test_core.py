"""Saving and restoring the state of the core."""

import numpy as np

from toccata.envs import PianoVectorEnv, Pieces

N = 3


class Bars:
    name = "bars"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array([score.bars + len(score) / 100 for score in pieces.scores], np.float32)


def test_set_state_restores_the_state() -> None:
    env = PianoVectorEnv(N, bars=2, reward=Bars(), reward_at="bar")
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    for _ in range(40):
        env.step(env.core.dynamics.random_legal_actions(rng))
    state = env.core.state()
    actions = env.core.dynamics.random_legal_actions(rng)
    expected = env.core.step(actions)
    other = PianoVectorEnv(N, bars=2, reward=Bars(), reward_at="bar")
    other.core.set_state(state)
    np.testing.assert_array_equal(other.core.step(actions).rewards, expected.rewards)
    assert "rewarded:bars" in state
    for name, array in env.core.state().items():
        np.testing.assert_array_equal(array, other.core.state()[name])
