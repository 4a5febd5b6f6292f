"""Wrappers for other frameworks' conventions, and Gymnasium's wrappers that convert infos."""

import copy
import pickle
import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

import toccata  # noqa: F401  # registers the ids
from toccata.envs import Piece, Pieces
from toccata.envs.wrappers import RLlibActionMask, TianshouActionMask

FORMS = {
    RLlibActionMask: ("observations", "action_mask", np.float32),
    TianshouActionMask: ("obs", "mask", np.int8),
}


class Notes:
    name = "notes"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array([len(score) for score in pieces.scores], np.float32)


@pytest.mark.parametrize("observation_mask", [False, True])
@pytest.mark.parametrize("wrapper", FORMS)
@pytest.mark.parametrize("name", ["Piano", "PianoDiscrete"])
def test_a_flat_observation_and_its_mask(name: str, wrapper: type, observation_mask: bool) -> None:
    observation_key, mask_key, dtype = FORMS[wrapper]
    arguments = {"bars": 1, "reward": Notes(), "observation_mask": observation_mask}
    plain = gym.make(f"toccata/{name}-v0", **{**arguments, "observation_mask": False})
    env = wrapper(gym.make(f"toccata/{name}-v0", **arguments))
    observation, info = env.reset(seed=0)
    expected, plain_info = plain.reset(seed=0)
    rng = np.random.default_rng(0)
    done = False
    while not done:
        assert set(observation) == {observation_key, mask_key}
        assert env.observation_space.contains(observation)
        assert observation[mask_key].dtype == dtype
        np.testing.assert_array_equal(observation[mask_key], plain_info["action_mask"])
        np.testing.assert_array_equal(observation[observation_key], spaces.flatten(plain.observation_space, expected))
        assert "action_mask" not in info
        if name == "Piano":
            action = np.array([rng.choice(np.flatnonzero(part)) for part in np.split(plain_info["action_mask"], [353])])
        else:
            action = rng.choice(np.flatnonzero(plain_info["action_mask"]))
        observation, reward, done, _, info = env.step(action)
        expected, plain_reward, _, _, plain_info = plain.step(action)
        assert reward == plain_reward
    if wrapper is TianshouActionMask:  # whose buffers store infos
        assert set(info) == {"illegal_actions"}
    else:
        assert info["piece"].score == plain_info["piece"].score


@pytest.mark.parametrize("wrapper", FORMS)
def test_wrapped_envs_pass_gymnasiums_checks_and_are_remade_from_their_spec(wrapper: type) -> None:
    env = wrapper(gym.make("toccata/PianoDiscrete-v0", bars=1, observation="actions"))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version")
        check_env(env, skip_render_check=True)
    again = gym.make(env.spec)
    assert isinstance(again, wrapper)
    assert again.observation_space == env.observation_space
    with pytest.raises(ValueError, match=f"{wrapper.__name__} flattens the piano's Dict"):
        wrapper(gym.wrappers.FlattenObservation(env))


def test_infos_stay_light() -> None:
    """RLlib keeps, copies and pickles the infos of whole episodes."""
    env = RLlibActionMask(gym.make("toccata/PianoDiscrete-v0", bars=8, reward=Notes()))
    env.reset(seed=0)
    rest, strike = 12 * 1, 40 * 13 + 3
    info = env.step(strike)[4]
    assert len(pickle.dumps(info)) < 200
    done = False
    while not done:
        _, _, done, _, info = env.step(rest)
    assert len(pickle.dumps(info)) < 2_000
    for same in (copy.deepcopy(info), pickle.loads(pickle.dumps(info))):
        assert same["piece"].score == info["piece"].score
        assert len(same["piece"].score) == 1


def test_the_wrappers_import_no_framework() -> None:
    code = (
        "import sys; import toccata.envs.wrappers; "
        "assert not {'torch', 'ray', 'tianshou', 'stable_baselines3'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Gymnasium's array conversion needs a package that Gymnasium does not require


@pytest.fixture
def torch_wrappers() -> tuple:
    pytest.importorskip("array_api_compat")
    from gymnasium.wrappers import NumpyToTorch
    from gymnasium.wrappers.vector import NumpyToTorch as VectorNumpyToTorch

    return NumpyToTorch, VectorNumpyToTorch


@pytest.mark.parametrize("name", ["Piano", "PianoDiscrete"])
def test_numpy_to_torch_plays_to_the_end_of_a_piece(torch_wrappers: tuple, name: str) -> None:
    import torch

    env = torch_wrappers[0](
        gym.wrappers.RecordEpisodeStatistics(gym.make(f"toccata/{name}-v0", bars=1, reward=Notes()))
    )
    observation, _ = env.reset(seed=0, options={"genre": "jazz"})
    assert isinstance(observation["held"], torch.Tensor)
    for action in ([40, 3], [0, 12]):
        play = torch.tensor(action if name == "Piano" else action[0] * 13 + action[1])
        _, reward, terminated, _, info = env.step(play)
    assert (reward, terminated) == (1.0, True)
    assert isinstance(info["piece"], Piece)
    assert info["piece"].genre == "jazz"
    assert isinstance(info["action_mask"], torch.Tensor)
    assert float(info["reward_terms"]["notes"]) == float(info["episode"]["r"]) == 1.0


@pytest.mark.parametrize("mode", gym.vector.AutoresetMode)
@pytest.mark.parametrize("vectorization", ["vector_entry_point", "sync"])
def test_the_vector_numpy_to_torch_does_too(torch_wrappers: tuple, mode: object, vectorization: str) -> None:
    import torch

    extra = {"autoreset_mode": mode}
    if vectorization == "sync":
        extra = {"vector_kwargs": extra}
    made = gym.make_vec(
        "toccata/Piano-v0", num_envs=2, vectorization_mode=vectorization, bars=1, reward=Notes(), **extra
    )
    envs = torch_wrappers[1](made)
    envs.reset(seed=0)
    _, rewards, terminated, _, infos = envs.step(torch.tensor([[0, 12], [0, 3]]))
    assert terminated.tolist() == [True, False]
    assert isinstance(rewards, torch.Tensor)
    if mode is gym.vector.AutoresetMode.SAME_STEP:
        assert isinstance(infos["final_obs"][0]["held"], torch.Tensor)
        assert infos["final_obs"][1] is None
        infos = infos["final_info"]
    assert isinstance(infos["piece"][0], Piece)
    assert infos["piece"][1] is None
