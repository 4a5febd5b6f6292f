"""Fit a rating network on preference data: `toccata fit-rating --data DATA --out DIR`."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from itertools import chain

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch import nn

from toccata.reward_models.preferences.reading import (
    PreferenceTable,
    read_preferences,
)
from toccata.reward_models.rating.audio_windows import audio_window_mels
from toccata.reward_models.rating.fitting.config import FitRatingConfig, FitRatingError
from toccata.reward_models.rating.fitting.data import RatedPieces, extract_pieces
from toccata.reward_models.rating.fitting.features import augmented_mels, extract_features
from toccata.reward_models.rating.fitting.heads import Curve, fit_ensemble
from toccata.reward_models.rating.fitting.held_out import held_out, splits
from toccata.reward_models.rating.fitting.report import write_report
from toccata.reward_models.rating.fitting.synthetic import negative, noise_sound
from toccata.reward_models.rating.fitting.transcription import fit_transcribers
from toccata.reward_models.rating.model import RatingModel
from toccata.reward_models.rating.network import RatingConfig, RatingMember
from toccata.weights import CONFIG_FILE

NEGATIVE_PIECES = 1000  # pieces nobody would want to hear, and
NOISES = 100  # sounds that are no music
FINAL = 1000  # the number of the last fit, of which the seed is made; those of the folds come before


def fit(
    config: FitRatingConfig, table: PreferenceTable, console: Console
) -> tuple[RatingModel, dict[str, object], list[Curve], RatedPieces]:
    """Fit a rating network.

    Returns:
        The frozen model; what is known of the fit: counts, scale, hearing, and held-out figures unless nothing was
        held out; the learning curve of each member; the pieces.

    Raises:
        FitRatingError: when the pieces cannot be learnt from.
    """
    shape = RatingConfig(members=config.members, pessimism=config.pessimism)
    with Progress(console=console) as progress:
        if config.refit_transcribers:
            transcribers, hearing = fit_transcribers(
                shape, config.synthetic_pieces, config.transcriber_epochs, config.seed, progress
            )
        else:
            transcribers, hearing = _shipped_transcribers(shape), None
        rated, left_out = extract_pieces(config, table, transcribers, progress)
        if left_out:
            heard = PreferenceTable(rated.preferences, tuple(left_out)).summary()
            console.print(f"heard: {heard}", soft_wrap=True, markup=False)
        rng = np.random.default_rng([config.seed, 1])
        worst = (augmented_mels(negative(rng), 0, rng) for _ in range(NEGATIVE_PIECES))
        negatives = extract_features(
            transcribers, chain(worst, ([audio_window_mels(noise_sound(rng))] for _ in range(NOISES)))
        )
        targets = rated.targets()
        parts = splits(config, rated)
        bar = progress.add_task("fitting", total=config.members * (len(parts) + 1))

        def fit_members(number: int, train: np.ndarray, valid: np.ndarray) -> tuple[list[RatingMember], list[Curve]]:
            return fit_ensemble(
                transcribers,
                rated.features,
                negatives,
                rated.groups,
                targets,
                train,
                valid,
                config.epochs,
                seed=config.seed + number,
                on_member=lambda: progress.advance(bar),
            )

        figures = held_out(shape, rated, parts, lambda *part: fit_members(*part)[0]) if parts else {}
        final = (rated.of_split(None, "train"), rated.of_split("valid"))
        members, curves = fit_members(FINAL, *final)
    facts = {
        "pieces": len(rated.preferences),
        "left_out": dict(Counter(row.reason for row in (*table.left_out, *left_out))),
        "sources": dict(Counter(preference.source for preference in rated.preferences if preference.source)),
        "groups": len(set(rated.groups)),
        "p_mean": float(rated.popularity.mean()),
        "p_std": float(rated.popularity.std()),
        "hearing": hearing or "the transcribers that come with Toccata",
        "held_out": figures,
        "options": {key: value for key, value in asdict(config).items() if key not in ("data", "out")},
    }
    return RatingModel(nn.ModuleList(members), shape), facts, curves, rated


def _shipped_transcribers(shape: RatingConfig) -> list[RatingMember]:
    """Members that can hear, with the transcribers of the shipped weights; the gold rater's is used by no other."""
    *reward_members, gold = list(RatingModel.load().network)
    chosen = [reward_members[index % len(reward_members)] for index in range(shape.reward_members)]
    chosen += [gold] * (shape.members - shape.reward_members)
    members = []
    for index, source in enumerate(chosen):
        torch.manual_seed(index)
        member = RatingMember(shape)
        member.load_state_dict(source.transcriber_state(), strict=False)  # type: ignore[operator]  # ModuleList holds RatingMembers
        members.append(member.eval())
    return members


def main(config: FitRatingConfig) -> None:
    """Fit, write the network and a report, and print the report.

    Raises:
        PreferenceError: when the data cannot be read.
        FitRatingError: when they cannot be learnt from, or `config.out` already holds a network.
    """
    if (config.out / CONFIG_FILE).exists():
        raise FitRatingError(f"{config.out}: already holds a rating network; choose another folder")
    console = Console(stderr=True)
    table = read_preferences(config.data)
    console.print(f"{config.data}: {table.summary()}", soft_wrap=True, markup=False)
    model, facts, curves, rated = fit(config, table, console)
    model.save(config.out, facts)
    report = write_report(config.out, model, facts, curves, rated.scores)
    print(report)
    print(f"\nfitted: {config.out}\nuse it with: python train.py --rewards rating:{config.out} 1.0 realism 1.0")
