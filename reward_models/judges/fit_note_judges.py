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

from toccata.envs.codec import encode
from toccata.envs.pieces import Pieces
from toccata.music.corpus import Corpus, load_corpus
from toccata.music.score import Score
from toccata.reward_models.judges.ensemble import fit_ensemble
from toccata.reward_models.judges.features import piece_features, skyline
from toccata.reward_models.judges.note_judges import GoldRating, HeldOutRealism
from toccata.reward_models.judges.zoo import RULES, flattened, rule_pieces, zoo
from toccata.reward_models.preferences import group_folds, read_preferences
from toccata.reward_models.realism.negatives import corrupt
from toccata.stats import auc

BARS = 8
GOLD_STEPS = 400  # 1,500 overfit
REALISM_STEPS = 2000
MIN_NOTES = 8
FOLDS = 5
NEGATIVE_TARGET = -2.0  # standard deviations: of melodies that nobody would enter
NEGATIVE_KINDS = ("shuffled_pitches", "wrong_notes", "repeated_figure")
NEGATIVE_SHARE = 0.15


def melody_features(path: Path, seed: int) -> tuple[np.ndarray, np.ndarray, list[str], list[Score]]:
    """Features (n, k), popularity (n,) in standard deviations, groups and scores of the melodies of a table."""
    scores, values, groups = [], [], []
    for preference in read_preferences(path).preferences:
        score = preference.load(64)
        if isinstance(score, Score) and len(score) >= MIN_NOTES and np.ptp(score.notes["pitch"]):
            scores.append(score)
            values.append(preference.popularity)
            groups.append(preference.group)
    features = np.stack([piece_features(skyline(score)) for score in track(scores, "features of melodies")])
    popularity = np.array(values)
    return features, (popularity - popularity.mean()) / popularity.std(), groups, scores


def negative_melodies(scores: Sequence[Score], rng: np.random.Generator) -> list[Score]:
    """Melodies that are none: corrupted ones and those of rules, of two bars."""
    some = [scores[i] for i in rng.permutation(len(scores))[: len(scores) // 6]]
    corrupted = [melody for kind in NEGATIVE_KINDS for melody in corrupt(kind, some, rng)]
    return corrupted + [
        piece for name in ("alternating_notes", "random_walk") for piece in rule_pieces(name, len(some) // 2, 2, rng)
    ]


def fit_gold(path: Path, seed: int) -> tuple[GoldRating, dict]:
    """The gold rating fitted to all melodies, and its rank correlation with popularity in folds of contours."""
    features, popularity, groups, scores = melody_features(path, seed)
    rng = np.random.default_rng(seed)
    negatives = np.stack([piece_features(skyline(score)) for score in negative_melodies(scores, rng)])
    folds = group_folds(groups, FOLDS, seed)

    def fitted(rows: np.ndarray) -> GoldRating:
        weights = np.concatenate(
            [
                np.full(len(rows), (1 - NEGATIVE_SHARE) / len(rows)),
                np.full(len(negatives), NEGATIVE_SHARE / len(negatives)),
            ]
        )
        targets = np.concatenate([popularity[rows], np.full(len(negatives), NEGATIVE_TARGET)])
        ensemble = fit_ensemble(
            np.concatenate([features[rows], negatives]),
            targets,
            logistic=False,
            steps=GOLD_STEPS,
            seed=seed,
            weights=weights,
        )
        return GoldRating(ensemble)

    predicted = np.zeros(len(popularity))
    for fold in range(FOLDS):
        rows = np.flatnonzero(folds == fold)
        predicted[rows] = fitted(np.flatnonzero(folds != fold)).ensemble.predict(features[rows])
    about = {
        "melodies": len(scores),
        "contours": len(set(groups)),
        "negatives": len(negatives),
        "rank_correlation": round(float(spearmanr(predicted, popularity)[0]), 3),
    }
    return fitted(np.arange(len(scores))), about


def excerpts(corpus: Corpus, limit: int, rng: np.random.Generator) -> list[Score]:
    """Excerpts of eight bars, one of each work at most, as the instrument plays them."""
    found: list[Score] = []
    for index in rng.permutation(len(corpus)):
        score = encode(corpus.works[index].score)[1].score
        length = BARS * score.ticks_per_bar
        starts = range(0, score.length_ticks - length + 1, score.ticks_per_bar)
        if starts and len(excerpt := score.slice(start := int(rng.choice(starts)), start + length)) > MIN_NOTES:
            found.append(excerpt)
        if len(found) == limit:
            break
    return found


def fit_realism(
    real: Sequence[np.ndarray], fakes: dict[str, dict[str, np.ndarray]], left_out: Sequence[str], seed: int
) -> HeldOutRealism:
    """Fit on features of real music, each source with one weight, against those of the zoo without some families."""
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

    features: dict[str, dict] = {}
    for split in ("train", "test"):
        count = options.count if split == "train" else options.count // 4
        corpora = {
            Path(name).name: load_corpus(name, genre="classical" if Path(name).is_dir() else None)
            for name in options.real
        }
        real = {name: excerpts(corpus.split(split), count, rng) for name, corpus in corpora.items()}
        families = zoo([score for scores in real.values() for score in scores], count, BARS, rng)
        for entry in options.fake:
            family, _, folder = entry.partition("=")
            scores = excerpts(load_corpus(folder, genre="classical").split(split), count, rng)
            families.setdefault(family, {})[Path(folder).name] = scores
        of_fakes: dict[str, dict[str, np.ndarray]] = {}
        for family, kind, score in track(flattened(families), f"features, {split}"):
            of_fakes.setdefault(family, {}).setdefault(kind, []).append(piece_features(score))  # type: ignore[union-attr]
        features[split] = {
            "real": {name: np.stack([piece_features(score) for score in scores]) for name, scores in real.items()},
            "fakes": {f: {k: np.stack(rows) for k, rows in kinds.items()} for f, kinds in of_fakes.items()},
        }

    real, fakes = list(features["train"]["real"].values()), features["train"]["fakes"]
    test_real = np.concatenate(list(features["test"]["real"].values()))
    table = {}
    for family, kinds in features["test"]["fakes"].items():
        judge = fit_realism(real, fakes, [family, *options.leave_out], options.seed)
        logits = judge.ensemble.predict(test_real)
        table[family] = {kind: round(auc(logits, judge.ensemble.predict(rows)), 3) for kind, rows in kinds.items()}
        print(family, "kept out:", table[family], flush=True)
    judge = fit_realism(real, fakes, options.leave_out, options.seed)
    logits = judge.ensemble.predict(test_real)
    shipped = {
        kind: round(auc(logits, judge.ensemble.predict(rows)), 3)
        for kinds in features["test"]["fakes"].values()
        for kind, rows in kinds.items()
    }
    about = {"auc_of_families_kept_out": table, "auc_of_the_shipped": shipped, "left_out": options.leave_out}
    judge.save(options.out / HeldOutRealism.name, about)
    print(json.dumps(about, indent=2))


if __name__ == "__main__":
    main()
