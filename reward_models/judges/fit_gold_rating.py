"""Fit the gold rating: `python -m toccata.reward_models.judges.fit_gold_rating OUT --preferences TABLE`.

The model card names the preferences and the folders of the shipped weights. It takes some minutes on a CPU.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from toccata.envs.codec import encode
from toccata.envs.pieces import Pieces
from toccata.music.score import Score
from toccata.reward_models.judges.ensemble import FeatureEnsemble, fit_ensemble
from toccata.reward_models.judges.features import highest_notes, piece_features
from toccata.reward_models.judges.note_judges import (
    FEWEST_NOTES,
    PASSAGE_BEATS,
    PASSAGE_FEATURES,
    GoldRating,
    NoteJudge,
    passage_features,
    support_of,
)
from toccata.reward_models.negatives.pools import Pools, read_pools
from toccata.reward_models.negatives.rules import repeated_note
from toccata.reward_models.preferences import group_folds, read_preferences
from toccata.stats import spearman

BARS = 8
SHORT, *LONG = 8, 16, PASSAGE_BEATS  # beats of passages
POPULARITY_STEPS = 400  # 1,500 overfit
SUPPORT_STEPS = 1000
MIN_NOTES = 8
FOLDS = 5
EXCERPTS = 4  # of one work
SIMILAR = (
    "shuffled_pitches",
    "wrong_notes",
    "transposed_upper_notes",
    "shuffled_rhythm",
    "shuffled_bars",
    "random_walk",
)
"""Kinds whose melodies are too much like real ones: an ensemble that is fitted to them doubts real melodies."""
BRIEFLY_MUSIC = ("alternating_notes", "ostinato", "scale_runs", "block_chords", "repeated_figure")
"""Kinds that two bars of real melodies are like, but no longer passage; short ones are not fitted to."""
SHORT_WEIGHT = 0.1  # of short passages of the other kinds, each long one having 1
SHARES = {SHORT: 0.2, **dict.fromkeys(LONG, 0.4)}  # of the excerpts of real works, by beats of the passage
ONCE, TWICE = 0.3, 0.2  # shares of the melodies of the table, alone and twice in turn, among real passages

Passages = Mapping[int, np.ndarray]  # (n, PASSAGE_FEATURES) by beats
Families = Mapping[str, Mapping[str, Passages]]  # by family and kind


def melodies_of(path: Path) -> tuple[list[Score], np.ndarray, list[str]]:
    """The melodies of a table, their popularity (n,) in standard deviations, and their groups."""
    scores, values, groups = [], [], []
    for preference in read_preferences(path).preferences:
        score = preference.load(64)
        if isinstance(score, Score) and len(score) >= MIN_NOTES and np.ptp(score.notes["pitch"]):
            scores.append(score)
            values.append(preference.popularity)
            groups.append(preference.group)
    popularity = np.array(values)
    return scores, (popularity - popularity.mean()) / popularity.std(), groups


def twice(score: Score) -> Score:
    """A score, and the same again."""
    again = score.notes.copy()
    again["onset_tick"] += score.length_ticks
    return replace(score, notes=np.concatenate([score.notes, again]), length_ticks=2 * score.length_ticks)


def passages_of(scores: Sequence[Score], rng: np.random.Generator) -> dict[int, np.ndarray]:
    """Features of one random passage of each length in beats, (n, `PASSAGE_FEATURES`), of the scores that have one.

    A passage begins at a bar line; of a score that is shorter by up to a quarter it is the whole.
    """
    found = {}
    for beats in (SHORT, *LONG):
        rows = []
        for score in scores:
            length = beats * score.ticks_per_beat
            if score.length_ticks < 0.75 * length:
                continue
            bar = score.ticks_per_bar
            start = int(rng.integers(max(0, score.length_ticks - length) // bar + 1)) * bar
            passage = score.slice(start, min(start + length, score.length_ticks))
            if len(passage) >= FEWEST_NOTES:
                rows.append(passage_features(passage))
        found[beats] = np.array(rows).reshape(-1, PASSAGE_FEATURES)
    return found


def fit_popularity(features: np.ndarray, popularity: np.ndarray, seed: int) -> FeatureEnsemble:
    """Fit (n, `FEATURE_COUNT`) features of melodies to their popularity (n,)."""
    return fit_ensemble(features, popularity, logistic=False, steps=POPULARITY_STEPS, seed=seed)


def fit_support(
    once: np.ndarray,
    repeated: np.ndarray,
    real: Mapping[str, Passages],
    negatives: Families,
    left_out: str | None,
    seed: int,
) -> FeatureEnsemble:
    """Fit the log-odds that a person wrote a melody.

    Args:
        once: (n, `PASSAGE_FEATURES`) of the melodies of the table.
        repeated: the same twice in turn, as real music repeats melodies.
        real: passages of real music by source, each source with one weight.
        negatives: by family and kind, each family with one weight.
        left_out: a family that is not fitted to.
        seed: of the fit.
    """
    parts = [(1.0, once, 0.5 * ONCE), (1.0, repeated, 0.5 * TWICE)]
    for passages in real.values():
        parts += [
            (1.0, passages[beats], 0.5 * (1 - ONCE - TWICE) * share / len(real)) for beats, share in SHARES.items()
        ]
    families = {family: kinds for family, kinds in negatives.items() if family != left_out}
    for kinds in families.values():
        of_family = [
            (passages[beats], SHORT_WEIGHT if beats == SHORT else 1.0)
            for kind, passages in kinds.items()
            for beats in (SHORT, *LONG)
            if not (beats == SHORT and kind in BRIEFLY_MUSIC)
        ]
        total = sum(weight for _, weight in of_family)
        parts += [(0.0, rows, 0.5 * weight / total / len(families)) for rows, weight in of_family]
    parts = [part for part in parts if len(part[1])]
    features = np.concatenate([rows for _, rows, _ in parts])
    targets = np.concatenate([np.full(len(rows), label) for label, rows, _ in parts])
    weights = np.concatenate([np.full(len(rows), share / len(rows)) for _, rows, share in parts])
    return fit_ensemble(features, targets, logistic=True, steps=SUPPORT_STEPS, seed=seed, weights=weights)


def pools_of(real: Sequence[str], splits: Sequence[str], count: int, per_work: int, rng: np.random.Generator) -> Pools:
    """Excerpts of real music, and negatives: the synthetic families, and one repeated note."""
    pools = read_pools(
        real, [], splits, bars=BARS, per_source=per_work * count, per_kind=count, rng=rng, per_work=per_work
    )
    repeated = [encode(repeated_note(BARS, rng))[1].score for _ in range(count)]
    return Pools(pools.real, {**pools.fakes, "repeated": {repeated_note.__name__: repeated}})


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, measure on what was held out, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the weights")
    parser.add_argument("--preferences", type=Path, required=True, help="table of melodies with their popularity")
    parser.add_argument("--real", nargs="*", default=["bach", "folk"], help="corpora and folders of real music")
    parser.add_argument("--count", type=int, default=200, help="pieces of each kind; of real music four times as many")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rng = np.random.default_rng(options.seed)
    melodies, popularity, groups = melodies_of(options.preferences)
    features = np.stack([piece_features(highest_notes(score)) for score in track(melodies, "features of melodies")])
    once, repeated = (
        np.stack([passage_features(score) for score in track(scores, "passages of melodies")])
        for scores in (melodies, [twice(score) for score in melodies])
    )
    fitted = pools_of(options.real, ["train"], options.count, EXCERPTS, rng)
    held_out = pools_of(options.real, ["valid", "test"], options.count // 2, 1, rng)
    real = {source: passages_of(each, rng) for source, each in track(list(fitted.real.items()), "real passages")}
    negatives: dict[str, dict[str, Passages]] = {}
    for family, kind, pieces in track(list(fitted.kinds()), "passages of negatives"):
        if kind not in SIMILAR:
            negatives.setdefault(family, {})[kind] = passages_of(pieces, rng)

    folds = group_folds(groups, FOLDS, options.seed)
    predicted, support, support_twice = np.zeros((3, len(popularity)))
    for fold in track(range(FOLDS), "folds"):
        rest, rows = folds != fold, folds == fold
        predicted[rows] = fit_popularity(features[rest], popularity[rest], options.seed).predict(features[rows])
        ensemble = fit_support(once[rest], repeated[rest], real, negatives, None, options.seed)
        support[rows] = support_of(ensemble.predict(once[rows]))
        support_twice[rows] = support_of(ensemble.predict(repeated[rows]))
    above = predicted.clip(GoldRating.least, GoldRating.most) - GoldRating.least

    of_melody = fit_popularity(features, popularity, options.seed)
    judges = {
        left_out: GoldRating(of_melody, fit_support(once, repeated, real, negatives, left_out, options.seed))
        for left_out in track([None, *negatives], "families left out")
    }
    means = {}
    for family, kind, pieces in [*(("real", name, each) for name, each in held_out.real.items()), *held_out.kinds()]:
        judge = judges[None]
        popularities = [each.mean() for each in NoteJudge.window_scores(judge, Pieces(pieces))]
        two_bars = [piece.slice(0, 2 * piece.ticks_per_bar) for piece in pieces]
        means[kind] = {
            "pieces": len(pieces),
            "popularity": round(float(np.mean(popularities)), 2),
            "score": round(float(judge.score(Pieces(pieces)).mean()), 2),
            "score_of_two_bars": round(float(judge.score(Pieces(two_bars)).mean()), 2),
        }
        if family in judges:
            means[kind]["family_left_out"] = round(float(judges[family].score(Pieces(pieces)).mean()), 2)
        print(kind, means[kind], flush=True)
    about = {
        "melodies": len(groups),
        "contours": len(set(groups)),
        "rank_correlation": round(spearman(support * above, popularity), 3),
        "rank_correlation_of_melodies_twice_in_turn": round(spearman(support_twice * above, popularity), 3),
        "rank_correlation_of_popularity_alone": round(spearman(predicted, popularity), 3),
        "share_of_melodies_with_support_over_half": {
            "once": round(float((support > 0.5).mean()), 3),
            "twice": round(float((support_twice > 0.5).mean()), 3),
        },
        "means_of_held_out_pieces": means,
    }
    judges[None].save(options.out, about)
    print(json.dumps(about, indent=2))


if __name__ == "__main__":
    main()
