"""Runs that are compared: what evaluation and training wrote of each, in groups that differ in the seed only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from toccata.agents.evaluation.history import training_curves
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.run_folder import Run
from toccata.errors import ToccataError
from toccata.files import read_json, sha256_of_file
from toccata.settings.options import shown

# Settings that do not make another experiment
OF_NO_GROUP = ("seed", "device", "reward_device", "amp", "compile", "checkpoint_every", "logger")
KL = "kl/nats_per_piece"
VENDI = "vendi_score"  # one value of all pieces of a run
RENAMED = {"gold_rating": "sibling_rating"}  # metrics of earlier evaluations
MAX_METRICS = 1000
MAX_NAME = 200
MAX_VALUES = 65_536  # pieces of an evaluation
LARGEST = 1e100  # the square of a value is finite


class CompareError(ToccataError, ValueError):
    """Runs that cannot be compared; the message names the run and the reason."""


@dataclass(frozen=True)
class EvaluatedRun:
    """A run and its evaluation.

    Attributes:
        folder: of the run.
        seed: of its training.
        settings: its others, apart from `OF_NO_GROUP`.
        values: (n,) of the agent's pieces by metric; (1,) of `VENDI`.
        curves: steps and values by quantity of progress.csv.
    """

    folder: Path
    seed: int
    settings: dict[str, Any]
    values: dict[str, np.ndarray]
    curves: dict[str, list[tuple[float, float]]]

    @classmethod
    def read(cls, folder: Path) -> EvaluatedRun:
        """Read a run folder.

        Raises:
            CompareError: for a run that was not evaluated, or was trained further since, and for damaged metrics.
            RunError, ConfigError, FileError, ProgressError: naming another file of it that cannot be read.
        """
        run = Run.open(folder)
        metrics, command = folder / "evaluation" / "metrics.json", f"python evaluate.py {quote(str(folder))}"
        if not metrics.exists():
            raise CompareError(f"{folder}: is not evaluated; do that first: {command}")
        summary = read_json(metrics)
        values = metric_values(summary, metrics)
        evaluated = summary.get("model_sha256")
        if evaluated and run.has_model and evaluated != sha256_of_file(run.published / "model.zip"):
            raise CompareError(f"{folder}: was trained further since its evaluation; evaluate it again: {command}")
        settings = group_settings(run.config)
        curves = training_curves(folder / "progress.csv")
        return cls(folder, run.config.seed, settings, values, curves)


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but the seed.

    Attributes:
        name: a letter, or two.
        runs: in the order of their seeds.
        settings: those in which the groups differ.
    """

    name: str
    runs: tuple[EvaluatedRun, ...]
    settings: dict[str, Any]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of its runs."""
        return tuple(run.seed for run in self.runs)

    @property
    def metrics(self) -> list[str]:
        """The metrics that all of its runs have, in the order of the first."""
        return [name for name in self.runs[0].values if all(name in run.values for run in self.runs)]

    def values(self, metric: str) -> list[np.ndarray]:
        """(n,) of the pieces of each run, (1,) of `VENDI`."""
        return [run.values[metric] for run in self.runs]

    @property
    def pieces(self) -> set[int]:
        """How many pieces its runs were evaluated with."""
        return {max(map(len, run.values.values()), default=0) for run in self.runs}

    def describe(self) -> str:
        """Its settings and seeds in one line."""
        settings = ", ".join(
            f"{name}={_weighted(value) if name == 'rewards' else _short(value)}"
            for name, value in self.settings.items()
        )
        seeds = f"seed{'s' * (len(self.runs) > 1)} {', '.join(map(str, self.seeds))}"
        return f"{self.name}: {settings}; {seeds}" if settings else f"{self.name}: {seeds}"


def group_settings(config: TrainConfig) -> dict[str, Any]:
    """The settings of a run, as in config.json, but for those that make no other experiment."""
    return {name: value for name, value in json.loads(config.to_json()).items() if name not in OF_NO_GROUP}


def grouped(runs: Sequence[EvaluatedRun]) -> list[Group]:
    """The groups, in the order in which their first run was named.

    Raises:
        CompareError: for two runs with the same settings and the same seed.
    """
    by_settings: dict[str, dict[int, EvaluatedRun]] = {}
    for run in runs:
        seeds = by_settings.setdefault(json.dumps(run.settings, sort_keys=True), {})
        if run.seed in seeds:
            raise CompareError(
                f"{run.folder}: has the settings and the seed of {seeds[run.seed].folder}; runs of a group need "
                "different seeds"
            )
        seeds[run.seed] = run
    every = [next(iter(seeds.values())).settings for seeds in by_settings.values()]
    differing = [name for name in every[0] if any(each.get(name) != every[0][name] for each in every)]
    return [
        Group(
            _letters(number),
            tuple(seeds[seed] for seed in sorted(seeds)),
            {name: next(iter(seeds.values())).settings.get(name) for name in differing},
        )
        for number, seeds in enumerate(by_settings.values())
    ]


def metric_values(summary: Any, path: Path) -> dict[str, np.ndarray]:
    """The values (n,) of the agent's pieces by metric, from what the metrics.json at `path` holds; (1,) of `VENDI`.

    Earlier names of metrics are read as those of today.

    Raises:
        CompareError: naming the file and what is wrong in it.
    """
    try:
        metrics = {RENAMED.get(name, name): each for name, each in summary["composers"]["agent"].items()}
        if VENDI in summary:
            metrics[VENDI] = {"values": [summary[VENDI]["agent"]]}
        if "kl" in summary:
            metrics[KL] = summary["kl"]["nats_per_piece"]
        values = {name: each["values"] for name, each in metrics.items()}
    except (TypeError, ValueError, KeyError, AttributeError):
        raise CompareError(
            f"{path}: not the metrics of an evaluation: it needs composers.agent.METRIC.values"
        ) from None
    if not 0 < len(values) <= MAX_METRICS or any(len(name) > MAX_NAME or not name.isprintable() for name in values):
        raise CompareError(
            f"{path}: must have 1 to {MAX_METRICS:,} metrics with names of at most {MAX_NAME} characters"
        )
    for name, each in values.items():
        if not isinstance(each, list) or not 0 < len(each) <= MAX_VALUES or not all(map(_is_number, each)):
            raise CompareError(
                f"{path}: the values of {name} must be a list of 1 to {MAX_VALUES:,} finite numbers, got {shown(each)}"
            )
    return {name: np.array(each, np.float64) for name, each in values.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST


def _letters(number: int) -> str:
    """A, B, ... Z, AA, AB..."""
    first, last = divmod(number, 26)
    return (_letters(first - 1) if first else "") + chr(ord("A") + last)


def _weighted(rewards: Any) -> str:
    """The rewards of a run, as training prints them."""
    return " + ".join(f"{weight:g} x {spec}" for spec, weight in rewards)


def _short(value: Any) -> str:
    """A setting in a line."""
    if isinstance(value, list):
        return "+".join(_short(each) for each in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
