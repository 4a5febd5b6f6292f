"""Fit the agreement of note and syllable: `python -m toccata.reward_models.lyrics.fit_agreement OUT`.

Logistic regression on products of features of a note and of its syllable (`features.py`). Positive: the songs of
`toccata.music.songs.corpus` as they are. Negative: the same notes with the syllables of the same song in another order,
so that neither notes nor words alone tell them apart. Fitted to chorales in German; held out are a fifth of them, by
groups of one melody or text, and every song in English.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress
from torch.nn.functional import binary_cross_entropy_with_logits

from toccata.music.songs.corpus import Song, corpus_songs
from toccata.music.songs.prosody import SungSyllables, stress_on_beats, sung_syllables
from toccata.reward_models.lyrics.agreement import LyricAgreement, linear
from toccata.reward_models.lyrics.features import COUNT, note_features, products, syllable_features
from toccata.stats import auc, bootstrap_clusters

HELD_OUT = 0.2  # of the groups of songs in German
ORDERS_A_SONG = 3  # negatives of each kind, in fitting
TESTED_ORDERS = 10  # of each kind, in tests
PENALTY = 1e-3  # of squared weights, of standardised features
RESAMPLES = 1000

Order = Callable[[SungSyllables, np.random.Generator], np.ndarray]


def syllables_shuffled(sung: SungSyllables, rng: np.random.Generator) -> np.ndarray:
    """(n,) indices of the syllables in random order."""
    return rng.permutation(len(sung))


def words_shuffled(sung: SungSyllables, rng: np.random.Generator) -> np.ndarray:
    """(n,) indices of the syllables with the words in random order."""
    return _words_in_random_order(sung, 0, len(sung), rng)


def words_shuffled_in_lines(sung: SungSyllables, rng: np.random.Generator) -> np.ndarray:
    """(n,) indices with the words of each line in random order; lines end where they did (see `reordered`)."""
    return np.concatenate([_words_in_random_order(sung, line.start, line.stop, rng) for line in sung.lines])


def shifted(sung: SungSyllables, rng: np.random.Generator) -> np.ndarray:
    """(n,) indices of the syllables in their order, which begins with another one than the first two."""
    return np.roll(np.arange(len(sung)), int(rng.integers(2, max(len(sung) - 1, 3))))


ORDERS: dict[str, Order] = {
    "syllables shuffled": syllables_shuffled,
    "words shuffled": words_shuffled,
    "words shuffled in their lines": words_shuffled_in_lines,
    "words shifted by syllables": shifted,
}


def reordered(sung: SungSyllables, name: str, rng: np.random.Generator) -> SungSyllables:
    """The same notes with the syllables in an order of `ORDERS`; words shuffled in their lines end lines as before."""
    order = ORDERS[name](sung, rng)
    ends = sung.line_ends if name == "words shuffled in their lines" else sung.line_ends[order]
    return replace(
        sung,
        stress=sung.stress[order],
        word_begins=sung.word_begins[order],
        word_ends=sung.word_ends[order],
        line_ends=ends,
    )


def is_held_out(song: Song) -> bool:
    """Whether a song is kept out of the fit: English ones, and a fifth of the others by a hash of their group."""
    digest = hashlib.sha256(f"lyric-agreement:{song.group}".encode()).digest()
    return song.language != "de" or int.from_bytes(digest[:4], "big") / 2**32 < HELD_OUT


def fit(songs: Sequence[SungSyllables], seed: int) -> LyricAgreement:
    """The logistic regression that tells songs from the same songs with their words in another order."""
    rng = np.random.default_rng(seed)
    real = [_products(sung) for sung in songs for _ in range(ORDERS_A_SONG * len(ORDERS))]
    fake = [_products(reordered(sung, name, rng)) for sung in songs for name in ORDERS for _ in range(ORDERS_A_SONG)]
    features = torch.tensor(np.concatenate([*real, *fake]))
    label = torch.zeros(len(features), dtype=torch.float64)
    label[: len(label) // 2] = 1.0
    mean, deviation = features.mean(0), features.std(0).clamp(min=1e-6)
    features = (features - mean) / deviation
    weights = torch.zeros(COUNT + 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimizer.zero_grad()
        logits = features @ weights[:-1] + weights[-1]
        value = binary_cross_entropy_with_logits(logits, label) + PENALTY * (weights[:-1] ** 2).sum()
        value.backward()
        return float(value.detach())

    optimizer.step(loss)
    slope = weights[:-1].detach() / deviation
    return LyricAgreement(linear(slope, weights[-1].detach() - slope @ mean))


def aucs(
    score: Callable[[SungSyllables], float], songs: Sequence[tuple[Song, SungSyllables]], seed: int
) -> dict[str, list[float]]:
    """AUC of songs against the same songs reordered, by kind, with its interval; whole groups are resampled."""
    rng = np.random.default_rng(seed)
    real = np.array([score(sung) for _, sung in songs])
    found = {}
    for name in ORDERS:
        fake = np.array([[score(reordered(sung, name, rng)) for _ in range(TESTED_ORDERS)] for _, sung in songs])

        def of(chosen: np.ndarray, fake: np.ndarray = fake) -> float:
            return auc(real[chosen], fake[chosen].ravel())

        groups = [song.group if song.language == "de" else song.work for song, _ in songs]
        interval = bootstrap_clusters(of, groups, np.random.default_rng(seed), RESAMPLES)
        found[name] = [round(value, 3) for value in interval]
    return found


def _products(sung: SungSyllables) -> np.ndarray:
    return products(note_features(sung), syllable_features(sung))


def _words_in_random_order(sung: SungSyllables, start: int, stop: int, rng: np.random.Generator) -> np.ndarray:
    begins = np.flatnonzero(sung.word_begins[start:stop])
    words = np.split(np.arange(start, stop), begins[begins > 0])
    return np.concatenate([words[number] for number in rng.permutation(len(words))])


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, measure songs kept out, and write the weights."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the weights")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    read = [(song, sung_syllables(song.score, song.underlay)) for song in _songs()]
    fitted = [pair for pair in read if not is_held_out(pair[0])]
    held_out = {
        language: [pair for pair in read if is_held_out(pair[0]) and pair[0].language == language]
        for language in ("de", "en")
    }
    model = fit([sung for _, sung in fitted], options.seed)
    about: dict[str, Any] = {
        "songs": {"fitted": len(fitted), **{language: len(songs) for language, songs in held_out.items()}},
        "syllables": sum(len(sung) for _, sung in fitted),
        "seed": options.seed,
        "auc": {language: aucs(model.agreement, songs, options.seed) for language, songs in held_out.items()},
        "auc_of_stress_on_beats": {
            language: aucs(stress_on_beats, songs, options.seed) for language, songs in held_out.items()
        },
        "score": {language: _quantiles(model, songs) for language, songs in held_out.items()},
        "held_out": sorted({song.work for songs in held_out.values() for song, _ in songs}),
    }
    model.about = about
    model.save(options.out)
    print(json.dumps(about, indent=2))


def _songs() -> list[Song]:
    """The songs of the corpus, with a progress bar."""
    with Progress(transient=True) as progress:
        task = progress.add_task("reading songs")
        return corpus_songs(on_work=lambda works: progress.update(task, total=works, advance=1))


def _quantiles(model: LyricAgreement, songs: Sequence[tuple[Song, SungSyllables]]) -> list[float]:
    """5, 50 and 95 % of the scores."""
    scores = [model.agreement(sung) for _, sung in songs]
    return [round(float(value), 3) for value in np.percentile(scores, [5, 50, 95])]


if __name__ == "__main__":
    main()
