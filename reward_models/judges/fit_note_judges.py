"""Fit the gold rating and the held-out realism: `python -m toccata.reward_models.judges.fit_note_judges OUT`.

The model cards name the preferences and the folders of the shipped weights. It takes some minutes on a CPU.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from scipy.stats import spearmanr

from toccata.music.score import Score
from toccata.reward_models.judges.ensemble import fit_ensemble
from toccata.reward_models.judges.features import piece_features, skyline
from toccata.reward_models.judges.note_judges import GoldRating, HeldOutRealism
from toccata.reward_models.negatives.pools import Pools, read_pools
from toccata.reward_models.preferences import group_folds, read_preferences
from toccata.stats import auc

BARS = 8
GOLD_STEPS = 400  # 1,500 overfit
REALISM_STEPS = 2000
MIN_NOTES = 8
FOLDS = 5

Features = dict[str, np.ndarray]  # (n, FEATURE_COUNT) each, by source or kind


def melody_features(path: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Features (n, k), popularity (n,) in standard deviations, and groups of the melodies of a table."""
    scores, values, groups = [], [], []
    for preference in read_preferences(path).preferences:
        score = preference.load(64)
        if isinstance(score, Score) and len(score) >= MIN_NOTES and np.ptp(score.notes["pitch"]):
            scores.append(score)
            values.append(preference.popularity)
            groups.append(preference.group)
    features = np.stack([piece_features(skyline(score)) for score in track(scores, "features of melodies")])
    popularity = np.array(values)
    return features, (popularity - popularity.mean()) / popularity.std(), groups


def fit_gold(path: Path, seed: int) -> tuple[GoldRating, dict]:
    """The gold rating fitted to all melodies, and its rank correlation with popularity in folds of contours."""
    features, popularity, groups = melody_features(path)
    folds = group_folds(groups, FOLDS, seed)

    def fitted(rows: np.ndarray) -> GoldRating:
        return GoldRating(fit_ensemble(features[rows], popularity[rows], logistic=False, steps=GOLD_STEPS, seed=seed))

    predicted = np.zeros(len(popularity))
    for fold in range(FOLDS):
        rows = np.flatnonzero(folds == fold)
        predicted[rows] = fitted(np.flatnonzero(folds != fold)).ensemble.predict(features[rows])
    about = {
        "melodies": len(groups),
        "contours": len(set(groups)),
        "rank_correlation": round(float(spearmanr(predicted, popularity)[0]), 3),
    }
    return fitted(np.arange(len(groups))), about


def features_of(pools: Pools, title: str) -> tuple[Features, dict[str, Features]]:
    """Features of real music by source, and of the negatives by family and kind."""
    real = {source: [piece_features(score) for score in each] for source, each in pools.real.items()}
    fakes: dict[str, dict[str, np.ndarray]] = {}
    for family, kind, pieces in track(list(pools.kinds()), f"features, {title}"):
        if len(pieces):
            fakes.setdefault(family, {})[kind] = np.stack([piece_features(score) for score in pieces])
    return {source: np.stack(each) for source, each in real.items()}, fakes


def fit_realism(
    real: Sequence[np.ndarray], fakes: dict[str, Features], left_out: Sequence[str], seed: int
) -> HeldOutRealism:
    """Fit on features of real music, each source with one weight, against those of negatives without some families."""
    families = {family: kinds for family, kinds in fakes.items() if family not in left_out}
    parts = [(1.0, each, 0.5 / len(real)) for each in real]
    for kinds in families.values():
        parts += [(0.0, each, 0.5 / len(families) / len(kinds)) for each in kinds.values()]
    features = np.concatenate([each for _, each, _ in parts])
    targets = np.concatenate([np.full(len(each), label) for label, each, _ in parts])
    weights = np.concatenate([np.full(len(each), share / len(each)) for _, each, share in parts])
    return HeldOutRealism(
        fit_ensemble(features, targets, logistic=True, steps=REALISM_STEPS, seed=seed, weights=weights)
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit both, measure them on what was held out, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the weights, one folder in it for each judge")
    parser.add_argument("--preferences", type=Path, help="table of melodies; without it no gold rating is fitted")
    parser.add_argument("--real", nargs="*", default=["bach", "folk"], help="corpora and folders of real music")
    parser.add_argument(
        "--fake", nargs="*", default=[], metavar="FAMILY=FOLDER", help="further pieces that no person wrote, by family"
    )
    parser.add_argument("--leave-out", nargs="*", default=[], metavar="FAMILY", help="families not fitted to")
    parser.add_argument("--count", type=int, default=400, help="pieces of each kind and source")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rng = np.random.default_rng(options.seed)
    if options.preferences is not None:
        gold, about = fit_gold(options.preferences, options.seed)
        gold.save(options.out / GoldRating.name, about)
        print(json.dumps(about, indent=2), flush=True)

    (real, fakes), (test_real, test_fakes) = (
        features_of(
            read_pools(
                options.real,
                options.fake,
                [split],
                bars=BARS,
                per_source=count,
                per_kind=count,
                rng=rng,
                per_work=1,
            ),
            split,
        )
        for split, count in (("train", options.count), ("test", options.count // 4))
    )
    of_real = list(real.values())

    def aucs(judge: HeldOutRealism, kinds: Features) -> dict[str, dict[str, float]]:
        """By kind and source of real music."""
        logits = {name: judge.ensemble.predict(rows) for name, rows in test_real.items()}
        logits["all"] = np.concatenate(list(logits.values()))
        found = {kind: judge.ensemble.predict(rows) for kind, rows in kinds.items()}
        return {
            kind: {name: round(auc(each, of_fakes), 3) for name, each in logits.items()}
            for kind, of_fakes in found.items()
        }

    table = {}
    for family, kinds in test_fakes.items():
        table[family] = aucs(fit_realism(of_real, fakes, [family, *options.leave_out], options.seed), kinds)
        print(family, "kept out:", table[family], flush=True)
    judge = fit_realism(of_real, fakes, options.leave_out, options.seed)
    shipped = aucs(judge, {kind: rows for kinds in test_fakes.values() for kind, rows in kinds.items()})
    about = {"auc_of_families_kept_out": table, "auc_of_the_shipped": shipped, "left_out": options.leave_out}
    judge.save(options.out / HeldOutRealism.name, about)
    print(json.dumps(about, indent=2))


if __name__ == "__main__":
    main()
