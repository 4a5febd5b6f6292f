"""Fit a rating network to preference data: `toccata fit-rating --data DATA --out DIR`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from shlex import quote

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

from toccata.files import naming, whole_folder
from toccata.music.sound.bank import NoteBank
from toccata.reward_models.negatives.pools import read_pools
from toccata.reward_models.preferences import PreferenceTable, read_preferences
from toccata.reward_models.rating.audio_windows import audio_window_mels, score_window_mels, score_windows
from toccata.reward_models.rating.fitting.config import FitRatingConfig, FitRatingError
from toccata.reward_models.rating.fitting.data import RatedPieces, load_rated_pieces
from toccata.reward_models.rating.fitting.features import WindowMels, extract_features
from toccata.reward_models.rating.fitting.heads import Curve, fit_ensemble
from toccata.reward_models.rating.fitting.held_out import evaluate_held_out, make_splits
from toccata.reward_models.rating.fitting.report import write_report
from toccata.reward_models.rating.fitting.sound_conditions import open_banks, random_recording, random_window_mels
from toccata.reward_models.rating.fitting.support import fit_supports, pool_statistics
from toccata.reward_models.rating.fitting.synthetic import noise_audio, synthetic_negative
from toccata.reward_models.rating.fitting.transcription import fit_transcribers
from toccata.reward_models.rating.model import RatingModel
from toccata.reward_models.rating.network import RatingConfig, RatingMember
from toccata.weights import CONFIG_FILE

PIECES_A_RECORDING = 10  # of the synthetic negatives: scores for each recording of noise
SUPPORT_BARS = 8
SUPPORT_PIECES = 150  # of each source of music beside the data, and half as many negatives of each kind
FINAL_FIT = 1000  # added to the seed for the fit to all pieces; those of the cross-validation come before


def fit(
    config: FitRatingConfig, table: PreferenceTable, console: Console
) -> tuple[RatingModel, dict[str, object], list[Curve], RatedPieces]:
    """Fit a rating network.

    Returns:
        The frozen model; facts of the fit for config.json and the report: counts, mean and standard deviation of p,
        accuracy of the transcribers, held-out results (empty without a test split or folds), options; the learning
        curve of each member; the pieces.

    Raises:
        FitRatingError: when the data cannot be fitted.
    """
    network_config = RatingConfig(members=config.members, pessimism=config.pessimism)
    banks = open_banks(config.sound_fonts)
    with Progress(console=console) as progress:
        if config.refit_transcribers:
            transcribers, transcription_f1 = fit_transcribers(
                network_config, config.synthetic_pieces, config.transcriber_epochs, config.seed, banks, progress
            )
        else:
            transcribers, transcription_f1 = _shipped_transcribers(network_config), None
        rated, left_out = load_rated_pieces(config, table, transcribers, banks, progress)
        if left_out:
            loaded = PreferenceTable(rated.preferences, tuple(left_out)).summary()
            console.print(f"loaded: {loaded}", soft_wrap=True, markup=False)
        rng = np.random.default_rng([config.seed, 1])
        negatives = extract_features(transcribers, _negatives(config.negatives, banks, rng))
        targets = rated.targets()
        splits = make_splits(config, rated)
        bar = progress.add_task("fitting", total=config.members * (len(splits) + 1))

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
                votes=rated.votes,
                pair_weight=config.pair_weight,
            )

        results = (
            evaluate_held_out(network_config, rated, splits, lambda *split: fit_members(*split)[0]) if splits else {}
        )
        members, curves = fit_members(FINAL_FIT, rated.split_indices(None, "train"), rated.split_indices("valid"))
    if config.supported:
        console.print("fitting the support")
        fit_supports(members, *_support_statistics(config, members, rated, banks), config.seed)
    network_config = replace(network_config, skyline=rated.are_melodies, support=bool(config.supported))
    counted = rated.popularity[rated.counted]
    facts = {
        "pieces": len(rated.preferences),
        "left_out": dict(Counter(row.reason for row in (*table.left_out, *left_out))),
        "sources": dict(Counter(preference.source for preference in rated.preferences if preference.source)),
        "groups": len(set(rated.groups)),
        "p_mean": float(counted.mean()) if len(counted) else None,
        "p_std": float(counted.std()) if len(counted) else None,
        "votes": len(rated.votes),
        "transcription_f1": transcription_f1 or "transcribers of the shipped rating",
        "held_out": results,
        "sound_fonts": [bank.soundfont.name for bank in banks],
        "options": {
            key: value
            for key, value in asdict(config).items()
            if key not in ("data", "out", "pairs", "sound_fonts", "supported")
        },
        "supported": [Path(name).name for name in config.supported],
    }
    return RatingModel(nn.ModuleList(members), network_config), facts, curves, rated


def _support_statistics(
    config: FitRatingConfig, members: Sequence[RatingMember], rated: RatedPieces, banks: Sequence[NoteBank]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Statistics of music, the rated pieces and `config.supported`, and of what is not like music."""
    rng = np.random.default_rng([config.seed, 2])
    pools = read_pools(
        config.supported,
        (),
        ("train",),
        bars=SUPPORT_BARS,
        per_source=SUPPORT_PIECES,
        per_kind=SUPPORT_PIECES // 2,
        rng=rng,
    )
    music, others = pool_statistics(members, pools, banks, rng)
    return {"rated pieces": rated.features.melody, **music}, others


def _negatives(count: int, banks: Sequence[NoteBank], rng: np.random.Generator) -> Iterator[list[WindowMels]]:
    """Spectrograms of the synthetic negatives, of each unchanged and through random conditions."""
    for _ in range(count):
        windows = score_windows(synthetic_negative(rng))
        yield [score_window_mels(windows), random_window_mels(windows, banks, rng)]
    for _ in range(count // PIECES_A_RECORDING):
        noise = noise_audio(rng)
        yield [audio_window_mels(noise), audio_window_mels(random_recording(noise[None], rng)[0])]


def _shipped_transcribers(config: RatingConfig) -> list[RatingMember]:
    """Members with the transcribers of the shipped weights; the one of the sibling member is in no reward member."""
    *reward_members, sibling = list(RatingModel.load().network)
    sources = [reward_members[index % len(reward_members)] for index in range(config.reward_members)]
    sources += [sibling] * (config.members - config.reward_members)
    members = []
    for index, source in enumerate(sources):
        torch.manual_seed(index)
        member = RatingMember(config)
        member.load_state_dict(source.transcriber_state(), strict=False)  # type: ignore[operator]  # ModuleList holds RatingMembers
        members.append(member.eval())
    return members


def main(config: FitRatingConfig) -> None:
    """Fit, write the network and a report, and print the report.

    Raises:
        PreferenceError: when the data cannot be read.
        FitRatingError: when they cannot be fitted, or `config.out` already holds a network.
        OSError: naming the file that cannot be written; nothing is left in `config.out` then.
    """
    if (config.out / CONFIG_FILE).exists():
        raise FitRatingError(f"{config.out}: already holds a rating network; choose another folder")
    console = Console(stderr=True)
    table = read_preferences(config.data, config.pairs)
    console.print(f"{config.data}: {table.summary()}", soft_wrap=True, markup=False)
    with whole_folder(config.out, "add") as folder:  # before the fit: a folder that cannot be written fails at once
        model, facts, curves, rated = fit(config, table, console)
        with naming(folder):
            model.save(folder, facts)
        report = write_report(folder, model, facts, curves, rated.scores)
    print(report)
    reward = quote(f"rating:{config.out}")
    print(f"\nfitted: {config.out}\nuse it with: python train.py --rewards {reward} 1.0 realism 1.0")
