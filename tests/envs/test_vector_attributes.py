"""`call`, `get_attr` and `set_attr` of the vector environment, against those of Gymnasium's `SyncVectorEnv`."""

import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

from toccata.envs import PianoDiscreteVectorEnv, PianoEnv, PianoVectorEnv, Pieces
from toccata.music import Score

PRIMER = Score([(0, 24, 60, 64)])


class Notes:
    name = "notes"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array([len(score) for score in pieces.scores], np.float32)


def test_attributes_equal_those_of_a_sync_vector_env() -> None:
    reward = Notes()
    arguments = {"bars": 1, "reward": reward, "illegal_penalty": 0.5, "primer": PRIMER}
    ours, theirs = PianoVectorEnv(2, **arguments), SyncVectorEnv([lambda: PianoEnv(**arguments)] * 2)
    for envs in (ours, theirs):
        envs.reset(seed=0)
        envs.step(np.array([[40, 3], [0, 3]]))
        envs.set_attr("illegal_penalty", [0.25, 0.25])
    np.testing.assert_array_equal(ours.call("action_masks"), theirs.call("action_masks"))
    assert [piece.score for piece in ours.get_attr("piece")] == [piece.score for piece in theirs.get_attr("piece")]
    for name in (
        "score",
        "primer",
        "illegal_penalty",
        "reward_model",
        "action_space",
        "observation_space",
        "render_mode",
    ):
        assert ours.get_attr(name) == theirs.get_attr(name) == ours.call(name), name
    for envs in (ours, theirs):
        assert envs.get_attr("illegal_penalty") == (0.25, 0.25)
        assert envs.step(np.array([[40, 3], [40, 3]]))[1].tolist() == [-0.25, 0.0]
        envs.set_attr("reward_model", None)
        assert envs.get_attr("reward_model") == (None, None)
    assert ours.get_attr("bars") == (1, 1)
    assert np.array(PianoDiscreteVectorEnv(2, bars=1).call("action_masks")).shape == (2, 4589)


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("bars", 2, AttributeError, "only reward_model and illegal_penalty can be set, not 'bars'"),
        ("illegal_penalty", [0.1, 0.2], ValueError, r"share their illegal_penalty.* got \[0.1, 0.2\]"),
        ("illegal_penalty", [0.1], ValueError, "need a value of illegal_penalty for each of 2 envs, got 1"),
        ("illegal_penalty", -1, ValueError, "illegal_penalty must be finite and not negative, got -1"),
        ("reward_model", Notes, TypeError, "reward must be a reward model"),
    ],
)
def test_what_cannot_be_set_is_named(name: str, value: object, error: type[Exception], message: str) -> None:
    envs = PianoVectorEnv(2, bars=1, illegal_penalty=0.5)
    with pytest.raises(error, match=message):
        envs.set_attr(name, value)
    assert envs.get_attr("illegal_penalty") == (0.5, 0.5)


def test_unknown_names() -> None:
    envs = PianoVectorEnv(2, bars=1)
    for name in ("dance", "_rewarded"):
        with pytest.raises(AttributeError, match=f"have no attribute '{name}'"):
            envs.get_attr(name)
    for name in ("reset", "observe", "step", "primer_of"):
        with pytest.raises(AttributeError, match=f"only action_masks can be called, not '{name}'"):
            envs.call(name)
    with pytest.raises(AttributeError, match="have no method 'observe' that takes arguments"):
        envs.call("observe", 3)
