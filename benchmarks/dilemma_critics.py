"""The critics of benchmarks/dilemma.py: those that ship, and some fitted to half of the domain and tested on half."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from torch import Tensor

from toccata.envs.pieces import Pieces
from toccata.music.score import Score
from toccata.reward_models.judges.features import highest_notes, piece_features
from toccata.reward_models.judges.fit_gold_rating import fit_popularity
from toccata.reward_models.judges.fit_held_out_realism import fit_realism
from toccata.reward_models.judges.note_judges import HeldOutRealism
from toccata.reward_models.judges.typicality import Typicality
from toccata.reward_models.negatives.pools import Pools, synthetic_families
from toccata.reward_models.preferences import group_folds
from toccata.reward_models.realism.discriminator import FRAMES_PER_BEAT
from toccata.reward_models.realism.fit import fit_discriminator
from toccata.reward_models.realism.model import Realism
from toccata.reward_models.realism.roll_windows import Windows

HALVES = 2
STEPS = 300  # of the discriminator, from the shipped weights
POLICY_NEGATIVES = 1000  # melodies of the pool
FEATURE_NEGATIVES = 200  # of these, for the networks on features
DRAWN = 6000  # real pieces drawn in proportion to their weight
STRATA = 5  # of predicted popularity

Critic = Callable[[Sequence[Score]], np.ndarray]  # (n,) scores, higher is more real


def shipped_critics() -> dict[str, Critic]:
    """By name the critics that come with Toccata, not clipped; of the bits the negative, so that typical is high."""
    realism, held_out, typicality = Realism.load(), HeldOutRealism.load(), Typicality.load()
    return {
        "shipped discriminator": lambda scores: realism.logits(Pieces(scores)).astype(float),
        "held-out realism": lambda scores: held_out.ensemble.predict(features_of_all(scores)),
        "typicality": lambda scores: -typicality.bits(Pieces(scores)),
    }


class ShortRealism(Realism):
    """Realism that is fitted to windows cut after the longest piece in them: what is behind has no influence."""

    def train_on_windows(self, real: Sequence[Windows], fakes: Sequence[Windows]) -> Tensor:
        """As `Realism.train_on_windows`, in half the time for pieces of two bars."""
        frames = max(int(windows.frames.max()) for windows in (*real, *fakes))
        frames = -(-frames // FRAMES_PER_BEAT) * FRAMES_PER_BEAT
        cut = [[Windows(windows.rolls[:, :, :frames], windows.frames) for windows in each] for each in (real, fakes)]
        return super().train_on_windows(*cut)


@cache
def features_of(score: Score) -> np.ndarray:
    """(k,) features of the notes of a score, which several critics read."""
    return piece_features(score)


def features_of_all(scores: Sequence[Score]) -> np.ndarray:
    """(n, k) features of scores."""
    return np.stack([features_of(score) for score in scores])


@dataclass(frozen=True)
class CrossFitted:
    """Scores of a critic of which every one is by a fit that did not know that piece, in units of the reals' spread.

    Attributes:
        real: (n,) of the real pieces.
        generated: by pool piece, the scores of the melodies in it, (melodies,) each.
        negatives: by kind of negative, (m,); only of the last fit.
    """

    real: np.ndarray
    generated: list[np.ndarray]
    negatives: dict[str, np.ndarray]

    def first_generated(self) -> np.ndarray:
        """The score of the first melody of each pool piece that has one."""
        return np.array([each[0] for each in self.generated if len(each)])

    def of_pool(self) -> np.ndarray:
        """(N,) mean over the melodies of each pool piece; of a piece without one the lowest of all."""
        lowest = min(each.min() for each in self.generated if len(each))
        return np.array([each.mean() if len(each) else lowest for each in self.generated])


@dataclass(frozen=True)
class Half:
    """One fit of a cross-fit: what it is fitted to, and what it is tested on.

    Attributes:
        number: 0 or 1.
        rows: indices of the real pieces that it is fitted to; it is tested on the others.
        fakes: negatives that it is fitted to, by family and kind.
        tested_fakes: others, made of the pieces that it is tested on, by kind.
        pieces: indices of the pool pieces that it is tested on.
    """

    number: int
    rows: np.ndarray
    fakes: Mapping[str, Mapping[str, Sequence[Score]]]
    tested_fakes: Mapping[str, Sequence[Score]]
    pieces: np.ndarray


def halves_of(
    scores: Sequence[Score],
    clusters: Sequence[str],
    bars: int,
    pool: Sequence[Sequence[Score]],
    extra: Callable[[np.ndarray, np.random.Generator], dict[str, list[Score]]] | None,
    seed: int,
    per_kind: int,
) -> list[Half]:
    """The two fits.

    Args:
        scores: real pieces, some bars each.
        clusters: of each; kept together.
        bars: of a piece.
        pool: the melodies of each generated piece, which are negatives too; may be empty.
        extra: further negatives of real pieces with these indices.
        seed: of folds and negatives.
        per_kind: negatives of each kind that are fitted to.
    """
    fold = group_folds(clusters, HALVES, seed)

    def half(number: int) -> Half:
        rng = np.random.default_rng([seed, number])
        rows, others = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        fakes = _not_empty(synthetic_families({"real": [scores[i] for i in rows]}, per_kind, bars, rng))
        tested = _not_empty(synthetic_families({"real": [scores[i] for i in others]}, per_kind // 2, bars, rng))
        tested_fakes = {kind: pieces for kinds in tested.values() for kind, pieces in kinds.items()}
        if extra is not None:
            fakes["extra"] = dict(extra(rows, rng))
            tested_fakes |= extra(others, rng)
        melodies = [melody for i in range(len(pool)) if i % HALVES != number for melody in pool[i]]
        if melodies:
            order = rng.permutation(len(melodies))[:POLICY_NEGATIVES]
            fakes["policy"] = {"policy": [melodies[i] for i in order.tolist()]}
        return Half(number, rows, fakes, tested_fakes, np.arange(number, len(pool), HALVES))

    return [half(number) for number in range(HALVES)]


def _not_empty(families: Mapping[str, Mapping[str, Sequence[Score]]]) -> dict[str, dict[str, list[Score]]]:
    """The pieces with notes."""
    return {
        family: {kind: [each for each in pieces if len(each)] for kind, pieces in kinds.items()}
        for family, kinds in families.items()
    }


def drawn_rows(rows: np.ndarray, weights: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Rows drawn in proportion to the weights of all pieces; the rows themselves without weights."""
    return rows if weights is None else rng.choice(rows, DRAWN, p=weights[rows] / weights[rows].sum())


