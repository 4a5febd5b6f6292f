"""`Piece.actions` plays back: in a new environment they give the same piece, and none of them is illegal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.envs import Piano, PianoEnv, PianoVectorEnv, Piece
from toccata.envs.pieces import Pieces
from toccata.music import Score

SMALL = Piano(lowest=48, highest=72, values=(2, 6, 10, 48))
PRIMER = Score([(0, 24, 60, 64), (80, 16, 64, 30)], tempo_bpm=70)
VARIANTS: list[dict] = [
    {"bars": 1},
    {"bars": 2, "piano": SMALL, "beats_per_bar": 3},
    {"bars": 1, "primer": PRIMER},
    {"bars": 1, "max_steps": 9},
    {"bars": 1, "primer": PRIMER, "piano": Piano(velocities=(30, 64, 100))},
]


def chosen(mask: np.ndarray, nvec: tuple[int, ...], legal_rate: float, rng: np.random.Generator) -> np.ndarray:
    """An action: with probability `legal_rate` a legal one, else any."""
    if rng.random() < legal_rate:
        return np.array([rng.choice(np.flatnonzero(part)) for part in np.split(mask, np.cumsum(nvec)[:-1])])
    return rng.integers(nvec)


def assert_plays_back(piece: Piece, steps: int, arguments: dict, *, truncated: bool) -> None:
    """Fail unless the actions of a piece of `steps` steps give it again, and end where it ended."""
    assert piece.actions is not None
    assert len(piece.actions) == steps
    env = PianoEnv(**arguments)
    env.reset()
    ended = []
    for action in piece.actions:
        _, _, terminated, cut, info = env.step(action)
        ended.append((terminated, cut))
    assert info["illegal_actions"] == 0
    assert env.score == piece.score
    assert ended == [(False, False)] * (steps - 1) + [(not truncated, truncated)]
    np.testing.assert_array_equal(env.piece.actions, piece.actions)


@given(
    seed=st.integers(0, 2**32), legal_rate=st.sampled_from([0.0, 0.5, 0.9, 1.0]), arguments=st.sampled_from(VARIANTS)
)
@settings(max_examples=60)
def test_of_a_single_piano(seed: int, legal_rate: float, arguments: dict) -> None:
    env = PianoEnv(**arguments)
    rng = np.random.default_rng(seed)
    _, info = env.reset(seed=0)
    steps = 0
    while True:
        action = chosen(info["action_mask"], env.core.piano.nvec, legal_rate, rng)
        observation, _, terminated, truncated, info = env.step(action)
        assert observation["last"].tolist() == action.tolist()  # as the agent chose it
        steps += 1
        if terminated or truncated:
            break
    assert_plays_back(info["piece"], steps, arguments, truncated=truncated)
    if legal_rate == 1:
        assert info["illegal_actions"] == 0


@pytest.mark.parametrize("arguments", VARIANTS, ids=["plain", "small", "primer", "truncated", "velocities"])
def test_of_a_batch(arguments: dict) -> None:
    env = PianoVectorEnv(3, **arguments)
    rng = np.random.default_rng(1)
    _, infos = env.reset(seed=0)
    steps, ends = np.zeros(3, int), 0
    while ends < 12:
        masks = env.action_masks()
        actions = np.array([chosen(masks[i], env.core.piano.nvec, 0.7, rng) for i in range(3)])
        _, _, terminated, truncated, infos = env.step(actions)
        steps += 1
        for i in np.flatnonzero(terminated | truncated):
            assert_plays_back(infos["final_info"]["piece"][i], steps[i], arguments, truncated=bool(truncated[i]))
            steps[i] = 0
            ends += 1


def test_an_illegal_value_becomes_the_longest_that_is_left() -> None:
    env = PianoEnv(bars=1)
    env.reset()
    values = env.core.piano.values
    for ticks, expected in ((72, 72), (36, 24)):
        env.step(np.array([0, values.index(ticks)]))
        assert env.piece.actions is not None
        assert env.piece.actions[-1].tolist() == [0, values.index(expected)]
    env.reset()
    env.step(np.array([0, values.index(72)]))
    env.step(np.array([0, values.index(1)]))  # 23 ticks are left
    _, _, terminated, _, info = env.step(np.array([1, values.index(96)]))
    assert not terminated
    assert info["illegal_actions"] == 1
    assert env.piece.actions is not None
    assert env.piece.actions[-1].tolist() == [0, values.index(18)]


def test_a_batch_of_pieces_gives_the_same_actions() -> None:
    env = PianoEnv(bars=1)
    env.reset()
    env.step(np.array([0, 12]))
    assert Pieces([env.piece]).actions[0].tolist() == [[0, 12]]
