"""What metrics.json holds beside metrics of pieces: its schema, sets, nearest works, windows of long pieces."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from helpers.runs import contents
from toccata.agents.evaluation.config import EvaluateConfig
from toccata.agents.evaluation.evaluate import evaluate_folder
from toccata.agents.evaluation.measuring.measured import SCHEMA_VERSION
from toccata.music.score import Score


def test_it_is_as_its_schema_says(evaluated: tuple[Path, dict[str, Any], str]) -> None:
    schema = json.loads(files("toccata.agents.evaluation").joinpath("metrics.schema.json").read_text(encoding="utf-8"))
    validator = Draft202012Validator(schema)
    validator.validate(evaluated[1])
    assert evaluated[1]["schema_version"] == SCHEMA_VERSION == schema["properties"]["schema_version"]["const"]
    assert not validator.is_valid({**evaluated[1], "counts": {"real_works": -1}})
    assert not validator.is_valid({**evaluated[1], "other": 1})


def test_sets_and_the_nearest_works_are_named(evaluated: tuple[Path, dict[str, Any], str]) -> None:
    summary = evaluated[1]
    assert summary["sets"].keys() == summary["composers"].keys()
    assert {"frechet_distance", "overlapping_area", "self_bleu"} <= summary["sets"]["real"].keys()
    assert summary["originality"]["works"] > 0
    assert {name: len(each) for name, each in summary["originality"]["matches"].items()} == dict.fromkeys(
        summary["composers"], 6
    )
    page = (evaluated[0] / "evaluation/report.html").read_text(encoding="utf-8")
    assert "frechet distance" in page and "originality score" in page


def test_a_run_is_evaluated_in_long_pieces(
    toy_run: Path, evaluated: tuple[Path, dict[str, Any], str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(evaluated[0], run)
    before = contents(run / "evaluation")
    summary = evaluate_folder(EvaluateConfig(run, pieces=1, samples=2, bars=16), Console(file=StringIO()))
    assert contents(run / "evaluation") == before
    assert Score.from_midi(run / "evaluation-16-bars/piece-000.mid").bars == 16
    windows = summary["windows"]
    assert windows["bars"] == 8 and set(windows["composers"]) <= set(summary["composers"])
    for name, metrics in windows["composers"].items():
        assert metrics.keys() == {"note_density", "key_clarity", "judge/bits"}
        assert all(len(each) == 2 for each in metrics.values())
        first, last = (each["mean"] for each in metrics["judge/bits"])
        assert windows["last_minus_first"][name]["judge/bits"]["mean"] == pytest.approx(last - first)
    assert "Along the pieces" in (run / "evaluation-16-bars/report.html").read_text(encoding="utf-8")
    assert "windows" not in evaluated[1]
