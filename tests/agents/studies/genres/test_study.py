"""`toccata study genres` at toy size: a Markov chain and agents of two genres."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tests.agents.conftest import toy_config

from toccata.agents.rivals.composer import RivalError
from toccata.agents.runs.training import train
from toccata.agents.studies.genres.config import StudyGenresConfig
from toccata.agents.studies.genres.study import study_genres
from toccata.files import FileError
from toccata.settings.options import ConfigError

pytestmark = pytest.mark.slow  # it trains, composes and measures: half a minute

GENRES = ("classical", "folk")


@pytest.fixture(scope="module")
def config(two_genres: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyGenresConfig:
    """A study that takes seconds."""
    root = tmp_path_factory.mktemp("study")
    runs = []
    for genre in GENRES:
        run = toy_config(root / genre, two_genres, genre=genre, bars=2, total_timesteps=128, clone_epochs=0)
        train(run, console=Console(file=StringIO()))
        runs.append(root / genre)
    return StudyGenresConfig(
        root / "out",
        (str(two_genres),),
        composers=("markov",),
        runs=tuple(runs),
        pieces=16,
        excerpts=2,
        bars=2,
        device="cpu",
    )


@pytest.fixture(scope="module")
def summary(config: StudyGenresConfig) -> dict:
    return study_genres(config, Console(file=StringIO()))


def test_real_music_is_told_apart_and_chains_fit_their_own_genre_best(summary: dict):
    assert summary["classifier"]["whole pieces"]["accuracy"]["mean"] == 1
    bits = summary["bits"]["markov"]
    for genre, other in (GENRES, GENRES[::-1]):
        own = bits[genre][genre]["per_action"]
        assert own["low"] <= own["mean"] <= own["high"]
        assert own["mean"] < bits[other][genre]["per_action"]["mean"]
    rows = {(row["family"], row["genre"]): row["values"] for row in summary["recognised"]}
    for genre in GENRES:
        assert rows["markov", genre][genre]["mean"] > 0.7
        assert sum(each["mean"] for each in rows["agent", genre].values()) == pytest.approx(1)
    far = {(row["family"], row["genre"]): row["values"] for row in summary["distances"]}
    assert far["real music", "folk"]["folk"]["mean"] < far["real music", "folk"]["classical"]["mean"]


def test_files_say_the_same(config: StudyGenresConfig, summary: dict):
    assert json.loads((config.out / "genres.json").read_text()) == summary
    table = (config.out / "table.md").read_text()
    for heading in ("Music", "Classifier", "Bits of held-out works", "Genre of what is composed", "Distance"):
        assert f"## {heading}" in table
    assert (config.out / "rolls.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_call_fits_and_composes_nothing(
    config: StudyGenresConfig, summary: dict, monkeypatch: pytest.MonkeyPatch
):
    for name in ("fit_rival", "player_of"):
        monkeypatch.setattr(f"toccata.agents.studies.genres.sources.{name}", lambda *_: lambda *_: pytest.fail("again"))
    assert study_genres(config, Console(file=StringIO())) == summary


def test_bad_input_is_one_line(config: StudyGenresConfig, summary: dict, tmp_path: Path):
    assert summary["genres"] == list(GENRES)
    with pytest.raises(ConfigError, match="is of a study with seed 0, got 1; choose another --out"):
        study_genres(replace(config, seed=1))
    with pytest.raises(RivalError, match="unknown genre 'jazz'"):
        study_genres(replace(config, out=tmp_path / "a", genres=("folk", "jazz")))
    with pytest.raises(RivalError, match="there is none of genre folk"):
        study_genres(replace(config, out=tmp_path / "b", runs=config.runs[:1]))
    with pytest.raises(RivalError, match="its pieces have 2 bars of 4 beats; the study's have 4 of 4"):
        study_genres(replace(config, out=tmp_path / "c", bars=4))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(FileError, match="is no folder of toccata study"):
        study_genres(replace(config, out=tmp_path / "mine"))
    with pytest.raises(ConfigError, match="an entry of composers must be markov, lstm"):
        replace(config, composers=("gan",))  # type: ignore[arg-type]  # what is tested
    with pytest.raises(ConfigError, match="genres: 'folk' is named twice"):
        replace(config, genres=("folk", "folk"))
