"""Checks of what reward models return."""

import os
from pathlib import Path

import numpy as np
import pytest

from toccata.envs import PianoEnv, Pieces, RewardModel, RewardModelError, checked, contributions, total
from toccata.music import Score

SHORT = Score([(0, 24, 60, 64), (24, 24, 64, 100)])

LONG = Score([(0, 24, 60, 64), (100, 24, 67, 64)])


class Length:
    name = "length"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array([score.bars for score in pieces.scores])


class Sum:
    name = "sum"

    def __init__(self, **terms: object) -> None:
        self.terms = terms

    def contributions(self, pieces: Pieces) -> object:
        return self.terms

    def score(self, pieces: Pieces) -> np.ndarray:
        return sum(self.terms.values())


def test_checked_returns_float32() -> None:
    scores = checked(Length(), Pieces([SHORT, LONG]))
    assert scores.dtype == np.float32
    assert scores.tolist() == [1, 2]
    assert isinstance(Length(), RewardModel)


def test_terms_of_one_model_and_of_a_sum() -> None:
    pieces = Pieces([SHORT, LONG])
    assert {name: term.tolist() for name, term in contributions(Length(), pieces).items()} == {"length": [1, 2]}
    terms = contributions(Sum(a=[1, 2], b=np.zeros(2)), pieces)
    assert {name: term.tolist() for name, term in terms.items()} == {"a": [1, 2], "b": [0, 0]}
    assert all(term.dtype == np.float32 for term in terms.values())


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"a": [1.0, np.inf]}, "reward model 'sum', term 'a', must return finite scores, got inf for piece 1"),
        ({"a": [1.0]}, r"reward model 'sum', term 'a', must return shape \(2,\)"),
        ({"a": None}, "reward model 'sum', term 'a', must return"),
    ],
)
def test_a_bad_term_is_named(terms: dict, message: str) -> None:
    with pytest.raises(RewardModelError, match=message):
        contributions(Sum(**terms), Pieces([SHORT, LONG]))


def test_contributions_must_be_named_terms() -> None:
    model = Sum()
    model.terms = [1, 2]
    with pytest.raises(RewardModelError, match="'sum' must return a dict, got list"):
        contributions(model, Pieces([SHORT, LONG]))


def test_the_failing_model_inside_another_is_named() -> None:
    class Failing:
        name = "failing"

        def score(self, pieces: Pieces) -> np.ndarray:
            raise KeyError("tension")

    class Outer:
        name = "outer"

        def score(self, pieces: Pieces) -> np.ndarray:
            return checked(Failing(), pieces)

    with pytest.raises(RewardModelError, match="reward model 'failing' raised KeyError: 'tension'"):
        checked(Outer(), Pieces([SHORT]))


class Anything:
    def __init__(self, result: object, name: str = "mine") -> None:
        self.result = result
        self.name = name

    def score(self, pieces: Pieces) -> object:
        return self.result(pieces) if callable(self.result) else self.result


@pytest.mark.parametrize(
    "result",
    [
        np.array([1 + 2j, 3]),
        [1j, 2.0],
        ["1.0", "2.0"],
        np.array(["1.0", "2.0"]),
        np.array([b"1", b"2"]),
        np.array([1.0, None], object),
        np.array([1, 2], "datetime64[s]"),
        np.array([1, 2], "timedelta64[s]"),
        np.array([(1.0,), (2.0,)], [("a", float)]),
        [[1.0], [2.0, 3.0]],
        {"a": 1.0},
    ],
    ids=lambda each: repr(each)[:40],
)
def test_only_real_numbers_are_scores(result: object) -> None:
    with pytest.raises(RewardModelError, match=r"reward model 'mine' must return 2 numbers, got ") as caught:
        checked(Anything(result), Pieces([SHORT, LONG]))
    assert "\n" not in str(caught.value)


