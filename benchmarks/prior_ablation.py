"""What the prior and the KL buy: `python benchmarks/prior_ablation.py FOLDER`, three ways to train by three seeds.

Trains every run that FOLDER does not hold yet, two at a time, composes with each of their checkpoints, and lets judges
that no run was trained against hear all of it: the gold rater, and the frozen discriminator that comes with Toccata.
Writes FOLDER/ablation.json, and the curves as FOLDER/prior-ablation.png. About an hour on two cores.
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

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core each, before anything that reads it is imported

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from toccata.agents.generation.rollouts import generate_pieces
from toccata.agents.prior.likelihood import kl_per_piece
from toccata.agents.prior.prior import Prior
from toccata.agents.prior.trajectories import trajectories_of
from toccata.agents.runs.builders import environment_arguments, resolve_device
from toccata.agents.runs.comparison import interval
from toccata.agents.runs.evaluation import load_agent
from toccata.agents.runs.run_folder import Run
from toccata.envs.pieces import Pieces
from toccata.music.metrics import diversity, repeated_note_rate
from toccata.reward_models import Realism
from toccata.reward_models.rating.model import RatingModel

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
    "gold": "rating, gold member",
    "realism": "realism, frozen",
    "kl": "KL from the shipped prior, nats a piece",
    "diversity": "diversity",
    "repeated": "repeated-note rate",
}


def train_all(folder: Path, options: Sequence[str]) -> dict[str, list[Path]]:
    """Train what is missing; the run folders by arm."""
    runs = {arm: [folder / f"{arm.replace(', ', '-').replace(' ', '-')}-{seed}" for seed in SEEDS] for arm in ARMS}
    waiting = [
        (run, [*ARMS[arm], "--seed", str(seed)])
        for arm in ARMS
        for run, seed in zip(runs[arm], SEEDS, strict=True)
        if not run.exists()
    ]
    train = [sys.executable, "-m", "toccata", "train", "--checkpoint-every", str(CHECKPOINT_EVERY), *options]
    under_way: list[subprocess.Popen] = []
    for run, own in track(waiting, "training", console=Console(stderr=True)):
        if len(under_way) == JOBS:
            _finish(under_way.pop(0))
        log = (folder / f"{run.name}.log").open("w")
        under_way.append(subprocess.Popen([*train, "--run-dir", str(run), *own], stdout=log, stderr=log))
    for process in under_way:
        _finish(process)
    return runs


def _finish(process: subprocess.Popen) -> None:
    if process.wait():
        raise SystemExit(f"{process.args} failed; see its log")


def judge(folder: Path) -> list[dict[str, Any]]:
    """What the pieces of each checkpoint of a run are worth, by steps: the values of each of `MEASURES`."""
    gold, realism, prior = RatingModel.load(), Realism.load(), Prior.load()
    run = Run.open(folder)
    found = []
    models = {int(folder.name.partition("-")[2]): folder / "model.zip" for folder in run.folder.glob("checkpoints/*")}
    for step, path in sorted(models.items()):
        model = load_agent(path, resolve_device("cpu"))
        pieces = generate_pieces(model, PIECES, 1000 + run.config.seed, environment_arguments(run.config))
        batch = Pieces(pieces)
        values = {
            "gold": gold.gold(batch),
            "realism": realism.score(batch),
            "kl": kl_per_piece(model.policy.network, prior.network, trajectories_of(pieces), prior.piano),  # type: ignore[union-attr,arg-type]  # a SequencePolicy
            "diversity": diversity(batch.own),
            "repeated": np.array([repeated_note_rate(score) for score in batch.own]),
        }
        found.append({"step": step, **{name: np.asarray(each, float).tolist() for name, each in values.items()}})
    return found


def summarise(judged: dict[str, list[list[dict[str, Any]]]]) -> dict[str, Any]:
    """By arm, "before" and "after" and measure: mean over pieces and seeds, its interval, and the mean of each seed.

    The interval is a bootstrap over the pieces of all seeds; the means of the seeds tell how much seeds differ.
    """
    rng = np.random.default_rng(0)
    return {
        arm: {
            when: {
                name: {
                    **interval(np.concatenate([np.array(steps[place][name]) for steps in seeds]), rng),
                    "seeds": [float(np.mean(steps[place][name])) for steps in seeds],
                }
                for name in MEASURES
            }
            for when, place in (("before", 0), ("after", -1))
        }
        for arm, seeds in judged.items()
    }


def draw(judged: dict[str, list[list[dict[str, Any]]]], path: Path) -> None:
    """Curves over the steps of each seed, and rating and realism over the KL."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7), layout="constrained")
    panels = [("step", name) for name in ("gold", "realism", "diversity", "kl")] + [("kl", "gold"), ("kl", "realism")]
    for number, (across, up) in enumerate(panels):
        axes = figure.add_subplot(2, 3, number + 1)
        for arm, seeds in judged.items():
            for i, steps in enumerate(seeds):
                xs = [each["step"] if across == "step" else np.mean(each[across]) for each in steps]
                ys = [np.mean(each[up]) for each in steps]
                axes.plot(xs, ys, "o-", ms=3, lw=1, color=COLOURS[arm], label=arm if i == 0 else None)
        axes.set_xlabel("steps" if across == "step" else MEASURES[across], fontsize=8)
        axes.set_title(MEASURES[up], fontsize=9)
        if across == "kl":
            axes.set_xscale("symlog")
        axes.tick_params(labelsize=7)
        axes.grid(color="#e2e7ee")
        if number == 0:
            axes.legend(fontsize=7)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Train, judge, write."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        raise SystemExit("usage: python benchmarks/prior_ablation.py FOLDER [options of train.py]")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    runs = train_all(folder, sys.argv[2:])
    with ProcessPoolExecutor(JOBS, get_context("spawn")) as pool:
        all_judged = iter(pool.map(judge, [run for own in runs.values() for run in own]))
        judged = {arm: [next(all_judged) for _ in own] for arm, own in runs.items()}
    summary = summarise(judged)
    (folder / "ablation.json").write_text(json.dumps({"summary": summary, "judged": judged}, indent=1) + "\n")
    draw(judged, folder / "prior-ablation.png")
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
