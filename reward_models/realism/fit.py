"""Fit the shipped weights of the discriminator: real pieces against negatives of many generator families.

`python -m toccata.reward_models.realism.fit OUT` uses music21's corpus; the model card names the further corpora
of the shipped weights. Training runs start from these weights.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from toccata.envs.pieces import Pieces
from toccata.reward_models.negatives.pools import Pools, read_pools
from toccata.reward_models.realism.model import BATCH, Realism, cross_entropy, reward_of_logits
from toccata.reward_models.realism.roll_windows import random_windows
from toccata.stats import auc_interval

BARS = 8
PER_SOURCE = 2000  # real pieces of each source in the training set, at most
PER_KIND = 800  # negatives of each kind in the training set
HELD_OUT = 200  # held-out pieces of each source, at most, and negatives of each kind
LEARNING_RATES = 1e-3, 2e-5  # first and last step of a cosine schedule
EASY = 0.1  # nats that are added to the loss of a kind, so that those already recognised are not forgotten
MEMORY = 0.9  # of the running mean of the loss of a kind


def fit_discriminator(
    pools: Pools,
    steps: int,
    seed: int,
    *,
    start: Realism | None = None,
    learning_rates: tuple[float, float] = LEARNING_RATES,
) -> Realism:
    """Fit a discriminator.

    Of the real windows of a batch every source has the same share. The others are drawn from the kinds of negatives in
    proportion to the running mean of their loss, so that most are of kinds that are not recognised yet.

    Args:
        pools: pieces of both classes.
        steps: training steps of `BATCH` windows of each class.
        seed: of the initial weights and the batches.
        start: weights to start from, which are changed; by default random ones.
        learning_rates: of the first and last step.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    realism = Realism() if start is None else start
    kinds = [pieces for _, _, pieces in pools.kinds() if len(pieces)]
    losses = np.ones(len(kinds))
    high, low = learning_rates
    for step in track(range(steps), "fit of the discriminator"):
        for group in realism.optimizer.param_groups:
            group["lr"] = low + (high - low) * (1 + np.cos(np.pi * step / steps)) / 2
        counts = np.bincount(np.arange(BATCH) % len(pools.real), minlength=len(pools.real))
        real = [
            random_windows(pieces, int(n), rng)
            for pieces, n in zip(pools.real.values(), rng.permutation(counts), strict=True)
            if n
        ]
        drawn = np.sort(rng.choice(len(kinds), BATCH, p=(losses + EASY) / (losses + EASY).sum()))
        numbers, counts = np.unique(drawn, return_counts=True)
        fakes = [random_windows(kinds[number], int(n), rng) for number, n in zip(numbers, counts, strict=True)]
        logits = realism.train_on_windows(real, fakes)[BATCH:]
        each = cross_entropy(logits, False, reduction="none").numpy()
        for number in numbers:
            losses[number] += (1 - MEMORY) * (each[drawn == number].mean() - losses[number])
    return realism


def held_out_metrics(realism: Realism, pools: Pools, rng: np.random.Generator) -> dict[str, dict]:
    """`mean_reward` of each source and kind, and the `auc` with its interval of all real pieces against each kind."""
    logits = {name: realism.logits(Pieces(pieces)) for name, pieces in pools.real.items()}
    real_logits = np.concatenate(list(logits.values()))
    aucs = {}
    for _, kind, pieces in pools.kinds():
        logits[kind] = realism.logits(Pieces(pieces))
        aucs[kind] = [round(each, 3) for each in auc_interval(real_logits, logits[kind], rng)]
    rewards = {name: reward_of_logits(values).mean() for name, values in logits.items()}
    return {"mean_reward": {name: round(float(value), 3) for name, value in rewards.items()}, "auc": aucs}


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, evaluate on held-out works, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the weights")
    parser.add_argument("--real", nargs="*", default=["bach", "folk"], help="corpora and folders of real music")
    parser.add_argument("--licence", help="of --real, use only pieces with this licence, or none, in metadata.csv")
    parser.add_argument(
        "--fake", nargs="*", default=[], metavar="FAMILY=FOLDER", help="further pieces that no person wrote, by family"
    )
    parser.add_argument("--leave-out", nargs="*", default=[], metavar="FAMILY", help="families not fitted to")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rng = np.random.default_rng(options.seed)
    fitted, held_out = (
        read_pools(
            options.real,
            options.fake,
            splits,
            bars=BARS,
            per_source=per_source,
            per_kind=per_kind,
            rng=rng,
            licence=options.licence,
        )
        for splits, per_source, per_kind in (
            (("train",), PER_SOURCE, PER_KIND),
            (("valid", "test"), HELD_OUT, HELD_OUT),
        )
    )
    realism = fit_discriminator(fitted.without(options.leave_out), options.steps, options.seed)
    notes = {
        "steps": options.steps,
        "seed": options.seed,
        "left_out": options.leave_out,
        "pieces": {name: pools.counts() for name, pools in (("fitted", fitted), ("held_out", held_out))},
        "held_out": held_out_metrics(realism, held_out, rng),
    }
    realism.save(options.out, training=False, notes=notes)
    print(json.dumps(notes, indent=2))


if __name__ == "__main__":
    main()
