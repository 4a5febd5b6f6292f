"""Fit of the support of a rating network: music against music that no person wrote, by their melody statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from toccata.music.score import Score
from toccata.music.skyline import skyline
from toccata.music.sound.bank import NoteBank
from toccata.reward_models.negatives.pools import ATTACKS, Families, Pools
from toccata.reward_models.rating.audio_windows import score_windows
from toccata.reward_models.rating.fitting.features import WindowMels, extract_features
from toccata.reward_models.rating.fitting.sound_conditions import random_window_mels
from toccata.reward_models.rating.fitting.synthetic import synthetic_negative
from toccata.reward_models.rating.network import SUPPORT_AXES, RatingMember, Support

# Kinds of negatives that do not sound like music within two bars. Others, such as a melody with some wrong notes, do:
# they are for the realism discriminator to recognise, which sees four bars of all voices
UNSUPPORTED = (
    "repeated_figure",
    "deleted_notes",
    "added_notes",
    "random_play",
    "alternating_notes",
    "ostinato",
    "block_chords",
)
WINDOWS = 2  # of a piece, at most
NOISE_PIECES = 300  # random notes and clusters
BATCH = 256  # windows, half of each class
STEPS = 1500
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05
DROPOUT = 0.3
LABEL_SMOOTHING = 0.05
LIMIT_QUANTILE = 0.995  # of the distances of music, within which support is full

Statistics = Mapping[str, Tensor]  # (members, windows, N_STATISTICS) by source or kind


def pool_statistics(
    members: Sequence[RatingMember], pools: Pools, banks: Sequence[NoteBank], rng: np.random.Generator
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Statistics of the pieces of pools, played by random banks in random conditions.

    Returns:
        Those of real music, by source, of each the whole and the skyline; and those of the kinds of negatives that are
        `unsupported`, and of noise.
    """
    real: dict[str, Tensor] = {}
    for name, pieces in pools.real.items():
        real[name] = _statistics(members, pieces, banks, rng)
        real[f"{name}, skyline"] = _statistics(members, [skyline(piece) for piece in pieces], banks, rng)
    others = dict(unsupported(pools.fakes))
    others["noise"] = [synthetic_negative(rng) for _ in range(NOISE_PIECES)]
    return real, {kind: _statistics(members, pieces, banks, rng) for kind, pieces in others.items() if len(pieces)}


def unsupported(families: Families) -> Iterator[tuple[str, Sequence[Score]]]:
    """Kind and pieces of those in `UNSUPPORTED`, and of all attacks, few as they are, as one kind."""
    for family, kinds in families.items():
        if family == ATTACKS:
            yield ATTACKS, [piece for pieces in kinds.values() for piece in pieces]
        else:
            yield from ((kind, pieces) for kind, pieces in kinds.items() if kind in UNSUPPORTED)


def _statistics(
    members: Sequence[RatingMember], pieces: Sequence[Score], banks: Sequence[NoteBank], rng: np.random.Generator
) -> Tensor:
    """(members, windows, N_STATISTICS) of random windows of the pieces."""

    def mels(piece: Score) -> list[WindowMels]:
        windows = score_windows(piece)
        chosen = rng.permutation(len(windows))[:WINDOWS].tolist()
        return [random_window_mels([windows[index] for index in chosen], banks, rng)]

    return extract_features(members, (mels(piece) for piece in pieces)).melody


def fit_supports(members: Sequence[RatingMember], music: Statistics, others: Statistics, seed: int) -> None:
    """Fit the support of each member; every source and kind has the same weight within its class.

    Args:
        members: with a support, which is replaced.
        music: statistics of music, by source.
        others: statistics of what is not like music, by kind.
        seed: of the initial weights and the batches.
    """
    for index, member in enumerate(members):
        member.support = fit_support(
            [each[index] for each in music.values()], [each[index] for each in others.values()], 1000 * seed + index
        )


def fit_support(music: Sequence[Tensor], others: Sequence[Tensor], seed: int) -> Support:
    """Fit a support by cross-entropy.

    Args:
        music: (n, N_STATISTICS) of each source.
        others: (n, N_STATISTICS) of each kind.
        seed: of the initial weights and the batches.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    support = Support()
    # every source has the same weight in the moments, too
    fewest = min(len(each) for each in music)
    even = torch.cat([each[torch.from_numpy(rng.permutation(len(each))[:fewest])] for each in music])
    support.mean.copy_(even.mean(0))
    support.scale.copy_(1 / even.std(0).clamp(min=1e-3))
    standardised = support.standardise(even)
    support.center.copy_(standardised.mean(0))
    _, spread, axes = torch.linalg.svd(standardised - support.center, full_matrices=False)
    kept = min(SUPPORT_AXES, len(spread))
    deviations = (spread[:kept] / len(even) ** 0.5).clamp(min=1e-3)
    support.axes[:, :kept] = axes[:kept].T / deviations * (SUPPORT_AXES / kept) ** 0.5
    support.limit.copy_(torch.quantile(support.distances(standardised), LIMIT_QUANTILE).clamp(min=1))

    classes = [[support.standardise(each) for each in group] for group in (music, others)]
    optimizer = torch.optim.AdamW(support.layers.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, STEPS)
    half = BATCH // 2
    labels = torch.cat([torch.full((half,), 1 - LABEL_SMOOTHING), torch.full((half,), LABEL_SMOOTHING)])
    for _ in range(STEPS):
        rows = []
        for group in classes:
            for number, count in zip(*np.unique(rng.integers(len(group), size=half), return_counts=True), strict=True):
                rows.append(group[number][torch.from_numpy(rng.integers(len(group[number]), size=count))])
        inputs = functional.dropout(torch.cat(rows), DROPOUT)
        loss = functional.binary_cross_entropy_with_logits(support.logits(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return support.eval()
