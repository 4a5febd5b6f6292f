"""Evaluation of a run: pieces of the agent as files, and metrics versus the reference policy, random play and real music."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from toccata.agents.generation.rollouts import compose
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.prior.likelihood import kl_of_pieces
from toccata.agents.prior.trajectories import record
from toccata.agents.runs.builders import device_of, environment_of, music_of
from toccata.agents.runs.comparison import interval, summarise, table_of
from toccata.agents.runs.config import EvaluateConfig
from toccata.agents.runs.report import GOLD, kl_line, write_report
from toccata.agents.runs.rewards_file import load_rewards
from toccata.agents.runs.run_folder import Run, RunError
from toccata.envs.pieces import Piece, Pieces
from toccata.music.metrics import diversity, measure
from toccata.music.picture import save_piano_roll
from toccata.music.sound.bank import note_bank, write_wav
from toccata.reward_models import WeightedSum
from toccata.reward_models.rating.model import RatingModel

SAMPLE_RATE = 44_100  # of the WAV files: for people, not for networks
COMPOSERS = {  # in the order of the tables
    "agent": "the agent after training",
    "start": "the agent before PPO",
    "random": "random legal play",
    "real": "real music kept out of training",
}


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
