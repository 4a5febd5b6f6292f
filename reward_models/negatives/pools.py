"""Pools of pieces: excerpts of real music by source, and negatives by generator family and kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from toccata.envs.codec import encode
from toccata.music.corpus import Corpus, load_corpus
from toccata.music.score import Score
from toccata.reward_models.negatives.corruptions import CORRUPTIONS, corrupt
from toccata.reward_models.negatives.play import markov_pieces, random_notes, random_pieces
from toccata.reward_models.negatives.rules import BAR_TICKS, RULES, rule_pieces

FEWEST_NOTES = 8  # of an excerpt; most of one with fewer is silence
ATTACKS = "attacks"  # the family of what maximises a reward without being music
WHOLE_WORKS = 10**6  # excerpts of a work, more than any has

Families = Mapping[str, Mapping[str, Sequence[Score]]]  # negatives by family and kind


@dataclass(frozen=True)
class Pools:
    """Real pieces and others.

    Attributes:
        real: real pieces by source.
        fakes: negatives by generator family and kind.
    """

    real: Mapping[str, Sequence[Score]]
    fakes: Families

    def without(self, families: Sequence[str]) -> Pools:
        """The same without some generator families."""
        return Pools(self.real, {name: kinds for name, kinds in self.fakes.items() if name not in families})

    def kinds(self) -> Iterator[tuple[str, str, Sequence[Score]]]:
        """Family, kind and pieces of every kind of negatives."""
        return ((family, kind, pieces) for family, kinds in self.fakes.items() for kind, pieces in kinds.items())

    def counts(self) -> dict[str, int]:
        """Number of pieces of each source and kind."""
        real = {name: len(pieces) for name, pieces in self.real.items()}
        return real | {kind: len(pieces) for _, kind, pieces in self.kinds()}


def excerpts(
    corpus: Corpus, bars: int, limit: int, rng: np.random.Generator, per_work: int = WHOLE_WORKS
) -> list[Score]:
    """At most `limit` random excerpts of works, as the instrument plays them.

    Args:
        corpus: of the works.
        bars: of each excerpt.
        limit: of their number.
        rng: chooses works, the bar at which the first excerpt of a work begins, and excerpts.
        per_work: most of one work; they do not overlap.
    """
    found: list[Score] = []
    for index in rng.permutation(len(corpus)).tolist():
        score = encode(corpus.works[index].score)[1].score
        length = bars * score.ticks_per_bar
        spare = (score.length_ticks - length) // score.ticks_per_bar  # bars
        if spare < 0:
            continue
        first = int(rng.integers(min(spare, bars - 1) + 1)) * score.ticks_per_bar
        starts = range(first, score.length_ticks - length + 1, length)
        of_work = [score.slice(start, start + length) for start in rng.permutation(starts)[:per_work].tolist()]
        found += [excerpt for excerpt in of_work if len(excerpt) >= FEWEST_NOTES]
        if len(found) >= (limit if per_work == 1 else 2 * limit):  # enough works that no long one dominates
            break
    return [found[index] for index in rng.permutation(len(found))[:limit].tolist()]


def synthetic_families(
    real: Mapping[str, Sequence[Score]], count: int, bars: int, rng: np.random.Generator
) -> dict[str, dict[str, list[Score]]]:
    """Negatives of the families "corrupted", "random", "markov" and "rules".

    Args:
        real: real music by source, that some are made of: of every source equally, so that style separates no class.
        count: pieces of each kind.
        bars: of a piece.
        rng: random number generator.
    """
    mixed = [piece for pieces in real.values() for piece in _sample(pieces, -(-count // len(real)), rng)][:count]
    return {
        "corrupted": {name: corrupt(name, mixed, rng) for name in CORRUPTIONS},
        "random": {"random_play": random_pieces(count, bars, rng), "random_notes": random_notes(count, bars, rng)},
        "markov": {"markov_play": markov_pieces(count, bars, mixed, rng)},
        "rules": {name: rule_pieces(name, count, bars, rng) for name in RULES},
    }


def random_negatives(real: Sequence[Score], count: int, rng: np.random.Generator) -> list[Score]:
    """At most `count` negatives of random kinds: real pieces with a corruption, and pieces made by rules as long."""
    negatives: list[Score] = []
    for kind in rng.choice([*CORRUPTIONS, *RULES], count).tolist():
        piece = real[int(rng.integers(len(real)))]
        if kind in CORRUPTIONS:
            negatives += corrupt(kind, [piece], rng)
        else:
            bars = -(-piece.length_ticks // BAR_TICKS)
            negatives += [made.slice(0, piece.length_ticks) for made in rule_pieces(kind, 1, bars, rng)]
    return negatives


def read_pools(
    real: Sequence[str | PathLike[str]],
    fakes: Sequence[str],
    splits: Sequence[str],
    *,
    bars: int,
    per_source: int,
    per_kind: int,
    rng: np.random.Generator,
    licence: str | None = None,
    per_work: int = WHOLE_WORKS,
) -> Pools:
    """Excerpts of corpora, the synthetic families made of them, and further negatives.

    Args:
        real: names of corpora, or folders of real music.
        fakes: FAMILY=FOLDER each, of further negatives; the kind is the name of the folder.
        splits: of all of them.
        bars: of a piece.
        per_source: real pieces of each source, at most.
        per_kind: negatives of each kind, at most.
        rng: random number generator.
        licence: of `real`, only works with this licence, or without any, in a folder's metadata.csv.
        per_work: excerpts of one work, at most.
    """

    def of(source: str | PathLike[str], limit: int, licence: str | None) -> list[Score]:
        is_folder = Path(source).is_dir()
        corpus = load_corpus(source, genre="classical" if is_folder else None)
        works = [
            work
            for split in splits
            for work in corpus.split(split)
            if licence in (None, work.licence) or not work.licence
        ]
        return excerpts(Corpus(corpus.name, tuple(works)), bars, limit, rng, per_work)

    pieces = {Path(source).name: of(source, per_source, licence) for source in real}
    families = synthetic_families(pieces, per_kind, bars, rng)
    for entry in fakes:
        family, _, folder = entry.partition("=")
        families.setdefault(family, {})[Path(folder).name] = of(folder, per_kind, None)
    return Pools(pieces, families)


def _sample(pieces: Sequence[Score], count: int, rng: np.random.Generator) -> list[Score]:
    """`count` of the pieces, without replacement while there are enough."""
    order = np.concatenate([rng.permutation(len(pieces)) for _ in range(-(-count // len(pieces)))])
    return [pieces[index] for index in order[:count].tolist()]
