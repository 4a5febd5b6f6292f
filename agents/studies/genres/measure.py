"""What is measured of the music of each source, kept so that a study can be gone on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from toccata.agents.evaluation.overoptimise.samples import Arrays, cached
from toccata.agents.prior.bits import Bits, bits
from toccata.agents.rivals.chord_lstm.classes import events_of
from toccata.agents.rivals.chord_lstm.likelihood import cross_entropy
from toccata.agents.rivals.chord_lstm.model import ChordLSTMComposer
from toccata.agents.studies.genres.balance import BEATS_PER_BAR, BySplit
from toccata.agents.studies.genres.classifier import GenreClassifier, fit_classifier
from toccata.agents.studies.genres.features import excerpts_of_works, genre_features, under
from toccata.agents.studies.genres.sources import TEMPO_BPM, Source
from toccata.envs.excerpts import as_piece
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.metrics.sets import frechet_distance
from toccata.music.score import Score
from toccata.reward_models.judges.features import FEATURE_COUNT
from toccata.reward_models.judges.typicality import Typicality
from toccata.stats import Interval, bootstrap_mean, percentile_interval

HALVES = 50  # random halves of a set, for the standard error of a distance
NORMAL_95 = 1.96  # standard errors to the ends of a 95 % interval of a normal distribution
SPLIT_NUMBERS = {"train": 0, "valid": 1, "test": 2}


@dataclass(frozen=True)
class Excerpts:
    """Excerpts of the real works of a split.

    Attributes:
        pieces: n.
        classes: (n,) index of the genre of each.
        works: (n,) index of the work of each, all genres together.
        titles: of the works.
    """

    pieces: tuple[Piece, ...]
    classes: np.ndarray
    works: np.ndarray
    titles: tuple[str, ...]


class Setup:
    """What all sources are measured with.

    Args:
        music: the works of each genre by split.
        judge: the typicality judge, whose embeddings are used.
        cache: folder.
        excerpts: of each work.
        bars: of an excerpt.
        seed: of everything.
    """

    def __init__(
        self, music: Mapping[str, BySplit], judge: Typicality, cache: Path, excerpts: int, bars: int, seed: int
    ) -> None:
        self.genres = tuple(music)
        self.judge, self.cache, self.seed = judge, cache, seed
        self.excerpts_key = [excerpts, bars, seed, sorted(self.genres)]
        self.real: dict[str, Excerpts] = {}
        for split, number in SPLIT_NUMBERS.items():
            works = [work for genre in self.genres for work in music[genre][split]]
            pieces, owner = excerpts_of_works(
                works, excerpts, bars, BEATS_PER_BAR, np.random.default_rng([seed, number])
            )
            classes = np.array([self.genres.index(works[index].genre) for index in owner])
            titles = tuple(work.title or work.id for work in works)
            self.real[split] = Excerpts(tuple(pieces), classes, owner, titles)

    def features_of_real(self, split: str, control: str) -> np.ndarray:
        """(n, d) of the excerpts of a split under one of `CONTROLS`."""
        pieces = self.real[split].pieces

        def make() -> Arrays:
            return {"features": genre_features(under(control, pieces), self.judge)}

        return cached(self.cache, "real", [self.excerpts_key, split, control], make)["features"]

    def classifier(self, control: str) -> GenreClassifier:
        """The classifier of excerpts under one of `CONTROLS`, fitted to "train" and calibrated on "valid"."""
        train, valid = (
            (self.features_of_real(split, control), self.real[split].classes) for split in ("train", "valid")
        )
        return fit_classifier(train, valid, self.genres)


@dataclass(frozen=True)
class Sample:
    """Pieces of a source.

    Attributes:
        scores: n.
        features: (n, d), those of the classifier.
    """

    scores: tuple[Score, ...]
    features: np.ndarray


def sample(source: Source, count: int, setup: Setup) -> Sample:
    """`count` pieces of a source and their features; what is in the cache is read from there.

    Raises:
        FileError: naming a file of the cache that is damaged.
    """
    key = [source.identity, count, setup.seed]
    pieces = _pieces(cached(setup.cache, "pieces", key, partial(_composed, source, count, setup.seed)), source.genre)

    def make() -> Arrays:
        return {"features": genre_features(pieces, setup.judge)}

    features = cached(setup.cache, "features", key, make)["features"]
    return Sample(tuple(piece.score for piece in pieces), features)


def _composed(source: Source, count: int, seed: int) -> Arrays:
    """Pieces as arrays."""
    scores = [piece.score for piece in source.compose(count, seed)]
    return {
        "notes": np.concatenate([score.notes for score in scores]),
        "counts": np.array([len(score) for score in scores]),
        "ticks": np.array([[score.ticks_per_beat, score.length_ticks] for score in scores]),
    }


def _pieces(arrays: Arrays, genre: str) -> list[Piece]:
    """The inverse of `_composed`, as the piano plays them."""
    notes = np.split(arrays["notes"], np.cumsum(arrays["counts"])[:-1])
    scores = [
        Score(own, int(beat), BEATS_PER_BAR, TEMPO_BPM, int(length))
        for own, (beat, length) in zip(notes, arrays["ticks"], strict=True)
    ]
    return [as_piece(score, Piano(), BEATS_PER_BAR, TEMPO_BPM, genre)[0] for score in scores]


def bits_of_works(source: Source, setup: Setup) -> dict[str, Bits]:
    """Bits of held-out works of each genre under a source with likelihood; works are resampled for the intervals."""
    assert source.log_prob is not None
    held_out = setup.real["test"]

    def make() -> Arrays:
        assert source.log_prob is not None
        log_probs = source.log_prob(held_out.pieces)
        return {"log_probs": np.concatenate(log_probs), "lengths": np.array([len(each) for each in log_probs])}

    arrays = cached(setup.cache, "bits", [source.identity, setup.excerpts_key], make)
    log_probs = np.split(arrays["log_probs"], np.cumsum(arrays["lengths"])[:-1])
    return bits(log_probs, held_out.pieces, held_out.works.astype(str).tolist(), setup.seed)


@dataclass(frozen=True)
class ChordNats:
    """Cross-entropy of held-out works under the LSTM over classes of notes and chords.

    Attributes:
        nats: a class, with works resampled.
        unigram: nats a class under the frequencies of the training works.
        unknown: share of the classes that the training works do not have, in [0, 1].
        classes: size of the vocabulary.
    """

    nats: Interval
    unigram: float
    unknown: float
    classes: int


def chord_nats(source: Source, music: BySplit, setup: Setup) -> ChordNats:
    """The cross-entropy of the held-out works of a genre under its chord LSTM."""
    composer = source.composer
    assert isinstance(composer, ChordLSTMComposer)
    model = composer.models[source.genre]
    training = [events_of(work.score) for work in music["train"]]

    def make() -> Arrays:
        rows = []
        for work in music["test"]:
            found = cross_entropy(model.network, model.vocabulary, [events_of(work.score)], training)
            if found is not None:
                rows.append([found.chord_nats, found.unigram_nats, found.unknown, found.events])
        return {"rows": np.array(rows)}

    rows = cached(setup.cache, "chord-nats", [source.identity, setup.excerpts_key], make)["rows"]
    nats, unigram, unknown, events = rows.T
    count = len(rows)
    drawn = np.random.default_rng(setup.seed).multinomial(count, np.full(count, 1 / count), 2000)
    resampled = (drawn @ (nats * events)) / (drawn @ events)
    interval = percentile_interval(float(np.average(nats, weights=events)), resampled)
    return ChordNats(
        interval,
        float(np.average(unigram, weights=events)),
        float(np.average(unknown, weights=events)),
        model.vocabulary.classes,
    )


def shares_of_genres(features: np.ndarray, classifier: GenreClassifier, seed: int) -> list[Interval]:
    """The share of the pieces that are taken for each genre; pieces are resampled for the intervals."""
    found = classifier.probabilities(features).argmax(axis=1)
    return [
        bootstrap_mean((found == index).astype(float), np.random.default_rng(seed))
        for index in range(len(classifier.genres))
    ]


def distances(features: np.ndarray, real: Sequence[np.ndarray], seed: int) -> list[Interval]:
    """Fréchet distances of the embeddings of pieces from those of each real set.

    The interval is of plus and minus 1.96 standard errors, those of a delete-half jackknife over the pieces (Shao & Wu
    1989, "A general theory for jackknife variance estimation"): their fit, and the real set, are as they are.

    Args:
        features: (n, d) of `genre_features`.
        real: of each genre, (m, d). Every distance is biased upwards by few pieces: compare sets of one size.
        seed: of the halves.
    """
    rng = np.random.default_rng(seed)
    own = features[:, FEATURE_COUNT:]
    halves = [rng.permutation(len(own))[: len(own) // 2] for _ in range(HALVES)]
    result = []
    for each in real:
        other = each[:, FEATURE_COUNT:]
        value = frechet_distance(own, other)
        error = NORMAL_95 * float(np.std([frechet_distance(own[half], other) for half in halves]))
        result.append(Interval(value, value - error, value + error))
    return result
