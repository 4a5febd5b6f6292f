"""The infos of `PianoVecEnv`: made late, they are what they would be if all were made at once."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.agents.step_infos import StepInfos, pieces_in
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs import random_legal_actions
from toccata.envs.pieces import Piece
from toccata.music.score import Score
from toccata.reward_models import Silence

COUNT = 4
PIECE = Piece(Score())


def infos_of(made: list[int] | None = None) -> StepInfos:
    """Infos 0..3, of which 1 and 2 have a piece; `made` records which are made."""

    def make(i: int) -> dict[str, Any]:
        if made is not None:
            made.append(i)
        return {"number": i, **({"piece": PIECE} if i in (1, 2) else {})}

    return StepInfos(COUNT, make, {1: PIECE, 2: PIECE})


PLAIN = [{"number": 0}, {"number": 1, "piece": PIECE}, {"number": 2, "piece": PIECE}, {"number": 3}]


@pytest.mark.parametrize(
    "read",
    [
        list,
        tuple,
        lambda infos: [*infos],
        lambda infos: infos[:],
        lambda infos: infos[::-2],
        lambda infos: infos[-1],
        lambda infos: infos[np.int64(2)],
        lambda infos: list(reversed(infos)),
        lambda infos: infos.__add__([1]),
        lambda infos: sum([infos], [1]),
        lambda infos: infos * 2,
        lambda infos: infos.copy(),
        lambda infos: infos.index({"number": 3}),
        lambda infos: {"number": 3} in infos,
        lambda infos: infos == PLAIN,
        lambda infos: PLAIN.__eq__(list(infos)),
        lambda infos: infos != PLAIN,
        lambda infos: infos.pop(),
        lambda infos: [info for info, _ in zip(infos, range(3), strict=False)],
        lambda infos: sorted(infos, key=lambda info: -info["number"]),
        len,
        repr,
        copy.copy,
        lambda infos: [each["number"] for each in copy.deepcopy(infos)],
        lambda infos: [each["number"] for each in pickle.loads(pickle.dumps(infos))],
        lambda infos: json.dumps([infos, infos], default=str),
        lambda infos: np.array(infos, object).tolist(),
        lambda infos: isinstance(infos, list) and all(isinstance(info, dict) for info in infos),
        pieces_in,
    ],
)
def test_it_reads_as_a_list_does(read: Callable[[Any], Any]) -> None:
    assert read(infos_of()) == read(copy.copy(PLAIN))


@pytest.mark.parametrize(
    "change",
    [
        lambda infos: infos.append({"number": 4, "piece": PIECE}),
        lambda infos: infos.insert(0, {"number": 4}),
        lambda infos: infos.reverse(),
        lambda infos: infos.extend([{"number": 5}]),
        lambda infos: infos.sort(key=lambda info: -info["number"]),
        lambda infos: infos.__delitem__(1),
        lambda infos: infos.clear(),
        lambda infos: infos.__setitem__(1, {"number": 1}),
        lambda infos: infos[1].pop("piece"),
        lambda infos: infos[3].update(piece=PIECE),
        lambda infos: infos[0].update(episode={"r": 1.0}),
    ],
)
def test_it_changes_as_a_list_does(change: Callable[[Any], Any]) -> None:
    ours, theirs = infos_of(), copy.deepcopy(PLAIN, {id(PIECE): PIECE})
    for infos in (ours, theirs):
        change(infos)
    assert pieces_in(ours) == pieces_in(theirs)
    assert list(ours) == theirs


def test_only_what_is_read_is_made() -> None:
    made: list[int] = []
    infos = infos_of(made)
    assert pieces_in(infos) == {1: PIECE, 2: PIECE}
    assert not made
    info = infos[-1]
    assert infos[3] is info
    assert made == [3]
    assert [each["number"] for each in infos] == [0, 1, 2, 3]
    assert infos[3] is info
    assert made == [3, 0, 1, 2]
    with pytest.raises(IndexError):
        infos_of()[COUNT]


@settings(max_examples=12)
@given(
    seed=st.integers(0, 10**6),
    flat=st.booleans(),
    reward_at=st.sampled_from(["piece", "bar"]),
    rewarded=st.booleans(),
    max_steps=st.sampled_from([None, 9]),
)
def test_infos_read_late_equal_those_read_at_once(
    seed: int, flat: bool, reward_at: str, rewarded: bool, max_steps: int | None
) -> None:
    """In every step, those of pieces that end among them, although the environments have gone on."""
    env = PianoVecEnv(
        3,
        bars=1,
        genre=None,
        flat=flat,
        reward_at=reward_at,
        reward=Silence() if rewarded else None,
        illegal_penalty=0.5,
        max_steps=max_steps,
    )
    env.seed(seed)
    env.reset()
    rng = np.random.default_rng(seed)
    whats, values = env.core.piano.nvec
    late, at_once = [], []
    for step in range(24):
        actions = random_legal_actions(env.core.dynamics.masks, whats, rng)
        if step % 3 == 0:
            actions[0] = rng.integers(env.core.piano.nvec)  # perhaps illegal
        actions[1] = [0, env.core.piano.values.index(24)]  # a rest of a beat, so that its pieces end
        state, chance = env.state(), env.random_state()
        taken = actions @ [values, 1] if flat else actions
        at_once.append(copy.deepcopy(list(env.step(taken)[3])))
        env.set_state(state)
        env.set_random_state(chance)
        infos = env.step(taken)[3]
        assert isinstance(infos, StepInfos)
        late.append(infos)
    ended = 0
    for one, other in zip(late, at_once, strict=True):
        for mine, theirs in zip(one, other, strict=True):
            assert list(mine) == list(theirs), "the same keys in the same order"
            for key in ("illegal_actions", "reward_terms", "TimeLimit.truncated"):
                assert mine[key] == theirs[key]
                assert type(mine[key]) is type(theirs[key])
            np.testing.assert_array_equal(mine["action_mask"], theirs["action_mask"])
            if "piece" in mine:
                assert mine["piece"].score == theirs["piece"].score
            if "terminal_observation" in mine:
                ended += 1
                for name, value in theirs["terminal_observation"].items():
                    np.testing.assert_array_equal(mine["terminal_observation"][name], value)
    assert ended
