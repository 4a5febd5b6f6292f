from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from toccata.agents.rivals.registry import RIVALS, Rival
from toccata.agents.studies.rivals import measure, study
from toccata.agents.studies.rivals.config import StudyRivalsConfig
from toccata.agents.studies.rivals.study import REAL, study_rivals
from toccata.envs.excerpts import ExcerptDataset
from toccata.files import FileError
from toccata.music.score import Score
from toccata.reward_models.judges.panel import JUDGEMENTS
from toccata.settings.options import ConfigError

FILES = {"rivals.json", "table.md", "table.csv", "rolls.png", "cache"}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyRivalsConfig:
    """A study of the stub in helpers."""
    monkeypatch.setitem(RIVALS, "scales", Rival("scales", "for tests", "helpers.rivals:load"))
    return StudyRivalsConfig(tmp_path / "study", composers=("scales",), samples=3, bars=2, device="cpu")


def test_a_study_measures_everybody_alike_and_is_resumed(
    config: StudyRivalsConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(file=io.StringIO(), width=200)
    summary = study_rivals(config, console)
    assert {path.name for path in config.out.iterdir()} == FILES
    rows = summary["rows"]
    assert list(rows) == ["scales", REAL]
    for row in rows.values():
        assert {*JUDGEMENTS, "reward/total", "originality_score", "vendi_score", "frechet_distance"} <= set(row)
        assert all(np.isfinite(figure["mean"]) for figure in row.values())
    assert rows["scales"]["real_bits"]["mean"] == pytest.approx(3)  # bits of 1/8
    assert "real_bits" not in rows[REAL]
    assert rows["scales"]["polyphony"]["mean"] == pytest.approx(1)
    assert json.loads((config.out / "rivals.json").read_text()) == summary
    table = list(csv.DictReader(io.StringIO((config.out / "table.csv").read_text())))
    assert [row["composer"] for row in table] == ["scales", REAL]
    assert "| real music |" in (config.out / "table.md").read_text()

    def fail(*_: object) -> None:
        raise AssertionError("it is in the cache")

    for name in ("_composed", "_values", "_sets"):
        monkeypatch.setattr(measure, name, fail)
    again = study_rivals(config, console)
    assert again["rows"] == rows


def test_held_out_excerpts_are_those_of_the_dataset_with_their_works() -> None:
    scores = [Score([(24 * beat, 24, 50 + work, 80) for beat in range(16)]) for work in range(3)]
    real = ExcerptDataset(scores, 2)
    pieces, works = study._held_out(real, 8, np.random.default_rng(1))
    sampled = real.sample(8, np.random.default_rng(1), transpose=False)
    assert [piece.score for piece in pieces] == [piece.score for piece in sampled]
    assert [50 + int(work) for work in works] == [piece.score.notes["pitch"][0] for piece in pieces]
    assert len(set(works)) > 1


def test_refuses_a_folder_of_something_else(config: StudyRivalsConfig) -> None:
    config.out.mkdir()
    (config.out / "notes.txt").write_text("mine")
    with pytest.raises(FileError, match="is no folder of toccata study; choose another --out"):
        study_rivals(config)
    assert [path.name for path in config.out.iterdir()] == ["notes.txt"]


def test_unknown_composers_are_refused_before_anything_is_composed(config: StudyRivalsConfig) -> None:
    with pytest.raises(Exception, match="unknown composer 'scalse'"):
        study_rivals(replace(config, composers=("scales", "scalse")))
    assert not config.out.exists()
    with pytest.raises(ConfigError, match="composers: 'scales' is named twice"):
        replace(config, composers=("scales", "random", "scales"))


def test_one_composer_with_weights_of_two_folders_is_two_rows(
    config: StudyRivalsConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RIVALS, "scales", replace(RIVALS["scales"], fit="toccata fit-rival scales"))
    folders = [config.out.with_name(name) for name in ("mine", "yours")]
    for folder in folders:
        folder.mkdir()
    specs = tuple(f"scales:{folder}" for folder in folders)
    rows = study_rivals(replace(config, composers=specs), Console(file=io.StringIO()))["rows"]
    assert list(rows) == [*specs, REAL]
