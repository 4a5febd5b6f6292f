"""Ctrl-C, SIGTERM and SIGHUP: saved between rollouts, resumed exactly."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from helpers.runs import (
    Toy,
    assert_equal_runs,
    resumed_config,
    train_quietly,
)
from toccata.agents.runs.run_folder import Run, RunError
from toccata.interrupts import Interrupted


def interrupting(
    monkeypatch: pytest.MonkeyPatch, when: int, times: int = 1, number: signal.Signals = signal.SIGINT
) -> None:
    """A signal, Ctrl-C or another, `times` of them, at the `when`-th step of the environment."""
    from toccata.agents.vec_env import PianoVecEnv

    usual, steps = PianoVecEnv.step_wait, iter(range(10**9))

    def step_wait(self: PianoVecEnv) -> Any:
        if self.num_envs == 4 and next(steps) == when:  # not of the pieces for TensorBoard
            for _ in range(times):
                os.kill(os.getpid(), number)
        return usual(self)

    monkeypatch.setattr(PianoVecEnv, "step_wait", step_wait)


def test_ctrl_c_stops_between_rollouts_and_resumes_exactly(
    toy: Toy, toy_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usual = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        interrupting(patch, 40)
        with pytest.raises(KeyboardInterrupt, match=r"stopped and saved at step 256; resume with --resume .*stopped"):
            train_quietly(toy("stopped"))
    assert signal.getsignal(signal.SIGINT) is usual
    run = Run.open(tmp_path / "stopped")
    assert run.last_checkpoint() == run.folder / "checkpoints/step-0000000256"
    train_quietly(resumed_config(run.folder))
    assert_equal_runs(toy_run, run.folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_save_too_however_often_they_come(
    toy: Toy, toy_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals
) -> None:
    usual = signal.getsignal(number)
    with monkeypatch.context() as patch:
        interrupting(patch, 40, times=3, number=number)
        with pytest.raises(Interrupted, match=r"stopped and saved at step 256; resume with --resume") as caught:
            train_quietly(toy("stopped"))
    assert caught.value.signal == number
    assert signal.getsignal(number) is usual
    train_quietly(resumed_config(tmp_path / "stopped"))
    assert_equal_runs(toy_run, tmp_path / "stopped")


def test_an_ignored_signal_stays_ignored(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        interrupting(monkeypatch, 10, number=signal.SIGHUP)
        run = train_quietly(toy("run", total_timesteps=128, clone_epochs=0))
    finally:
        signal.signal(signal.SIGHUP, usual)
    assert run.last_checkpoint() == run.folder / "checkpoints/step-0000000128"


def test_a_second_ctrl_c_stops_at_once(
    toy: Toy, toy_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        interrupting(patch, 40, times=2)
        with pytest.raises(KeyboardInterrupt, match="stopped at once, at the last checkpoint"):
            train_quietly(toy("stopped"))
    run = Run.open(tmp_path / "stopped")
    train_quietly(resumed_config(run.folder))
    assert_equal_runs(toy_run, run.folder)


def test_ctrl_c_during_cloning_restarts(
    toy: Toy, toy_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:

    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("toccata.agents.runs.training.clone_steps", stopped)
        with pytest.raises(KeyboardInterrupt, match="stopped before PPO; start again with --resume"):
            train_quietly(toy("stopped"))
    run = Run.open(tmp_path / "stopped")
    with pytest.raises(RunError, match=r"has no model\.zip; its training was stopped before the first checkpoint"):
        _ = run.model_path
    train_quietly(resumed_config(run.folder))
    assert_equal_runs(toy_run, run.folder)
