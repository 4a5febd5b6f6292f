"""The piano with a vector reward, without MO-Gymnasium."""

import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import toccata  # noqa: F401  # registers the ids
from toccata.envs import MOPianoEnv, MOPianoVectorEnv, Pieces, RewardModelError, random_legal_actions
from toccata.reward_models import load_reward

ID = "toccata/MOPiano-v0"
SUM = [["silence", 0.7], {"model": "repetition", "weight": 3.0}, ["density(density_limit=1.0)", -0.3], ["silence", 0.0]]
NAMES = ("silence", "repetition", "density", "silence-2")


class Notes:
    name = "notes"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array([len(score) for score in pieces.scores], np.float32)


class Linear(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """The product of the reward and the weights of the environment."""

    def __init__(self, env: gym.Env) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)

    def step(self, action: object) -> tuple:
        observation, reward, *rest = self.env.step(action)
        return observation, float(np.dot(reward, self.unwrapped.reward_weights)), *rest


@pytest.mark.parametrize("reward_at", ["piece", "bar"])
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("sample", [False, True], ids=["legal", "any"])
def test_the_product_with_the_weights_is_the_scalar_reward_step_by_step(
    play_episode, assert_same, reward_at: str, flat: bool, sample: bool
) -> None:
    arguments = {"bars": 3, "reward": SUM, "reward_at": reward_at, "illegal_penalty": 0.25 if sample else 0.0}
    scalar_env = gym.make("toccata/PianoDiscrete-v0" if flat else "toccata/Piano-v0", **arguments)
    env = gym.make(ID, flat=flat, **arguments)
    weights = env.unwrapped.reward_weights
    actions = []

    class Recorded(gym.Wrapper):
        def step(self, action: object) -> tuple:
            actions.append(action)
            return self.env.step(action)

    scalar = play_episode(Recorded(scalar_env), seed=4, sample=sample)
    observation, info = env.reset(seed=4)
    assert_same((observation, info), (scalar[0][0], scalar[0][4]))
    paid, terms_seen = 0, set()
    for action, (observation, reward, terminated, truncated, info) in zip(actions, scalar[1:], strict=True):
        observation_, vector, terminated_, truncated_, info_ = env.step(action)
        assert (vector.shape, vector.dtype) == ((len(weights),), np.float32)
        assert env.unwrapped.reward_space.contains(vector)
        assert vector @ weights == pytest.approx(reward, rel=1e-5, abs=1e-6)
        names = env.unwrapped.reward_names
        entries = dict(zip(names, vector.tolist(), strict=True))
        terms = info_.pop("reward_terms")
        assert entries == pytest.approx({**dict.fromkeys(names, 0), **terms}, rel=1e-6)
        assert terms.keys() == info["reward_terms"].keys()
        terms_seen |= terms.keys()
        del info["reward_terms"]
        assert_same((observation_, terminated_, truncated_, info_), (observation, terminated, truncated, info))
        paid += reward != 0
    assert paid >= (2 if reward_at == "bar" else 1)
    assert terms_seen == {*NAMES, *(["illegal"] if sample else [])}


def test_with_one_model_of_weight_one_it_is_the_scalar_reward_exactly(play_episode) -> None:
    arguments = {"bars": 3, "reward": Notes(), "reward_at": "bar"}
    scalar = play_episode(gym.make("toccata/Piano-v0", **arguments), seed=1)
    vector = play_episode(gym.make(ID, **arguments), seed=1)
    assert [step[1] for step in vector] == [step[1] for step in scalar]
    assert vector[-1][1].shape == (1,)
    assert sum(step[1] for step in vector) == len(vector[-1][4]["piece"].score)


def test_names_weights_and_space() -> None:
    env = gym.make(ID, reward=SUM, illegal_penalty=0.5).unwrapped
    assert env.reward_names == (*NAMES, "illegal")
    assert env.reward_weights.tolist() == [0.7, 3.0, -0.3, 0.0, 0.5]
    assert env.reward_dim == 5
    assert (env.reward_space.dtype, env.reward_space.shape) == (np.float32, (5,))
    assert (env.reward_space.low.tolist(), env.reward_space.high.tolist()) == ([-1] * 5, [0] * 5)
    at_bars = gym.make(ID, reward=SUM, illegal_penalty=0.5, reward_at="bar").unwrapped.reward_space
    assert (at_bars.low.tolist(), at_bars.high.tolist()) == ([-1] * 5, [1] * 4 + [0])
    unbounded = gym.make(ID, reward=[[Notes(), 1.0], ["silence", 1.0]]).unwrapped.reward_space
    assert (unbounded.low.tolist(), unbounded.high.tolist()) == ([-np.inf, -1], [np.inf, 0])


