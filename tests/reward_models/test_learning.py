"""Reward models that learn: how they are recognised, what they return, and their state on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModelError
from toccata.music.score import Score
from toccata.reward_models import Realism, Silence, load_reward
from toccata.reward_models.learning import (
    LearningRewardModel,
    check_learning,
    has_state,
    learns,
    load_state,
    save_state,
    updated,
)

PIECES = Pieces([Score([(0, 24, 60, 80), (24, 24, 64, 80)]), Score(length_ticks=96)])


class Base:
    name = "base"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.zeros(len(pieces), np.float32)


class Learner(Base):
    """Keeps all kinds of values that a state may hold."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {"count": 0}

    def update(self, pieces: Pieces, real: Pieces, rng: np.random.Generator) -> dict[str, float]:
        self.state["count"] += len(pieces) + 10 * len(real)
        return {"count": np.float32(self.state["count"]), "zero": torch.tensor(0.0)}  # type: ignore[dict-item]  # as users may

    def state_dict(self) -> dict[str, Any]:
        return self.state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state = state


class Unmethodical(Base, dict):
    """A reward model that is a dict, which has a method `update` of its own."""


class Scheduled(Base):
    def update(self, step: int) -> None: ...


class Forgetful(Base):
    def update(self, fakes: Pieces, real: Pieces, rng: np.random.Generator) -> dict[str, float]:
        return {}


def test_a_reward_model_that_learns_is_known_by_the_protocol() -> None:
    assert all(learns(model) for model in (Learner(), Forgetful(), Realism()))
    assert isinstance(Learner(), LearningRewardModel)
    assert not any(learns(model) for model in (Base(), Unmethodical(), Scheduled(), Silence()))
    assert has_state(Learner())
    assert not has_state(Forgetful())


def test_what_is_said_before_training() -> None:
    assert check_learning(Learner(), "own") == check_learning(Realism(), "realism") == []
    assert check_learning(Silence(), "silence") == check_learning(Unmethodical(), "dict") == []
    (warning,) = check_learning(Forgetful(), "own")
    assert "'own' learns, but has no state_dict() and load_state_dict(state)" in warning
    (warning,) = check_learning(Scheduled(), "own")
    assert "'own' has a method update(step); only update(pieces, real, rng) trains it" in warning
    with pytest.raises(RewardModelError, match="must not be reward, gate, lagrangian, violation, kl, music"):
        check_learning(Learner(), "train")


