"""Evaluated runs are compared in groups that differ in the seed only."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from toccata.agents.evaluation.compare import compare, paired_seeds, summarise_groups
from toccata.agents.evaluation.compare_report import over_seeds
from toccata.agents.evaluation.config import CompareConfig
from toccata.agents.evaluation.run_groups import KL, CompareError, EvaluatedRun, Group, grouped, metric_values
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.run_folder import Run, RunError
from toccata.cli import run_command
from toccata.errors import ToccataError
from toccata.files import FileError, read_json, sha256_of_file

WriteRun = Callable[..., Path]


@pytest.fixture
def write_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteRun:
    """Writes what is read of an evaluated run: `write_run(name, polyphony=[2.0, 3.0], **settings)`."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, polyphony: list[Any], **settings: Any) -> Path:
        folder = tmp_path / name
        (folder / "evaluation").mkdir(parents=True)
        (folder / "config.json").write_text(TrainConfig(**{"policy": "mlp", **settings}).to_json())
        metrics = {metric: {"values": polyphony} for metric in ("polyphony", "score/realism", "reward/total")}
        (folder / "evaluation/metrics.json").write_text(json.dumps({"composers": {"agent": metrics}}))
        rows = [f"{step},{step / 100 + settings.get('seed', 0)},{step / 50}" for step in (100, 200, 300)]
        text = "\n".join(["time/total_timesteps,reward/total,music/polyphony", *rows])
        (folder / "progress.csv").write_text(text + "\n")
        return folder

    return write


def compared(*folders: Path, **settings: Any) -> tuple[dict[str, Any], str]:
    printed = StringIO()
    return compare(CompareConfig(folders, **settings), Console(file=printed, width=80)), printed.getvalue()


def test_runs_of_known_values(write_run: WriteRun, tmp_path: Path) -> None:
    ours = [write_run(f"a{seed}", [2.0] * 5, seed=seed) for seed in (0, 1)]
    theirs = [write_run(f"b{seed}", [3.0] * 4, seed=seed, bars=4) for seed in (0, 1)]
    summary, printed = compared(*ours, *theirs)
    assert list(summary["groups"]) == ["A", "B"]
    assert summary["groups"]["A"]["settings"] == {"bars": 8}
    assert summary["groups"]["B"]["settings"] == {"bars": 4}
    assert summary["groups"]["B"]["runs"] == [
        {"folder": str(folder), "seed": seed} for seed, folder in enumerate(theirs)
    ]
    assert summary["groups"]["A"]["metrics"]["polyphony"] == {"mean": 2, "low": 2, "high": 2, "by_seed": [2, 2]}
    difference = summary["differences"]["B - A"]
    assert difference["paired_seeds"] == [0, 1]
    assert difference["metrics"]["polyphony"] == {"mean": 1, "low": 1, "high": 1}
    folder = tmp_path / "comparisons/comparison-1"
    assert json.loads((folder / "compare.json").read_text()) == summary
    page = (folder / "compare.html").read_text()
    for text in ("A: bars=8; seeds 0, 1", "B - A: paired by seed (0, 1)", "<figure", "t intervals"):
        assert text in page
    lines = [line.rstrip() for line in printed.splitlines() if "read:" not in line]
    assert max(map(len, lines)) <= 80
    assert "A: bars=8; seeds 0, 1" in lines
    assert "B: bars=4; seeds 0, 1" in lines
    row = next(line for line in lines if line.startswith("polyphony"))
    assert row.split() == ["polyphony", "2.00", "±0.00", "3.00", "±0.00", "1.00", "[1.00,", "1.00]"]
    assert "score/realism, a part of reward/total, is by the discriminator that each run" in " ".join(lines)


def test_intervals_cover_seeds_and_pieces(write_run: WriteRun) -> None:
    pieces = np.random.default_rng(0).normal(size=(4, 50))
    runs = [
        EvaluatedRun.read(write_run(f"a{seed}", (pieces[seed] + 10 * seed).tolist(), seed=seed)) for seed in range(4)
    ]
    every = summarise_groups(grouped(runs))["groups"]["A"]["metrics"]["polyphony"]
    alone = summarise_groups(grouped(runs[:1]))["groups"]["A"]["metrics"]["polyphony"]
    assert every["mean"] == pytest.approx(15 + pieces.mean())
    assert every["by_seed"] == pytest.approx(pieces.mean(axis=1) + 10 * np.arange(4))
    assert every["high"] - every["low"] > 15
    assert alone["high"] - alone["low"] < 1


