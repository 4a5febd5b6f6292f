"""The figures, tables and picture of a study of known values."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from toccata.agents.evaluation.overoptimise.config import OveroptimiseConfig
from toccata.agents.evaluation.overoptimise.picture import draw_frontier
from toccata.agents.evaluation.overoptimise.samples import KL, Sample
from toccata.agents.evaluation.overoptimise.study import Study
from toccata.agents.evaluation.overoptimise.summary import summarise
from toccata.agents.evaluation.overoptimise.tables import markdown, table_csv, table_of

CONFIG = OveroptimiseConfig((Path("best"), Path("near")), Path("out"))


def without_kl(sample: Sample) -> Sample:
    return replace(sample, values={name: each for name, each in sample.values.items() if name != KL})


def test_figures_of_known_runs(summary: dict[str, Any]) -> None:
    rows = summary["rows"]
    assert list(rows)[:3] == ["start", "best of 2", "best of 4"]
    assert list(rows)[-3:] == ["best", "near", "real"]
    assert rows["start"]["metrics"]["reward"]["mean"] == pytest.approx(1, abs=0.03)
    assert rows["start"]["metrics"][KL] == {"mean": 0, "low": None, "high": None}
    assert rows["best of 2"]["metrics"]["reward"]["mean"] == pytest.approx(1 + 0.5 / np.sqrt(np.pi), abs=0.03)
    best = rows["best"]["metrics"]
    assert best["gain"]["mean"] == pytest.approx(0.5 * 2, abs=0.05)
    assert best["share_of_limit"]["mean"] == pytest.approx(1, abs=0.06)
    assert best["share_of_limit"]["low"] < 1 < best["share_of_limit"]["high"]
    assert rows["best"]["limit_extrapolated"] is False
    assert 15 < best["same_as_best_of"]["mean"] < 35  # the highest of 24 Gaussians is 1.95 deviations up on average
    assert best["minutes"]["mean"] == 3
    near = rows["near"]["metrics"]
    assert 0.9 < rows["best of 16"]["metrics"]["share_of_limit"]["mean"] <= 1
    assert near["share_of_limit"]["low"] < near["share_of_limit"]["mean"] < near["share_of_limit"]["high"]
    assert near["gain"]["low"] < 0.5 * np.sqrt(0.6) < near["gain"]["high"]
    assert any("near: one seed" in line for line in summary["remarks"])
    json.dumps(summary, allow_nan=False)


def test_one_seed_gives_one_result(study: Study, summary: dict[str, Any]) -> None:
    assert json.dumps(summarise(study, CONFIG)) == json.dumps(summary)


def test_the_limit_and_the_curves(summary: dict[str, Any]) -> None:
    limit = summary["limit"]
    for kl, reward, beyond in zip(limit["kl"], limit["reward"], limit["extrapolated"], strict=True):
        assert reward == pytest.approx(1 + 0.5 * np.sqrt(2 * kl), abs=0.15 if beyond else 0.08)
    assert limit["edge_kl"] in limit["kl"]
    assert limit["hold_out"]["predicted"] == pytest.approx(limit["hold_out"]["truth"], rel=0.2)
    curves = summary["curves"]
    assert curves["best"]["reward"]["alpha"]["mean"] == pytest.approx(0.5 * np.sqrt(2), abs=0.1)
    assert curves["best"]["judge/rating"]["beta"]["mean"] > 0  # rises, then falls
    assert "1 models are at least" in curves["near"]["reward"]["reason"]
    assert curves["best of n"]["reward"]["beta"]["mean"] > 0


def test_a_run_beyond_the_pool_is_marked(study: Study) -> None:
    runs = study.arms["best"]
    far = [Sample(run.final.sample.scores, run.final.sample.values | {KL: np.full(256, 40.0)}) for run in runs]
    moved = tuple(
        replace(run, points=(*run.points[:-1], replace(run.final, sample=each)))
        for run, each in zip(runs, far, strict=True)
    )
    summary = summarise(replace(study, arms={"far": moved}, settings={"far": {}}), CONFIG)
    assert summary["rows"]["far"]["limit_extrapolated"]
    assert "| ~0." in next(line for line in markdown(summary).splitlines() if line.startswith("| far"))
    assert summary["limit"]["kl"][-1] > 40


def test_tables(summary: dict[str, Any]) -> None:
    text = markdown(summary)
    head = text.splitlines()[4]
    assert "share of the limit" in head
    assert "Vendi of 16" in head
    names = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")][2:9]
    assert names == ["start", "best of 4", "best of 16", "best of 64", "best", "near", "real"]
    assert "1 models are at least 0.1 from the start" in text
    assert len({line.count("|") for line in text.splitlines()[4:13]}) == 1
    rows = list(csv.DictReader(StringIO(table_csv(summary), newline="")))
    assert [row["row"] for row in rows] == list(summary["rows"])
    assert float(rows[0]["reward"]) == summary["rows"]["start"]["metrics"]["reward"]["mean"]
    assert rows[0]["kl low"] == ""
    assert table_of(summary).row_count == 7


def test_metrics_outside_real_music_are_named(study: Study) -> None:
    run = study.arms["near"][0]
    sample = run.final.sample
    looped = replace(sample, values=sample.values | {"loop_rate": np.full(256, 0.5)})
    moved = replace(run, points=(replace(run.final, sample=looped),))
    summary = summarise(replace(study, arms={"near": (moved,)}), CONFIG)
    assert summary["rows"]["near"]["outside"] == ["loop_rate"]
    assert "loop rate |" in next(line for line in markdown(summary).splitlines() if line.startswith("| near"))


def test_pictures(summary: dict[str, Any]) -> None:
    files = draw_frontier(summary)
    assert matplotlib.image.imread(BytesIO(files["png"])).ndim == 3
    assert files["svg"].startswith(b"<?xml")
    assert draw_frontier(summary) == files


def test_runs_without_a_reference_have_no_kl(study: Study) -> None:
    run = study.arms["near"][0]
    alone = replace(run, reference=None, points=(replace(run.final, sample=without_kl(run.final.sample)),))
    summary = summarise(replace(study, arms={"$near|": (alone,)}, settings={"$near|": {}}, pools={}), CONFIG)
    assert list(summary["rows"]) == ["$near|", "real"]
    assert KL not in summary["rows"]["$near|"]["metrics"]
    assert summary["limit"] is None
    assert "start" not in markdown(summary).split("outside")[1].splitlines()[2]
    assert draw_frontier(summary)["png"]
