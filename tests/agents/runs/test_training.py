from __future__ import annotations

import csv
import json
import os
import signal
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.prior.prior import Prior, PriorError
from toccata.agents.runs.builders import excerpt_dataset, load_agent, resolve_device, run_corpus
from toccata.agents.runs.config import EvaluateConfig, TrainConfig
from toccata.agents.runs.evaluation import evaluate
from toccata.agents.runs.rewards_file import load_rewards, save_rewards, with_corpus_limits
from toccata.agents.runs.run_folder import Run, RunError
from toccata.agents.runs.training import train
from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModelError
from toccata.music.corpus import CorpusError
from toccata.music.score import Score
from toccata.options import ConfigError
from toccata.reward_models import RewardSpecError, load_reward, parse_rewards
from toccata.reward_models.rating.model import RatingModel

Toy = Callable[..., TrainConfig]
WritePrior = Callable[..., Prior]
CONTRACT = {
    "checkpoints",
    "cloning.json",
    "command.txt",
    "config.json",
    "model.zip",
    "progress.csv",
    "reward_models",
    "reference.zip",
    "versions.json",
}


def quiet(config: TrainConfig) -> Run:
    return train(config, ["python", "train.py"], Console(file=StringIO()))


def going_on(folder: Path, **changes: Any) -> TrainConfig:
    return replace(Run.open(folder).config.resumed(folder), **changes)


def agent_of(folder: Path, name: str = "model.zip") -> ComposerPPO:
    return load_agent(folder / name, Run.open(folder).config, torch.device("cpu"))


def policy_of(folder: Path, name: str = "model.zip") -> dict[str, torch.Tensor]:
    return agent_of(folder, name).policy.state_dict()


def optimizer_of(folder: Path) -> dict[str, Any]:
    return agent_of(folder).policy.optimizer.state_dict()["state"]


