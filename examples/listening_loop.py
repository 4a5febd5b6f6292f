"""The whole loop with simulated listeners: compose, listen, fit a rating to the votes, train on it, listen again.

From the root of the repository:

    python -m examples.listening_loop OUT

1. a prior composes; 2. simulated listeners (`toccata.listening.simulation`) vote on pairs of its pieces and like some;
3. `toccata fit-rating` fits a rating to that; 4. an agent that begins as the prior is trained with this rating as its
reward; 5. other listeners of the same taste compare new pieces of the agent with new ones of the prior, blind. The loop
has worked where they prefer the agent's: where the interval of the difference in strength does not hold 0.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from examples.listening_study import fitted, written
from toccata.agents import TrainConfig, train
from toccata.agents.generation.sampling import sample_pieces
from toccata.agents.prior.prior import Prior
from toccata.agents.runs.builders import load_agent
from toccata.agents.runs.run_folder import Run
from toccata.envs.pieces import Piece, Pieces
from toccata.listening.results.config import ListenResultsConfig
from toccata.listening.results.results import listen_results
from toccata.listening.simulation import SimulatedListener, new_database, simulate, taste, taste_features
from toccata.music.metrics import METRICS
from toccata.music.picture import save_piano_roll
from toccata.reward_models.judges.panel import Panel
from toccata.reward_models.rating.fitting.config import FitRatingConfig
from toccata.reward_models.rating.model import RatingModel
from toccata.stats import bootstrap_difference, bootstrap_mean

PRIOR, AGENT = "prior", "agent"
ROLLS = 3  # pictures of each
SHOWN = ("note_density", "scale_consistency", "repeated_note_rate", "loop_rate", "pitch_range", "polyphony")


def listened(
    folder: Path, pieces: dict[str, list[Piece]], options: argparse.Namespace, seed: int, models: Sequence[str] = ()
) -> dict[str, Any]:
    """Let `options.listeners` new listeners hear pieces by source; returns what `toccata listen results` says."""
    folder.mkdir()
    new_database(folder / "listening.sqlite", written(pieces, folder / "pieces"))
    listeners = [SimulatedListener.drawn(10_000 * seed + number) for number in range(options.listeners)]
    simulate(folder / "listening.sqlite", listeners, options.votes, options.plays, seed)
    config = ListenResultsConfig(folder / "listening.sqlite", folder / "results", models=tuple(models), judges=False)
    return listen_results(config, Console(quiet=True))


def measured(pieces: list[Piece], rating: RatingModel, panel: Panel) -> dict[str, np.ndarray]:
    """What is known of pieces, (n,) by name: taste, its features, ratings, judges and metrics."""
    batch = Pieces(pieces)
    features = np.array([taste_features(piece.score) for piece in pieces]).T
    return {
        "taste": np.array([taste(piece.score) for piece in pieces]),
        **dict(zip(("taste: steps", "taste: scale", "taste: density"), features, strict=True)),
        "refitted rating": rating.score(batch),
        "its sibling": rating.sibling(batch),
        **panel.judge(batch),
        **{name: np.array([METRICS[name](piece.score) for piece in pieces]) for name in SHOWN},
    }


def loop(out: Path, options: argparse.Namespace, fit: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """Go through the loop once, write loop.json and pictures, and return what loop.json holds.

    Args:
        out: folder that is there.
        options: of the command.
        fit: further settings of `FitRatingConfig`.
        run: further settings of `TrainConfig`.
    """
    prior = Prior.load(options.prior, torch.device("cpu"))

    def composed(network: Any, count: int, seed: int) -> list[Piece]:
        return sample_pieces(network, prior.piano, count, bars=options.bars, seed=seed, genre=options.genre)

    seed = options.seed
    first = listened(out / "first", {PRIOR: composed(prior.network, options.pieces, seed)}, options, seed)
    rating = fitted(FitRatingConfig(data=out / "first/results/data", out=out / "rating", seed=seed, **fit))
    trained = train(
        TrainConfig(
            run_dir=out / "run",
            rewards=((f"rating:{out / 'rating'}", 1.0),),
            policy=options.prior,
            clone_epochs=0,
            genre=options.genre,
            bars=options.bars,
            seed=seed,
            device="cpu",
            **run,
        )
    )
    agent: Any = load_agent(trained.model_path, Run.open(trained.folder).config, torch.device("cpu")).policy
    pieces = {
        PRIOR: composed(prior.network, options.pieces // 2, seed + 1),
        AGENT: composed(agent.network, options.pieces // 2, seed + 2),
    }
    second = listened(out / "second", pieces, options, seed + 1)
    panel, rng = Panel.load(), np.random.default_rng(seed)
    values = {source: measured(each, rating, panel) for source, each in pieces.items()}
    for source, each in pieces.items():
        for number, piece in enumerate(each[:ROLLS]):
            save_piano_roll(piece.score, out / f"{source}-{number}.png", title=f"{source} {number}")
    found = {
        "first": {name: first[name] for name in ("listeners", "agreement", "radio")},
        "second": {name: second[name] for name in ("listeners", "agreement", "radio", "better")},
        "values": {
            name: {
                PRIOR: bootstrap_mean(values[PRIOR][name], rng)._asdict(),
                AGENT: bootstrap_mean(values[AGENT][name], rng)._asdict(),
                "difference": bootstrap_difference(values[AGENT][name], values[PRIOR][name], rng)._asdict(),
            }
            for name in values[PRIOR]
        },
        "options": {name: str(value) for name, value in vars(options).items()},
    }
    (out / "loop.json").write_text(json.dumps(found, indent=2))
    return found


def table_of(found: dict[str, Any]) -> str:
    """What came of it, in Markdown."""
    rows = ["| | prior | agent | difference |", "|---|---|---|---|"]
    strengths, radio = found["second"]["better"]["sources"], found["second"]["radio"]
    gap = 2 * np.array([strengths[AGENT][key] for key in ("strength", "low", "high")])  # of two sources of mean 0
    preferred = (
        f"| preferred, of votes between the two | {strengths[PRIOR]['share']:.2f} | {strengths[AGENT]['share']:.2f} |"
    )
    rows.append(f"{preferred} log-odds {gap[0]:.2f} [{gap[1]:.2f}, {gap[2]:.2f}] |")
    rows.append(f"| likes a play | {radio[PRIOR]['share']:.2f} | {radio[AGENT]['share']:.2f} | |")
    for name, row in found["values"].items():
        cells = [f"{row[each]['mean']:.2f}" for each in (PRIOR, AGENT)]
        difference = row["difference"]
        cells.append(f"{difference['mean']:.2f} [{difference['low']:.2f}, {difference['high']:.2f}]")
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def run_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Settings of `TrainConfig` by the options."""
    names = "total_timesteps", "learning_rate", "n_epochs"
    return {name: getattr(options, name) for name in names} | {"logger": ("csv",)}