def network_fitter(scores: Sequence[Score], folder: Path, name: str, seed: int) -> Callable[..., Critic]:
    """Fits the shipped discriminator further, with the steps that fitted it; a fit in the folder is read."""

    def fit(half: Half, weights: np.ndarray | None) -> Critic:
        place = folder / f"{name}-{half.number}"
        if not place.exists():
            rows = drawn_rows(half.rows, weights, np.random.default_rng([seed, half.number, 1]))
            pools = Pools({"real": [scores[i] for i in rows.tolist()]}, half.fakes)
            fitted = fit_discriminator(pools, STEPS, seed + half.number, start=ShortRealism.load())
            fitted.save(place, training=False)
        realism = Realism.load(place)
        return lambda pieces: realism.logits(Pieces(pieces)).astype(float)

    return fit


def feature_fitter(scores: Sequence[Score], seed: int) -> Callable[..., Critic]:
    """Fits the network of the held-out realism to features of the notes."""
    features = features_of_all(scores)
    known: dict[int, dict] = {}

    def fit(half: Half, weights: np.ndarray | None) -> Critic:
        if half.number not in known:
            known[half.number] = {
                family: {kind: features_of_all(pieces[:FEATURE_NEGATIVES]) for kind, pieces in kinds.items()}
                for family, kinds in half.fakes.items()
            }
        rows = drawn_rows(half.rows, weights, np.random.default_rng([seed, half.number, 1]))
        judge = fit_realism([features[rows]], known[half.number], (), seed + half.number)
        return lambda pieces: judge.ensemble.predict(features_of_all(pieces))

    return fit


