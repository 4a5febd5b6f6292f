"""Evaluation of a run: what the agent composes, in files and in numbers beside its start, chance and real music."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from toccata.agents.composers import compose
from toccata.agents.config import EvaluateConfig
from toccata.agents.parts import device_of, environment_of, load_rewards, music_of
from toccata.agents.passages import record
from toccata.agents.ppo import ComposerPPO
from toccata.agents.prior import kl_of_pieces
from toccata.agents.report import GOLD, kl_line, write_report
from toccata.agents.run import Run, RunError
from toccata.agents.sequence_policy import SequencePolicy
from toccata.envs.rewards import Piece, Pieces
from toccata.music.metrics import diversity, measure
from toccata.music.picture import save_piano_roll
from toccata.music.sound import note_bank, write_wav
from toccata.reward_models import WeightedSum
from toccata.reward_models.rating import RatingModel

SAMPLE_RATE = 44_100  # of the WAV files: for people, not for networks
RESAMPLES = 2000  # of the bootstrap
CONFIDENCE = 0.95
COMPOSERS = {  # in the order of the tables
    "agent": "the agent after training",
    "start": "the agent before PPO",
    "random": "random legal play",
    "real": "real music kept out of training",
}
REAL_RANGE = (5, 95)  # percentiles of real pieces that a metric should lie between


def evaluate(config: EvaluateConfig, console: Console | None = None) -> dict[str, Any]:
    """Compose with the run's agent, write what it wrote and what that is worth to RUN_DIR/evaluation.

    Returns:
        what metrics.json holds.

    Raises:
        RunError: for a folder that is no run, or has no model yet.
    """
    console = console or Console()
    run = Run.open(config.run_dir)
    device = device_of(config.device)
    agent = load_model(run.model_path, device)
    rewards = load_rewards(run.folder / "reward_models")
    gold = gold_rater(rewards)
    environment = environment_of(run.config)
    samples = max(config.samples, config.pieces)
    real = music_of(run.config, "test").sample(samples, np.random.default_rng(config.seed), transpose=False)
    with console.status("composing"):
        pieces = {
            "agent": compose(agent, samples, config.seed, environment),
            "random": compose(None, samples, config.seed, environment),
            "real": real,
        }
        if run.start_path.is_file():
            start = load_model(run.start_path, device)
            pieces["start"] = compose(start, samples, config.seed, environment)
    with console.status("measuring"):
        values = {name: measurements(Pieces(pieces[name]), rewards, gold) for name in COMPOSERS if name in pieces}
    summary = summarise(values, config.seed)
    if isinstance(agent.policy, SequencePolicy) and run.start_path.is_file():
        assert isinstance(start.policy, SequencePolicy)  # of the same run
        played = record(pieces["agent"], agent.policy.piano)
        nats = kl_of_pieces(agent.policy.network, start.policy.network, played, agent.policy.piano)
        summary["kl"] = {
            "nats_per_piece": {**interval(nats, np.random.default_rng(config.seed)), "values": nats.tolist()}
        }

    folder = run.folder / "evaluation.part"  # an earlier evaluation stays until this one is complete
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number in track(range(config.pieces), "writing pieces", console=console, transient=True):
        write_piece(pieces["agent"][number], folder, f"piece-{number:03d}")
    write_piece(pieces["random"][0], folder, "random")
    write_piece(pieces["real"][0], folder, "real")
    (folder / "metrics.json").write_text(json.dumps(summary, indent=2) + "\n")
    write_report(run, folder, summary, config.pieces)
    shutil.rmtree(run.folder / "evaluation", ignore_errors=True)
    folder = folder.rename(run.folder / "evaluation")
    console.print(table_of(summary))
    if "kl" in summary:
        console.print(kl_line(summary), highlight=False)
    console.print(f"listen: {folder}/piece-000.wav ...   read: {folder / 'report.html'}", soft_wrap=True, markup=False)
    return summary


def load_model(path: Path, device: torch.device) -> ComposerPPO:
    """A model of a run.

    Raises:
        RunError: naming the file, when it cannot be read.
    """
    try:
        return ComposerPPO.load(path, device=device)
    except Exception as error:  # a damaged zip fails in many ways inside Stable-Baselines3 and torch
        raise RunError(f"{path}: not a readable model: {type(error).__name__}: {error}") from error


def write_piece(piece: Piece, folder: Path, stem: str) -> None:
    """Write a piece as MIDI, WAV, PNG and MusicXML."""
    score = piece.score
    score.to_midi(folder / f"{stem}.mid")
    write_wav(folder / f"{stem}.wav", note_bank(SAMPLE_RATE).render_one(score), SAMPLE_RATE)
    save_piano_roll(score, folder / f"{stem}.png", title=stem)
    score.to_musicxml(folder / f"{stem}.musicxml")


# Numbers


def gold_rater(rewards: WeightedSum) -> RatingModel | None:
    """The rating whose gold member judges a run: the run's own, or the shipped one where the run was paid for none.

    None where the run's own is an ensemble of less than three, which keeps no member apart.
    """
    own = [model for model in rewards.models.values() if isinstance(model, RatingModel)]
    ratings = own or [RatingModel.load()]
    return next((each for each in ratings if each.config.rewarding < each.config.members), None)


def measurements(pieces: Pieces, rewards: WeightedSum, gold: RatingModel | None) -> dict[str, np.ndarray]:
    """What pieces are worth, each (n,) by name.

    Every metric; `diversity` among these pieces; every reward term, not weighted; their weighted sum as `reward/total`;
    and, with a `gold` rater, what that says as `gold_rating`, which no agent was paid for.
    """
    rows = [measure(score) for score in pieces.own]
    values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    values["diversity"] = diversity(pieces.own)
    terms = rewards.terms(pieces)
    values |= {f"reward/{name}": term.astype(float) for name, term in terms.items()}
    values["reward/total"] = np.sum(list(rewards.weighted(terms).values()), axis=0, dtype=float)
    if gold is not None:
        values[GOLD] = gold.gold(pieces).astype(float)
    return values


def summarise(values: Mapping[str, Mapping[str, np.ndarray]], seed: int) -> dict[str, Any]:
    """Means with bootstrap intervals, the range of real pieces, and what the agent is ahead of start and chance.

    Args:
        values: (n,) by composer and metric.
        seed: of the bootstrap.

    Returns:
        `composers`, by composer and metric: mean, low, high (95 % percentile bootstrap over pieces) and values;
        `real_range`: by metric the 5th and 95th percentile of real pieces; `ahead`: by "agent - other" and metric
        mean, low, high of the difference of means.
    """
    rng = np.random.default_rng(seed)
    composers = {
        name: {metric: {**interval(each, rng), "values": each.tolist()} for metric, each in metrics.items()}
        for name, metrics in values.items()
    }
    ahead = {
        f"agent - {other}": {
            metric: interval_of_difference(values["agent"][metric], values[other][metric], rng)
            for metric in values["agent"]
        }
        for other in ("start", "random", "real")
        if other in values
    }
    real_range = {
        metric: dict(zip(("low", "high"), np.percentile(each, REAL_RANGE).tolist(), strict=True))
        for metric, each in values["real"].items()
    }
    return {"composers": composers, "real_range": real_range, "ahead": ahead}


def interval(values: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Mean of (n,) values with its 95 % percentile-bootstrap interval (Efron & Tibshirani 1993, chapter 13)."""
    return _interval(values.mean(), _resampled_means(values, rng))


