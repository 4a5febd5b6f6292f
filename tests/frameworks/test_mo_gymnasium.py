"""`toccata/MOPiano-v0` with MO-Gymnasium: the checks of its own test suite, its wrappers, the script of the page."""

import pickle
import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.utils.env_match import check_environments_match
from sb3_contrib.common.maskable.utils import is_masking_supported

import toccata  # noqa: F401  # registers the ids
from helpers.scripts import smaller

pytestmark = pytest.mark.frameworks
mo_gym = pytest.importorskip("mo_gymnasium", reason="pip install 'toccata[mo]'")

ID = "toccata/MOPiano-v0"
SUM = [["silence", 0.7], {"model": "repetition", "weight": 3.0}]
ARGUMENTS = {"bars": 2, "reward": SUM, "reward_at": "bar", "illegal_penalty": 0.5}


class CopiedWeights(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """An info of its own in every step: `LinearReward` puts the same array into all, which Gymnasium 1.4 refuses."""

    def __init__(self, env: gym.Env) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)

    def step(self, action: object) -> tuple:
        *step, info = self.env.step(action)
        return *step, {**info, "reward_weights": info["reward_weights"].copy()}


@pytest.mark.parametrize("arguments", [{}, {"flat": True}, ARGUMENTS], ids=["default", "flat", "all"])
@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_the_checks_of_its_test_suite(arguments: dict) -> None:
    """As `test_all_env_api` and `test_env_determinism_rollout` there."""
    env = CopiedWeights(mo_gym.wrappers.LinearReward(mo_gym.make(ID, **arguments)))
    check_env(env, skip_render_check=True)
    env.reset()
    for _ in range(50):
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
        assert env.unwrapped.reward_space.contains(info["vector_reward"])
        if terminated or truncated:
            env.reset()
    pickled = pickle.loads(pickle.dumps(env))
    assert data_equivalence(env.reset(seed=0), pickled.reset(seed=0))
    for _ in range(50):
        action = env.action_space.sample()
        step = env.step(action)
        assert data_equivalence(step, pickled.step(action))
        if step[2] or step[3]:
            assert data_equivalence(env.reset(seed=0), pickled.reset(seed=0))


def test_linear_reward_with_the_weights_is_the_scalar_environment() -> None:
    env = mo_gym.make(ID, **ARGUMENTS)
    linear = mo_gym.wrappers.LinearReward(env, env.unwrapped.reward_weights)
    scalar = gym.make("toccata/Piano-v0", **ARGUMENTS)

    def rounded(each: gym.Env) -> gym.Env:
        return gym.wrappers.TransformReward(each, lambda reward: round(float(reward), 4))

    check_environments_match(
        rounded(scalar), rounded(linear), num_steps=100, seed=123, skip_rew=False, info_comparison="skip"
    )
    with pytest.raises(AssertionError, match="different shape"):
        linear.set_weight(np.ones(2))


def test_other_wrappers_of_rewards() -> None:
    env = mo_gym.wrappers.MOClipReward(mo_gym.make(ID, bars=1), 0, -0.5, 0)
    env = mo_gym.wrappers.MORecordEpisodeStatistics(mo_gym.wrappers.MONormalizeReward(env, 1))
    env.reset(seed=0)
    info = env.step((0, 12))[4]
    assert info["episode"]["r"].tolist() == [-0.5, 0, 0]


def test_its_vector_environment_and_the_batched_form_give_the_same() -> None:
    theirs = mo_gym.wrappers.vector.MOSyncVectorEnv([lambda: mo_gym.make("toccata:" + ID, **ARGUMENTS)] * 3)
    ours = gym.make_vec(ID, num_envs=3, autoreset_mode="NextStep", **ARGUMENTS)
    assert theirs.reward_space == ours.reward_space
    record = mo_gym.wrappers.vector.MORecordEpisodeStatistics
    theirs, ours = record(theirs, gamma=0.9), record(ours, gamma=0.9)
    theirs.reset(seed=1), ours.reset(seed=1)
    ours.action_space.seed(0)
    episodes = 0
    for _ in range(100):
        actions = ours.action_space.sample()
        (_, reward, terminated, _, info), (_, reward_, terminated_, _, info_) = theirs.step(actions), ours.step(actions)
        np.testing.assert_array_equal(reward, reward_)
        np.testing.assert_array_equal(terminated, terminated_)
        assert ("episode" in info) == ("episode" in info_)
        if "episode" in info:
            for key in ("r", "dr", "l"):
                np.testing.assert_array_equal(info["episode"][key], info_["episode"][key])
            episodes += 1
    theirs.close()
    assert episodes > 3


def test_the_script_prints_a_front(
    scripts: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    sizes = ("= 100_000, 50", "= 128, 2"), ("n_steps=128", "n_steps=32"), ("batch_size=512", "batch_size=64")
    rewards = ('REWARD = ["rating", "realism"]', 'REWARD = ["silence", "density"]'), ("bars=2", "bars=1")
    names: dict = {"__name__": "__main__"}
    exec(compile(smaller(scripts["mo_front.py"], *sizes, *rewards), "script", "exec"), names)
    lines = re.findall(r"^\[\S+ +\S+\] \[\s*\S+ +\S+\s*\](.*)$", capsys.readouterr().out, re.MULTILINE)
    assert len(lines) == 5
    assert any("front" in line for line in lines)
    assert is_masking_supported(names["pianos"])
    assert all(-1 <= value <= 0 for point in names["points"] for value in point)