def cross_fit(
    fit: Callable[[Half, np.ndarray | None], Critic],
    scores: Sequence[Score],
    halves: Sequence[Half],
    pool: Sequence[Sequence[Score]],
    weights: np.ndarray | None = None,
) -> CrossFitted:
    """Fit both halves, and score everything by the fit that did not know it."""
    real = np.zeros(len(scores))
    generated: list[np.ndarray] = [np.zeros(0)] * len(pool)
    negatives: dict[str, np.ndarray] = {}
    for half in halves:
        critic = fit(half, weights)
        others = np.setdiff1d(np.arange(len(scores)), half.rows)
        of_real = critic([scores[i] for i in others.tolist()])
        mean, spread = of_real.mean(), max(float(of_real.std()), 1e-9)
        real[others] = (of_real - mean) / spread
        melodies = [melody for i in half.pieces.tolist() for melody in pool[i]]
        if melodies:
            ends = np.cumsum([len(pool[i]) for i in half.pieces.tolist()])[:-1]
            parts = np.split((critic(melodies) - mean) / spread, ends)
            for i, part in zip(half.pieces.tolist(), parts, strict=True):
                generated[i] = part
        if half is halves[-1]:
            tested = {kind: pieces for kind, pieces in half.tested_fakes.items() if len(pieces)}
            negatives = {kind: (critic(pieces) - mean) / spread for kind, pieces in tested.items()}
    return CrossFitted(real, generated, negatives)


def predicted_popularity(
    scores: Sequence[Score],
    popularity: np.ndarray,
    halves: Sequence[Half],
    pool: Sequence[Sequence[Score]],
    seed: int,
) -> CrossFitted:
    """Popularity predicted by the gold rating's network from fits that did not know the piece, as cross-fitted."""
    target = (popularity - popularity.mean()) / popularity.std()
    features = features_of_all([highest_notes(score) for score in scores])

    def fit(half: Half, weights: np.ndarray | None) -> Critic:
        ensemble = fit_popularity(features[half.rows], target[half.rows], seed + half.number)
        return lambda pieces: ensemble.predict(features_of_all([highest_notes(each) for each in pieces]))

    without_negatives = [Half(half.number, half.rows, {}, {}, half.pieces) for half in halves]
    return cross_fit(fit, scores, without_negatives, pool)


def stratum_of(values: np.ndarray, real: np.ndarray) -> np.ndarray:
    """(n,) stratum in 0..4 of predicted popularity, by the quintiles of real pieces."""
    return np.searchsorted(np.quantile(real, np.arange(1, STRATA) / STRATA), values, side="right")


def conditioned(critic: CrossFitted, prediction: CrossFitted) -> CrossFitted:
    """The critic conditioned on predicted popularity: scores in units of the spread of the real pieces of a stratum."""
    strata = stratum_of(prediction.real, prediction.real)
    means = np.array([critic.real[strata == s].mean() for s in range(STRATA)])
    spreads = np.array([critic.real[strata == s].std() for s in range(STRATA)])
    low = np.array([np.quantile((critic.real[strata == s] - means[s]) / spreads[s], 0.1) for s in range(STRATA)])

    def within(scores: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        stratum = stratum_of(predicted, prediction.real)
        return (scores - means[stratum]) / spreads[stratum] - low[stratum]  # 0 is the threshold of every stratum

    generated = [within(a, b) for a, b in zip(critic.generated, prediction.generated, strict=True)]
    return CrossFitted(within(critic.real, prediction.real), generated, {})
