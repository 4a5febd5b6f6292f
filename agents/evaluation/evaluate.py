"""Evaluation of a run: pieces as files, and metrics versus the reference policy, random play and real music."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from toccata.agents.devices import resolve_device
from toccata.agents.evaluation.comparison import summarise, table_of
from toccata.agents.evaluation.config import EvaluateConfig
from toccata.agents.evaluation.report import GOLD, History, kl_line, write_report
from toccata.agents.generation.piece_files import write_piece
from toccata.agents.generation.rollouts import generate_pieces
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.prior.likelihood import kl_per_piece
from toccata.agents.prior.trajectories import record_trajectories
from toccata.agents.runs.builders import environment_arguments, excerpt_dataset, load_agent
from toccata.agents.runs.config import MAX_BARS_OF_ENVS
from toccata.agents.runs.rewards_file import load_rewards
from toccata.agents.runs.run_folder import Run
from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import total
from toccata.files import whole_folder, write_atomically
from toccata.music.metrics import diversity, measure
from toccata.options import ConfigError
from toccata.reward_models import WeightedSum
from toccata.reward_models.rating.model import RatingModel
from toccata.stats import bootstrap_mean

COMPOSERS = {  # in the order of the tables
    "agent": "the agent after training",
    "reference": "the reference policy: the agent before PPO",
    "random": "uniformly random legal actions",
    "real": "real music held out of training",
}


def evaluate(config: EvaluateConfig, console: Console | None = None) -> dict[str, Any]:
    """Generate pieces with the run's agent; write them and their metrics to RUN_DIR/evaluation.

    Returns:
        what metrics.json holds.

    Raises:
        RunError: for a folder that is no run, or has no model yet.
        ConfigError, FileError, ProgressError: naming a file of the run that is damaged, before anything is generated.
        OSError: naming the file that cannot be written; an earlier evaluation stays as it was.
    """
    console = console or Console()
    run = Run.open(config.run_dir)
    history = History.read(run)
    samples = max(config.samples, config.pieces)
    if samples * run.config.bars > MAX_BARS_OF_ENVS:
        most = MAX_BARS_OF_ENVS // run.config.bars
        raise ConfigError(f"samples must be at most {most:,} for pieces of {run.config.bars:,} bars, got {samples:,}")
    device = resolve_device(config.device)
    agent = load_agent(run.published / "model.zip", run.config, device)
    rewards = load_rewards(run.published / "reward_models", run.folder, trust=config.trust)
    gold = gold_rating(rewards)
    environment = environment_arguments(run.config)
    held_out = excerpt_dataset(
        run.config,
        "test",
        lambda line: console.print(f"warning: {line}", markup=False, highlight=False, soft_wrap=True),
    )
    real = held_out.sample(samples, np.random.default_rng(config.seed), transpose=False)
    reference = load_agent(run.reference_path, run.config, device) if run.reference_path.is_file() else None
    place = run.folder / "evaluation"  # an earlier evaluation stays until this one is complete
    with whole_folder(place, "replace") as folder:  # before the work: a folder that cannot be written fails at once
        with console.status("generating"):
            pieces = {
                "agent": generate_pieces(agent, samples, config.seed, environment),
                "random": generate_pieces(None, samples, config.seed, environment),
                "real": real,
            }
            if reference is not None:
                pieces["reference"] = generate_pieces(reference, samples, config.seed, environment)
        with console.status("measuring"):
            values = {name: measurements(Pieces(pieces[name]), rewards, gold) for name in COMPOSERS if name in pieces}
        summary = summarise(values, config.seed)
        if isinstance(agent, SequenceComposerPPO) and isinstance(reference, SequenceComposerPPO):
            trajectories = record_trajectories(pieces["agent"], agent.policy.piano, run.config.all_genres)
            nats = kl_per_piece(agent.policy.network, reference.policy.network, trajectories, agent.policy.piano)
            interval = bootstrap_mean(nats, np.random.default_rng(config.seed))
            summary["kl"] = {"nats_per_piece": {**interval._asdict(), "values": nats.tolist()}}

        for number in track(range(config.pieces), "writing pieces", console=console, transient=True):
            write_piece(pieces["agent"][number], folder, f"piece-{number:03d}")
        write_piece(pieces["random"][0], folder, "random")
        write_piece(pieces["real"][0], folder, "real")
        write_atomically(folder / "metrics.json", (json.dumps(summary, indent=2) + "\n").encode())
        write_report(run, history, folder, summary, config.pieces)
    console.print(table_of(summary))
    if "kl" in summary:
        console.print(kl_line(summary), highlight=False)
    console.print(f"listen: {place}/piece-000.wav ...   read: {place / 'report.html'}", soft_wrap=True, markup=False)
    return summary


def gold_rating(rewards: WeightedSum) -> RatingModel | None:
    """The rating whose gold member evaluates a run: the run's own, or the shipped one where the run had none.

    None where the run's own is an ensemble of less than three, which has no gold member.
    """
    own = [model for model in rewards.models.values() if isinstance(model, RatingModel)]
    ratings = own or [RatingModel.load()]
    return next((each for each in ratings if each.config.reward_members < each.config.members), None)


def measurements(pieces: Pieces, rewards: WeightedSum, gold: RatingModel | None) -> dict[str, np.ndarray]:
    """Metrics and scores of pieces, each (n,) by name.

    Every metric; `diversity` among these pieces; the score of every reward model, not weighted, as `score/NAME`; the
    weighted sum, which PPO maximises, as `reward/total`; and the gold member's rating as `gold_rating`, which no agent
    is rewarded for.
    """
    rows = [measure(score) for score in pieces.own]
    values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    values["diversity"] = diversity(pieces.own)
    scores = rewards.scores(pieces)
    values |= {f"score/{name}": score.astype(float) for name, score in scores.items()}
    values["reward/total"] = total({term: each.astype(float) for term, each in rewards.weighted(scores).items()})
    if gold is not None:
        values[GOLD] = gold.gold(pieces).astype(float)
    return values