def test_equal_runs_of_two_groups_differ_by_nothing(write_run: WriteRun) -> None:
    values = [[0.0] * 6, [10.0] * 6, [20.0] * 6]
    ours = [write_run(f"a{seed}", values[seed], seed=seed) for seed in range(3)]
    theirs = [write_run(f"b{seed}", values[seed], seed=seed, gamma=0.9) for seed in range(3)]
    summary, _ = compared(*ours, *theirs)
    assert summary["differences"]["B - A"]["metrics"]["polyphony"] == {"mean": 0, "low": 0, "high": 0}  # as paired
    others = [write_run(f"c{seed}", values[seed - 3], seed=seed, gamma=0.9) for seed in range(3, 6)]
    summary, printed = compared(*ours, *others)
    difference = summary["differences"]["B - A"]
    assert difference["paired_seeds"] == []
    assert difference["metrics"]["polyphony"]["mean"] == 0
    assert difference["metrics"]["polyphony"]["low"] < -5 < 5 < difference["metrics"]["polyphony"]["high"]
    assert "B - A: not paired, all seeds of both" in printed


def test_which_seeds_are_paired() -> None:
    def group(*seeds: int) -> Group:
        return Group("A", tuple(EvaluatedRun(Path("run"), seed, {}, {}, {}) for seed in seeds), {})

    assert paired_seeds(group(0, 1, 2), group(0, 1, 2)) == [0, 1, 2]
    assert paired_seeds(group(0, 1, 2), group(1, 2, 3)) == []
    assert paired_seeds(group(0, 1), group(0, 1, 2)) == []
    assert paired_seeds(group(4), group(4)) == []  # by what would it be paired


def test_a_difference_is_that_of_the_means(write_run: WriteRun) -> None:
    ours = [write_run(f"a{seed}", [float(seed)] * 3, seed=seed) for seed in range(4)]
    theirs = [write_run(f"b{seed}", [float(seed)] * 3, seed=seed, gamma=0.9) for seed in range(2, 6)]
    summary, _ = compared(*ours, *theirs)
    difference = summary["differences"]["B - A"]
    assert (difference["paired_seeds"], difference["metrics"]["polyphony"]["mean"]) == ([], 2)


def test_what_makes_a_group(write_run: WriteRun) -> None:
    one = write_run("one", [1.0], seed=0, device="cpu")
    two = write_run("two", [1.0], seed=1, device="auto", checkpoint_every=7)
    other = write_run("other", [1.0], seed=0, total_timesteps=5, rewards=(("density", 2.0),))
    summary, printed = compared(one, two, other)
    assert [len(group["runs"]) for group in summary["groups"].values()] == [2, 1]
    assert summary["groups"]["B"]["settings"] == {"total_timesteps": 5, "rewards": [["density", 2.0]]}
    assert "reward/total" not in summary["differences"]["B - A"]["metrics"]
    assert "B - A: the rewards differ; reward/total is each group's own" in printed
    assert "B: one seed; its intervals cover pieces only" in printed
    assert "B: total_timesteps=5, rewards=2 x density; seed 0" in printed
    names = [each.name for each in grouped([EvaluatedRun(Path(), 0, {"n": n}, {}, {}) for n in range(28)])]
    assert (names[0], names[25], names[26], names[27]) == ("A", "Z", "AA", "AB")


def test_remarks_are_of_each_difference(write_run: WriteRun) -> None:
    folders = [
        write_run("a", [1.0]),
        write_run("b", [1.0], gamma=0.9),
        write_run("c", [1.0], rewards=(("density", 1.0),)),
    ]
    summary, _ = compared(*folders)
    assert "reward/total" in summary["differences"]["B - A"]["metrics"]
    about = [line for line in summary["remarks"] if "the rewards differ" in line]
    assert about == ["C - A: the rewards differ; reward/total is each group's own, and has no difference"]


def test_an_evaluation_of_an_earlier_model_is_refused(write_run: WriteRun) -> None:
    one, two = write_run("one", [1.0]), write_run("two", [1.0], seed=1)
    path = two / "evaluation/metrics.json"
    (two / "model.zip").write_bytes(b"first")
    path.write_text(json.dumps({**read_json(path), "model_sha256": sha256_of_file(two / "model.zip")}))
    compared(one, two)
    (two / "model.zip").write_bytes(b"second")
    with pytest.raises(CompareError, match=r"two: was trained further .* again: python evaluate\.py .*two$"):
        compared(one, two)
    (two / "model.zip").unlink()  # of a run that is shared without its model
    compared(one, two)


