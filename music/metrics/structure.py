"""Metrics of structure: similarity of bars, repeated sections, repeated motifs, compression."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from toccata.music.metrics.sounding import pitch_class_ticks, rows_between
from toccata.music.score import Score
from toccata.music.skyline import skyline

PARTS = 12  # of a bar: eighths of 6/4, triplet eighths of 4/4, sixteenths of 3/4
ALIKE = 0.5  # similarity below which two bars are no repetition of each other
PENALTY = -2.0  # score of two such bars in a path
STEP, COST = 2.0**-20, 2.0**-30  # to which similarities are rounded; of a path, less than a step for 128 of them
MAX_BARS = 128  # of which the fitness is computed; it takes bars ** 3 steps
SHORT, MID, LONG = (2, 4), (5, 8), (9, MAX_BARS)  # bars of a section: 4 to 8 s at 120 quarters a minute, to 16 s, above
MOTIF_NOTES = 5
ROWS = 1024  # bars whose similarities are summed at once: bounds the memory


def self_similarity(score: Score) -> float:
    """Mean similarity of two bars with sound, over all pairs, in [0, 1].

    A bar is cut into twelve equal parts; the similarity of two bars is the cosine of how long each pitch class sounds
    in each part. A piece of equal bars has 1, and so have silence and a piece of one bar.
    Source: the self-similarity matrix of Foote 1999, "Visualizing music and audio using self-similarity", of bars.
    """
    bars, counts = rows_between(_bars_of_edges(score))
    total, number = np.zeros(12 * PARTS), 0
    for start in range(0, len(bars), ROWS):
        chroma = _bar_chroma(score, bars[start : start + ROWS])
        norms = np.linalg.norm(chroma, axis=1)
        with_sound, count = norms > 0, counts[start : start + ROWS]
        total += (count[with_sound] / norms[with_sound]) @ chroma[with_sound]
        number += int(count[with_sound].sum())
    if number < 2:
        return 1.0
    return float(np.clip((total @ total - number) / (number * (number - 1)), 0.0, 1.0))


def structureness_short(score: Score) -> float:
    """Greatest fitness of a section of 2 to 4 bars as a repeated one, in [0, 1); see `fitness`.

    Silence and pieces without repetition have 0.
    Source: Wu & Yang 2020, "The Jazz Transformer on the Front Line", section 5, structureness indicator, of bars.
    """
    return _structureness(score, *SHORT)


def structureness_mid(score: Score) -> float:
    """Greatest fitness of a section of 5 to 8 bars as a repeated one, in [0, 1); see `structureness_short`."""
    return _structureness(score, *MID)


def structureness_long(score: Score) -> float:
    """Greatest fitness of a section of 9 bars or more as a repeated one, in [0, 1); see `structureness_short`.

    A section that occurs twice fills at most half the piece, so pieces of fewer than 18 bars have 0.
    """
    return _structureness(score, *LONG)


def compression_ratio(score: Score) -> float:
    """Phrases of the Lempel-Ziv factorisation of the notes, per step from note to note, in (0, 1].

    A step is the interval, the time from onset to onset, and the duration of the second note, in order of onset and
    pitch. A phrase is the longest sequence of steps that began before, or a step that is new. Nothing repeated has 1,
    and so have silence and a single note; many repeats of one bar are near 0. The number of phrases, unlike the size of
    a compressed file, is the same everywhere. It falls slowly with the length.
    Source: Ziv & Lempel 1977, "A Universal Algorithm for Sequential Data Compression".
    """
    steps = _symbols(_steps(score))
    return _phrases(steps) / len(steps) if steps else 1.0


def repeated_motif_rate(score: Score) -> float:
    """Share of the notes of the melody in a motif of five notes that also occurs elsewhere, in [0, 1].

    Two motifs are equal if their four steps are: intervals and times from onset to onset. Elsewhere is five notes of
    the melody earlier or later, or more. The melody is the skyline. Fewer than ten notes, and so silence, have 0.
    Source: the m-types of Müllensiefen 2009, "FANTASTIC: Feature ANalysis Technology Accessing STatistics (In a
    Corpus)", of one length and without classes of durations.
    """
    melody = skyline(score)
    steps = _steps(melody)[:, :2]
    if len(melody) < 2 * MOTIF_NOTES:
        return 0.0
    size = MOTIF_NOTES - 1
    motifs = np.concatenate([steps[i : len(steps) - size + 1 + i] for i in range(size)], axis=1)
    kind = np.unique(motifs, axis=0, return_inverse=True)[1].reshape(-1)
    place = np.arange(len(kind))
    first, last = np.full(len(kind), len(kind)), np.zeros(len(kind), np.int64)
    np.minimum.at(first, kind, place)
    np.maximum.at(last, kind, place)
    repeated = np.maximum(place - first[kind], last[kind] - place) >= MOTIF_NOTES
    inside = np.zeros(len(melody) + 1, np.int64)
    np.add.at(inside, place[repeated], 1)
    np.add.at(inside, place[repeated] + MOTIF_NOTES, -1)
    return float((np.cumsum(inside)[:-1] > 0).mean())


@lru_cache(maxsize=1)  # three metrics of one score read it
def fitness(score: Score) -> np.ndarray:
    """(sections,) float64 greatest fitness of the sections of each length in bars, from 0 bars on; each in [0, 1).

    The similarity s of two bars is that of `self_similarity`, as (s - 0.5) / 0.5, or -2 below 0.5. A path pairs the
    bars of a section in order with equally many others. Of the sets of paths whose other bars do not overlap, that of
    the section with itself among them, the one with the greatest sum of similarities is taken, and of several that of
    fewest paths. Its fitness is the harmonic mean of the mean similarity and the share of the piece that its paths
    cover, both without the section itself. The first `MAX_BARS` bars from the first to the last with sound count.
    Source: Müller, Jiang & Grosche 2013, "A Robust Fitness Measure for Capturing Repetitions in Music Recordings With
    Applications to Audio Thumbnailing", without the steps for different tempi, which notes on a grid do not need, and
    with a threshold that is the same for all pieces.
    """
    edges = _bars_of_edges(score)
    if not len(edges):
        return np.zeros(1)
    bars_with_sound = int(np.searchsorted(_bar_lines(score)[:-1], score.offset_ticks.max()))  # from the first bar on
    bars = np.arange(edges.min(), min(bars_with_sound, edges.min() + MAX_BARS), dtype=np.int64)
    result = best_fitness(_similarity(_bar_chroma(score, bars)))
    result.setflags(write=False)
    return result


def best_fitness(similarity: np.ndarray) -> np.ndarray:
    """(bars // 2 + 1,) greatest fitness of the sections of each length, as `fitness`.

    Args:
        similarity: (bars, bars) float64 multiples of `STEP`, symmetric, 1 on the diagonal, at most 1 elsewhere; at most
            `MAX_BARS` bars.
    """
    bars = len(similarity)
    longest = bars // 2  # a section that occurs twice is at most half the piece
    lengths = np.arange(1, longest + 1)
    # along[e, s]: sum along the diagonal that ends before the bars (e, s), so that of a path of m bars that ends there
    # is along[e, s] - along[e - m, s - m]; s goes on beyond the piece, for sections that are left out at the end
    along = np.zeros((bars + 1, bars + longest + 1))
    for end in range(bars):
        along[end + 1, 1 : bars + 1] = along[end, :bars] + similarity[end]
    # best[e]: the greatest sum of paths in the first e bars, for a section of each length and first bar, minus `COST`
    # for each path. Similarities are multiples of `STEP`, so all sums are exact, and their two parts can be told apart.
    best = np.zeros((bars + 1, longest, bars))
    for end in range(1, bars + 1):
        rows = np.arange(min(end, longest))
        before = end - lengths[rows]
        to_here = sliding_window_view(along[end], bars)[1 : len(rows) + 1]
        best[end] = best[end - 1]
        added = best[before, rows] + (to_here - along[before, :bars] - COST)
        np.maximum(best[end, : len(rows)], added, out=best[end, : len(rows)])
    sums = np.ceil(best[-1] / STEP) * STEP
    length = lengths[:, None]
    covered = np.maximum((sums - best[-1]) / COST * length, length)
    score = np.maximum(sums - length, 0) / covered
    coverage = (covered - length) / max(bars, 1)
    mean = 2 * score * coverage / np.maximum(score + coverage, 1e-12)
    mean[np.arange(bars) + length > bars] = 0.0
    return np.concatenate(([0.0], mean.max(axis=1, initial=0.0)))


def _structureness(score: Score, shortest: int, longest: int) -> float:
    return float(fitness(score)[shortest : longest + 1].max(initial=0.0))


def _bar_lines(score: Score) -> np.ndarray:
    """(bars + 2,) int64, where each bar begins, the end of the last one, and again that of an empty bar after it."""
    starts = score.bar_ticks.astype(np.int64)
    end = score.next_bar_line(int(starts[-1]) + 1) if len(starts) else 0
    return np.append(starts, (end, end))


def _bars_of_edges(score: Score) -> np.ndarray:
    """(2 notes,) the bar in which each note begins, and that in which it ends."""
    edges = np.concatenate((score.notes["onset_tick"], score.offset_ticks))
    return np.searchsorted(_bar_lines(score)[:-1], edges, side="right") - 1


def _bar_chroma(score: Score, bars: np.ndarray) -> np.ndarray:
    """(bars, 12 * PARTS) float64 whole numbers, for how long each pitch class sounds in each part of a bar."""
    lines = _bar_lines(score)
    length = (lines[bars + 1] - lines[bars])[:, None]
    parts = lines[bars][:, None] * PARTS + np.arange(PARTS) * length
    chroma = pitch_class_ticks(score, parts.reshape(-1), (parts + length).reshape(-1), PARTS)
    return chroma.reshape(len(bars), -1).astype(float)


def _similarity(chroma: np.ndarray) -> np.ndarray:
    """(bars, bars) similarity of each two bars as paths add it up: 1 on the diagonal, `PENALTY` where not `ALIKE`."""
    products = chroma @ chroma.T  # whole numbers, so exact
    squares = np.diag(products)
    cosine = products / np.sqrt(np.maximum(squares[:, None] * squares, 1.0))
    similarity = np.where(cosine >= ALIKE, (np.minimum(cosine, 1.0) - ALIKE) / (1 - ALIKE), PENALTY)
    np.fill_diagonal(similarity, 1.0)
    return np.round(similarity / STEP) * STEP


def _steps(score: Score) -> np.ndarray:
    """(notes - 1, 3) int64 interval, ticks from onset to onset, and duration of the second note."""
    notes = score.notes
    columns = [np.diff(notes[name].astype(np.int64)) for name in ("pitch", "onset_tick")]
    return np.stack([*columns, notes["duration_ticks"][1:].astype(np.int64)], axis=1)


def _symbols(rows: np.ndarray) -> list[int]:
    """A number for each row, the same for equal rows."""
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1).tolist() if len(rows) else []


def _phrases(symbols: list[int]) -> int:
    """Number of phrases of the Lempel-Ziv factorisation; a phrase may overlap the place that it repeats.

    The suffix automaton of the symbols has, for each sequence in them, the place where it ends first (Blumer et al.
    1985), so time and memory are proportional to the number of symbols.
    """
    following: list[dict[int, int]] = [{}]
    link, longest, first_end = [-1], [0], [-1]
    state = 0
    for place, symbol in enumerate(symbols):
        new = len(following)
        following.append({})
        link.append(0)
        longest.append(longest[state] + 1)
        first_end.append(place)
        while state >= 0 and symbol not in following[state]:
            following[state][symbol] = new
            state = link[state]
        if state >= 0:
            target = following[state][symbol]
            if longest[state] + 1 != longest[target]:
                clone = len(following)
                following.append(dict(following[target]))
                link.append(link[target])
                longest.append(longest[state] + 1)
                first_end.append(first_end[target])
                while state >= 0 and following[state].get(symbol) == target:
                    following[state][symbol] = clone
                    state = link[state]
                link[target] = clone
                target = clone
            link[new] = target
        state = new
    phrases, place = 0, 0
    while place < len(symbols):
        state, length = 0, 0
        while place + length < len(symbols):
            state = following[state][symbols[place + length]]
            if first_end[state] >= place + length:  # it has not been before
                break
            length += 1
        phrases += 1
        place += max(length, 1)
    return phrases
