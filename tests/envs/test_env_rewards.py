"""When and what the environments reward."""

import gymnasium as gym
import numpy as np
import pytest

import toccata  # noqa: F401  # registers the ids
from toccata.envs import Piano, Pieces, RewardModelError


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


def test_without_a_reward_model_rewards_are_zero_and_the_piece_is_in_info(play_episode) -> None:
    steps = play_episode(gym.make("toccata/Piano-v0", bars=2), seed=0)
    assert [step[1] for step in steps] == [0.0] * len(steps)
    assert ["piece" in step[4] for step in steps] == [False] * (len(steps) - 1) + [True]
    piece = steps[-1][4]["piece"]
    assert piece.genre == "classical"
    assert piece.actions.shape == (len(steps) - 1, 2)
    assert piece.score.bars == 2


@pytest.mark.parametrize("model", [NoteCount(), TwoTerms()], ids=["one", "two terms"])
def test_rewards_at_bars_sum_to_the_score_of_the_piece(play_episode, model: NoteCount | TwoTerms) -> None:
    at_end = play_episode(gym.make("toccata/Piano-v0", bars=4, reward=model), seed=1)
    bars = play_episode(gym.make("toccata/Piano-v0", bars=4, reward=model, reward_at="bar"), seed=1)
    assert [step[1] for step in at_end[:-1]] == [0.0] * (len(at_end) - 1)
    score = float(model.score(Pieces([at_end[-1][4]["piece"]]))[0])
    assert at_end[-1][1] == score
    assert sum(step[1] for step in bars) == pytest.approx(score)
    assert 2 <= sum("piece" in step[4] for step in bars) <= 4
    lengths = [step[4]["piece"].score.bars for step in bars if "piece" in step[4]]
    assert lengths == sorted(lengths)
    assert lengths[-1] == 4


def test_rewards_at_every_second_bar_sum_to_the_score_of_the_piece() -> None:
    env = gym.make("toccata/Piano-v0", bars=5, reward=NoteCount(), reward_at="bar", bars_per_reward=2)
    _, info = env.reset(seed=3)
    rng, rewards, done = np.random.default_rng(3), [], False
    while not done:
        mask = info["action_mask"]
        action = [rng.choice(np.flatnonzero(mask[:353])), rng.choice(np.flatnonzero(mask[353:]))]
        _, reward, done, _, info = env.step(np.array(action))
        if "piece" in info:
            rewards.append(float(reward))
            assert info["piece"].score.bars in (2, 4, 5)
    assert len(rewards) == 3
    assert sum(rewards) == pytest.approx(len(info["piece"].score))


def test_terms_sum_to_the_reward(play_episode) -> None:
    env = gym.make("toccata/Piano-v0", bars=2, reward=TwoTerms(), reward_at="bar", illegal_penalty=0.5)
    names = set()
    for _, reward, _, _, info in play_episode(env, seed=0, sample=True):
        assert sum(info["reward_terms"].values()) == pytest.approx(reward)
        names |= info["reward_terms"].keys()
    assert names == {"notes", "bars", "illegal"}


def test_an_illegal_action_becomes_a_rest_that_is_counted_and_penalised() -> None:
    env = gym.make("toccata/Piano-v0", bars=2, illegal_penalty=0.5)
    env.reset(seed=0)
    c4 = np.array([Piano().key_of(60), 8])
    assert env.step(c4)[1] == 0
    _, reward, _, _, info = env.step(c4)
    assert (reward, info["illegal_actions"], info["reward_terms"]) == (-0.5, 1, {"illegal": -0.5})
    assert env.unwrapped.core.dynamics.states["clock"][0] == 24
    assert len(env.unwrapped.score) == 1
    assert env.reset()[1]["illegal_actions"] == 0


def test_a_truncated_piece_is_rewarded(play_episode) -> None:
    steps = play_episode(gym.make("toccata/Piano-v0", bars=8, max_steps=5, reward=NoteCount()), seed=0)
    assert len(steps) == 6
    assert steps[-1][2:4] == (False, True)
    assert steps[-1][1] == len(steps[-1][4]["piece"].score) > 0


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda pieces: 1 / 0, "'failing' raised ZeroDivisionError"),
        (lambda pieces: [float("nan")], "'failing' must return finite scores, got nan"),
        (lambda pieces: np.zeros((1, 1)), r"'failing' must return shape \(1,\)"),
        (lambda pieces: "much", "'failing' must return 1 numbers, got str"),
    ],
)
def test_a_failing_reward_model_is_named(result: object, message: str) -> None:
    class Failing:
        name = "failing"
        score = staticmethod(result)

    env = gym.make("toccata/Piano-v0", bars=1, max_steps=1, reward=Failing())
    env.reset()
    with pytest.raises(RewardModelError, match=message):
        env.step(np.array([0, 0]))