def rows_of(folder: Path) -> list[dict[str, str]]:
    """The rows of progress.csv without what the clock says."""
    with (folder / "progress.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    timed = ("time/fps", "time/time_elapsed", "time/reward_seconds", "time/discriminator_seconds")
    return [{key: value for key, value in row.items() if key not in timed} for row in rows]


def same_run(one: Path, other: Path) -> None:
    """Fail unless two runs ended in the same place."""
    ours, theirs = policy_of(one), policy_of(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    mine, yours = optimizer_of(one), optimizer_of(other)
    assert all(torch.equal(mine[i][key], yours[i][key]) for i in mine for key in mine[i])
    assert rows_of(one) == rows_of(other)


def test_a_run_leaves_what_it_promises(whole: Path) -> None:
    run = Run.open(whole)
    names = {path.name for path in run.folder.iterdir()}
    assert names >= CONTRACT
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert not [path for path in run.folder.rglob("*") if path.suffix == ".part"]
    assert [path.name for path in sorted((run.folder / "checkpoints").iterdir())] == [
        "step-0000000000",
        "step-0000000384",
    ]
    assert len(json.loads((run.folder / "cloning.json").read_text())["nats_per_action"]) == 1
    rows = rows_of(run.folder)
    assert [row["time/total_timesteps"] for row in rows] == ["128", "256", "384"]
    assert [row["time/iterations"] for row in rows] == ["1", "2", "3"]
    assert {"reward/total", "reward/silence", "music/silence_rate", "train/value_loss"} <= rows[-1].keys()
    for row in rows:
        if row["reward/total"]:
            parts = float(row["reward/silence"]) + float(row["reward/repetition"])
            assert float(row["reward/total"]) == pytest.approx(parts, abs=1e-5)
    started, ended = policy_of(run.folder, "reference.zip"), policy_of(run.folder)
    assert any(not torch.equal(started[key], ended[key]) for key in started)


def test_one_seed_gives_one_run_and_checkpoints_change_nothing(toy: Toy, whole: Path) -> None:
    other = quiet(toy("other", checkpoint_every=128))
    same_run(whole, other.folder)
    assert len(list((other.folder / "checkpoints").iterdir())) == 4


def test_another_seed_gives_another_run(toy: Toy) -> None:
    first, second = (quiet(toy(f"run-{seed}", seed=seed, total_timesteps=128, clone_epochs=0)) for seed in (0, 1))
    ours, theirs = policy_of(first.folder).values(), policy_of(second.folder).values()
    assert any(not torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("reward_at", [pytest.param("piece", marks=pytest.mark.slow), "bar"])
def test_a_resumed_run_is_the_run_that_never_stopped(toy: Toy, reward_at: str) -> None:
    changes: dict[str, Any] = {"bars": 2, "reward_at": reward_at, "n_steps": 24, "batch_size": 32}
    whole = quiet(toy("whole", total_timesteps=480, **changes))
    half = quiet(toy("half", total_timesteps=192, **changes))
    torch.manual_seed(99)  # what happens between the two is of no account
    np.random.seed(99)  # noqa: NPY002
    resumed = quiet(going_on(half.folder, total_timesteps=480, checkpoint_every=100))
    same_run(whole.folder, resumed.folder)
    assert Run.open(half.folder).config.total_timesteps == 480
    assert (half.folder / "command.txt").read_text().count("\n") == 2


def test_a_resumed_discriminator_too(toy: Toy) -> None:
    pytest.importorskip("toccata.reward_models.realism")
    rewards = (("realism:critic", 1.0), ("silence", 1.0))
    from toccata.reward_models.realism.discriminator import Discriminator
    from toccata.reward_models.realism.model import Realism

    torch.manual_seed(0)
    Realism(Discriminator(4)).save("critic")
    changes: dict[str, Any] = {"rewards": rewards, "clone_epochs": 0}
    whole = quiet(toy("whole", total_timesteps=256, **changes))
    half = quiet(toy("half", total_timesteps=128, **changes))
    resumed = quiet(going_on(half.folder, total_timesteps=256))
    same_run(whole.folder, resumed.folder)
    for name in ("realism.safetensors", "training.safetensors"):
        ours, theirs = (load_file(run.folder / "reward_models/realism" / name) for run in (whole, resumed))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    start = load_file("critic/realism.safetensors")
    assert any(
        not torch.equal(start[key], tensor)
        for key, tensor in load_file(whole.folder / "reward_models/realism/realism.safetensors").items()
    )


def test_what_a_run_may_change_when_it_is_resumed(toy: Toy) -> None:
    run = quiet(toy("run", total_timesteps=128, clone_epochs=0))
    before = (run.folder / "config.json").read_text()
    with pytest.raises(
        ConfigError, match=r"run: bars is 1 in this run; only total_timesteps, checkpoint_every, device"
    ):
        quiet(going_on(run.folder, bars=2))
    assert (run.folder / "config.json").read_text() == before
    console = StringIO()
    train(going_on(run.folder), [], Console(file=console, width=200))
    assert "nothing to do: 128 steps are done" in console.getvalue()


def test_a_damaged_checkpoint_is_named(toy: Toy) -> None:
    run = quiet(toy("run", total_timesteps=128, clone_epochs=0))
    (run.folder / "checkpoints/step-0000000128/model.zip").write_bytes(b"PK")
    with pytest.raises(RunError, match="step-0000000128: not a readable checkpoint"):
        quiet(going_on(run.folder, total_timesteps=256))


# Stopping


def interrupting(monkeypatch: pytest.MonkeyPatch, when: int, times: int = 1) -> None:
    """Ctrl-C, `times` of them, at the `when`-th step of the environment."""
    from toccata.agents.vec_env import PianoVecEnv

    usual, steps = PianoVecEnv.step_wait, iter(range(10**9))

    def step_wait(self: PianoVecEnv) -> Any:
        if next(steps) == when:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        return usual(self)

    monkeypatch.setattr(PianoVecEnv, "step_wait", step_wait)


def test_ctrl_c_stops_between_rollouts_and_the_run_goes_on_exactly(
    toy: Toy, whole: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usual = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        interrupting(patch, 40)
        with pytest.raises(KeyboardInterrupt, match=r"stopped and saved at step 256; go on with --resume .*stopped"):
            quiet(toy("stopped"))
    assert signal.getsignal(signal.SIGINT) is usual
    run = Run.open(tmp_path / "stopped")
    assert run.last_checkpoint() == run.folder / "checkpoints/step-0000000256"
    quiet(going_on(run.folder))
    same_run(whole, run.folder)


def test_a_second_ctrl_c_stops_at_once(toy: Toy, whole: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as patch:
        interrupting(patch, 40, times=2)
        with pytest.raises(KeyboardInterrupt, match="stopped at once, back to the last checkpoint"):
            quiet(toy("stopped"))
    run = Run.open(tmp_path / "stopped")
    quiet(going_on(run.folder))
    same_run(whole, run.folder)


def test_ctrl_c_while_cloning_leaves_a_run_that_begins_anew(
    toy: Toy, whole: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:

    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("toccata.agents.runs.training.clone_steps", stopped)
        with pytest.raises(KeyboardInterrupt, match="stopped before PPO began; begin anew with --resume"):
            quiet(toy("stopped"))
    run = Run.open(tmp_path / "stopped")
    with pytest.raises(RunError, match=r"has no model\.zip; its training did not get that far"):
        _ = run.model_path
    quiet(going_on(run.folder))
    same_run(whole, run.folder)


# Rewards


USER_REWARDS = """
import numpy as np

class Base:
    calls = 0
    def score(self, pieces):
        type(self).calls += 1
        return self.bad(pieces) if self.calls == 3 else np.ones(len(pieces), np.float32)

class Nan(Base):
    name = "of-mine"
    def bad(self, pieces): return np.full(len(pieces), np.nan)

class NetworkConfig(Base):
    name = "of-mine"
    def bad(self, pieces): return np.zeros((len(pieces), 2))

class Raises(Base):
    name = "of-mine"
    def bad(self, pieces): raise KeyError("oh")

class Saves(Base):
    name = "of-mine"
    def bad(self, pieces): return np.ones(len(pieces))
    def save(self): raise AssertionError("not asked for")
"""


@pytest.mark.parametrize(
    ("attribute", "message"),
    [("Nan", "finite scores, got nan"), ("Shape", "must return shape"), ("Raises", "raised KeyError")],
)
def test_a_reward_that_breaks_down_is_named_and_the_run_saved(toy: Toy, attribute: str, message: str) -> None:
    Path("my_rewards.py").write_text(USER_REWARDS)
    config = toy("run", rewards=((f"my_rewards:{attribute}", 1.0),), total_timesteps=1280, clone_epochs=0)
    with pytest.raises(RewardModelError) as caught:
        quiet(config)
    text = str(caught.value)
    assert "'of-mine'" in text
    assert message in text
    assert f"the run so far is saved in {config.run_dir}, go on with --resume {config.run_dir}" in text
    assert config.run_dir is not None
    run = Run.open(config.run_dir)
    assert ComposerPPO.load(run.model_path, device="cpu").num_timesteps > 128
    assert len(rows_of(run.folder)) >= 1
    if attribute == "Raises":  # mended meanwhile
        quiet(going_on(run.folder))


def test_rewards_of_a_run_folder(toy: Toy, tmp_path: Path) -> None:
    Path("my_rewards.py").write_text(USER_REWARDS)
    config = toy("run", rewards=(("silence", 1.0), ("my_rewards:Saves", 0.5), ("silence", 2.0)))
    rewards = with_corpus_limits(excerpt_dataset(config, "train"), parse_rewards(config.rewards), config.seed)
    save_rewards(rewards, config, tmp_path)
    again = load_rewards(tmp_path)
    assert again.weights == rewards.weights == {"silence": 1.0, "of-mine": 0.5, "silence-2": 2.0}
    assert again.models["silence"] == rewards.models["silence"] != load_reward("silence")  # limits of the run's music
    (tmp_path / "rewards.json").write_text("[{}]")
    with pytest.raises(ConfigError, match=r"rewards\.json: not a readable list of rewards"):
        load_rewards(tmp_path)
    with pytest.raises(ConfigError, match="not a readable list"):
        load_rewards(tmp_path / "nowhere")


def test_a_frozen_rating_is_the_same_after_training(toy: Toy, write_rating: Callable[..., RatingModel]) -> None:
    rating = write_rating("listener")
    run = quiet(toy("run", rewards=(("rating:listener", 1.0),), total_timesteps=256, clone_epochs=0))
    folders = [
        run.folder / "reward_models",
        *(path / "reward_models" for path in (run.folder / "checkpoints").iterdir()),
    ]
    assert len(folders) >= 2
    for folder in folders:
        entries = json.loads((folder / "rewards.json").read_text())
        assert [(entry["term"], entry["hash"]) for entry in entries] == [("rating", rating.weights_hash())]
        assert RatingModel.load(folder / "rating").weights_hash() == rating.weights_hash()
    pieces = Pieces([Score([(0, 24, 60, 80)], length_ticks=96)])
    np.testing.assert_array_equal(load_rewards(run.folder / "reward_models").score(pieces), rating.score(pieces))


def test_the_gold_rater_is_never_asked_while_training(
    toy: Toy, write_rating: Callable[..., RatingModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rating("listener")
    asked = set()
    judge = RatingModel.rate_windows

    def watched(self: RatingModel, log_mel: np.ndarray, valid: np.ndarray, which: range | None = None) -> np.ndarray:
        asked.add(which)
        return judge(self, log_mel, valid, which)

    def gold(*_: Any) -> None:
        raise AssertionError("the gold rater was asked")

    monkeypatch.setattr(RatingModel, "rate_windows", watched)
    monkeypatch.setattr(RatingModel, "gold", gold)
    run = quiet(toy("run", rewards=(("rating:listener", 1.0), ("silence", 1.0)), total_timesteps=256))
    quiet(going_on(run.folder, total_timesteps=384))
    assert asked == {range(2)}
    assert not [name for name in rows_of(run.folder)[-1] if "gold" in name]


# What cannot be run


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"genre": "clasical"}, ConfigError, "unknown genre 'clasical'.*did you mean 'classical'?"),
        ({"genre": "jazz", "corpus": ()}, ConfigError, "has no music of its own"),
        ({"genre": "jazz"}, CorpusError, "unknown genre 'jazz' in corpus .*; known are classical"),
        ({"rewards": (("silense", 1.0),)}, RewardSpecError, "did you mean 'silence'?"),
        ({"rewards": (("silence", float("nan")),)}, RewardSpecError, "weight must be a finite number"),
        ({"tempo_bpm": 1000.0}, ConfigError, "tempo_bpm must be in 4..600"),
        ({"beats_per_bar": 2.3}, ConfigError, "beats_per_bar"),
        ({"beats_per_bar": 5.0}, ConfigError, "metre"),
        ({"bars": 100_000}, ConfigError, "at most 10000 bars"),
        ({"device": "tpu"}, ConfigError, "device must be cpu, cuda, cuda:N or auto, got 'tpu'"),
        ({"device": "cuda:77"}, ConfigError, "CUDA devices here"),
        ({"corpus": ("bache",)}, CorpusError, "did you mean bach"),
    ],
)
def test_what_cannot_be_run_leaves_nothing(
    toy: Toy, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    config = toy("run", **changes)
    with pytest.raises(error, match=message):
        quiet(config)
    assert config.run_dir is not None
    assert not config.run_dir.exists()


@pytest.mark.filterwarnings("ignore::toccata.music.corpus.works.CorpusWarning")
def test_folders_of_music(toy: Toy, corpus_folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CorpusError, match="empty: has no MIDI or MusicXML file"):
        run_corpus(toy("run", corpus=(str(empty),)))
    text = tmp_path / "text" / "classical"
    text.mkdir(parents=True)
    (text / "letter.mid").write_text("Dear Clara,")
    with pytest.raises(CorpusError, match=r"none of its 1 files can be read; .*letter\.mid"):
        run_corpus(toy("run", corpus=(str(tmp_path / "text"),)))
    by_genre = run_corpus(toy("run"))
    assert len(by_genre) == 10
    flat = run_corpus(toy("run", corpus=(str(corpus_folder / "classical"),), genre="jazz"))
    assert len(flat) == 10
    assert set(flat.genres) == {"jazz"}, "a folder that names no genres is of the run's"
    part = len(excerpt_dataset(toy("run"), "train").scores)
    assert 0 < part <= 10


def test_an_existing_folder_stays_as_it_is(toy: Toy) -> None:
    config = toy("run")
    assert config.run_dir is not None
    config.run_dir.mkdir()
    (config.run_dir / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="exists already"):
        quiet(config)
    assert [path.name for path in config.run_dir.iterdir()] == ["thesis.txt"]


def test_devices() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="there are 0 CUDA devices here; use cpu or auto"):
            resolve_device("cuda")


def test_a_model_file_holds_no_environment_and_no_reward(toy: Toy) -> None:
    run = quiet(toy("run", total_timesteps=128, clone_epochs=0))
    with zipfile.ZipFile(run.model_path) as archive:
        data = json.loads(archive.read("data"))
    assert not {"env", "reward_model", "finished", "_due"} & data.keys()


# Policies that remember: what they start from, what they are charged for, and going on with them


def network_of(folder: Path, name: str = "model.zip") -> dict[str, torch.Tensor]:
    policy = agent_of(folder, name).policy
    assert isinstance(policy, SequencePolicy)
    return policy.network.state_dict()


@pytest.mark.parametrize("backbone", ["transformer", "lstm"])
def test_a_resumed_sequence_policy_too(toy: Toy, write_prior: WritePrior, backbone: str) -> None:
    prior = write_prior("mine", backbone)
    changes: dict[str, Any] = {
        "policy": backbone,
        "prior": "mine",
        "clone_epochs": 0,
        "prior_kl_coef": 0.02,
        "prior_kl_target": 0.5,
        "bars": 2,
        "n_steps": 24,
        "batch_size": 48,
        "learning_rate": 3e-3,
    }
    whole = quiet(toy("whole", total_timesteps=480, **changes))
    half = quiet(toy("half", total_timesteps=192, **changes))
    torch.manual_seed(99)  # what happens between the two is of no account
    np.random.seed(99)  # noqa: NPY002
    quiet(going_on(half.folder, total_timesteps=480))
    same_run(whole.folder, half.folder)
    started = network_of(whole.folder, "reference.zip")
    assert all(torch.equal(started[key], value) for key, value in prior.network.state_dict().items())
    rows = rows_of(whole.folder)
    assert float(rows[0]["kl/nats_per_step"]) == pytest.approx(0, abs=1e-6), "it starts where the prior is"
    assert float(rows[-1]["kl/nats_per_step"]) > 1e-3
    assert float(rows[0]["kl/coef"]) == 0.02
    assert float(rows[-1]["kl/coef"]) != 0.02, "adapted"
    charged = [row for row in rows if row.get("kl/nats_per_piece")]
    assert charged
    for row in charged:
        assert float(row["reward/kl"]) == pytest.approx(-float(row["kl/coef"]) * float(row["kl/nats_per_piece"]))


def test_the_prior_that_comes_with_toccata_is_where_a_run_starts(toy: Toy) -> None:
    run = quiet(toy("run", policy="transformer", clone_epochs=0, total_timesteps=128))
    assert (run.config.prior, run.config.clone_epochs, run.config.prior_kl_coef) == ("transformer", 0, 0.01)
    started = network_of(run.folder, "reference.zip")
    shipped = Prior.load("transformer").network.state_dict()
    assert all(torch.equal(started[key], shipped[key]) for key in shipped)


def test_without_a_prior_it_learns_from_the_runs_music_or_starts_from_noise(toy: Toy) -> None:
    cloned = quiet(toy("cloned", policy="lstm", prior="none", clone_epochs=1, total_timesteps=128))
    assert (cloned.folder / "cloning.json").is_file()
    assert rows_of(cloned.folder)[0]["kl/coef"] == "0.01", "the KL is from what was learnt"
    noise = quiet(toy("noise", policy="lstm", prior="none", clone_epochs=0, total_timesteps=128))
    assert not (noise.folder / "cloning.json").exists()
    assert "kl/coef" not in rows_of(noise.folder)[0]
    ours, theirs = policy_of(cloned.folder, "reference.zip"), policy_of(noise.folder, "reference.zip")
    assert any(not torch.equal(ours[key], theirs[key]) for key in ours)


def test_an_evaluation_tells_how_far_the_agent_went(toy: Toy, write_prior: WritePrior) -> None:
    write_prior("mine")
    run = quiet(toy("run", policy="transformer", prior="mine", learning_rate=3e-3, total_timesteps=256))
    console = Console(file=StringIO(), width=100)
    summary = evaluate(EvaluateConfig(run.folder, pieces=1, samples=4, device="cpu"), console)
    nats = summary["kl"]["nats_per_piece"]
    assert len(nats["values"]) == 4
    assert 0 < nats["low"] <= nats["mean"] <= nats["high"]
    assert f"KL from start: {nats['mean']:.1f} nats a piece" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "KL from start" in (run.folder / "evaluation/report.html").read_text()


@pytest.mark.parametrize(
    ("changes", "settled"),
    [
        ({}, ("transformer", 6, 0.01)),
        ({"policy": "lstm"}, ("lstm", 6, 0.01)),
        ({"policy": "lstm", "prior": "mine", "clone_epochs": 3}, ("mine", 3, 0.01)),
        ({"prior": "none"}, ("none", 10, 0.01)),
        ({"prior": "none", "clone_epochs": 0}, ("none", 0, 0.0)),
        ({"prior_kl_coef": 0.0}, ("transformer", 6, 0.0)),
        ({"policy": "mlp"}, ("none", 10, 0.0)),
        ({"policy": "cnn", "clone_epochs": 2}, ("none", 2, 0.0)),
    ],
)
def test_what_is_not_told_follows_from_what_is(changes: dict[str, Any], settled: tuple[str, int, float]) -> None:
    config = TrainConfig(**changes)
    assert (config.prior, config.clone_epochs, config.prior_kl_coef) == settled
    assert replace(config) == config, "settled for good"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policy": "mlp", "prior": "transformer"}, "prior 'transformer' needs policy lstm or transformer, got 'mlp'"),
        ({"policy": "cnn", "prior_kl_coef": 0.1}, "prior_kl_coef must be 0, got 0.1: policy 'cnn' remembers nothing"),
        (
            {"prior": "none", "clone_epochs": 0, "prior_kl_coef": 1.0},
            "prior_kl_coef must be 0, got 1: the policy starts from noise",
        ),
        (
            {"prior_kl_coef": 0.0, "prior_kl_target": 5.0},
            "prior_kl_target adapts prior_kl_coef, which must be greater than 0",
        ),
        ({"prior_kl_coef": -1.0}, "prior_kl_coef must be a number, at least 0, got -1.0"),
        ({"prior_kl_target": 0.0}, "prior_kl_target must be a number, greater than 0, got 0"),
    ],
)
def test_settings_that_do_not_go_together_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**changes)


def test_a_prior_that_does_not_fit_is_named_and_nothing_is_left(toy: Toy, write_prior: WritePrior) -> None:
    write_prior("mine", "lstm")
    with pytest.raises(ConfigError, match="is a lstm, not a transformer"):
        quiet(toy("run", policy="transformer", prior="mine"))
    with pytest.raises(PriorError, match=r"unknown prior '.*nowhere'"):
        quiet(toy("run", policy="transformer", prior="nowhere"))
    assert not Path("run").exists()
    assert not Path("runs").exists()


def test_a_prior_is_found_from_any_folder(
    toy: Toy, write_prior: WritePrior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_prior("mine")
    run = quiet(toy("run", policy="transformer", prior="mine", total_timesteps=128))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    quiet(replace(Run.open(run.folder).config.resumed(run.folder), total_timesteps=256))