def interval_of_difference(ours: np.ndarray, theirs: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Difference of two means with its 95 % percentile-bootstrap interval, both resampled."""
    return _interval(ours.mean() - theirs.mean(), _resampled_means(ours, rng) - _resampled_means(theirs, rng))


def _resampled_means(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(values, (RESAMPLES, len(values))).mean(axis=1)


def _interval(mean: float, resampled: np.ndarray) -> dict[str, float]:
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {"mean": float(mean), "low": float(low), "high": float(high)}


def table_of(summary: dict[str, Any]) -> Table:
    """The summary as a table that fits a terminal of 80 columns."""
    composers = summary["composers"]
    title = "means, ± half of the 95 % interval"
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("", no_wrap=True)
    for name in (*composers, "real 5-95 %"):
        table.add_column(name, justify="right", no_wrap=True)
    for metric in composers["agent"]:
        cells = [
            f"{_short(each[metric]['mean'])} [dim]±{_short((each[metric]['high'] - each[metric]['low']) / 2)}[/dim]"
            for each in composers.values()
        ]
        real = summary["real_range"][metric]
        table.add_row(escape(metric.replace("_", " ")), *cells, f"{_short(real['low'])}..{_short(real['high'])}")
    return table


def _short(value: float) -> str:
    """A number in five characters, as far as it fits."""
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
