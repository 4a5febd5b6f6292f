"""`toccata compare`: groups of evaluated runs, with intervals over seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from toccata.agents.evaluation.compare_report import table_of, write_page
from toccata.agents.evaluation.config import CompareConfig
from toccata.agents.evaluation.run_groups import VENDI, CompareError, EvaluatedRun, Group, grouped
from toccata.agents.runs.run_folder import next_free, seed_runs
from toccata.files import refuse_existing, whole_folder, write_atomically
from toccata.stats import Interval, difference_of_clusters, mean_of_clusters

FOLDER = Path("comparisons")  # where new folders go
REWARD = "reward/total"
DISCRIMINATOR = "score/realism"


def compare(config: CompareConfig, console: Console | None = None) -> dict[str, Any]:
    """Compare runs, and write compare.json and compare.html into a new folder.

    Returns:
        what compare.json holds.

    Raises:
        CompareError: for less than two runs; naming one that was not evaluated, or was trained further since.
        RunError, ConfigError, FileError, ProgressError: naming a file of a run that cannot be read, or the folder to
            write when it exists.
        OSError: naming the file that cannot be written; nothing is left of the folder then.
    """
    console = console or Console()
    refuse_existing(config.out, "another --out")
    folders = [run for folder in config.runs for run in seed_runs(folder) or [folder]]
    if len(folders) < 2:
        raise CompareError(f"compare needs at least two runs, or a folder of several seeds, got {len(folders)}")
    groups = grouped([EvaluatedRun.read(folder) for folder in folders])
    summary = summarise_groups(groups)
    place = config.out or next_free(FOLDER, "comparison")
    with whole_folder(place) as folder:
        write_atomically(folder / "compare.json", (json.dumps(summary, indent=2) + "\n").encode())
        write_page(groups, summary, folder)
    for group in groups:
        console.print(group.describe(), highlight=False, markup=False)
    console.print(table_of(summary))
    for line in summary["remarks"]:
        console.print(line, highlight=False, markup=False)
    console.print(f"read: {place / 'compare.html'}", soft_wrap=True, markup=False, highlight=False)
    return summary


def summarise_groups(groups: Sequence[Group]) -> dict[str, Any]:
    """Means with intervals of every group, and differences of the others from the first.

    Returns:
        `groups`: by name the settings in which they differ, `runs` with folder and seed, and by metric mean, low, high
        and `by_seed`, the mean of each run; `differences`: by "B - A" the `paired_seeds`, empty where runs are not
        paired, and by metric mean, low, high; `remarks`: lines about what the figures do not say. `low` and `high` are
        None where a group has one value in all.
    """
    first, *others = groups
    described = {
        group.name: {
            "settings": group.settings,
            "runs": [{"folder": str(run.folder), "seed": run.seed} for run in group.runs],
            "metrics": {
                metric: {
                    **_described(mean_of_clusters(group.values(metric)), group.values(metric)),
                    "by_seed": [float(values.mean()) for values in group.values(metric)],
                }
                for metric in group.metrics
            },
        }
        for group in groups
    }
    differences = {}
    for group in others:
        seeds = paired_seeds(first, group)
        metrics = [name for name in group.metrics if name in first.metrics]
        if not _paid_alike(first, group):
            metrics = [name for name in metrics if name != REWARD]
        if len(first.pieces | group.pieces) > 1:
            metrics = [name for name in metrics if name != VENDI]
        differences[f"{group.name} - {first.name}"] = {
            "paired_seeds": seeds,
            "metrics": {
                metric: _described(
                    difference_of_clusters(group.values(metric), first.values(metric), paired=bool(seeds)),
                    group.values(metric),
                    first.values(metric),
                )
                for metric in metrics
            },
        }
    return {"groups": described, "differences": differences, "remarks": _remarks(groups, differences)}


def _described(interval: Interval, *groups: Sequence[np.ndarray]) -> dict[str, float | None]:
    """Mean, low and high; low and high are None where the values of a group, by run, are a single one."""
    if any(sum(map(len, runs)) == 1 for runs in groups):
        return {"mean": interval.mean, "low": None, "high": None}
    return dict(interval._asdict())


def _paid_alike(one: Group, other: Group) -> bool:
    """Whether the rewards of two groups are the same, and combined in the same way."""
    return all(one.settings.get(name) == other.settings.get(name) for name in ("rewards", "combine"))


def paired_seeds(one: Group, other: Group) -> list[int]:
    """The seeds over which two groups are paired: their own where both have the same, at least two; else none."""
    return list(one.seeds) if one.seeds == other.seeds and len(one.seeds) > 1 else []


def _remarks(groups: Sequence[Group], differences: dict[str, Any]) -> list[str]:
    """Lines about what the figures do not say."""
    lines = []
    single = [group.name for group in groups if len(group.runs) == 1]
    if single:
        lines.append(f"{', '.join(single)}: one seed; its intervals cover pieces only, not how runs differ by seed")
    for name, difference in differences.items():
        seeds = difference["paired_seeds"]
        how = f"paired by seed ({', '.join(map(str, seeds))})" if seeds else "not paired, all seeds of both"
        lines.append(f"{name}: {how}")
    for name, group in zip(differences, groups[1:], strict=True):
        if not _paid_alike(groups[0], group):
            lines.append(f"{name}: the rewards differ; {REWARD} is each group's own, and has no difference")
    counts = sorted({count for group in groups for count in group.pieces})
    if len(counts) > 1 and any(VENDI in group.metrics for group in groups):
        lines.append(
            f"{VENDI} grows with the number of pieces, and runs have {', '.join(map(str, counts))}: "
            "it can be compared between runs with as many only"
        )
    trained = any(run.settings.get("train_realism") for group in groups for run in group.runs)
    if trained and any(DISCRIMINATOR in group.metrics for group in groups):
        lines.append(
            f"{DISCRIMINATOR}, a part of {REWARD}, is by the discriminator that each run trained: "
            "they are different judges"
        )
    return lines
