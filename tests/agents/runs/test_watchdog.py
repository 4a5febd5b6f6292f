from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import pytest

from helpers.runs import Toy, assert_equal_runs, resumed_config, train_quietly
from toccata.agents.runs.callbacks import watchdog as watchdog_module
from toccata.agents.runs.callbacks.watchdog import DIVERSITY, Watchdog
from toccata.agents.runs.random_state import random_state
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.pieces import Pieces
from toccata.music.corpus import load_corpus
from toccata.reward_models.judges.bands import Band
from toccata.reward_models.judges.panel import BITS
from toccata.reward_models.negatives.rules import rule_pieces


def chorales() -> ExcerptDataset:
    return ExcerptDataset(load_corpus("bach").split("test").scores[:30], 4)


@pytest.fixture(scope="module")
def bands() -> dict[str, Band]:
    return Watchdog.of(chorales(), 0).bands


def looked(watchdog: Watchdog, pieces: Any) -> list[str] | None:
    return watchdog.look(Pieces(list(pieces)))


def test_two_alternating_notes_are_an_alarm_once_real_music_was_seen(bands: dict[str, Band]) -> None:
    watchdog = Watchdog(bands)
    real = [piece.score for piece in chorales().sample(16, np.random.default_rng(1), transpose=False)]
    notes = rule_pieces("alternating_notes", 16, 4, np.random.default_rng(0))
    assert looked(watchdog, real) == []
    assert watchdog.watched == set(bands)
    outside = looked(watchdog, notes)
    assert outside is not None and len(outside) >= 3 and any(each.startswith("loop rate") for each in outside)
    assert not watchdog.alarmed  # one rollout may be an accident
    looked(watchdog, real)
    assert watchdog.streak == 0
    for _ in range(2):
        looked(watchdog, notes)
    assert watchdog.alarmed


def test_what_was_never_like_music_is_not_watched(bands: dict[str, Band]) -> None:
    watchdog = Watchdog(bands)
    notes = rule_pieces("alternating_notes", 16, 4, np.random.default_rng(0))
    for _ in range(3):
        looked(watchdog, notes)
    assert not watchdog.watched & {BITS, "loop_rate", "polyphony", DIVERSITY}


def test_few_pieces_say_nothing(bands: dict[str, Band]) -> None:
    watchdog = Watchdog(bands)
    watchdog.watched = set(bands)
    notes = rule_pieces("alternating_notes", 7, 4, np.random.default_rng(0))
    assert looked(watchdog, notes) is None and watchdog.streak == 0


def test_rollouts_after_a_restore_are_not_judged(bands: dict[str, Band]) -> None:
    watchdog = Watchdog(bands)
    watchdog.watched, watchdog.pause = set(bands), 1
    notes = rule_pieces("alternating_notes", 16, 4, np.random.default_rng(0))
    assert looked(watchdog, notes) is None and watchdog.streak == 0
    assert looked(watchdog, notes) and watchdog.streak == 1


def test_more_diversity_than_real_music_is_no_fault(bands: dict[str, Band]) -> None:
    watchdog = Watchdog({**bands, DIVERSITY: Band(0.1, 0.2)})
    watchdog.watched = set(watchdog.bands)
    real = [piece.score for piece in chorales().sample(16, np.random.default_rng(1), transpose=False)]
    assert looked(watchdog, real) == []


def test_its_state_comes_back(bands: dict[str, Band]) -> None:
    watchdog = Watchdog(bands)
    watchdog.watched, watchdog.healthy = {BITS, "polyphony"}, "step-0000000001"
    watchdog.outside, watchdog.streak, watchdog.restores, watchdog.pause = 3, 1, 2, 1
    again = Watchdog(bands)
    again.restore(json.loads(json.dumps(watchdog.state())))
    assert again.state() == watchdog.state()


@pytest.mark.parametrize(
    "change",
    [{"pause": -1}, {"restores": 1.5}, {"streak": True}, {"watched": "abc"}, {"watched": ["x"]}, {"healthy": "/tmp"}],
)
def test_other_states_are_refused(bands: dict[str, Band], change: dict[str, Any]) -> None:
    watchdog = Watchdog(bands)
    with pytest.raises(ValueError, match=r"^watchdog: "):
        watchdog.restore({**watchdog.state(), **change})


def test_one_work_makes_no_false_alarms() -> None:
    one = ExcerptDataset(load_corpus("bach").split("test").scores[:1], 4)
    watchdog = Watchdog.of(one, 0)
    rng = np.random.default_rng(1)
    pieces = [piece.score for piece in one.sample(16, rng, transpose=False)]
    pieces[0] = replace(pieces[0], notes=pieces[0].notes[pieces[0].notes["onset_tick"] >= 48])  # a silent beat or two
    assert looked(watchdog, pieces) == []


