"""Fit the held-out realism: `python -m toccata.reward_models.judges.fit_held_out_realism OUT`.

The model card names the folders of the shipped weights. It takes some minutes on a CPU.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from toccata.reward_models.judges.ensemble import fit_ensemble
from toccata.reward_models.judges.features import piece_features
from toccata.reward_models.judges.note_judges import HeldOutRealism
from toccata.reward_models.negatives.pools import Pools, read_pools
from toccata.stats import Interval, auc_interval

BARS = 8
REALISM_STEPS = 2000

Features = dict[str, np.ndarray]  # (n, FEATURE_COUNT) each, by source or kind


def features_of(pools: Pools, title: str) -> tuple[Features, dict[str, Features]]:
    """Features of real music by source, and of the negatives by family and kind."""
    real = {source: [piece_features(score) for score in each] for source, each in pools.real.items()}
    fakes: dict[str, dict[str, np.ndarray]] = {}
    for family, kind, pieces in track(list(pools.kinds()), f"features, {title}"):
        if len(pieces):
            fakes.setdefault(family, {})[kind] = np.stack([piece_features(score) for score in pieces])
    return {source: np.stack(each) for source, each in real.items()}, fakes


def counts(real: Features, fakes: dict[str, Features]) -> dict[str, int]:
    """Pieces of each source and kind."""
    kinds = {kind: rows for each in fakes.values() for kind, rows in each.items()}
    return {name: len(rows) for name, rows in (real | kinds).items()}


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
    """Fit, measure on what was held out, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the weights")
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
    (real, fakes), (test_real, test_fakes) = (
        features_of(
            read_pools(
                options.real,
                options.fake,
                splits,
                bars=BARS,
                per_source=count,
                per_kind=count,
                rng=rng,
                per_work=1,
            ),
            "+".join(splits),
        )
        for splits, count in ((("train",), options.count), (("valid", "test"), options.count // 2))
    )
    of_real = list(real.values())

    def aucs(judge: HeldOutRealism, kinds: Features) -> dict[str, dict[str, list[float]]]:
        """By kind and source of real music: AUC, low and high of its 95 % interval."""
        logits = {name: judge.ensemble.predict(rows) for name, rows in test_real.items()}
        logits["all"] = np.concatenate(list(logits.values()))
        found = {kind: judge.ensemble.predict(rows) for kind, rows in kinds.items()}
        return {
            kind: {
                name: [round(number, 3) for number in auc_interval(each, of_fakes, rng)]
                for name, each in logits.items()
            }
            for kind, of_fakes in found.items()
        }

    table = {}
    for family, kinds in test_fakes.items():
        table[family] = aucs(fit_realism(of_real, fakes, [family, *options.leave_out], options.seed), kinds)
        for kind, by_source in table[family].items():
            print(f"{kind}, {family} kept out: AUC {Interval(*by_source['all'])}", flush=True)
    judge = fit_realism(of_real, fakes, options.leave_out, options.seed)
    shipped = aucs(judge, {kind: rows for kinds in test_fakes.values() for kind, rows in kinds.items()})
    about = {
        "auc_of_families_kept_out": table,
        "auc_of_the_shipped": shipped,
        "left_out": options.leave_out,
        "pieces": {"fitted": counts(real, fakes), "held_out": counts(test_real, test_fakes)},
    }
    judge.save(options.out, about)
    print(json.dumps(about, indent=2))


if __name__ == "__main__":
    main()