def arguments() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write; it must not exist")
    parser.add_argument(
        "--pieces", type=int, default=300, help="of the first round; half as many of each in the second"
    )
    parser.add_argument("--bars", type=int, default=4, help="of a piece")
    parser.add_argument("--listeners", type=int, default=30, help="of each round")
    parser.add_argument("--votes", type=int, default=100, help="of a listener, on pairs")
    parser.add_argument("--plays", type=int, default=100, help="of a listener, of the radio")
    parser.add_argument("--prior", default="lstm", help="that composes: lstm, transformer or wavenet")
    parser.add_argument("--genre", default="classical")
    parser.add_argument("--total-timesteps", type=int, default=100_000, help="of training")
    parser.add_argument(
        "--learning-rate", type=float, default=3e-4, help="of training; a small network needs a large one"
    )
    parser.add_argument("--n-epochs", type=int, default=4, help="passes over the pieces of a rollout")
    parser.add_argument("--negatives", type=int, default=200, help="synthetic negatives of a fit")
    parser.add_argument("--copies", type=int, default=2, help="augmented copies of a piece in the fit")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main() -> None:
    """Read the arguments, go through the loop and print the table."""
    options = arguments().parse_args()
    options.out.mkdir(parents=True)
    fit = {"folds": 0, "copies": options.copies, "negatives": options.negatives}
    found = loop(options.out, options, fit, run_settings(options))
    print(table_of(found))


if __name__ == "__main__":
    main()
