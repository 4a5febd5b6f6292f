"""Arms of the study: run folders, those that differ in the seed only together, and the models of each."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toccata.agents.evaluation.compare.run_groups import group_settings
from toccata.agents.runs.logs.progress import STEP_COLUMN, number_in, read_rows
from toccata.agents.runs.run_folder import STEP_NAME, Run, RunError, seed_runs
from toccata.errors import ToccataError

SAME = ("bars", "beats_per_bar", "tempo_bpm", "genre")  # settings without which pieces cannot be compared
ELAPSED = "time/time_elapsed"


class OveroptimiseError(ToccataError, ValueError):
    """Runs that cannot be studied together; names the run and the reason."""


@dataclass(frozen=True)
class Arm:
    """Runs that differ in nothing but the seed.

    Attributes:
        name: what their folders have in common.
        runs: in the order of their seeds.
        settings: those in which the arms differ.
    """

    name: str
    runs: tuple[Run, ...]
    settings: dict[str, Any]


def read_arms(folders: Sequence[Path]) -> list[Arm]:
    """The arms, in the order in which their first run was named.

    Args:
        folders: of runs, or of runs of several seeds.

    Raises:
        OveroptimiseError: for no run at all, one with lyrics, two runs with the same settings and seed, and a run whose
            pieces have another length, metre, tempo or genre than those of the first.
        RunError, ConfigError: naming a folder that is no run, or has no model yet.
    """
    runs = [Run.open(run) for folder in folders for run in seed_runs(folder) or [folder]]
    if not runs:
        raise OveroptimiseError("overoptimise needs at least one run folder")
    first = runs[0]
    arms: dict[str, dict[int, Run]] = {}
    for run in runs:
        if not run.has_model:
            raise RunError(f"{run.folder}: has no model.zip; its training was stopped before the first checkpoint")
        if run.config.lyrics is not None:
            raise OveroptimiseError(
                f"{run.folder}: was trained on lyrics, and a study keeps pieces without their words"
            )
        for name in SAME:
            ours, theirs = getattr(run.config, name), getattr(first.config, name)
            if ours != theirs:
                raise OveroptimiseError(
                    f"{run.folder}: its {name} is {ours}, that of {first.folder} {theirs}; their pieces cannot be "
                    "compared"
                )
        seeds = arms.setdefault(json.dumps(group_settings(run.config), sort_keys=True), {})
        if run.config.seed in seeds:
            raise OveroptimiseError(
                f"{run.folder}: has the settings and the seed of {seeds[run.config.seed].folder}; runs of an arm need "
                "different seeds"
            )
        seeds[run.config.seed] = run
    settings = [json.loads(text) for text in arms]
    differing = [name for name in settings[0] if any(each.get(name) != settings[0][name] for each in settings)]
    by_seed = [tuple(seeds[seed] for seed in sorted(seeds)) for seeds in arms.values()]
    names = _different([arm_name(each) for each in by_seed])
    return [
        Arm(name, each, {key: values.get(key) for key in differing})
        for name, each, values in zip(names, by_seed, settings, strict=True)
    ]


def arm_name(runs: Sequence[Run]) -> str:
    """What the names of the folders have in common, without their seeds; of `train --seeds` that of the parent."""
    names = []
    for run in runs:
        folder = run.folder.resolve()
        if folder.name == f"seed-{run.config.seed}":
            names.append(folder.parent.name)
        else:
            without = re.sub(rf"(?<=.)[-_.](seed|s)[-_.]?0*{run.config.seed}$", "", folder.name)
            names.append(without or folder.name)
    if len(set(names)) == 1:
        return names[0]
    same = [len(set(letters)) == 1 for letters in zip(*names, strict=False)]
    common = names[0][: same.index(False) if False in same else len(same)]
    return common.rstrip("-_. ") or "+".join(names)


def _different(names: Sequence[str]) -> list[str]:
    """The names, with -2, -3 ... after those that an earlier arm has."""
    taken: list[str] = []
    for name in names:
        number, free = 1, name
        while free in taken:
            number += 1
            free = f"{name}-{number}"
        taken.append(free)
    return taken


def model_paths(run: Run, count: int) -> list[Path]:
    """The files of `count` evenly spaced checkpoints of a run, and of its final model, which is last.

    Args:
        run: with a model.
        count: at most that many before the final model; that of step 0, which is the reference policy, is none.
    """
    final = run.published / "model.zip"
    steps = {int(name[1]): path for path in run.checkpoints() if (name := STEP_NAME.fullmatch(path.name))}
    last = max(steps, default=0)
    return [*(steps[step] / "model.zip" for step in evenly_spaced(list(steps), last, count)), final]


def evenly_spaced(steps: Sequence[int], last: int, count: int) -> list[int]:
    """Of the steps between 0 and `last` those nearest to `count` evenly spaced ones, each once, in order."""
    inner = np.array(sorted(step for step in steps if 0 < step < last))
    wanted = last * np.arange(1, count + 1) / (count + 1)
    if not len(inner):
        return []
    return sorted({int(inner[np.abs(inner - each).argmin()]) for each in wanted})


def minutes_of_training(run: Run, step: int) -> float | None:
    """Minutes that PPO took to a step by progress.csv, over all calls of `train`; None where it does not say.

    Raises:
        ProgressError: naming the file, when it is damaged.
    """
    path = run.folder / "progress.csv"
    points: list[tuple[float, float]] = []
    before = last = 0.0
    for row in read_rows(path):
        if not row[STEP_COLUMN] or not row.get(ELAPSED):
            continue
        seconds = number_in(row, ELAPSED, str(path))
        if seconds < last:  # the run was resumed: its clock began again
            before += last
        last = seconds
        points.append((float(row[STEP_COLUMN]), before + seconds))
    if not points or not np.isfinite(points).all():
        return None
    steps, elapsed = np.array(points).T
    return float(np.interp(step, np.append(0.0, steps), np.append(0.0, elapsed)) / 60)
