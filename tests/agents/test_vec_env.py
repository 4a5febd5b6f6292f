from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from toccata.agents.vec_env import PianoVecEnv
from toccata.envs import Piano, PianoDiscreteEnv, PianoEnv
from toccata.reward_models import Silence, WeightedSum

NUM_ENVS = 3


def same(ours: Any, theirs: Any, where: str = "") -> None:
    """Fail unless two nested observations or infos are equal."""
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), where
        for key in ours:
            same(ours[key], theirs[key], f"{where}/{key}")
    elif hasattr(ours, "score"):
        assert ours.score == theirs.score, where
        np.testing.assert_array_equal(ours.actions, theirs.actions)
    else:
        np.testing.assert_array_equal(ours, theirs, err_msg=where)


ARGUMENTS: list[dict[str, Any]] = [
    {"bars": 1},
    {"bars": 2, "genre": None, "max_steps": 9},
    {"bars": 1, "reward_at": "bar", "reward": WeightedSum([(Silence(), 2.0)]), "illegal_penalty": 0.5},
    {"bars": 1, "piano": Piano(velocities=(40, 80))},
]


@pytest.mark.parametrize(
    ("arguments", "flat"),
    [(arguments, flat) for arguments in ARGUMENTS for flat in (False, True) if not (flat and "piano" in arguments)],
)
def test_it_plays_as_single_envs_do(flat: bool, arguments: dict[str, Any]) -> None:
    single = PianoDiscreteEnv if flat else PianoEnv
    ours = PianoVecEnv(NUM_ENVS, flat=flat, **arguments)
    theirs = DummyVecEnv([lambda: single(**arguments) for _ in range(NUM_ENVS)])
    assert ours.action_space == theirs.action_space
    assert ours.observation_space == theirs.observation_space
    for env in (ours, theirs):
        env.seed(7)
    same(ours.reset(), theirs.reset())
    same(dict(enumerate(ours.reset_infos)), dict(enumerate(theirs.reset_infos)))
    rng = np.random.default_rng(0)
    dones = 0
    for step in range(60):
        actions = ours.core.dynamics.random_legal_actions(rng)
        if step % 5 == 4:
            actions[0] = rng.integers(ours.core.piano.nvec)  # perhaps illegal
        taken = actions @ [ours.core.piano.nvec[1], 1] if flat else actions
        one, other = ours.step(taken), theirs.step(taken)
        for mine, yours in zip(one[:3], other[:3], strict=True):
            same(mine, yours)
        same(dict(enumerate(one[3])), dict(enumerate(other[3])))
        same(dict(enumerate(ours.reset_infos)), dict(enumerate(theirs.reset_infos)))
        same(get_action_masks(ours), get_action_masks(theirs))
        dones += int(one[2].sum())
    assert dones > NUM_ENVS


def test_the_vec_env_contract() -> None:
    env = PianoVecEnv(NUM_ENVS, bars=1)
    assert is_masking_supported(env)
    env.seed(0)
    env.reset()
    assert env.get_attr("num_envs") == [NUM_ENVS] * NUM_ENVS
    assert env.get_attr("bars", [0, 2]) == [1, 1]
    assert [score.bars for score in env.get_attr("score")] == [1] * NUM_ENVS
    assert env.env_is_wrapped(VecMonitor) == [False] * NUM_ENVS
    assert len(env.env_method("action_masks", indices=1)) == 1
    with pytest.raises(AttributeError, match="dance"):
        env.env_method("dance")
    with pytest.raises(AttributeError):
        env.get_attr("dance")
    env.set_attr("illegal_penalty", 0.25)
    assert env.core.illegal_penalty == 0.25
    with pytest.raises(ValueError, match="all of them"):
        env.set_attr("illegal_penalty", 0.5, indices=0)
    env.set_options([{"genre": "jazz"}, {"genre": "rock", "tempo_bpm": 90}, {}])
    env.reset()
    assert [piece.genre for piece in env.get_attr("piece")] == ["jazz", "rock", "classical"]
    assert [score.tempo_bpm for score in env.get_attr("score")] == [120, 90, 120]
    env.reset()
    assert [piece.genre for piece in env.get_attr("piece")] == ["classical"] * 3, "options hold for one reset"
    env.close()


def test_pictures() -> None:
    env = PianoVecEnv(2, bars=1, render_mode="rgb_array")
    env.reset()
    pictures = env.get_images()
    assert len(pictures) == 2
    assert all(picture is not None and picture.dtype == np.uint8 and picture.ndim == 3 for picture in pictures)
    with pytest.raises(ValueError, match="rgb_array"):
        PianoVecEnv(1, render_mode="human")


def test_a_monitor_sees_whole_pieces() -> None:
    env = VecMonitor(PianoVecEnv(2, bars=1, reward=Silence()))
    env.seed(0)
    env.reset()
    for _ in range(4):
        _, rewards, dones, infos = env.step(np.tile([0, 8], (2, 1)))  # quarter rests
    assert dones.all()
    assert [info["episode"]["l"] for info in infos] == [4, 4]
    assert [info["episode"]["r"] for info in infos] == [-1, -1]
    np.testing.assert_array_equal(rewards, [-1, -1])


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_a_state_put_back_has_the_same_future(arguments: dict[str, Any]) -> None:
    env = PianoVecEnv(NUM_ENVS, **arguments)
    env.seed(3)
    env.reset()

    def play(steps: int, seed: int) -> list[Any]:
        rng = np.random.default_rng(seed)
        return [env.step(env.core.dynamics.random_legal_actions(rng)) for _ in range(steps)]

    play(13, 0)
    state, chance = env.state(), env.random_state()
    first = play(40, 1)
    other = PianoVecEnv(NUM_ENVS, **arguments)
    other.reset()
    for put_back in (env, other):
        put_back.set_state(state)
        put_back.set_random_state(chance)
        env = put_back
        for one, again in zip(first, play(40, 1), strict=True):
            same(one[0], again[0])
            same(one[1], again[1])
            same(one[2], again[2])
            same(dict(enumerate(one[3])), dict(enumerate(again[3])))


def test_stock_algorithms_train_on_it() -> None:
    env = PianoVecEnv(2, bars=1, reward="silence")
    PPO("MultiInputPolicy", env, n_steps=16, batch_size=16, n_epochs=1, policy_kwargs={"net_arch": [8]}).learn(32)
    MaskablePPO("MultiInputPolicy", env, n_steps=16, batch_size=16, n_epochs=1, policy_kwargs={"net_arch": [8]}).learn(
        32
    )
    flat = PianoVecEnv(2, flat=True, bars=1, reward="silence")
    DQN(
        "MultiInputPolicy", flat, learning_starts=8, buffer_size=64, batch_size=8, policy_kwargs={"net_arch": [8]}
    ).learn(32)


def test_the_actions_of_a_piece_play_back() -> None:
    env = PianoVecEnv(3, bars=1)
    env.seed(0)
    env.reset()
    rng = np.random.default_rng(2)
    pieces = []
    while len(pieces) < 9:
        _, _, dones, infos = env.step(rng.integers(env.core.piano.nvec, size=(3, 2)))
        pieces += [infos[i]["piece"] for i in np.flatnonzero(dones)]
    for piece in pieces:
        single = PianoEnv(bars=1)
        single.reset()
        for action in piece.actions:
            _, _, terminated, _, info = single.step(action)
        assert terminated
        assert info["illegal_actions"] == 0
        assert single.score == piece.score
