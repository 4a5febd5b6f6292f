"""Runs with words: `train.py --lyrics`."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from helpers.runs import Toy, WritePrior, assert_equal_runs, resumed_config, rows_of, train_quietly
from toccata.agents.evaluation.players import player_of
from toccata.agents.runs.builders import environment_arguments, load_agent
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.run_folder import Run, RunError
from toccata.agents.vec_env import PianoVecEnv
from toccata.settings.options import ConfigError

CHANGES: dict[str, Any] = {
    "policy": "lstm",
    "prior": "small",
    "clone_epochs": 0,
    "lyrics": "texts",
    "rewards": (("lyrics", 1.0),),
    "num_envs": 3,
    "n_steps": 32,
    "batch_size": 64,
}


@pytest.fixture
def texts(toy: Toy, write_prior: WritePrior) -> Path:
    """A folder of two short texts, in the folder of the test, beside the prior `small`."""
    write_prior("small", backbone="lstm")
    folder = Path("texts")
    folder.mkdir()
    (folder / "one.txt").write_text("Tyger Tyger")
    (folder / "two.txt").write_text("Oh day\nOh night")
    return folder


@pytest.mark.parametrize("algorithm", ["ppo", pytest.param("grpo", marks=pytest.mark.slow)])
def test_a_resumed_run_equals_an_uninterrupted_one(toy: Toy, texts: Path, algorithm: str) -> None:
    changes = {**CHANGES, "algorithm": algorithm}
    uninterrupted = train_quietly(toy("uninterrupted", total_timesteps=192, **changes))
    half = train_quietly(toy("half", total_timesteps=96, **changes))
    resumed = train_quietly(resumed_config(half.folder, total_timesteps=192))
    assert_equal_runs(uninterrupted.folder, resumed.folder)
    assert "reward/lyrics" in rows_of(resumed.folder)[-1] or any(
        key.startswith("reward/") and "stress" in key for key in rows_of(resumed.folder)[-1]
    )
    play_what_was_trained(uninterrupted)


def test_a_run_that_is_stopped_before_its_first_rollout_is_resumed_exactly(
    toy: Toy, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which text each environment begins with is drawn once."""
    uninterrupted = train_quietly(toy("uninterrupted", total_timesteps=96, **CHANGES))
    usual = PianoVecEnv.reset

    def reset(self: PianoVecEnv) -> Any:
        if self.num_envs == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return usual(self)

    with monkeypatch.context() as patch:
        patch.setattr(PianoVecEnv, "reset", reset)
        with pytest.raises(KeyboardInterrupt, match="stopped and saved at step 0"):
            train_quietly(toy("stopped", total_timesteps=96, **CHANGES))
    train_quietly(resumed_config(Path("stopped")))
    assert_equal_runs(uninterrupted.folder, Path("stopped"))


def play_what_was_trained(run: Run) -> None:
    """The agent of a run sings its texts in an evaluation."""
    agent = load_agent(run.model_path, run.config, "cpu")
    assert Path(str(run.config.lyrics)).is_absolute()
    pieces = player_of(agent, environment_arguments(run.config))(4, 0).pieces
    assert {str(piece.lyrics) for piece in pieces} <= {"Tyger Tyger", "Oh day\nOh night"}
    assert all(len(piece.underlay) == len(piece.lyrics.note_syllables) for piece in pieces)


def test_other_words_are_no_words_of_the_run(toy: Toy, texts: Path) -> None:
    run = train_quietly(toy("run", total_timesteps=96, **{**CHANGES, "algorithm": "ppo"}))
    (texts / "two.txt").write_text("Oh day\nOh dear")
    with pytest.raises(RunError, match="the state is of other lyrics, another voice or other bars"):
        train_quietly(resumed_config(run.folder, total_timesteps=192))


def test_words_that_cannot_be_read(toy: Toy, texts: Path) -> None:
    (texts / "three.txt").write_text("3")
    with pytest.raises(ConfigError, match=r"three.txt, line 1: '3' has U\+0033"):
        train_quietly(toy("run", **{**CHANGES, "algorithm": "ppo"}))
    assert not Path("run").exists()


def test_policies_without_sequences_do_not_sing() -> None:
    with pytest.raises(
        ConfigError, match="lyrics need policy lstm, transformer or wavenet, or one of your own, got 'mlp'"
    ):
        TrainConfig(lyrics="words.txt", policy="mlp")