def test_bounds_of_the_networks() -> None:
    space = gym.make(ID, reward=["rating", "realism"]).unwrapped.reward_space
    np.testing.assert_array_equal([space.low, space.high], np.float32([[-4, 0], [4, 2.303]]))
    realism = load_reward("realism")
    low, high = realism.score_range
    limits = np.logaddexp(0, [-4, np.log(9)])
    assert limits[0] - 1e-3 < low < limits[0] < limits[1] < high < limits[1] + 1e-3


def test_it_passes_the_checker_of_gymnasium_as_a_scalar(recwarn: pytest.WarningsRecorder) -> None:
    for flat in (False, True):
        check_env(Linear(gym.make(ID, bars=1, flat=flat).unwrapped), skip_render_check=True)
    assert [str(each.message) for each in recwarn if "unwrapped" not in str(each.message)] == []


def test_the_spec_survives_json_and_the_environment_pickling(play_episode, assert_same) -> None:
    env = gym.make(ID, bars=1, flat=True, reward=SUM, illegal_penalty=0.5)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    pickled = pickle.loads(pickle.dumps(env))
    episodes = [play_episode(each, seed=2, sample=True) for each in (env, again, pickled)]
    assert_same(episodes[0], episodes[1])
    assert_same(episodes[0], episodes[2])
    assert again.unwrapped.reward_names == pickled.unwrapped.reward_names == (*NAMES, "illegal")
    assert gym.spec(ID).kwargs == {"reward": ["silence", "repetition", "density"]}


def test_a_wrapper_may_change_a_reward_in_place() -> None:
    env = gym.make(ID, bars=1)
    env.reset(seed=0)
    _, reward, _, _, info = env.step((0, 12))
    reward[:] = 7
    assert info["reward_terms"]["silence"] == -1
    assert env.reset(seed=0)[1]["reward_terms"] == {}


def test_a_time_limit_pays_the_piece_so_far() -> None:
    env = gym.make(ID, bars=4, reward=[[Notes(), 1.0], ["silence", 1.0]], max_episode_steps=2)
    env.reset(seed=0)
    assert env.step((40, 8))[1].tolist() == [0, 0]
    _, reward, terminated, truncated, _ = env.step((44, 8))
    assert (reward[0], terminated, truncated) == (2, False, True)


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("flat", [False, True])
def test_the_batched_form_has_the_rewards_of_single_environments(mode: AutoresetMode, flat: bool) -> None:
    arguments = {"bars": 1, "reward": SUM, "reward_at": "bar", "illegal_penalty": 0.5, "flat": flat, "max_steps": 6}
    envs = gym.make_vec(ID, num_envs=3, autoreset_mode=mode, **arguments)
    singles = [gym.make(ID, **arguments) for _ in range(3)]
    assert isinstance(envs, MOPianoVectorEnv)
    assert (envs.reward_names, envs.reward_dim) == ((*NAMES, "illegal"), 5)
    assert envs.reward_space == singles[0].unwrapped.reward_space == envs.get_attr("reward_space")[0]
    np.testing.assert_array_equal(envs.reward_weights, singles[0].unwrapped.reward_weights)
    envs.reset(seed=5)
    for i, env in enumerate(singles):
        env.reset(seed=5 + i)
    envs.action_space.seed(0)
    ended = np.zeros(3, bool)
    for _ in range(20):
        actions = envs.action_space.sample()
        _, rewards, terminated, truncated, _ = envs.step(actions)
        assert (rewards.shape, rewards.dtype) == ((3, 5), np.float32)
        for i, env in enumerate(singles):
            if mode is AutoresetMode.NEXT_STEP and ended[i]:
                env.reset()
                assert not rewards[i].any()
                continue
            _, reward, *done, _ = env.step(actions[i])
            np.testing.assert_array_equal(rewards[i], reward)
            assert done == [terminated[i], truncated[i]]
            if any(done) and mode is not AutoresetMode.NEXT_STEP:
                env.reset()
        ended = terminated | truncated
        if mode is AutoresetMode.DISABLED and ended.any():
            envs.reset(options={"reset_mask": ended})