def test_what_cannot_be_compared(write_run: WriteRun, tmp_path: Path) -> None:
    one, two = write_run("one", [1.0]), write_run("two", [1.0])
    with pytest.raises(CompareError, match=r"two: has the settings and the seed of .*one"):
        compared(one, two)
    with pytest.raises(CompareError, match="compare needs at least two runs, or a folder of several seeds, got 1"):
        compared(one)
    shutil.rmtree(two / "evaluation")
    with pytest.raises(CompareError, match=r"two: is not evaluated; do that first: python evaluate\.py .*two"):
        compared(one, two)
    with pytest.raises(ToccataError, match="no such run folder"):
        compared(one, tmp_path / "nowhere")
    (tmp_path / "there").mkdir()
    with pytest.raises(FileError, match="there: exists already; choose another --out"):
        compared(one, two, out=tmp_path / "there")
    assert not (tmp_path / "comparisons").exists()


@pytest.mark.parametrize(
    "damaged",
    [
        "[]",
        '{"composers": 5}',
        '{"composers": {"agent": {}}}',
        '{"composers": {"agent": {"x": 5}}}',
        '{"composers": {"agent": {"x": {"values": []}}}}',
        '{"composers": {"agent": {"x": {"values": [NaN]}}}}',
        '{"composers": {"agent": {"x": {"values": [1' + "0" * 400 + "]}}}}",
        '{"composers": {"agent": {"x": {"values": [true]}}}}',
        '{"composers": {"agent": {"x": {"values": {"0": 1}}}}}',
        '{"composers": {"agent": {"x\\u0007": {"values": [1]}}}}',
        '{"composers": {"agent": {"x": {"values": [1]}}}, "kl": 3}',
        '{"composers": {"agent": {"x": {"values": [1]}}}, "vendi_score": {"agent": "many"}}',
        '{"composers": {"agent": {"x": {"values": [1]}}}, "vendi_score": 3}',
        "{",
    ],
)
def test_damaged_metrics_are_named(tmp_path: Path, damaged: str) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(damaged)
    with pytest.raises(ToccataError) as caught:
        metric_values(read_json(path), path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_the_kl_is_a_metric(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text('{"composers": {"agent": {"x": {"values": [1]}}}, "kl": {"nats_per_piece": {"values": [2, 3]}}}')
    assert {name: values.tolist() for name, values in metric_values(read_json(path), path).items()} == {
        "x": [1],
        KL: [2, 3],
    }


JUDGED = {"judge/bits": [3.0, 4.0], "judge/band_share": [0.5, 1.0], "sibling_rating": [0.0, 1.0]}


def judged(folder: Path, vendi: float | None = None, **metrics: list[float]) -> Path:
    """The evaluation of a run with further metrics."""
    path = folder / "evaluation/metrics.json"
    summary = read_json(path)
    summary["composers"]["agent"] |= {name: {"values": values} for name, values in metrics.items()}
    path.write_text(json.dumps(summary if vendi is None else {**summary, "vendi_score": {"agent": vendi, "real": 9.0}}))
    return folder


def test_judges_are_compared(write_run: WriteRun) -> None:
    ours = [judged(write_run(f"a{seed}", [1.0, 2.0], seed=seed), 1.5, **JUDGED) for seed in (0, 1)]
    other = {name: [value + 1 for value in values] for name, values in JUDGED.items()}
    theirs = [judged(write_run(f"b{seed}", [1.0, 2.0], seed=seed, gamma=0.9), 1.75, **other) for seed in (0, 1)]
    summary, printed = compared(*ours, *theirs)
    assert {*JUDGED, "vendi_score"} <= summary["groups"]["A"]["metrics"].keys()
    difference = summary["differences"]["B - A"]["metrics"]
    for name in JUDGED:
        assert difference[name] == {"mean": 1, "low": 1, "high": 1}
    assert difference["vendi_score"] == {"mean": 0.25, "low": 0.25, "high": 0.25}
    rows = [line.split() for line in printed.splitlines()]
    assert ["judge/bits", "3.50", "±0.00", "4.50", "±0.00", "1.00", "[1.00,", "1.00]"] in rows
    assert ["vendi", "score", "1.50", "±0.00", "1.75", "±0.00", "0.25", "[0.25,", "0.25]"] in rows


def test_one_value_has_no_interval(write_run: WriteRun, tmp_path: Path) -> None:
    runs = [judged(write_run(f"run{i}", [1.0, 2.0], gamma=0.9 + i / 100), 1.5 + i) for i in range(2)]
    summary, printed = compared(*runs)
    assert summary["groups"]["A"]["metrics"]["vendi_score"] == {
        "mean": 1.5,
        "low": None,
        "high": None,
        "by_seed": [1.5],
    }
    assert summary["differences"]["B - A"]["metrics"]["vendi_score"] == {"mean": 1, "low": None, "high": None}
    assert ["vendi", "score", "1.50", "2.50", "1.00"] in [line.split() for line in printed.splitlines()]
    page = (tmp_path / "comparisons/comparison-1/compare.html").read_text()
    row = page.partition(">vendi score<")[2].partition("</tr>")[0]
    assert row.endswith("<td>1.50</td><td>2.50</td><td>1.00</td>")


def test_vendi_scores_of_other_numbers_of_pieces_are_not_subtracted(write_run: WriteRun) -> None:
    few, many = judged(write_run("few", [1.0, 2.0]), 1.5), judged(write_run("many", [1.0] * 3, gamma=0.9), 2.0)
    summary, printed = compared(few, many)
    assert "vendi_score" not in summary["differences"]["B - A"]["metrics"]
    assert "vendi_score grows with the number of pieces, and runs have 2, 3" in printed


def test_evaluations_of_earlier_versions_are_compared(write_run: WriteRun) -> None:
    new = judged(write_run("new", [1.0, 2.0]), 1.5, **JUDGED)
    old = judged(write_run("old", [1.0, 2.0], gamma=0.9), gold_rating=[0.5, 1.5])
    summary, _ = compared(old, new)
    assert "gold_rating" not in summary["groups"]["A"]["metrics"]
    assert summary["differences"]["B - A"]["metrics"]["sibling_rating"]["mean"] == pytest.approx(-0.5)
    assert not {"judge/bits", "vendi_score"} & summary["differences"]["B - A"]["metrics"].keys()
    assert "judge/bits" in summary["groups"]["B"]["metrics"]


def test_curves_are_compared_where_all_have_values() -> None:
    steps, values = over_seeds([[(0, 0), (10, 10)], [(5, 1), (20, 1)], []])
    assert steps.tolist() == [5, 10]
    assert values.tolist() == [[5, 10], [1, 1]]
    assert not len(over_seeds([[(0, 0), (1, 1)], [(5, 1), (6, 1)]])[0])
    assert not len(over_seeds([])[0])


def test_a_folder_of_seeds_stands_for_its_runs(write_run: WriteRun, tmp_path: Path) -> None:
    for seed in (10, 2):
        write_run(f"group/seed-{seed}", [1.0, 2.0], seed=seed)
    (tmp_path / "group/seed-3").mkdir()  # no run yet
    summary, _ = compared(tmp_path / "group")
    assert [run["seed"] for run in summary["groups"]["A"]["runs"]] == [2, 10]
    with pytest.raises(
        RunError, match=r"it has no config\.json; it holds runs of several seeds, such as .*group/seed-2$"
    ):
        Run.open(tmp_path / "group")


def test_the_command_compares_runs(
    evaluated: tuple[Path, dict[str, Any], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run, summary, _ = evaluated
    shutil.copytree(run, tmp_path / "other")
    config = replace(Run.open(run).config, seed=1)
    (tmp_path / "other/config.json").write_text(config.to_json())
    assert run_command("compare", [str(run), "other", "--out", "both"]) == 0
    ours = json.loads((tmp_path / "both/compare.json").read_text())["groups"]["A"]["metrics"]
    assert list(ours) == [*summary["composers"]["agent"], "vendi_score"]
    assert ours.pop("vendi_score")["mean"] == pytest.approx(summary["vendi_score"]["agent"])
    for name, each in ours.items():
        assert each["mean"] == pytest.approx(summary["composers"]["agent"][name]["mean"])
    assert {path.name for path in (tmp_path / "both").iterdir()} == {"compare.json", "compare.html"}
