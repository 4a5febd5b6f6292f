"""Fit the discriminator's first weights: real pieces against spoilt ones and play that was never music.

`python -m toccata.reward_models.realism.fit OUT` does it with music21's corpus; the weights that come with Toccata
also heard what their model card names. In a training run they are where the discriminator starts.
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
PER_SOURCE = 2000  # real pieces of each source that are fitted on, at most
PER_KIND = 800  # fakes of each kind that are fitted on
HELD_OUT = 200  # pieces of each source that it is measured on, and fakes of each kind
LEARNING_RATES = 1e-3, 1e-4  # from the first step to the last, along half a cosine

Pools = Mapping[str, Sequence[Score]]  # pieces of 8 bars by their source or kind


def slices(corpus: Corpus, most: int, rng: np.random.Generator) -> list[Score]:
    """At most `most` stretches of 8 bars, at random, as the instrument plays them."""
    found = []
    for index in rng.permutation(len(corpus)).tolist():
        score = encode(corpus.works[index].score)[1].score
        length = BARS * score.ticks_per_bar
        starts = range(0, score.length_ticks - length + 1, length)
        found += [piece for start in starts if len(piece := score.slice(start, start + length))]
        if len(found) >= 2 * most:  # enough works that no long one dominates
            break
    return [found[index] for index in rng.permutation(len(found))[:most].tolist()]


def fakes_like(real: Pools, count: int, rng: np.random.Generator) -> dict[str, list[Score]]:
    """`count` fakes of each kind, made evenly from every source of real pieces, so that style tells nothing."""
    mixed = [piece for pieces in real.values() for piece in _some(pieces, -(-count // len(real)), rng)]
    fakes = {name: corrupt(name, mixed, rng) for name in CORRUPTIONS}
    fakes["markov_play"] = markov_pieces(count, BARS, mixed, rng)
    fakes["random_play"] = random_pieces(count, BARS, rng)
    return fakes


def fit(real: Pools, fakes: Pools, steps: int, seed: int) -> Realism:
    """A discriminator of `real` and `fakes`, each source and each kind counting as much as the next."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    realism = Realism()
    high, low = LEARNING_RATES
    for step in range(steps):
        for group in realism.optimizer.param_groups:
            group["lr"] = low + (high - low) * (1 + np.cos(np.pi * step / steps)) / 2
        sides = []
        for pools in (real, fakes):
            counts = np.bincount(np.arange(BATCH) % len(pools), minlength=len(pools))
            order = rng.permutation(len(pools))
            names = [list(pools)[index] for index in order]
            sides.append([random_windows(pools[name], int(n), rng) for name, n in zip(names, counts, strict=True) if n])
        loss = realism.train_on_windows(*sides)
        if step % 50 == 0:
            print(f"step {step:5d}  loss {loss:.3f}", flush=True)
    return realism


def figures(realism: Realism, real: Pools, fakes: Pools) -> dict[str, dict[str, float]]:
    """How pieces that were not fitted on are told apart: each pool's mean reward and each fake's AUC."""
    logits = {name: realism.logits(Pieces(pieces)) for name, pieces in {**real, **fakes}.items()}
    rewards = {name: realism.score(Pieces(pieces)) for name, pieces in {**real, **fakes}.items()}
    every_real = np.concatenate([logits[name] for name in real])
    return {
        "mean_reward": {name: round(float(values.mean()), 3) for name, values in rewards.items()},
        "mean_logit": {name: round(float(values.mean()), 3) for name, values in logits.items()},
        "auc": {name: round(auc(every_real, logits[name]), 3) for name in fakes},
    }


def _parts(corpus: Corpus, parts: Sequence[str]) -> list[Work]:
    """The works of several sides of a corpus."""
    return [work for part in parts for work in corpus.split(part)]


def _some(pieces: Sequence[Score], count: int, rng: np.random.Generator) -> list[Score]:
    """`count` of the pieces, without repetition while there are enough."""
    order = np.concatenate([rng.permutation(len(pieces)) for _ in range(-(-count // len(pieces)))])
    return [pieces[index] for index in order[:count].tolist()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, measure on works that were kept out, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the weights")
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="folders of more real pieces")
    parser.add_argument("--licence", help="take only pieces of --real whose metadata.csv says this, or nothing")
    parser.add_argument("--fake", type=Path, help="a folder of fakes that people found hard to tell")
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
    for side, parts, most, fakes in (
        ("fit", ("train",), PER_SOURCE, PER_KIND),
        ("held out", ("valid", "test"), HELD_OUT, HELD_OUT),
    ):
        real = {}
        for name, corpus in corpora.items():
            chosen = [
                work for work in _parts(corpus, parts) if options.licence in (None, work.licence) or not work.licence
            ]
            works[f"{side}: {name}"] = len(chosen)
            real[name] = slices(Corpus(name, tuple(chosen)), most, rng)
        pools[f"{side} real"] = real
        pools[f"{side} fakes"] = fakes_like(real, fakes, rng)
        if options.fake:
            hard = _parts(load_corpus(options.fake, genre="fake"), parts)
            pools[f"{side} fakes"][options.fake.name] = slices(Corpus("", tuple(hard)), fakes, rng)
    counts = {side: {name: len(pieces) for name, pieces in pool.items()} for side, pool in pools.items()}
    print(json.dumps(counts, indent=2), f"{perf_counter() - started:.0f} s", flush=True)

    realism = fit(pools["fit real"], pools["fit fakes"], options.steps, options.seed)
    notes = {
        "steps": options.steps,
        "seed": options.seed,
        "works": works,
        "pieces": counts,
        "held_out": figures(realism, pools["held out real"], pools["held out fakes"]),
    }
    realism.save(options.out, training=False, notes=notes)
    print(json.dumps(notes["held_out"], indent=2), f"{perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
