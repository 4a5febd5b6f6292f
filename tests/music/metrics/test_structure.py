"""Metrics of structure."""

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.tunes import tune
from toccata.music.metrics import (
    compression_ratio,
    repeated_motif_rate,
    self_similarity,
    structureness_long,
    structureness_mid,
    structureness_short,
)
from toccata.music.metrics.structure import _phrases, _similarity, best_fitness
from toccata.music.score import Score

BAR = 96


def exactly(value: float):
    return pytest.approx(value, abs=1e-12)


def bars(*roots: int, repeats: int = 1) -> Score:
    """A bar of one held note for each root."""
    return Score([(bar * BAR, BAR, root, 80) for bar, root in enumerate(roots * repeats)])


def test_self_similarity():
    assert self_similarity(bars(60, 60, 60)) == exactly(1)
    assert self_similarity(bars(60, 72, 48)) == exactly(1)  # pitch classes
    assert self_similarity(bars(60, 62, 64)) == exactly(0)
    assert self_similarity(bars(60, 62, 60, 62)) == exactly(2 / 6)  # two of six pairs are equal
    half = Score([(0, 48, 60, 80), (96, 96, 60, 80)])  # six of twelve parts: cosine 1 / sqrt 2
    assert self_similarity(half) == exactly(np.sqrt(1 / 2))
    assert self_similarity(bars(60)) == self_similarity(Score()) == self_similarity(Score(length_ticks=960)) == 1
    rest = Score([(0, 96, 60, 80), (96 * 9, 96, 60, 80)])
    assert self_similarity(rest) == exactly(1)  # silent bars are left out
    held = Score([(0, 960, 60, 80), (960, 96, 62, 80)])  # ten bars of C, one of D: 45 of 55 pairs
    assert self_similarity(held) == exactly(45 / 55)


def test_structureness_of_repeated_sections():
    """A B A B: the section A B is repeated once: one more of length 2 of 4 bars, of which 2 are not itself."""
    abab = bars(60, 62, 60, 62)
    # score (4 - 2) / 4 = 1/2, coverage (4 - 2) / 4 = 1/2, so their harmonic mean is 1/2
    assert structureness_short(abab) == exactly(1 / 2)
    assert structureness_mid(abab) == structureness_long(abab) == 0
    phrase = (60, 61, 62, 63, 64, 65)
    # six bars three times: (18 - 6) / 18; five of its bars: (15 - 5) / 15 and (15 - 5) / 18, less
    assert structureness_mid(bars(*phrase, repeats=3)) == exactly(2 / 3)
    twice = bars(*range(60, 70), 59, 59, *range(60, 70))
    # ten bars twice in 22: (20 - 10) / 20 and (20 - 10) / 22
    assert structureness_long(twice) == exactly(2 * 0.5 * (10 / 22) / (0.5 + 10 / 22))


def test_structureness_of_no_repetition():
    for score in (Score(), Score(length_ticks=960), bars(60), bars(*range(60, 72))):
        assert structureness_short(score) == structureness_mid(score) == structureness_long(score) == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 7), st.integers(0, 10_000))
def test_fitness_is_that_of_the_best_set_of_paths(number, seed):
    """Against every set of places at which a section can be repeated."""
    rng = np.random.default_rng(seed)
    similarity = _similarity(rng.integers(0, 3, (number, 4)).astype(float) ** 2)
    fitness = best_fitness(similarity)
    for length in range(1, number // 2 + 1):
        best = 0.0
        for start in range(number - length + 1):

            @lru_cache
            def sums(end: int, length: int = length, start: int = start) -> tuple[float, int]:
                """(sum, paths) of the best set of paths in the first `end` bars, found from every last path."""
                options = [(0.0, 0)]
                for last in range(length, end + 1):
                    path = sum(similarity[last - length + i, start + i] for i in range(length))
                    before = sums(last - length)
                    options.append((before[0] + path, before[1] + 1))
                return max(options, key=lambda each: (each[0], -each[1]))  # sums are exact

            total, paths = sums(number)
            score = max(total - length, 0) / max(paths * length, length)
            coverage = (max(paths, 1) - 1) * length / number
            best = max(best, 2 * score * coverage / (score + coverage) if score + coverage else 0)
        assert fitness[length] == pytest.approx(best, abs=1e-9)


@given(st.lists(st.integers(0, 3), max_size=40))
def test_phrases_are_the_longest_that_began_before(symbols):
    place = phrases = 0
    while place < len(symbols):
        length = 0
        while place + length < len(symbols) and any(
            symbols[start : start + length + 1] == symbols[place : place + length + 1] for start in range(place)
        ):
            length += 1
        place, phrases = place + max(length, 1), phrases + 1
    assert _phrases(symbols) == phrases


def test_compression_ratio(line):
    # 8 equal notes: 7 equal steps: the first is new, the others one phrase that overlaps it
    assert compression_ratio(line(*[60] * 8)) == exactly(2 / 7)
    assert compression_ratio(line(60, 61, 63, 66)) == 1  # all intervals are new
    assert compression_ratio(line(60)) == compression_ratio(Score()) == 1
    once, repeated = tune(8, seed=1), tune(2, seed=1)
    four = Score(
        [(note[0] + bar * 2 * BAR, *note[1:]) for bar in range(4) for note in repeated.notes.tolist()],
    )
    assert compression_ratio(four) < compression_ratio(once) / 2


def test_repeated_motifs(line):
    motif = (60, 62, 64, 65, 60)
    assert repeated_motif_rate(line(*motif, *(pitch + 2 for pitch in motif))) == 1  # transposed
    assert repeated_motif_rate(line(*motif, 90, 70, *motif)) == exactly(10 / 12)
    assert repeated_motif_rate(line(*motif, *(60, 62, 64, 65, 59))) == 0
    assert repeated_motif_rate(line(*[60] * 9)) == 0  # fewer than ten notes
    assert repeated_motif_rate(line(*[60] * 10)) == 1
    assert repeated_motif_rate(Score()) == 0
    bass = [(24 * i, 24, 36 + i % 3, 80) for i in range(10)]
    melody = [(24 * i, 24, 60 + i % 5, 80) for i in range(10)]
    assert repeated_motif_rate(Score([*melody, *bass])) == 1  # of the melody
