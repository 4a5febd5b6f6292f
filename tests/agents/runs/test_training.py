"""A training run: its files, its seed, and reward models that fail or stay frozen."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers.rounding import float32_rounding
from helpers.runs import (
    USER_REWARDS,
    Toy,
    assert_equal_runs,
    policy_of,
    resumed_config,
    rows_of,
    train_quietly,
)
from toccata.agents.ppo.composer_ppo import ComposerPPO, DivergenceError
from toccata.agents.runs.rewards_file import load_rewards
from toccata.agents.runs.run_folder import Run
from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModelError
from toccata.music.score import Score
from toccata.reward_models.rating.model import RatingModel

CONTRACT = {
    "checkpoints",
    "cloning.json",
    "command.txt",
    "config.json",
    "model.zip",
    "progress.csv",
    "reward_models",
    "reference.zip",
    "signature.json",
    "versions.json",
}


def test_a_run_writes_its_files(toy_run: Path) -> None:
    run = Run.open(toy_run)
    names = {path.name for path in run.folder.iterdir()}
    assert names >= CONTRACT
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert not [path for path in run.folder.rglob("*") if path.suffix == ".part"]
    assert [path.name for path in sorted((run.folder / "checkpoints").iterdir())] == [
        "last",
        "start",
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
            assert float(row["reward/total"]) == pytest.approx(parts, abs=float32_rounding(64))
    started, ended = policy_of(run.folder, "reference.zip"), policy_of(run.folder)
    assert any(not torch.equal(started[key], ended[key]) for key in started)


def test_equal_seeds_give_equal_runs_whatever_the_checkpoints(toy: Toy, toy_run: Path) -> None:
    other = train_quietly(toy("other", checkpoint_every=128))
    assert_equal_runs(toy_run, other.folder)
    assert len(other.checkpoints()) == 4


def test_other_seeds_give_other_runs(toy: Toy) -> None:
    first, second = (
        train_quietly(toy(f"run-{seed}", seed=seed, total_timesteps=128, clone_epochs=0)) for seed in (0, 1)
    )
    ours, theirs = policy_of(first.folder).values(), policy_of(second.folder).values()
    assert any(not torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(
    ("attribute", "message"),
    [("Nan", "finite scores, got nan"), ("Shape", "must return shape"), ("Raises", "raised KeyError")],
)
def test_a_failing_reward_is_named_and_the_run_saved(toy: Toy, attribute: str, message: str) -> None:
    Path("my_rewards.py").write_text(USER_REWARDS)
    config = toy("run", rewards=((f"my_rewards:{attribute}", 1.0),), total_timesteps=1280, clone_epochs=0)
    with pytest.raises(RewardModelError) as caught:
        train_quietly(config)
    text = str(caught.value)
    assert "'of-mine'" in text
    assert message in text
    assert f"the run is saved in {config.run_dir}, resume with --resume {config.run_dir}" in text
    assert config.run_dir is not None
    run = Run.open(config.run_dir)
    assert ComposerPPO.load(run.model_path, device="cpu").num_timesteps > 128
    assert len(rows_of(run.folder)) >= 1
    if attribute == "Raises":  # mended meanwhile
        train_quietly(resumed_config(run.folder))


def test_a_frozen_rating_is_unchanged_by_training(toy: Toy, write_rating: Callable[..., RatingModel]) -> None:
    rating = write_rating("listener")
    run = train_quietly(toy("run", rewards=(("rating:listener", 1.0),), total_timesteps=256, clone_epochs=0))
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


def test_the_sibling_member_is_not_used_in_training(
    toy: Toy, write_rating: Callable[..., RatingModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rating("listener")
    scored = set()
    original = RatingModel.window_outputs

    def watched(self: RatingModel, log_mel: np.ndarray, valid: np.ndarray, which: range | None = None) -> np.ndarray:
        scored.add(which)
        return original(self, log_mel, valid, which)

    def sibling(*_: Any) -> None:
        raise AssertionError("the sibling member was scored")

    monkeypatch.setattr(RatingModel, "window_outputs", watched)
    monkeypatch.setattr(RatingModel, "sibling", sibling)
    run = train_quietly(toy("run", rewards=(("rating:listener", 1.0), ("silence", 1.0)), total_timesteps=256))
    train_quietly(resumed_config(run.folder, total_timesteps=384))
    assert scored == {range(2)}
    assert not [name for name in rows_of(run.folder)[-1] if "sibling" in name]


def test_a_run_holds_no_pickle_and_its_files_have_one_mode(toy_run: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    for path in toy_run.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert path.stat().st_mode & 0o777 == 0o666 & ~umask, path
    for path in [*toy_run.rglob("*.zip"), *toy_run.rglob("*.npz")]:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                assert name.endswith((".json", ".safetensors", ".npy")), f"{path}: {name}"
                assert b"O" not in archive.read(name)[:128] or not name.endswith(".npy"), "an array of objects"


@pytest.mark.parametrize("policy", ["mlp", "transformer"])
def test_a_run_that_diverges_stops_and_keeps_its_last_finite_checkpoint(toy: Toy, policy: str) -> None:
    Path("huge_reward.py").write_text(
        "import numpy as np\n"
        "class Huge:\n"
        "    name = 'huge'\n"
        "    def score(self, pieces):\n"
        "        return np.linspace(-3e38, 3e38, len(pieces)).astype(np.float32)\n"
    )
    rewards = (("huge_reward:Huge", 1.0),)
    config = toy("run", rewards=rewards, clone_epochs=0, policy=policy, prior="none", prior_kl_coef=0.0, gamma=1.0)
    with pytest.raises(
        DivergenceError, match=r"training diverged at step .*; the last checkpoint, step-0000000000, is"
    ):
        train_quietly(config)
    assert config.run_dir is not None
    assert all(torch.isfinite(each).all() for each in policy_of(config.run_dir).values())


def test_rewards_that_are_finite_each_and_infinite_together(toy: Toy) -> None:
    Path("large_reward.py").write_text(
        "import numpy as np\n"
        "class Large:\n"
        "    name = 'large'\n"
        "    def score(self, pieces): return np.full(len(pieces), 3e38, np.float32)\n"
    )
    rewards = (("large_reward:Large", 1.0), ("large_reward:Large", 1.0))
    config = toy("run", rewards=rewards, clone_epochs=0)
    with pytest.raises(RewardModelError, match="large"):
        train_quietly(config)
    assert config.run_dir is not None
    assert all(torch.isfinite(each).all() for each in policy_of(config.run_dir).values())


def test_a_run_whose_name_is_not_utf8_has_no_tensorboard_events(toy: Toy) -> None:
    run = train_quietly(toy(os.fsdecode(b"r\xfcn"), total_timesteps=128, clone_epochs=0))
    train_quietly(resumed_config(run.folder, total_timesteps=256))
    assert run.model_path.is_file()
    assert not list(run.folder.glob("events*"))