def test_legal_play_of_the_batched_form_pays_each_piece_once() -> None:
    envs = gym.make_vec(ID, num_envs=2, bars=2, reward=Notes())
    _, infos = envs.reset(seed=0)
    rng, pieces = np.random.default_rng(0), 0
    for _ in range(60):
        _, rewards, _, _, infos = envs.step(random_legal_actions(infos["action_mask"], 353, rng))
        for i in np.flatnonzero(rewards[:, 0]):
            assert rewards[i].tolist() == [len(infos["final_info"]["piece"][i].score)]
            pieces += 1
    assert pieces


def test_a_reward_that_cannot_be_one() -> None:
    for make in (gym.make, gym.make_vec):
        with pytest.raises(ValueError, match=r'needs a reward model, such as reward=\["rating", "realism"\]'):
            make(ID, reward=None)
        with pytest.raises(ValueError, match=r"at least one reward model"):
            make(ID, reward=[])
        with pytest.raises(ValueError, match=r"its weight must be a finite number, got nan"):
            make(ID, reward=[["silence", float("nan")]])
        with pytest.raises(ValueError, match=r"silenc"):
            make(ID, reward=["silenc"])
        with pytest.raises(TypeError, match=r"flat must be True or False, got 1"):
            make(ID, flat=1)
    with pytest.raises(ValueError, match="needs a reward model"):
        MOPianoEnv()
    with pytest.raises(TypeError, match="reward must be a reward model"):
        MOPianoEnv(reward="silence")
    with pytest.raises(ValueError, match="illegal_penalty must be finite and not negative"):
        gym.make(ID, illegal_penalty=-1.0)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda pieces: 1 / 0, "'failing' raised ZeroDivisionError"),
        (lambda pieces: [float("nan")], "'failing' must return finite scores, got nan"),
        (lambda pieces: [2.0], r"'failing' must score in its score_range \[0, 1\], got 2"),
    ],
)
@pytest.mark.parametrize("others", [[], [["silence", 1.0]]])
def test_a_failing_reward_model_is_named(result: object, message: str, others: list) -> None:
    class Failing:
        name = "failing"
        score_range = (0, 1)
        score = staticmethod(result)

    env = gym.make(ID, bars=1, max_steps=1, reward=[*others, [Failing(), 1.0]] if others else Failing())
    env.reset()
    with pytest.raises(RewardModelError, match=message):
        env.step((0, 0))


def test_a_difference_of_scores_that_is_no_float32_is_an_error() -> None:
    class Extreme:
        name = "extreme"

        def score(self, pieces: Pieces) -> list[float]:
            return [3e38 if score.bars < 2 else -3e38 for score in pieces.scores]

    env = gym.make(ID, bars=2, reward=Extreme(), reward_at="bar")
    env.reset()
    env.step((0, 12))
    with pytest.raises(RewardModelError, match="no finite float32: extreme"):
        env.step((0, 12))


def test_what_can_be_set_later() -> None:
    envs = gym.make_vec(ID, num_envs=2, reward=["silence", "density"], illegal_penalty=0.5)
    envs.set_attr("illegal_penalty", 0.1)
    envs.set_attr("reward_model", load_reward([["silence", 2.0], ["density", 3.0]]))
    assert envs.reward_weights.tolist() == [2.0, 3.0, 0.1]
    env = gym.make(ID, reward="silence").unwrapped
    env.reward_model = load_reward("silence(limit=0.1)")
    for reward, error in ((None, "needs a reward"), (Notes(), "entries of the reward are silence, got notes")):
        with pytest.raises(ValueError, match=error):
            env.reward_model = reward
    with pytest.raises(ValueError, match=r"has no entry of illegal actions, so illegal_penalty cannot be 0\.5"):
        env.illegal_penalty = 0.5
    with pytest.raises(ValueError, match=r"has an entry of illegal actions, so illegal_penalty cannot be 0\.0"):
        envs.set_attr("illegal_penalty", 0.0)


def test_it_needs_neither_torch_nor_mo_gymnasium() -> None:
    code = (
        "import sys, gymnasium as gym, toccata.envs\n"
        f"env = gym.make('{ID}', bars=1); env.reset(seed=0); env.step(env.action_space.sample())\n"
        f"gym.make_vec('{ID}', num_envs=2, bars=1).reset(seed=0)\n"
        "assert not {'torch', 'mo_gymnasium'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
