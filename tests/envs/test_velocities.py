"""Pianos whose actions have a velocity: what is heard, what stays as it was, and what refuses them."""

import re

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from sb3_contrib import MaskablePPO

import toccata  # noqa: F401  # registers the ids
from toccata.envs import (
    MOPianoEnv,
    Piano,
    PianoDiscreteEnv,
    PianoEnv,
    PianoVectorEnv,
    PianoVelocityEnv,
    PianoVelocityVectorEnv,
    random_legal_actions,
)
from toccata.envs.instrument import VELOCITIES, VELOCITY
from toccata.music import Score

PIANO = Piano(velocities=(20, 60, 100))
C4, CHORD = PIANO.key_of(60), PIANO.chord_index[48, 52, 55]


def test_a_strike_has_the_velocity_of_its_action() -> None:
    env = PianoEnv(bars=1, piano=PIANO)
    env.reset()
    for action in ([CHORD, 8, 2], [C4, 8, 0], [0, 8, 1], [C4, 8, 1]):
        observation = env.step(np.array(action))[0]
        assert observation["last"].tolist() == action
    notes = env.score.notes[["onset_tick", "pitch", "velocity"]].tolist()
    assert notes == [(0, 48, 100), (0, 52, 100), (0, 55, 100), (0, 60, 20), (24, 60, 60)]
    env.step(np.array([C4, 8, 2]))  # is down: becomes a rest, and keeps its velocity
    assert env.piece.actions is not None
    assert env.piece.actions[-1].tolist() == [0, 8, 2]
    assert env.reset()[0]["last"].tolist() == [0, 0, 0]


def test_every_velocity_is_always_legal() -> None:
    env = PianoVelocityEnv(bars=1)
    _, info = env.reset()
    terminated = False
    while not terminated:
        assert info["action_mask"][-6:].all()
        _, _, terminated, _, info = env.step(np.array([0, 8, 5]))
    np.testing.assert_array_equal(np.flatnonzero(info["action_mask"]), [0, 353, *range(366, 372)])


def test_without_it_everything_is_as_before() -> None:
    """With one velocity, that of a piano without: the same masks, observations and scores."""
    plain = PianoVectorEnv(4, bars=2)
    same = PianoVectorEnv(4, bars=2, piano=Piano(velocities=(VELOCITY,)))
    rng = np.random.default_rng(0)
    plain.reset(seed=0)
    same.reset(seed=0)
    for _ in range(80):
        actions = plain.core.dynamics.random_legal_actions(rng)
        one, other = plain.step(actions), same.step(np.c_[actions, [0] * 4])
        assert plain.core.dynamics.states.tobytes() == same.core.dynamics.states.tobytes()
        np.testing.assert_array_equal(one[4]["action_mask"], other[4]["action_mask"][:, :-1])
        for key, value in one[0].items():
            np.testing.assert_array_equal(value, other[0][key][..., :2] if key == "last" else other[0][key])
        for i in np.flatnonzero(one[2]).tolist():
            assert one[4]["final_info"]["piece"][i].score == other[4]["final_info"]["piece"][i].score


@pytest.mark.parametrize("mode", AutoresetMode)
def test_a_batch_equals_single_pianos(mode: AutoresetMode) -> None:
    ours = PianoVelocityVectorEnv(3, bars=1, genre=None, observation_mask=True, autoreset_mode=mode)
    theirs = SyncVectorEnv(
        [lambda: PianoVelocityEnv(bars=1, genre=None, observation_mask=True)] * 3, autoreset_mode=mode
    )
    assert (ours.action_space, ours.observation_space) == (theirs.action_space, theirs.observation_space)
    rng, ends = np.random.default_rng(0), 0
    observation, other = ours.reset(seed=3)[0], theirs.reset(seed=3)[0]
    for step in range(80):
        for key, value in observation.items():
            np.testing.assert_array_equal(value, other[key])
        assert ours.observation_space.contains(observation)
        actions = rng.integers(ours.single_action_space.nvec, size=(3, 3))
        if step % 4:
            actions = ours.core.dynamics.random_legal_actions(rng)
        (observation, *our, _), (other, *their, _) = ours.step(actions), theirs.step(actions)
        for mine, yours in zip(our, their, strict=True):
            np.testing.assert_array_equal(mine, yours)
        assert ours.get_attr("score") == tuple(env.unwrapped.score for env in theirs.envs)
        done = our[1] | our[2]
        ends += done.sum()
        if mode is AutoresetMode.DISABLED and done.any():
            observation, other = (each.reset(options={"reset_mask": done})[0] for each in (ours, theirs))
    assert ends > 3


