"""Fit the shipped weights of the discriminator: real pieces against synthetic negatives.

`python -m toccata.reward_models.realism.fit OUT` uses music21's corpus; the model card names the further corpora
of the shipped weights. Training runs start from these weights.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from toccata.envs.codec import encode
from toccata.envs.pieces import Pieces
from toccata.music.corpus import Corpus, Work, load_corpus
from toccata.music.score import Score
from toccata.reward_models.realism.model import BATCH, Realism
from toccata.reward_models.realism.negatives import CORRUPTIONS, corrupt, markov_pieces, random_pieces
from toccata.reward_models.realism.roll_windows import random_windows
from toccata.stats import auc

BARS = 8
PER_SOURCE = 2000  # real pieces of each source in the training set, at most
PER_KIND = 800  # negatives of each kind in the training set
HELD_OUT = 200  # held-out pieces of each source, at most, and negatives of each kind
LEARNING_RATES = 1e-3, 1e-4  # first and last step of a cosine schedule

Pools = Mapping[str, Sequence[Score]]  # pieces of 8 bars by source or kind


def sample_excerpts(corpus: Corpus, limit: int, rng: np.random.Generator) -> list[Score]:
    """At most `limit` random excerpts of 8 bars, encoded and played by the instrument."""
    excerpts = []
    for index in rng.permutation(len(corpus)).tolist():
        score = encode(corpus.works[index].score)[1].score
        length = BARS * score.ticks_per_bar
        starts = range(0, score.length_ticks - length + 1, length)
        excerpts += [excerpt for start in starts if len(excerpt := score.slice(start, start + length))]
        if len(excerpts) >= 2 * limit:  # enough works that no long one dominates
            break
    return [excerpts[index] for index in rng.permutation(len(excerpts))[:limit].tolist()]


def synthetic_negatives(real: Pools, count: int, rng: np.random.Generator) -> dict[str, list[Score]]:
    """At least `count` negatives of each kind, from every source equally, so that style separates no class."""
    mixed = [piece for pieces in real.values() for piece in _sample(pieces, -(-count // len(real)), rng)]
    negatives = {name: corrupt(name, mixed, rng) for name in CORRUPTIONS}
    negatives["markov_play"] = markov_pieces(count, BARS, mixed, rng)
    negatives["random_play"] = random_pieces(count, BARS, rng)
    return negatives


def fit_discriminator(real: Pools, negatives: Pools, steps: int, seed: int) -> Realism:
    """Fit a discriminator; within each class every source or kind has the same weight."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    realism = Realism()
    high, low = LEARNING_RATES
    for step in range(steps):
        for group in realism.optimizer.param_groups:
            group["lr"] = low + (high - low) * (1 + np.cos(np.pi * step / steps)) / 2
        batches = []
        for pools in (real, negatives):
            counts = np.bincount(np.arange(BATCH) % len(pools), minlength=len(pools))
            order = rng.permutation(len(pools))
            names = [list(pools)[index] for index in order]
            batches.append(
                [random_windows(pools[name], int(n), rng) for name, n in zip(names, counts, strict=True) if n]
            )
        loss = realism.train_on_windows(*batches)
        if step % 50 == 0:
            print(f"step {step:5d}  loss {float(loss):.3f}", flush=True)
    return realism


def held_out_metrics(realism: Realism, real: Pools, negatives: Pools) -> dict[str, dict[str, float]]:
    """`mean_reward` and `mean_logit` of each pool, and the `auc` of all real pieces against each kind of negatives."""
    logits = {name: realism.logits(Pieces(pieces)) for name, pieces in {**real, **negatives}.items()}
    rewards = {name: realism.score(Pieces(pieces)) for name, pieces in {**real, **negatives}.items()}
    real_logits = np.concatenate([logits[name] for name in real])
    return {
        "mean_reward": {name: round(float(values.mean()), 3) for name, values in rewards.items()},
        "mean_logit": {name: round(float(values.mean()), 3) for name, values in logits.items()},
        "auc": {name: round(auc(real_logits, logits[name]), 3) for name in negatives},
    }


def _split_works(corpus: Corpus, splits: Sequence[str]) -> list[Work]:
    """The works of several splits of a corpus."""
    return [work for split in splits for work in corpus.split(split)]


def _sample(pieces: Sequence[Score], count: int, rng: np.random.Generator) -> list[Score]:
    """`count` of the pieces, without replacement while there are enough."""
    order = np.concatenate([rng.permutation(len(pieces)) for _ in range(-(-count // len(pieces)))])
    return [pieces[index] for index in order[:count].tolist()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, evaluate on held-out works, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the weights")
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="folders of more real pieces")
    parser.add_argument("--licence", help="of --real, use only pieces with this licence, or none, in metadata.csv")
    parser.add_argument("--fake", type=Path, help="folder of further negatives, such as pieces of another model")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rng = np.random.default_rng(options.seed)
    started = perf_counter()

    corpora = {"chorales": load_corpus("bach"), "folk": load_corpus("folk")}
    for folder in options.real:
        corpora[folder.name] = load_corpus(folder, genre="classical")
    pools: dict[str, dict[str, list[Score]]] = {}
    works = {}
    for name, splits, per_source, per_kind in (
        ("fit", ("train",), PER_SOURCE, PER_KIND),
        ("held out", ("valid", "test"), HELD_OUT, HELD_OUT),
    ):
        real = {}
        for source, corpus in corpora.items():
            licensed = [
                work
                for work in _split_works(corpus, splits)
                if options.licence in (None, work.licence) or not work.licence
            ]
            works[f"{name}: {source}"] = len(licensed)
            real[source] = sample_excerpts(Corpus(source, tuple(licensed)), per_source, rng)
        pools[f"{name} real"] = real
        pools[f"{name} fakes"] = synthetic_negatives(real, per_kind, rng)
        if options.fake:
            hard = _split_works(load_corpus(options.fake, genre="fake"), splits)
            pools[f"{name} fakes"][options.fake.name] = sample_excerpts(Corpus("", tuple(hard)), per_kind, rng)
    counts = {name: {source: len(pieces) for source, pieces in pool.items()} for name, pool in pools.items()}
    print(json.dumps(counts, indent=2), f"{perf_counter() - started:.0f} s", flush=True)

    realism = fit_discriminator(pools["fit real"], pools["fit fakes"], options.steps, options.seed)
    notes = {
        "steps": options.steps,
        "seed": options.seed,
        "works": works,
        "pieces": counts,
        "held_out": held_out_metrics(realism, pools["held out real"], pools["held out fakes"]),
    }
    realism.save(options.out, training=False, notes=notes)
    print(json.dumps(notes["held_out"], indent=2), f"{perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