def test_masked_and_overflowing_scores_are_not_finite() -> None:
    pieces = Pieces([SHORT, LONG])
    with pytest.raises(RewardModelError, match="must return finite scores, got masked ones"):
        checked(Anything(np.ma.masked_array([1.0, 2.0], [False, True])), pieces)
    with pytest.raises(RewardModelError, match=r"must return finite scores, got 1e\+300 for piece 1"):
        checked(Anything([0.0, 1e300]), pieces)
    assert checked(Anything(np.ma.masked_array([1.0, 2.0])), pieces).tolist() == [1, 2]
    for numbers in ([True, False], np.array([1, 0], np.uint8), np.array([1, 0], np.float16), np.array([1, 0], ">f8")):
        assert checked(Anything(numbers), pieces).tolist() == [1, 0]


@pytest.mark.parametrize("error", [SystemExit(3), SystemExit(), GeneratorExit(), MemoryError(), RuntimeError("no")])
def test_a_model_that_ends_the_process_is_named(error: BaseException) -> None:
    def end(pieces: Pieces) -> None:
        raise error

    for call in (checked, contributions):
        with pytest.raises(RewardModelError, match=f"reward model 'mine' raised {type(error).__name__}"):
            call(Anything(end), Pieces([SHORT]))


def test_ctrl_c_is_not_a_failure_of_the_model() -> None:
    def stop(pieces: Pieces) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checked(Anything(stop), Pieces([SHORT]))


@pytest.mark.parametrize("fails", [False, True])
def test_a_model_that_changes_the_working_directory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)

    def move(pieces: Pieces) -> list[float]:
        os.chdir("there")
        return [1 / 0] if fails else [1.0]

    message = "raised ZeroDivisionError" if fails else "changed the working directory to .*there; it is .* again"
    with pytest.raises(RewardModelError, match=f"reward model 'mine' {message}"):
        checked(Anything(move), Pieces([SHORT]))
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "total",
        "pieces",
        "kl",
        "illegal",
        "",
        " ",
        "a/b",
        "..",
        ".",
        "a\\b",
        "a\nb",
        "a\0",
        " a",
        "x" * 101,
        3,
        None,
        "\ud800",
    ],
)
def test_names_that_would_break_logs_and_folders_are_refused(name: object) -> None:
    for model in (Anything([1.0], name), Sum(**{"fine": [1.0]})):  # type: ignore[arg-type]
        if isinstance(model, Sum):
            model.terms = {"fine": [1.0], name: [1.0]}  # type: ignore[dict-item]
        with pytest.raises(RewardModelError, match=r"name.* must (be|have|not be)") as caught:
            contributions(model, Pieces([SHORT]))
        assert "\n" not in str(caught.value)
    with pytest.raises((RewardModelError, TypeError)):
        PianoEnv(reward=Anything([1.0], name))  # type: ignore[arg-type]


def test_a_sum_needs_a_term() -> None:
    with pytest.raises(RewardModelError, match="must return at least one term"):
        contributions(Sum(), Pieces([SHORT]))


def test_terms_that_are_finite_each_and_infinite_together() -> None:
    big = np.array([0, 3e38], np.float32)
    assert total({"a": big}).tolist() == big.tolist()
    assert total({"a": big, "b": -big}).tolist() == [0, 0]
    assert total({"a": big}).dtype == np.float32
    with pytest.raises(RewardModelError, match=r"add up to no finite float32: a 3e\+38, b 3e\+38"):
        total({"a": big, "b": big})
    with pytest.raises(RewardModelError, match="no finite float32"):
        total({"a": big.astype(float), "b": big.astype(float)})


@pytest.mark.parametrize("reward_at", ["piece", "bar"])
def test_an_environment_names_the_terms_too(reward_at: str) -> None:
    model = Sum(up=lambda: 0, down=lambda: 0)
    model.contributions = lambda pieces: {"up": [3e38] * len(pieces), "down": [3e38] * len(pieces)}  # type: ignore[method-assign]
    env = PianoEnv(bars=1, max_steps=1, reward=model, reward_at=reward_at)
    env.reset()
    with pytest.raises(RewardModelError, match="no finite float32: up"):
        env.step(np.array([0, 0]))
