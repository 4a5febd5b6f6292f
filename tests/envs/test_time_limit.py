"""Gymnasium's own time limit: what was composed is paid when it truncates a piece."""

import copy

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import FlattenObservation, TimeLimit

import toccata  # noqa: F401  # registers the ids
from toccata.envs import Pieces
from toccata.music import Score

ID = "toccata/PianoDiscrete-v0"


class Notes:
    name = "notes"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array([len(score) for score in pieces.scores], np.float32)


def play(env: gym.Env, **options: object) -> tuple[float, int, dict]:
    """Sum of the rewards, steps and last info of an episode of legal actions."""
    _, info = env.reset(seed=0, options=options)
    total, steps, done = 0.0, 0, False
    rng = np.random.default_rng(1)
    while not done:
        action = rng.choice(np.flatnonzero(info["action_mask"]))
        _, reward, terminated, truncated, info = env.step(action)
        total, steps, done = total + reward, steps + 1, terminated or truncated
    return total, steps, info


@pytest.mark.parametrize("reward_at", ["piece", "bar"])
@pytest.mark.parametrize("limit", ["make", "wrapper", "inner", "both"])
def test_a_time_limit_pays_the_piece_so_far(limit: str, reward_at: str) -> None:
    arguments = {"bars": 8, "reward": Notes(), "reward_at": reward_at}
    env = gym.make(ID, max_episode_steps={"make": 9, "both": 20}.get(limit, -1), **arguments)
    if limit != "make":
        env = TimeLimit(env, 9)
    if limit == "inner":
        env = FlattenObservation(env)
    primer = Score([(0, 24, 60, 80), (0, 24, 64, 80)])
    for _ in range(2):
        total, steps, info = play(env, primer=primer)
        assert steps == 9
        piece = info["piece"]
        assert len(piece.actions) == 9
        assert total == len(piece.score) > 2
    assert gym.make(ID, **arguments).unwrapped.core.time_limit == np.inf


class RepeatFourTimes(gym.Wrapper):
    """Sums the rewards of four steps; `checks` whether the piece has ended."""

    def __init__(self, env: gym.Env, checks: bool) -> None:
        super().__init__(env)
        self.checks, self.played, self.paid = checks, 0, []

    def step(self, action: int) -> tuple:
        total = 0.0
        for _ in range(4):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total, self.played = total + reward, self.played + 1
            self.paid += [reward] if reward else []
            if self.checks and (terminated or truncated):
                break
        return observation, total, terminated, truncated, info


class RestsFirst(gym.Wrapper):
    """Plays five rests at the beginning of a piece."""

    def reset(self, **arguments: object) -> tuple:
        observation, info = self.env.reset(**arguments)
        for _ in range(5):
            observation, reward, _, _, info = self.env.step(0)
            assert reward == 0
        return observation, info


@pytest.mark.parametrize("reward_at", ["piece", "bar"])
@pytest.mark.parametrize("checks", [True, False])
def test_the_steps_that_count_are_those_of_the_time_limit(checks: bool, reward_at: str) -> None:
    """The piece ends with the first action of the tenth step; a wrapper that plays on after it is paid for the rest."""
    repeat = RepeatFourTimes(gym.make(ID, bars=8, reward=Notes(), reward_at=reward_at), checks)
    env = TimeLimit(repeat, 10)
    for _ in range(2):
        repeat.played, repeat.paid = 0, []
        total, steps, info = play(env)
        assert steps == 10
        assert repeat.played == len(info["piece"].actions) == (37 if checks else 40)
        assert total == len(info["piece"].score) > 2
        if checks and reward_at == "piece":
            assert repeat.paid == [total], "once"


@pytest.mark.parametrize("outside", [True, False])
def test_steps_of_another_wrappers_reset_count_as_the_time_limit_counts_them(outside: bool) -> None:
    env = gym.make(ID, bars=8, reward=Notes())
    env = RestsFirst(TimeLimit(env, 10)) if outside else TimeLimit(RestsFirst(env), 10)
    for _ in range(2):
        total, steps, info = play(env)
        assert steps == (5 if outside else 10)
        assert len(info["piece"].actions) == steps + 5
        assert total == len(info["piece"].score) > 2


def test_a_copy_has_its_own_time_limit() -> None:
    env = gym.make(ID, bars=8, reward=Notes(), max_episode_steps=3)
    env.reset(seed=0)
    env.step(0)
    other = copy.deepcopy(env)
    assert [env.step(0)[3] for _ in range(2)] == [False, True]
    assert [other.step(0)[3] for _ in range(2)] == [False, True]


def test_the_smaller_limit_counts() -> None:
    assert play(gym.make(ID, bars=8, max_steps=5, max_episode_steps=9))[1] == 5
    assert play(gym.make(ID, bars=8, max_steps=9, max_episode_steps=5))[1] == 5
    env = gym.make(ID, bars=8, max_steps=9, max_episode_steps=5)
    env.reset(seed=0)
    assert play(env.unwrapped)[1] == 9, "of the piano alone, without the wrapper"


@pytest.mark.parametrize("mode", ["sync", "vector_entry_point"])
def test_vectors_have_the_limit(mode: str) -> None:
    same_step = gym.vector.AutoresetMode.SAME_STEP
    extra = {"vector_kwargs": {"autoreset_mode": same_step}} if mode == "sync" else {"autoreset_mode": same_step}
    envs = gym.make_vec(
        "toccata/Piano-v0",
        num_envs=2,
        vectorization_mode=mode,
        bars=2,
        reward=Notes(),
        max_episode_steps=3,
        **extra,
    )
    envs.reset(seed=0)
    for k, what in enumerate((40, 44, 47)):
        _, rewards, _, truncated, infos = envs.step(np.array([[what, 3], [0, 3]]))
        assert truncated.tolist() == [k == 2] * 2
    assert rewards.tolist() == [3, 0]
    assert [len(piece.score) for piece in infos["final_info"]["piece"]] == [3, 0]


@pytest.mark.parametrize("steps", [0, 2.5, "3"])
def test_bad_limits_are_named(steps: object) -> None:
    with pytest.raises(ValueError, match=f"max_episode_steps must be a positive integer, or -1, got {steps!r}"):
        gym.make_vec("toccata/Piano-v0", num_envs=2, max_episode_steps=steps)
