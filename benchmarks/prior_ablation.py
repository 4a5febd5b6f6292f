"""Ablation of the prior and the KL penalty: `python benchmarks/prior_ablation.py FOLDER`, three arms by three seeds.

Trains every run that FOLDER does not hold yet, two at a time, generates pieces with each of their checkpoints, and
scores them by models that are no run's reward: the sibling member of the rating, and the frozen discriminator that
comes with Toccata. Writes FOLDER/ablation.json, and the curves as FOLDER/prior-ablation.png. About an hour on two
cores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core for each process; set before the imports that read it

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from toccata.agents.devices import resolve_device
from toccata.agents.generation.rollouts import generate_pieces
from toccata.agents.prior.likelihood import kl_per_piece
from toccata.agents.prior.prior import Prior
from toccata.agents.prior.trajectories import record_trajectories
from toccata.agents.runs.builders import environment_arguments, load_agent
from toccata.agents.runs.run_folder import Run
from toccata.envs.pieces import Pieces
from toccata.music.metrics import diversity, repeated_note_rate
from toccata.reward_models import Realism
from toccata.reward_models.rating.model import RatingModel
from toccata.stats import bootstrap_mean

ARMS = {
    "prior and KL": (),
    "prior, no KL": ("--prior-kl-coef", "0"),
    "no prior": ("--prior", "none", "--clone-epochs", "0"),
}
COLOURS = {"prior and KL": "#347dbc", "prior, no KL": "#d9822b", "no prior": "#6b7685"}
SEEDS = (0, 1, 2)
PIECES = 64
JOBS = 2  # processes at a time
CHECKPOINT_EVERY = 24_576  # three rollouts
MEASURES = {
    "sibling": "rating, sibling member",
    "realism": "realism, frozen",
    "kl": "KL from the shipped prior, nats a piece",
    "diversity": "diversity",
    "repeated": "repeated-note rate",
}


def train_all(folder: Path, options: Sequence[str]) -> dict[str, list[Path]]:
    """Train the missing runs with these options of train.py; return the run folders by arm."""
    runs = {arm: [folder / f"{arm.replace(', ', '-').replace(' ', '-')}-{seed}" for seed in SEEDS] for arm in ARMS}
    missing = [
        (run, [*ARMS[arm], "--seed", str(seed)])
        for arm in ARMS
        for run, seed in zip(runs[arm], SEEDS, strict=True)
        if not run.exists()
    ]
    train = [sys.executable, "-m", "toccata", "train", "--checkpoint-every", str(CHECKPOINT_EVERY), *options]
    running: list[subprocess.Popen] = []
    for run, run_options in track(missing, "training", console=Console(stderr=True)):
        if len(running) == JOBS:
            _wait_for(running.pop(0))
        log = (folder / f"{run.name}.log").open("w")
        running.append(subprocess.Popen([*train, "--run-dir", str(run), *run_options], stdout=log, stderr=log))
    for process in running:
        _wait_for(process)
    return runs


def _wait_for(process: subprocess.Popen) -> None:
    if process.wait():
        raise SystemExit(f"{process.args} failed; see its log")


def evaluate_checkpoints(folder: Path) -> list[dict[str, Any]]:
    """For each checkpoint of a run its "step" and, by name in `MEASURES`, a value for each of its `PIECES`."""
    rating, realism, prior = RatingModel.load(), Realism.load(), Prior.load()
    run = Run.open(folder)
    results = []
    models = {int(folder.name.partition("-")[2]): folder / "model.zip" for folder in run.folder.glob("checkpoints/*")}
    for step, path in sorted(models.items()):
        model = load_agent(path, run.config, resolve_device("cpu"))
        pieces = generate_pieces(model, PIECES, 1000 + run.config.seed, environment_arguments(run.config))
        batch = Pieces(pieces)
        values = {
            "sibling": rating.sibling(batch),
            "realism": realism.score(batch),
            "kl": kl_per_piece(model.policy.network, prior.network, record_trajectories(pieces), prior.piano),  # type: ignore[union-attr,arg-type]  # a SequencePolicy
            "diversity": diversity(batch.own),
            "repeated": np.array([repeated_note_rate(score) for score in batch.own]),
        }
        results.append({"step": step, **{name: np.asarray(each, float).tolist() for name, each in values.items()}})
    return results


def summarise(results: dict[str, list[list[dict[str, Any]]]]) -> dict[str, Any]:
    """By arm, "before" or "after" PPO and measure: mean over pieces and seeds, its interval, and the mean of each seed.

    The interval is a bootstrap over the pieces of all seeds; the spread of seeds shows in their means.
    """
    rng = np.random.default_rng(0)
    return {
        arm: {
            when: {
                name: {
                    **bootstrap_mean(np.concatenate([np.array(steps[i][name]) for steps in seeds]), rng)._asdict(),
                    "seeds": [float(np.mean(steps[i][name])) for steps in seeds],
                }
                for name in MEASURES
            }
            for when, i in (("before", 0), ("after", -1))
        }
        for arm, seeds in results.items()
    }


def plot(results: dict[str, list[list[dict[str, Any]]]], path: Path) -> None:
    """Write a picture of the measures over the steps of each seed, and of rating and realism over the KL."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7), layout="constrained")
    panels = [("step", name) for name in ("sibling", "realism", "diversity", "kl")] + [
        ("kl", "sibling"),
        ("kl", "realism"),
    ]
    for number, (x, y) in enumerate(panels):
        axes = figure.add_subplot(2, 3, number + 1)
        for arm, seeds in results.items():
            for i, steps in enumerate(seeds):
                xs = [each["step"] if x == "step" else np.mean(each[x]) for each in steps]
                ys = [np.mean(each[y]) for each in steps]
                axes.plot(xs, ys, "o-", ms=3, lw=1, color=COLOURS[arm], label=arm if i == 0 else None)
        axes.set_xlabel("steps" if x == "step" else MEASURES[x], fontsize=8)
        axes.set_title(MEASURES[y], fontsize=9)
        if x == "kl":
            axes.set_xscale("symlog")
        axes.tick_params(labelsize=7)
        axes.grid(color="#e2e7ee")
        if number == 0:
            axes.legend(fontsize=7)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Train the runs, evaluate their checkpoints, write and print the summary."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        raise SystemExit("usage: python benchmarks/prior_ablation.py FOLDER [options of train.py]")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    runs = train_all(folder, sys.argv[2:])
    with ProcessPoolExecutor(JOBS, get_context("spawn")) as pool:
        evaluated = pool.map(evaluate_checkpoints, [run for folders in runs.values() for run in folders])
        results = {arm: [next(evaluated) for _ in folders] for arm, folders in runs.items()}
    summary = summarise(results)
    (folder / "ablation.json").write_text(json.dumps({"summary": summary, "checkpoints": results}, indent=1) + "\n")
    plot(results, folder / "prior-ablation.png")
    table = Table(
        title=f"means of {PIECES} pieces each of {len(SEEDS)} seeds, with 95 % intervals, and the seeds' means"
    )
    for column in ("", "", *MEASURES):
        table.add_column(column)
    for arm, times in summary.items():
        for when, measures in times.items():
            cells = [
                f"{each['mean']:.2f} [{each['low']:.2f}, {each['high']:.2f}]\n"
                + " ".join(f"{seed:.2f}" for seed in each["seeds"])
                for each in measures.values()
            ]
            table.add_row(arm, when, *cells)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
