"""Random play, and comparison of what environments return."""

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest

from toccata.envs import PianoDiscreteEnv, Piece


@pytest.fixture
def legal_action() -> Callable[[gym.Env, np.random.Generator], np.ndarray | int]:
    """`legal_action(env, rng)`: a random legal action of a single environment."""

    def choose(env: gym.Env, rng: np.random.Generator) -> np.ndarray | int:
        mask = env.unwrapped.action_masks()
        if isinstance(env.unwrapped, PianoDiscreteEnv):
            return int(rng.choice(np.flatnonzero(mask)))
        ends = np.cumsum(env.unwrapped.core.piano.nvec)[:-1]
        return np.array([rng.choice(np.flatnonzero(part)) for part in np.split(mask, ends)])

    return choose


@pytest.fixture
def play_episode(legal_action) -> Callable[..., list[tuple]]:
    """`play_episode(env, seed, sample)`: (observation, reward, terminated, truncated, info) of the reset and each step.

    Legal actions, or with `sample` any actions of the space.
    """

    def play(env: gym.Env, seed: int, sample: bool = False) -> list[tuple]:
        rng = np.random.default_rng(seed)
        env.action_space.seed(seed)
        observation, info = env.reset(seed=seed)
        steps = [(observation, 0.0, False, False, info)]
        while not (steps[-1][2] or steps[-1][3]):
            steps.append(env.step(env.action_space.sample() if sample else legal_action(env, rng)))
        return steps

    return play


@pytest.fixture
def assert_same() -> Callable[[object, object], None]:
    """`assert_same(a, b)`: nested dicts, sequences, arrays and pieces are equal."""

    def check(a: object, b: object) -> None:
        if isinstance(a, dict):
            assert isinstance(b, dict)
            assert a.keys() == b.keys()
            for key in a:
                check(a[key], b[key])
        elif isinstance(a, Piece):
            assert isinstance(b, Piece)
            assert (a.score, a.genre, a.start_tick) == (b.score, b.genre, b.start_tick)
            np.testing.assert_array_equal(a.actions, b.actions)
        elif isinstance(a, (tuple, list)):
            assert isinstance(b, (tuple, list))
            for x, y in zip(a, b, strict=True):
                check(x, y)
        else:
            np.testing.assert_array_equal(a, b)

    return check