# Runs. A watchdog that sees an alarm in every rollout from the second on, whatever is played.


@pytest.fixture
def always_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(self: Watchdog, pieces: Pieces) -> list[str]:
        self.streak += 1
        self.outside = 3
        return ["polyphony 1 (real 3 to 4)"] * 3

    monkeypatch.setattr(Watchdog, "look", look)


def log_of(folder: Path) -> str:
    return (folder / "log.txt").read_text()


def test_an_alarm_is_said_once_and_logged(toy: Toy, always_outside: None) -> None:
    run = train_quietly(toy("run", total_timesteps=512, clone_epochs=0))
    assert log_of(run.folder).count("the pieces are unlike real music: polyphony 1 (real 3 to 4)") == 1
    with (run.folder / "progress.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["watchdog/outside"] for row in rows] == ["3"] * 4
    assert "finished at step 512" in log_of(run.folder)


def test_an_alarm_stops_a_run_that_can_be_resumed(toy: Toy, always_outside: None) -> None:
    run = train_quietly(toy("run", total_timesteps=512, clone_epochs=0, on_collapse="stop"))
    assert "stopped by the watchdog at step 256" in log_of(run.folder)
    last = run.last_checkpoint()
    assert last is not None and last.name.endswith("256")
    assert json.loads((last / "state.json").read_text())["watchdog"]["healthy"] == "step-0000000000"
    train_quietly(resumed_config(run.folder, total_timesteps=1024))
    assert "stopped by the watchdog at step 512" in log_of(run.folder)  # after the next alarm


def test_an_alarm_restores_the_agent_more_slowly_then_gives_up(
    toy: Toy, always_outside: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog_module, "RESTORES", 1)
    settings: dict[str, Any] = {"clone_epochs": 1, "policy": "lstm", "prior": "none", "learning_rate": 1e-3}
    run = train_quietly(toy("run", total_timesteps=1024, on_collapse="restore", **settings))
    log = log_of(run.folder)
    assert "restored step-0000000000; the learning rate is 0.0005 from here, the KL coefficient 0.02" in log
    assert "it was restored 1 times already" in log
    assert "stopped by the watchdog at step 512" in log


POLICY = """
from sb3_contrib.common.maskable.policies import MaskableMultiInputActorCriticPolicy

class Mine(MaskableMultiInputActorCriticPolicy):
    pass
"""


@pytest.mark.parametrize("policy", ["mlp", "mine_watched:Mine"])
def test_a_restore_changes_no_random_state(
    toy: Toy, always_outside: None, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    Path("mine_watched.py").write_text(POLICY)
    states: list[Any] = []
    restore = watchdog_module.WatchdogCallback._restore

    def watched_restore(self: Any, checkpoint: Path) -> None:
        states.append(random_state())
        restore(self, checkpoint)
        states.append(random_state())

    monkeypatch.setattr(watchdog_module.WatchdogCallback, "_restore", watched_restore)
    run = train_quietly(toy("run", total_timesteps=384, clone_epochs=0, policy=policy, on_collapse="restore"))
    assert "restored step-0000000000" in log_of(run.folder)
    assert len(states) == 2 and states[0] == states[1]


def test_a_checkpoint_that_is_gone_is_not_restored(toy: Toy, always_outside: None) -> None:
    run = train_quietly(toy("run", total_timesteps=128, clone_epochs=0, on_collapse="restore"))
    rmtree(run.folder / "checkpoints/step-0000000000")
    train_quietly(resumed_config(run.folder, total_timesteps=512))
    assert "there is no checkpoint from before to restore" in log_of(run.folder)
    assert "stopped by the watchdog at step 256" in log_of(run.folder)


def test_a_watched_run_is_as_an_unwatched_one(toy: Toy) -> None:
    watched = train_quietly(toy("watched", total_timesteps=1024, num_envs=16))
    train_quietly(toy("plain", total_timesteps=1024, num_envs=16, on_collapse="ignore"))
    with (watched.folder / "progress.csv").open() as file:
        assert "watchdog/outside" in next(csv.reader(file))
    assert (Path("watched") / "model.zip").stat().st_size == (Path("plain") / "model.zip").stat().st_size
    last = "checkpoints/step-0000001024/model.zip"
    assert (Path("watched") / last).read_bytes() == (Path("plain") / last).read_bytes()


def test_a_resumed_run_goes_on_watching(toy: Toy) -> None:
    whole = train_quietly(toy("whole", total_timesteps=512))
    part = train_quietly(toy("part", total_timesteps=256))
    train_quietly(resumed_config(part.folder, total_timesteps=512))
    assert_equal_runs(whole.folder, part.folder)