def test_random_actions_use_every_velocity() -> None:
    envs = gym.make_vec("toccata/PianoVelocity-v0", num_envs=64, bars=1)
    masks = envs.reset(seed=0)[1]["action_mask"]
    nvec = envs.single_action_space.nvec
    actions = random_legal_actions(masks, nvec[0], np.random.default_rng(0), velocities=nvec[2])
    assert actions.shape == (64, 3)
    assert set(actions[:, 2]) == set(range(6))
    assert masks[np.arange(64), actions[:, 0]].all()
    assert masks[np.arange(64), nvec[0] + actions[:, 1]].all()


def test_a_primer_gets_the_nearest_velocities() -> None:
    env = PianoEnv(bars=1, piano=PIANO, primer=Score([(0, 24, 60, 64), (24, 24, 62, 127)]))
    env.reset()
    assert env.primer is not None
    assert env.primer.notes["velocity"].tolist() == [60, 100]
    assert env.piece.score.notes["velocity"].tolist() == [60, 100]


def test_the_state_is_restored() -> None:
    one, other = (PianoVelocityVectorEnv(2, bars=1) for _ in range(2))
    one.reset(seed=0)
    other.reset(seed=1)
    one.step(np.array([[C4, 8, 4], [0, 3, 2]]))
    other.core.set_state(one.core.state())
    assert other.core.observe()["last"].tolist() == [[C4, 8, 4], [0, 3, 2]]
    assert [other.core.piece(i) for i in range(2)] == [one.core.piece(i) for i in range(2)]
    with pytest.raises(ValueError, match="the state's played has shape"):
        PianoVectorEnv(2, bars=1).core.set_state(one.core.state())


def test_the_other_ids_take_a_piano_with_velocities() -> None:
    env = gym.make("toccata/Piano-v0", bars=1, piano=Piano(velocities=VELOCITIES))
    velocity = gym.make("toccata/PianoVelocity-v0", bars=1)
    assert (env.action_space, env.observation_space) == (velocity.action_space, velocity.observation_space)
    assert MOPianoEnv(bars=1, piano=PIANO, reward=_Zero()).action_space.shape == (3,)


class _Zero:
    name = "zero"

    def score(self, pieces):
        return np.zeros(len(pieces), np.float32)


def test_what_is_refused() -> None:
    for refused in (PianoDiscreteEnv, lambda piano: MOPianoEnv(piano=piano, flat=True, reward=_Zero())):
        with pytest.raises(
            ValueError, match=re.escape("flat actions have no velocity, and the piano has the velocities")
        ):
            refused(piano=PIANO)
    with pytest.raises(ValueError, match=r"the piano must have velocities, such as Piano\(velocities=\(32, 48"):
        gym.make("toccata/PianoVelocity-v0", piano=Piano())
    with pytest.raises(ValueError, match=r"an action must be \(what, value, velocity\), got shape \(2,\)"):
        PianoVelocityEnv().step(np.array([0, 0]))
    with pytest.raises(ValueError, match=r"action \[0, 0, 6\] is outside the action space MultiDiscrete\(\[353"):
        PianoVelocityEnv().step(np.array([0, 0, 6]))
    with pytest.raises(ValueError, match=r"actions must be integers of shape \(2, 3\), got int64 \(2, 2\)"):
        PianoVelocityVectorEnv(2).step(np.zeros((2, 2), np.int64))


class _Loudness:
    """The share of notes with the loudest velocity."""

    name = "loudness"

    def score(self, pieces):
        return np.array([(score.notes["velocity"] == 100).mean() if len(score) else 0.0 for score in pieces.scores])


def test_maskable_ppo_learns_to_play_loudly() -> None:
    piano = Piano(lowest=60, highest=64, chords=(), values=(24, 48), velocities=(20, 100))
    env = PianoVelocityEnv(bars=1, piano=piano, reward=_Loudness(), observation="actions")
    net = {"net_arch": [16]}
    model = MaskablePPO(
        "MultiInputPolicy", env, n_steps=128, batch_size=64, learning_rate=2e-2, gamma=1.0, policy_kwargs=net, seed=0
    )
    model.learn(768)
    played = [info["piece"].score.notes["velocity"] for info in _finished(model, env, 15)]
    assert np.concatenate(played).mean() > 70  # at random 60


def _finished(model: MaskablePPO, env: PianoEnv, pieces: int) -> list[dict]:
    """The last info of each of some episodes."""
    infos = []
    for seed in range(pieces):
        observation, info = env.reset(seed=seed)
        done = False
        while not done:
            action, _ = model.predict(observation, action_masks=info["action_mask"])
            observation, _, terminated, truncated, info = env.step(action)
            done = terminated or truncated
        assert info["illegal_actions"] == 0
        infos.append(info)
    return infos
