"""Metrics of rhythm: silence, density, groove."""

from __future__ import annotations

import numpy as np

from toccata.music.score import Score


def empty_beat_rate(score: Score) -> float:
    """Share of the beats of the piece in which no note sounds, in [0, 1]; silence has 1.

    An incomplete last beat counts as a beat; a held note sounds in every beat that it overlaps.
    Source: Dong et al. 2018, "MuseGAN", objective metrics, ratio of empty bars, here for beats.
    """
    beats = -(-score.length_ticks // score.ticks_per_beat)
    onset_beat = score.notes["onset_tick"] // score.ticks_per_beat
    offset_beat = -(-score.offset_ticks // score.ticks_per_beat)
    return 1.0 - covered_ticks(onset_beat, offset_beat) / beats if beats else 1.0


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


def covered_ticks(starts: np.ndarray, ends: np.ndarray) -> int:
    """Length of the union of the intervals `[start, end)`; `starts` must be sorted."""
    if not len(starts):
        return 0
    covered_until = np.maximum.accumulate(ends)  # by all intervals up to this one
    new_from = np.maximum(starts, np.concatenate((starts[:1], covered_until[:-1])))
    return int(np.maximum(ends - new_from, 0).sum(dtype=np.int64))
