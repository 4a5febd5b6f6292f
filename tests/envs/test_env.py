"""What every registered environment must fulfil."""

import copy
import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import FlattenObservation, RecordEpisodeStatistics, TimeLimit, TransformReward

import toccata  # noqa: F401  # registers the ids
from toccata.envs import Pieces

IDS = ("toccata/Piano-v0", "toccata/PianoDiscrete-v0", "toccata/PianoVelocity-v0")


class NoteCount:
    name = "notes"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array([len(score) for score in pieces.scores], np.float32)


class TwoTerms:
    name = "two"

    def contributions(self, pieces: Pieces) -> dict[str, np.ndarray]:
        return {"notes": NoteCount().score(pieces), "bars": -np.array([score.bars for score in pieces.scores])}

    def score(self, pieces: Pieces) -> np.ndarray:
        return sum(self.contributions(pieces).values())


VARIANTS = [
    {},
    {"observation": "actions", "reward": NoteCount(), "genre": None},
    {"reward": TwoTerms(), "reward_at": "bar", "illegal_penalty": 0.25, "beats_per_bar": 3},
]


@pytest.fixture(params=IDS)
def id_(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("arguments", VARIANTS, ids=["full", "actions", "bars"])
def test_environment_checkers_pass_without_warnings(id_: str, arguments: dict) -> None:
    from stable_baselines3.common.env_checker import check_env as sb3_check_env

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make(id_, bars=2, **arguments)
        check_env(env.unwrapped)
        sb3_check_env(env.unwrapped)


@pytest.mark.parametrize("arguments", VARIANTS, ids=["full", "actions", "bars"])
def test_same_seed_same_episode(play_episode, assert_same, id_: str, arguments: dict) -> None:
    first, second = (play_episode(gym.make(id_, bars=2, **arguments), seed=3, sample=True) for _ in range(2))
    assert_same(first, second)


def test_random_play_is_inside_the_spaces_and_has_the_length_of_bars(play_episode, id_: str) -> None:
    for arguments in VARIANTS:
        env = gym.make(id_, bars=2, **arguments)
        for seed in range(4):
            steps = play_episode(env, seed, sample=seed % 2 == 0)
            for observation, reward, _, _, info in steps:
                assert env.observation_space.contains(observation)
                assert isinstance(reward, float)
                assert info["action_mask"].dtype == np.bool_
            assert steps[-1][2]
            assert not steps[-1][3]
            assert env.unwrapped.score.bars == 2
            assert (steps[-1][4]["illegal_actions"] > 0) == (seed % 2 == 0)


def test_the_mask_in_info_equals_action_masks(legal_action, id_: str) -> None:
    env = gym.make(id_, bars=1)
    mask = env.reset(seed=0)[1]["action_mask"]
    for _ in range(20):
        np.testing.assert_array_equal(mask, env.unwrapped.action_masks())
        mask = env.step(legal_action(env, np.random.default_rng(0)))[4]["action_mask"]


def test_the_flat_environment_equals_the_other(legal_action, assert_same) -> None:
    pair, flat = (gym.make(id_, bars=2, reward=NoteCount()) for id_ in IDS[:2])
    assert flat.action_space == spaces.Discrete(353 * 13)
    pair.reset(seed=0)
    flat.reset(seed=0)
    rng, done = np.random.default_rng(0), False
    while not done:
        what, value = legal_action(pair, rng)
        mask = pair.unwrapped.action_masks()
        np.testing.assert_array_equal(np.outer(mask[:353], mask[353:]).ravel(), flat.unwrapped.action_masks())
        one, other = pair.step(np.array([what, value])), flat.step(what * 13 + value)
        assert_same(one[:4], other[:4])
        done = one[2]


def test_observations_are_new_arrays(legal_action, assert_same) -> None:
    env = gym.make(IDS[0], bars=2)
    observation, _ = env.reset(seed=0)
    copies = []
    for seed in range(30):
        copies.append((observation, copy.deepcopy(observation)))
        observation = env.step(legal_action(env, np.random.default_rng(seed)))[0]
    for observation, expected in copies:
        assert_same(observation, expected)


def test_pickled_and_copied_environments_continue_equally(legal_action, assert_same, id_: str) -> None:
    env = gym.make(id_, bars=2, reward=NoteCount(), reward_at="bar").unwrapped
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(15):
        env.step(legal_action(env, rng))
    for other in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        action = legal_action(env, np.random.default_rng(1))
        assert_same(other.step(action), copy.deepcopy(env).step(action))
        assert_same(other.reset(), copy.deepcopy(env).reset())


def test_gymnasium_wrappers(play_episode) -> None:
    env = gym.make(IDS[0], bars=4, reward=NoteCount(), max_episode_steps=7)
    env = FlattenObservation(TransformReward(RecordEpisodeStatistics(env), lambda reward: 2 * reward))
    steps = play_episode(env, seed=0)
    assert isinstance(env.env.env.env, TimeLimit)
    assert steps[-1][2:4] == (False, True)
    assert steps[-1][4]["episode"]["l"] == 7
    assert env.observation_space.contains(steps[-1][0])
    recorded = RecordEpisodeStatistics(gym.make(IDS[0], bars=2, reward=NoteCount()))
    steps = play_episode(recorded, seed=0)
    assert steps[-1][4]["episode"]["r"] == steps[-1][1] == len(steps[-1][4]["piece"].score)
