"""Genres of one's own in training, resuming, composing and evaluating."""

from __future__ import annotations

import json
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from helpers.runs import Toy, WritePrior, agent_of, assert_equal_runs, network_of, resumed_config, train_quietly
from toccata.agents.evaluation.config import EvaluateConfig
from toccata.agents.evaluation.evaluate import evaluate_folder
from toccata.agents.policies.sequence_network import with_genres
from toccata.agents.prior.prior import Prior
from toccata.agents.runs.builders import excerpt_dataset, run_corpus
from toccata.agents.runs.compose import ComposeError, compose
from toccata.agents.runs.compose_config import ComposeConfig
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.run_folder import Run, RunError
from toccata.envs.instrument import Piano
from toccata.settings.genres import GENRES
from toccata.settings.options import ConfigError


@pytest.fixture
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sound and pictures have tests of their own."""
    for module in ("evaluation.evaluate", "runs.compose"):
        monkeypatch.setattr(f"toccata.agents.{module}.write_song", lambda *_, **__: None)


@pytest.mark.usefixtures("no_files")
def test_a_run_in_a_genre_of_ones_own(toy: Toy, write_prior: WritePrior, corpus_folder: Path, tmp_path: Path) -> None:
    write_prior("six")
    old = Prior.load("six")
    Prior(with_genres(old.network, (*GENRES, "tango")), Piano(), {}).save("seven")
    shutil.copytree(corpus_folder / "classical", "mine/ragtime")
    changes: dict[str, Any] = {
        "policy": "transformer",
        "prior": "seven",
        "clone_epochs": 0,
        "corpus": ("mine",),
        "genre": "ragtime",
        "n_steps": 24,
        "batch_size": 48,
    }
    with pytest.raises(ConfigError, match=r"unknown genre 'ragtime': .*electronic, tango; to add it: --genres ragtime"):
        train_quietly(toy("none", **changes))
    whole = train_quietly(toy("whole", total_timesteps=384, genres=("ragtime",), **changes))
    half = train_quietly(toy("half", total_timesteps=192, genres=("tango", "ragtime", "folk"), **changes))
    assert half.config.genres == ("tango", "ragtime"), "those of the prior come first"
    assert Run.open(whole.folder).config.genres == ("tango", "ragtime")
    started, given = network_of(half.folder, "reference.zip"), Prior.load("seven").network.state_dict()
    weight = started.pop("genre.weight")
    assert all(torch.equal(given[key], value) for key, value in started.items())
    known = given["genre.weight"]
    assert torch.equal(weight, torch.stack([*known[:7], known[:7].mean(dim=0), known[7]]))

    torch.manual_seed(99)  # the state between the two runs must not matter
    np.random.seed(99)  # noqa: NPY002  # SB3 draws from it
    shutil.rmtree("seven")
    train_quietly(resumed_config(half.folder, total_timesteps=384))
    assert_equal_runs(whole.folder, half.folder)
    assert not torch.equal(network_of(half.folder)["genre.weight"][7], weight[7]), "it is trained"

    (piece,) = compose(ComposeConfig(run=half.folder, bars=1, pieces=1, device="cpu"), Console(file=StringIO()))
    assert piece.genre == "ragtime"
    with pytest.raises(ComposeError, match=r"unknown genre 'ragtme': .*tango, ragtime; did you mean 'ragtime'"):
        compose(ComposeConfig(run=half.folder, genre="ragtme", device="cpu"))
    console = StringIO()
    evaluate_folder(EvaluateConfig(half.folder, pieces=1, samples=2, device="cpu"), Console(file=console, width=200))
    assert "warning: few works: mine:ragtime has " in console.getvalue()
    assert "warning: few works: mine:ragtime has " in (half.folder / "log.txt").read_text()
    assert "nats a piece" in console.getvalue()


@pytest.mark.usefixtures("no_files")
def test_an_untrained_genre_is_the_mean_of_the_known(write_prior: WritePrior, tmp_path: Path) -> None:
    write_prior("mine")
    settings: dict[str, Any] = {"prior": str(tmp_path / "mine"), "bars": 1, "pieces": 1, "device": "cpu"}
    (piece,) = compose(
        ComposeConfig(genres=("habanera",), genre="habanera", out=tmp_path / "a", **settings), Console(file=StringIO())
    )
    assert piece.genre == "habanera"
    with pytest.raises(ComposeError, match="unknown genre 'habanera'"):
        compose(ComposeConfig(genre="habanera", out=tmp_path / "b", **settings))


def test_a_feedforward_run(toy: Toy, corpus_folder: Path) -> None:
    settings: dict[str, Any] = {
        "genres": ("ragtime",),
        "genre": "ragtime",
        "corpus": (str(corpus_folder / "classical"),),
    }
    whole = train_quietly(toy("whole", total_timesteps=256, **settings))
    half = train_quietly(toy("half", total_timesteps=128, **settings))
    train_quietly(resumed_config(half.folder, total_timesteps=256))
    assert_equal_runs(whole.folder, half.folder)
    assert agent_of(half.folder).policy.genres == (*GENRES, "ragtime")


def test_a_model_of_other_genres_is_refused(toy_run: Path, tmp_path: Path) -> None:
    shutil.copytree(toy_run, tmp_path / "run", symlinks=True)
    path = tmp_path / "run/config.json"
    settings = json.loads(path.read_text())
    assert settings.pop("genres") == []
    path.write_text(json.dumps(settings))
    assert agent_of(tmp_path / "run").policy.genres == GENRES, "runs of old have the six"
    path.write_text(json.dumps({**settings, "genres": ["tango"]}))
    with pytest.raises(RunError, match=r"its genres are classical, .*electronic, those of config.json .*, tango"):
        agent_of(tmp_path / "run")
    path.write_text(json.dumps({**settings, "genres": ["../x"]}))
    with pytest.raises(ConfigError, match=r"config\.json: genres: the name of a genre must have"):
        TrainConfig.from_file(path)


def test_few_works_are_reported(toy: Toy, corpus_folder: Path, tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / "five").mkdir(exist_ok=True)
        shutil.copy(corpus_folder / f"classical/tune-{number}.mid", tmp_path / "five")
    config = toy("run", corpus=(str(tmp_path / "five"), str(corpus_folder)), genre="jazz")
    assert len(run_corpus(config)) == 5, "a folder with genres keeps them beside one without"
    counts = [len(run_corpus(config).split(part)) for part in ("train", "valid", "test")]
    lines: list[str] = []
    excerpt_dataset(config, "train", lines.append)
    assert len(lines) == 1
    assert f"{counts[0]} in train, {counts[1]} in valid, {counts[2]} in test: " in lines[0]
