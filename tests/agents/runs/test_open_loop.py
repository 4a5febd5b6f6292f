"""`train(config, callbacks=..., logger=...)`: callbacks and log writers of a user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger

from helpers.runs import Toy, assert_equal_runs, resumed_config, train_quietly
from toccata.agents import TrainConfig, train
from toccata.agents.runs.callbacks.user import CallbackError
from toccata.agents.runs.run_folder import Run


class Counts(BaseCallback):
    """Counts what it is called for, and wants to stop after some steps."""

    def __init__(self, stop_after: int = 10**9) -> None:
        super().__init__()
        self.calls: dict[str, int] = {}
        self.stop_after = stop_after
        self.rewards: list[Any] = []

    def count(self, name: str) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1

    def _on_training_start(self) -> None:
        self.count("training start")

    def _on_rollout_start(self) -> None:
        self.count("rollout start")

    def _on_step(self) -> bool:
        self.count("step")
        assert self.locals["infos"]
        return self.num_timesteps < self.stop_after

    def _on_rollout_end(self) -> None:
        self.count("rollout end")
        self.rewards.append(self.logger.name_to_value.get("reward/total"))

    def _on_training_end(self) -> None:
        self.count("training end")


class Keeps(KVWriter):
    def __init__(self) -> None:
        self.steps: list[int] = []
        self.names: set[str] = set()
        self.closed = False

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, Any], step: int = 0) -> None:
        self.steps.append(step)
        self.names |= key_values.keys()

    def close(self) -> None:
        self.closed = True


def test_callbacks_and_writers_see_all_and_change_nothing(toy: Toy, toy_run: Path) -> None:
    first, second, writer, other = Counts(), Counts(), Keeps(), Keeps()
    run = train_quietly(toy("run"), callbacks=[first, second], logger=Logger(None, [writer, other]))
    expected = {"training start": 1, "rollout start": 3, "step": 96, "rollout end": 3, "training end": 1}
    assert first.calls == second.calls == expected
    assert any(isinstance(reward, float) for reward in first.rewards)
    assert writer.steps == other.steps == [128, 256, 384]
    assert {"reward/total", "time/fps"} <= writer.names
    assert not writer.closed, "it is the user's"
    assert_equal_runs(toy_run, run.folder)


def test_a_callback_that_returns_false_stops_between_rollouts_and_the_run_is_resumed_exactly(
    toy: Toy, toy_run: Path
) -> None:
    callback = Counts(stop_after=140)
    run = train_quietly(toy("run"), callbacks=callback)
    assert run.last_checkpoint() == run.folder / "checkpoints/step-0000000256"
    assert callback.calls["training end"] == 1
    train_quietly(resumed_config(run.folder))
    assert_equal_runs(toy_run, run.folder)


class Fails(BaseCallback):
    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def _on_rollout_end(self) -> None:
        if self.where == "rollout end":
            raise KeyError("oh")

    def _on_step(self) -> bool:
        if self.where == "step" and self.num_timesteps > 150:
            raise KeyError("oh")
        return True


@pytest.mark.parametrize(("where", "step"), [("rollout end", 0), ("step", 128)])  # before the rollout
def test_a_failing_callback_is_named_and_the_run_saved(toy: Toy, where: str, step: int) -> None:
    with pytest.raises(
        CallbackError, match=r"^callback Fails raised KeyError: 'oh'; the run is saved in .*, resume"
    ) as caught:
        train_quietly(toy("run", total_timesteps=256, clone_epochs=0), callbacks=[Fails(where)])
    cause = caught.value.__cause__
    assert cause is not None
    assert isinstance(cause.__cause__, KeyError)
    assert cause.__cause__.__traceback__ is not None
    run = Run.open(Path("run"))
    assert run.last_checkpoint() == run.folder / f"checkpoints/step-{step:010d}"
    train_quietly(resumed_config(run.folder))


def test_a_failing_writer_is_named(toy: Toy) -> None:
    class Full(Keeps):
        def write(self, *_: Any) -> None:
            raise OSError("no space")

    with pytest.raises(CallbackError, match="logger Full raised OSError: no space; the run is saved"):
        train_quietly(toy("run", total_timesteps=256, clone_epochs=0), logger=Full())


def test_what_is_no_callback_or_writer_is_refused_before_anything_is_written(toy: Toy) -> None:
    with pytest.raises(TypeError, match=r"callbacks must be .* BaseCallbacks, got function"):
        train_quietly(toy("run"), callbacks=[lambda *_: True])
    with pytest.raises(TypeError, match=r"logger must be .* KVWriters or a Logger, got str"):
        train_quietly(toy("run"), logger=["csv"])
    assert not Path("run").exists()


def test_the_import_paths_of_the_loop() -> None:
    import toccata.agents.config
    import toccata.agents.training
    from toccata.agents.runs import config, training

    assert train is training.train is toccata.agents.training.train
    assert TrainConfig is config.TrainConfig is toccata.agents.config.TrainConfig


def test_random_states_after_pieces_for_tensorboard(toy: Toy) -> None:
    """That runs with TensorBoard equal those without is what `assert_equal_runs(toy_run, ...)` shows."""
    from toccata.agents.runs.builders import build_agent, build_envs, environment_arguments
    from toccata.agents.runs.logs.media import PieceMedia
    from toccata.agents.runs.random_state import random_state
    from toccata.reward_models import parse_rewards

    config = toy("run", clone_epochs=0)
    model = build_agent(config, build_envs(config), parse_rewards(config.rewards), torch.device("cpu"))
    before = random_state()
    media = PieceMedia([], model, environment_arguments(config), print)
    one, other = media.pieces(), media.pieces()
    assert random_state() == before
    assert len(one) == 2
    assert [piece.score for piece in one] == [piece.score for piece in other]
