"""Attacks: pieces that maximise a reward, whether or not they are music."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from toccata.agents.evaluation.players import player_of
from toccata.agents.generation.sampling import sample_pieces
from toccata.agents.ppo.model_file import load_model
from toccata.agents.prior.prior import Prior
from toccata.agents.runs.builders import environment_arguments
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.run_folder import Run
from toccata.agents.runs.training import train
from toccata.envs.codec import encode
from toccata.envs.pieces import Pieces
from toccata.music.score import Score
from toccata.reward_models.realism.model import Realism
from toccata.reward_models.realism.roll_windows import (
    LOWEST,
    ONSET,
    SOUNDING,
    TICKS_PER_FRAME,
    Crops,
    window_start_ticks,
)

TEMPERATURES = (0.7, 1.0, 1.3)  # of best-of-n, in equal shares
SAMPLED_AT_ONCE = 256
LARGEST_MOVE = 12  # semitones

Reward = Callable[[Pieces], np.ndarray]  # (n,) of n pieces


def agent_pieces(config: TrainConfig, samples: int, console: Console) -> list[Score]:
    """Pieces of an agent that is trained in `config.run_dir`; a run that is there already is resumed.

    Args:
        config: its settings.
        samples: number of pieces.
        console: shows progress.
    """
    folder = Path(config.run_dir or "")
    last = Run.open(folder).last_checkpoint() if folder.exists() else None
    if last is None:
        shutil.rmtree(folder, ignore_errors=True)  # stopped before its first checkpoint
        train(config, console=console)
    elif int(last.name.removeprefix("step-")) < config.total_timesteps:
        train(Run.open(folder).config.resumed(folder), console=console)
    model = load_model(Run.open(folder).model_path)
    played = player_of(model, environment_arguments(config))(samples, config.seed)
    return [piece.score for piece in played.pieces]


def best_of_n(reward: Reward, count: int, n: int, bars: int, genre: str, seed: int) -> list[Score]:
    """The best by `reward` of `n` samples of the prior for each of `count` pieces, at several temperatures."""
    prior = Prior.load()
    best: list[Score] = []
    while len(best) < count:
        groups = min(max(SAMPLED_AT_ONCE // n, 1), count - len(best))
        pieces = sample_pieces(
            prior.network,
            prior.piano,
            groups * n,
            bars=bars,
            seed=seed + len(best),
            genre=genre,
            temperature=TEMPERATURES[len(best) % len(TEMPERATURES)],
        )
        scores = reward(Pieces(pieces)).reshape(groups, n)
        best += [pieces[group * n + int(index)].score for group, index in enumerate(scores.argmax(1))]
    return best


def search(
    reward: Reward, realism: Realism, starts: Sequence[Score], steps: int, rng: np.random.Generator
) -> list[Score]:
    """Pieces that a hill climb over edits of single notes and bars ends on.

    An edit is kept if the reward does not fall. Every other edit moves the notes that the realism's gradient says would
    gain most from it (Ebrahimi et al. 2018, "HotFlip"); the others are random.

    Args:
        reward: is maximised.
        realism: whose gradient is followed.
        starts: pieces to begin with, all edited in parallel.
        steps: edits that are tried on each.
        rng: of the edits.
    """
    pieces = list(starts)
    values = reward(Pieces(pieces))
    for step in range(steps):
        edited = [_along_gradient(piece, realism, rng) if step % 2 else _random_edit(piece, rng) for piece in pieces]
        played = [encode(piece)[1].score for piece in edited]
        new = reward(Pieces(played))
        for index in np.flatnonzero(new >= values).tolist():
            pieces[index], values[index] = played[index], new[index]
    return pieces


def _random_edit(score: Score, rng: np.random.Generator) -> Score:
    """The score with a note moved, left out or doubled, or with one bar in the place of another."""
    notes = score.notes.copy()
    kind = rng.integers(4) if len(notes) else 3
    index = int(rng.integers(max(len(notes), 1)))
    if kind == 0:
        move = int(rng.integers(-LARGEST_MOVE, LARGEST_MOVE + 1))
        notes["pitch"][index] = np.clip(int(notes["pitch"][index]) + move, 21, 108)
    elif kind == 1:
        notes = np.delete(notes, index)
    elif kind == 2:
        double = notes[index : index + 1].copy()
        double["pitch"] = np.clip(double["pitch"].astype(int) + rng.choice([-12, -7, -5, -4, 4, 5, 7, 12]), 21, 108)
        notes = np.append(notes, double)
    else:
        bar = score.ticks_per_bar
        source, target = (rng.integers(score.length_ticks // bar, size=2) * bar).tolist()
        copied = score.slice(source, source + bar).notes.copy()
        copied["onset_tick"] += target
        kept = notes[(notes["onset_tick"] < target) | (notes["onset_tick"] >= target + bar)]
        notes = np.append(kept, copied)
    return replace(score, notes=notes)


def _along_gradient(score: Score, realism: Realism, rng: np.random.Generator) -> Score:
    """The score with the note moved that, by the gradient of the realism in a random window, gains most."""
    if not len(score):
        return score
    starts = window_start_ticks(score)
    start = int(starts[int(rng.integers(len(starts)))])
    windows = Crops([score], np.zeros(1, np.int64), np.array([start], np.int64)).draw(device=realism.device)
    rolls = windows.rolls.requires_grad_()
    (gradient,) = torch.autograd.grad(realism.discriminator(rolls, windows.frames).sum(), rolls)
    slopes = gradient[0].cpu().numpy()  # (channels, frames, keys)
    notes = score.notes.copy()
    scale = 24 / score.ticks_per_beat
    first = ((notes["onset_tick"].astype(np.int64) * scale - start) // TICKS_PER_FRAME).astype(np.int64)
    inside = np.flatnonzero((first >= 0) & (first < slopes.shape[1]))
    if not len(inside):
        return score
    best, move = -np.inf, (int(inside[0]), 0)
    for index in rng.permutation(inside)[:LARGEST_MOVE].tolist():
        frames = slice(
            first[index], first[index] + max(1, int(notes["duration_ticks"][index] * scale) // TICKS_PER_FRAME)
        )
        gains = slopes[SOUNDING, frames].sum(0) + slopes[ONSET, first[index]]
        key = int(notes["pitch"][index]) - LOWEST
        gain = gains - gains[key]
        gain[key] = -np.inf
        if gain.max() > best:
            best, move = float(gain.max()), (index, int(gain.argmax()))
    notes["pitch"][move[0]] = move[1] + LOWEST
    return replace(score, notes=notes)
