"""Metrics of rhythm: silence, density, groove, onset intervals, syncopation."""

from __future__ import annotations

import numpy as np

from toccata.music.metrics.sounding import bars_before, beat_of, beat_start
from toccata.music.score import Score

# Parts of a beat at whose ends the levels below the beat lie: halves and thirds, then their halves, and so on.
DIVISIONS = ((2, 3), (4, 6), (8, 12))


def empty_beat_rate(score: Score) -> float:
    """Share of the beats of the piece in which no note sounds, in [0, 1]; silence has 1.

    An incomplete last beat counts as a beat; a held note sounds in every beat that it overlaps.
    Source: Dong et al. 2018, "MuseGAN", objective metrics, ratio of empty bars, here for beats.
    """
    beats = -(-score.length_ticks // score.ticks_per_beat)
    onset_beat = score.notes["onset_tick"] // score.ticks_per_beat
    offset_beat = -(-score.offset_ticks // score.ticks_per_beat)
    return 1.0 - covered_ticks(onset_beat, offset_beat) / beats if beats else 1.0


def empty_bar_rate(score: Score) -> float:
    """Share of the bars of the piece in which no note sounds, in [0, 1]; silence has 1.

    An incomplete last bar counts as a bar; a held note sounds in every bar that it overlaps.
    Source: Dong et al. 2018, "MuseGAN", objective metrics, ratio of empty bars.
    """
    onset_bar = bars_before(score, score.notes["onset_tick"] + 1) - 1
    offset_bar = bars_before(score, score.offset_ticks)
    return 1.0 - covered_ticks(onset_bar, offset_bar) / score.bars if score.bars else 1.0


def silence_rate(score: Score) -> float:
    """Share of the ticks of the piece at which no note sounds, in [0, 1]; silence has 1.

    Source: Wu et al. 2024, "Adaptive Accompaniment with ReaLchords" (arXiv 2506.14723), share of silence.
    """
    ticks = score.length_ticks
    return 1.0 - covered_ticks(score.notes["onset_tick"], score.offset_ticks) / ticks if ticks else 1.0


def note_density(score: Score) -> float:
    """Notes that begin per beat of the piece, in [0, 128 * ticks_per_beat]; silence has 0.

    Source: Yang & Lerch 2020, "On the evaluation of generative models in music", note count, per beat.
    """
    return float(len(score) * score.ticks_per_beat / score.length_ticks) if score.length_ticks else 0.0


def groove_similarity(score: Score) -> float:
    """Mean similarity of the rhythms of two bars, over all pairs of bars, in [0, 1].

    The rhythm of a bar has one bit per tick, set if a note begins there; the similarity is the share of equal bits. It
    is closer to 1 on a finer grid. A piece of equal bars has 1, and so have silence and a piece of one bar. Of a piece
    whose metre changes, the bars of `beats_per_bar` are compared.
    Source: Wu & Yang 2020, "The Jazz Transformer on the Front Line", section 5, grooving pattern similarity,
    with Q = `ticks_per_bar` positions instead of 64.
    """
    starts = score.main_bar_ticks
    bars = len(starts)
    if bars < 2:
        return 1.0
    onsets = np.unique(score.notes["onset_tick"])
    positions = onsets - starts[np.maximum(np.searchsorted(starts, onsets, side="right") - 1, 0)]
    positions = positions[(positions >= 0) & (positions < score.ticks_per_bar)]
    counts = np.unique(positions, return_counts=True)[1]  # bars with an onset, for each position that has one
    unequal = (counts * (bars - counts)).sum() / (bars * (bars - 1) / 2)
    return float(1.0 - unequal / score.ticks_per_bar)


def ioi_entropy(score: Score) -> float:
    """Shannon entropy of the inter-onset intervals (IOI), in bits, from 0; an onset is a tick at which notes begin.

    A steady pulse has 0, and so have fewer than three onsets. It does not depend on the tempo or on the grid.
    Source: the inter-onset intervals of Yang & Lerch 2020, "On the evaluation of generative models in music", with the
    entropy of their histogram in place of their mean.
    """
    intervals = np.diff(np.unique(score.notes["onset_tick"]))
    counts = np.unique(intervals, return_counts=True)[1]
    return float((counts / max(len(intervals), 1) * np.log2(max(len(intervals), 1) / counts)).sum())


def syncopation(score: Score) -> float:
    """Mean syncopation of an onset, in levels of the metre, in [0, 5].

    The levels are 0 for a bar line, -1 for a beat, -2 for halves and thirds of a beat, -3 and -4 for the halves of
    these, and -5 for everything else. If the strongest position after an onset and before the next is stronger than
    the position of the onset, it is syncopated by the difference of both levels: a note is held, or a rest follows,
    where a stronger onset is expected. The last onset does not count; fewer than two, and so silence, have 0.
    Source: Longuet-Higgins & Lee 1984, "The rhythmic interpretation of monophonic music", with one level from beats to
    bars, as a score does not say how its beats are grouped. So it is defined for bars of any length.
    """
    onsets = np.unique(score.notes["onset_tick"]).astype(np.int64)
    if len(onsets) < 2:
        return 0.0
    here, last = onsets[:-1], onsets[1:] - 1  # the ticks from which, and up to which, the next position is looked for
    level = np.full(len(here), -5)
    strongest = np.full(len(here), -5)
    for number, divisions in enumerate(reversed(DIVISIONS), start=-4):
        for division in divisions:
            position, part = _part_of_beat(score, here, division), _part_of_beat(score, last, division)
            level[position % 1 == 0] = number
            strongest[np.floor(part) > np.floor(position)] = number
    beat, last_beat = beat_of(score, here), beat_of(score, last)
    level[beat_start(score, beat) == here] = -1
    strongest[last_beat > beat] = -1
    level[bars_before(score, here + 1) > bars_before(score, here)] = 0
    strongest[bars_before(score, last + 1) > bars_before(score, here + 1)] = 0
    return float(np.maximum(strongest - level, 0).mean())


def _part_of_beat(score: Score, ticks: np.ndarray, division: int) -> np.ndarray:
    """Where each tick is in its beat, in parts of 1 / `division` of a beat; whole numbers are exact."""
    return (ticks - beat_start(score, beat_of(score, ticks))) * division / score.ticks_per_beat


def covered_ticks(starts: np.ndarray, ends: np.ndarray) -> int:
    """Length of the union of the intervals `[start, end)`; `starts` must be sorted."""
    if not len(starts):
        return 0
    covered_until = np.maximum.accumulate(ends)  # by all intervals up to this one
    new_from = np.maximum(starts, np.concatenate((starts[:1], covered_until[:-1])))
    return int(np.maximum(ends - new_from, 0).sum(dtype=np.int64))
