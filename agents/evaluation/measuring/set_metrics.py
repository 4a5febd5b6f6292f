"""Distances of sets of pieces from real music, and their self-BLEU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toccata.agents.evaluation.measuring.embedding import embeddings, genre_probabilities
from toccata.agents.prior.prior import Prior
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.pieces import Piece, Pieces
from toccata.music.metrics import CORE_METRICS, measure_each
from toccata.music.metrics.sets import different_bins, frechet_distance, inception_score, overlap, self_bleu
from toccata.reward_models.judges.typicality import Typicality

FLOOR = "real"  # the composer whose distances are those of real music from other real music
CLASSIFIED = 32  # pieces of a set whose genres are estimated: each takes six passes of the prior


def set_metrics(
    composed: Mapping[str, Sequence[Piece]], real: ExcerptDataset, judge: Typicality, seed: int
) -> dict[str, dict[str, float]]:
    """The metrics of whole sets, by composer and name.

    The works are divided into two halves. Each set is compared with as many excerpts of the first half, in keys drawn
    uniformly. "real" is not the set of that name, which is in the keys of the works, but as many such excerpts of the
    second half: its distances are those of real music from other real music, the least that can be expected. Where
    works are much fewer than pieces, excerpts are not independent, and more bins differ. Of one work alone both are
    excerpts of it.

    `frechet_distance` of the `embeddings`; `different_bins`, the share of bins of the features; `overlapping_area` and
    `kl_divergence`, means over the features, which are `CORE_METRICS` of `toccata.music.metrics`; `self_bleu`;
    `inception_score` of the `genre_probabilities` of the first 32 pieces.

    Args:
        composed: pieces of each composer, at least one.
        real: held-out works.
        judge: embeds pieces.
        seed: of the excerpts and the bins.
    """
    rng = np.random.default_rng(seed)
    count = max(len(pieces) for pieces in composed.values())
    prior = Prior.load()
    compared, floor = _halves(real, rng)
    reference = Pieces(compared.sample(count, rng))
    reference_embeddings, reference_features = embeddings(reference, judge), measure_each(reference.own, CORE_METRICS)
    others = {name: Pieces(pieces) for name, pieces in composed.items() if name != FLOOR}
    results: dict[str, dict[str, float]] = {}
    for name, pieces in {**others, FLOOR: Pieces(floor.sample(count, rng))}.items():
        features = measure_each(pieces.own, CORE_METRICS)
        overlaps = [overlap(values, reference_features[metric]) for metric, values in features.items()]
        area, divergence = np.mean(overlaps, axis=0)
        ours, theirs = (np.stack(list(each.values()), axis=1) for each in (features, reference_features))
        results[name] = {
            "frechet_distance": frechet_distance(embeddings(pieces, judge), reference_embeddings),
            "different_bins": different_bins(ours, theirs, seed=seed),
            "overlapping_area": float(area),
            "kl_divergence": float(divergence),
            "self_bleu": self_bleu(pieces.own),
            "inception_score": inception_score(genre_probabilities(pieces[:CLASSIFIED], prior)),
        }
    return results


def _halves(real: ExcerptDataset, rng: np.random.Generator) -> list[ExcerptDataset]:
    """Excerpts of two halves of the works."""
    scores = [real.scores[i] for i in rng.permutation(len(real.scores))]
    how: dict[str, Any] = {"beats_per_bar": real.beats_per_bar, "tempo_bpm": real.tempo_bpm, "genre": real.genre}
    return [ExcerptDataset(scores[half::2] or scores, real.bars, real.piano, **how) for half in (0, 1)]