def state_of_every_kind() -> dict[str, Any]:
    network = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(2)).backward()
    optimizer.step()
    return {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),  # has whole numbers as keys, and tuples
        "tied": [network.weight, network.weight],
        "big-endian": np.arange(3, dtype=">f4"),
        "arrays": (np.arange(3), np.float32(0.5), np.int64(7), np.zeros((0, 2), bool)),
        "rng": np.random.default_rng(3).bit_generator.state,
        "infinite": [-np.inf, torch.full((2,), -torch.inf)],
        "plain": {1: None, "1": True, "text": "ü"},
    }


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Values by their place, with the types of lists and tuples."""
    if isinstance(value, dict):
        return {k: v for key, each in value.items() for k, v in flat(each, f"{path}/{key!r}").items()}
    if isinstance(value, (list, tuple)):
        return {
            k: v for i, each in enumerate(value) for k, v in flat(each, f"{path}/{type(value).__name__}{i}").items()
        }
    return {path: value}


def test_a_state_of_every_kind_is_restored(tmp_path: Path) -> None:
    model, restored = Learner(), Learner()
    model.state = state_of_every_kind()
    assert check_learning(model, "own") == []
    expected = flat(state_of_every_kind() | {key: model.state[key] for key in ("network", "optimizer", "tied")})
    save_state(model, "own", tmp_path / "own")
    load_state(restored, "own", tmp_path / "own")
    got = flat(restored.state)
    assert got.keys() == expected.keys()
    for place, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(got[place], value)
            assert got[place].dtype == value.dtype
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(got[place], value)
            assert got[place].dtype == value.dtype.newbyteorder("=")
        else:
            assert got[place] == value
    save_state(restored, "own", tmp_path / "again")
    for name in ("state.json", "state.safetensors"):
        assert (tmp_path / "own" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"seen": {1, 2}}, r"state_dict\(\)\['seen'\] is a set; a state holds"),
        ({"seen": [object()]}, r"state_dict\(\)\['seen'\]\[0\] is a object"),
        ({(1, 2): 3}, r"has the key \(1, 2\); keys must be texts or whole numbers"),
        ({"names": np.array(["a"])}, r"state_dict\(\)\['names'\] is an array of <U1, which cannot be saved"),
        ({"wide": np.longdouble(1)}, r"state_dict\(\)\['wide'\] is a longdouble"),
        ({"wave": torch.zeros(2, dtype=torch.complex128)}, "holds a tensor that cannot be saved"),
        ({"sparse": torch.eye(2).to_sparse()}, "cannot be saved"),
        ({"lazy": torch.nn.LazyLinear(2).state_dict()}, "cannot be saved"),
    ],
)
def test_a_state_that_cannot_be_saved_is_named(state: dict[Any, Any], message: str) -> None:
    model = Learner()
    model.state = state
    with pytest.raises(RewardModelError, match=message):
        check_learning(model, "own")


def test_a_state_that_is_not_restored_is_refused() -> None:
    class NotRestored(Learner):
        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.state = {"count": 1}

    class Frozen(Base):
        def state_dict(self) -> dict[str, Any]:
            return {"weights": torch.ones(2)}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            raise ValueError("no")

    class Refusing(Learner):
        def load_state_dict(self, state: dict[str, Any]) -> None:
            raise KeyError("weights")

    with pytest.raises(
        RewardModelError, match=r"after load_state_dict\(state_dict\(\)\) its state_dict\(\) is another"
    ):
        check_learning(NotRestored(), "own")
    with pytest.raises(RewardModelError, match="'own': load_state_dict raised KeyError: 'weights'"):
        check_learning(Refusing(), "own")
    with pytest.raises(RewardModelError, match="'own': load_state_dict raised ValueError: no"):
        check_learning(Frozen(), "own")  # whose run could never be evaluated


def test_what_an_update_returns_is_checked() -> None:
    model = Learner()
    numbers = updated(model, "own", PIECES, PIECES, np.random.default_rng(0))
    assert numbers == {"count": 22.0, "zero": 0.0}
    assert all(type(value) is float for value in numbers.values())
    for result, message in (
        (None, "must return a dict of numbers, got None"),
        ({"loss": "low"}, "must return numbers, got loss = 'low'"),
        ({"loss": float("nan")}, "must return finite numbers, got loss = nan"),
        ({"loss": 10**400}, "must return numbers, got loss = 1000"),
        ({3: 1.0}, "must return numbers by name, got the name 3"),
    ):
        model.update = lambda pieces, real, rng, result=result: result  # type: ignore[method-assign, misc]  # each in turn
        with pytest.raises(RewardModelError, match=f"'own': update {message}"):
            updated(model, "own", PIECES, PIECES, np.random.default_rng(0))


def test_the_state_of_realism(tmp_path: Path) -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model, other = Realism(), Realism()
    updated(model, "realism", PIECES, PIECES, rng)
    save_state(model, "realism", tmp_path)
    load_state(other, "realism", tmp_path)
    assert other.weights_hash() == model.weights_hash()
    assert updated(model, "realism", PIECES, PIECES, np.random.default_rng(1)) == updated(
        other, "realism", PIECES, PIECES, np.random.default_rng(1)
    )
    assert other.weights_hash() == model.weights_hash()


def test_the_example(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    torch.manual_seed(0)
    model = load_reward("examples.discriminator:Discriminator(width=8, learning_rate=0.05)")
    assert learns(model)
    assert check_learning(model, "discriminator") == []
    steps = Pieces([Score([(24 * i, 24, 60 + i % 3, 80) for i in range(16)])] * 4)
    leaps = Pieces([Score([(24 * i, 24, 60 + 7 * (i % 3), 80) for i in range(16)])] * 4)
    for _ in range(100):
        metrics = updated(model, "discriminator", leaps, steps, np.random.default_rng(0))
    assert metrics["accuracy"] == 1
    assert model.score(steps).min() > 1 > -1 > model.score(leaps).max()
    assert np.isfinite(model.score(PIECES)).all()  # one of them silent
