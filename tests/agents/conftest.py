from __future__ import annotations

import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from toccata.agents.evaluation.config import EvaluateConfig
from toccata.agents.evaluation.evaluate import evaluate_folder
from toccata.agents.policies.sequence_network import NetworkConfig, SequenceNetwork
from toccata.agents.prior.prior import Prior, frozen
from toccata.agents.runs.config import TrainConfig
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.instrument import Piano
from toccata.music.score import Score
from toccata.reward_models.rating.model import RatingModel
from toccata.reward_models.rating.network import RatingConfig, RatingMember


@pytest.fixture(scope="session")
def tunes() -> list[Score]:
    """Ten tunes of four bars over a bass."""
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(10):
        notes = [(24 * beat, 24, 60 + int(rng.choice([0, 2, 4, 5, 7, 9, 11, 12])), 80) for beat in range(16)]
        notes += [(96 * bar, 96, 48 + int(rng.choice([0, 5, 7])), 80) for bar in range(4)]
        scores.append(Score(sorted(notes), length_ticks=384))
    return scores


@pytest.fixture
def music(tunes: list[Score]) -> ExcerptDataset:
    return ExcerptDataset(tunes, 2)


TOY_EXCERPTS = 8


def toy_config(run_dir: Path, corpus_folder: Path, **changes: object) -> TrainConfig:
    """A run that takes a second."""
    settings: dict[str, object] = {
        "run_dir": run_dir,
        "total_timesteps": 384,
        "rewards": (("silence", 1.0), ("repetition", 0.5)),
        "corpus": (str(corpus_folder),),
        "bars": 1,
        "policy": "mlp",
        "algorithm": "ppo",
        "clone_epochs": 1,
        "num_envs": 4,
        "n_steps": 32,
        "batch_size": 128,
        "device": "cpu",
        "logger": ("csv",),
    }
    return TrainConfig(**{**settings, **changes})  # type: ignore[arg-type]


def make_toy(patch: pytest.MonkeyPatch) -> None:
    """Clone few excerpts."""
    patch.setattr("toccata.agents.prior.behaviour_cloning.EXCERPTS", TOY_EXCERPTS)


@pytest.fixture
def toy(corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TrainConfig]:
    """Makes configurations of toy runs: `toy(name, **changes)`, with their folders in `tmp_path`, where the test is."""
    monkeypatch.chdir(tmp_path)
    make_toy(monkeypatch)
    return lambda name, **changes: toy_config(tmp_path / name, corpus_folder, **changes)


@pytest.fixture
def write_prior(tmp_path: Path) -> Callable[..., Prior]:
    """Writes small priors that are not fitted: `write_prior(name, backbone="lstm")`, into the folder `name`."""

    def write(name: str, backbone: str = "transformer") -> Prior:
        torch.manual_seed(0)
        network = SequenceNetwork(Piano(), NetworkConfig(backbone, width=24, layers=2, heads=2))
        Prior(frozen(network), Piano(), {}).save(tmp_path / name)
        return Prior.load(tmp_path / name)

    return write


@pytest.fixture
def write_rating(tmp_path: Path) -> Callable[..., RatingModel]:
    """Writes rating networks that are not fitted: `write_rating(name, members=3)`, into the folder `name`."""

    def write(name: str, members: int = 3) -> RatingModel:
        torch.manual_seed(0)
        config = RatingConfig(channels=8, sound_channels=4, hidden=8, bins=4, members=members)
        rating = RatingModel(torch.nn.ModuleList(RatingMember(config) for _ in range(members)), config)
        rating.save(tmp_path / name)
        return rating

    return write


@pytest.fixture(scope="session")
def toy_run(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a toy run from beginning to end; to be read only."""
    from toccata.agents.runs.training import train

    with pytest.MonkeyPatch.context() as patch:
        make_toy(patch)
        config = toy_config(tmp_path_factory.mktemp("whole") / "run", corpus_folder, logger=("csv", "tensorboard"))
        return train(config, ["python", "train.py"], Console(file=StringIO())).folder


@pytest.fixture(scope="session")
def evaluated(toy_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """A run folder with an evaluation, what that returned and what it printed."""
    run = tmp_path_factory.mktemp("evaluated") / "run"
    shutil.copytree(toy_run, run)
    (run / "evaluation").mkdir()
    (run / "evaluation" / "old.txt").write_text("of an earlier evaluation")
    printed = StringIO()
    summary = evaluate_folder(EvaluateConfig(run, pieces=2, samples=6, device="cpu"), Console(file=printed, width=100))
    return run, summary, printed.getvalue()
