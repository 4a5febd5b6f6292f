"""benchmarks/bench_gpu.py, on the CPU and at the size of a test."""

from __future__ import annotations

import importlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch


@pytest.fixture
def bench(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script as a module."""
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    return importlib.import_module("bench_gpu")


@pytest.mark.slow
def test_every_part_is_measured_beside_its_limit(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(bench, "CPU", replace(bench.CPU, pianos=(2,), n_steps=16, pieces=2, bars=2, fit_notes=100))
    assert bench.main(["--device", "cpu", "--out", str(tmp_path / "results.json")]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    rows = {row["name"]: row for row in results["rows"]}
    assert set(rows) == {
        "rating",
        "realism",
        "fit-prior",
        "training, 2 pianos",
        "rewards' share, 2 pianos",
        "update, 2 pianos",
    }
    assert all(row["value"] > 0 and math.isfinite(row["value"]) for row in rows.values())
    assert all(limit > 0 for row in rows.values() for limit in row["limits"].values())
    training = rows["training, 2 pianos"]
    assert {"PianoVecEnv alone", "PianoVectorEnv alone", "network's step alone"} <= set(training["limits"])
    shares = training["more"]["shares"]
    assert set(shares) == {"environments", "prefill", "policy step", "KL", "rewards", "update", "rest"}
    assert sum(shares.values()) == pytest.approx(1) and shares["rest"] > -0.01
    assert (training["more"]["amp"], training["more"]["compiled"]) == (False, False), "on a GPU both"
    assert rows["rewards' share, 2 pianos"]["value"] == shares["rewards"] > 0
    assert "fit-prior" in capsys.readouterr().out


def test_targets_are_those_of_rows_on_a_gpu(bench: Any) -> None:
    names = {
        f"{part}, {count:,} pianos" for part in ("training", "rewards' share", "update") for count in bench.GPU.pianos
    }
    assert set(bench.TARGETS) <= names | {"fit-prior", "peak memory"}
    fast, slow, large = (
        bench.Row(name, value, "", {}, {})
        for name, value in (("fit-prior", 3e6), ("fit-prior", 1e6), ("peak memory", 41))
    )
    assert (fast.ok, slow.ok, large.ok) == (True, False, False)
    assert bench.Row("rating", 1.0, "pieces/s", {}, {}).ok is None


def test_rollouts_are_shortened_to_the_time_that_is_left(bench: Any) -> None:
    sizes = bench.GPU
    assert bench.affordable_steps(512, 1e6, 100, sizes) == sizes.n_steps
    short = bench.affordable_steps(4096, 6_000, 100, sizes)
    assert 8 <= short < sizes.n_steps and short * 4096 * (sizes.warm_rollouts + 2) <= 600_000
    assert bench.affordable_steps(4096, 6_000, 1, sizes) == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(bench: Any, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        bench.main([])
    assert "--device cpu" in capsys.readouterr().err
