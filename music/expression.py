"""Dynamics for a score that has none, by rules: how a piece is rendered for people, not what was composed.

The rules add up in decibels, as in the KTH rule system (Friberg, Bresin & Sundberg 2006, "Overview of the KTH rule
system for musical performance", Advances in Cognitive Psychology 2), and become velocities by the default curve of
sound fonts. Onsets and durations stay as they are. The amounts are set by hand, no performance was fitted.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toccata.music.metre import TimeSignature, time_signature
from toccata.music.score import Score
from toccata.music.skyline import is_highest, is_lowest

CENTRE = 72  # velocity of 0 dB, mezzo-forte
LOWEST, HIGHEST = 40, 110  # velocities, -10.2 and 7.4 dB: piano to forte
PHRASES = ((4, 3.0), (8, 3.0))  # bars of a phrase, and decibels from its ends to its peak: arches within arches
TURN = 0.6  # of a phrase, where its peak is
MEAN_ARCH = 2 / 3  # of the arch of unit height, so that phrases do not change the mean level
ACCENTS = (1.5, 0.75, 0.0, -0.75, -1.5)  # dB at the bar line, the middle of the bar, a beat, its halves or thirds, else
BASS, INNER = -2.0, -4.0  # dB of the lowest line and of the voices between it and the melody
HIGH_LOUD = 1.0  # dB an octave above middle C


def expressive(score: Score, first_tick: int = 0) -> Score:
    """The score with velocities by rules, in 40..110, where it has one velocity only.

    Four rules, whose decibels are added:

    - phrase arch: louder towards a point after the middle of each phrase and softer to its end, a parabola, for
      phrases of 4 bars inside phrases of 8, counted from the beginning (Todd 1992, "The dynamics of dynamics: a model
      of musical expression", JASA 91; phrase arch in Friberg et al. 2006). Where the phrases of a piece are is not
      analysed;
    - metrical accent: by the strength of an onset in its time signature (Lerdahl & Jackendoff 1983, "A Generative
      Theory of Tonal Music", chapter 4);
    - melody: the skyline is louder than the bass and the inner voices softest (Goebl 2001, "Melody lead in piano
      performance: expressive device or artifact?", JASA 110: pianists strike the notes of a melody harder);
    - high loud: the higher, the louder (Friberg et al. 2006).

    A velocity of v is 40 log10(v / 72) dB, the default of sound fonts (SoundFont 2.04, section 8.4.1).

    Args:
        score: any score.
        first_tick: where the music after a primer begins. The notes before and those from there on are two parts; a
            part whose velocities differ has dynamics of its own, which are kept.

    Returns:
        the score with other velocities and nothing else changed; equal scores give equal ones.
    """
    notes = score.notes
    later = notes["onset_tick"] >= first_tick
    flat = np.zeros(len(notes), bool)
    for part in (later, ~later):
        if len(np.unique(notes["velocity"][part])) == 1:
            flat |= part
    if not flat.any():
        return score
    level = phrase_arches(score) + metrical_accents(score)
    level += np.where(is_highest(notes), 0.0, np.where(is_lowest(notes), BASS, INNER))
    level += HIGH_LOUD * (notes["pitch"] - 60.0) / 12
    velocity = np.clip(np.rint(CENTRE * 10 ** (level / 40)), LOWEST, HIGHEST)
    changed = notes.copy()
    changed["velocity"] = np.where(flat, velocity, notes["velocity"])
    return replace(score, notes=changed)


def phrase_arches(score: Score) -> np.ndarray:
    """(notes,) dB by the place of each onset in its phrases; a last phrase of less than half the bars is no own one."""
    onset, level = score.notes["onset_tick"], np.zeros(len(score))
    bar_ticks = score.bar_ticks
    for bars, decibels in PHRASES:
        starts = bar_ticks[::bars]
        if len(starts) > 1 and (len(bar_ticks) - 1) % bars + 1 < bars / 2:
            starts = starts[:-1]
        edges = np.append(starts, score.length_ticks)
        phrase = np.searchsorted(starts, onset, "right") - 1
        place = (onset - edges[phrase]) / (edges[phrase + 1] - edges[phrase])
        from_peak = np.where(place < TURN, (TURN - place) / TURN, (place - TURN) / (1 - TURN))
        level += decibels * (1 - from_peak**2 - MEAN_ARCH)
    return level


def metrical_accents(score: Score) -> np.ndarray:
    """(notes,) dB of `ACCENTS` by the strongest pulse of the bar that each onset is on.

    A beat of 6/8, 9/8 and 12/8 has three eighths, of other signatures it is the note that they name; bars of an even
    number of beats, from four on, have a middle.
    """
    onset, level = score.notes["onset_tick"], np.full(len(score), ACCENTS[-1])
    bar_ticks = score.bar_ticks
    in_bar = onset - bar_ticks[np.searchsorted(bar_ticks, onset, "right") - 1]
    signatures = score.time_signatures or (
        TimeSignature(0, *(time_signature(score.beats_per_bar) or (round(score.beats_per_bar) or 1, 4))),
    )
    section = np.searchsorted([each.tick for each in signatures], onset, "right") - 1
    for index, (_, numerator, denominator) in enumerate(signatures):
        compound = denominator >= 8 and numerator % 3 == 0
        beats = numerator // 3 if compound else numerator
        beat = 4 * score.ticks_per_beat / denominator * (3 if compound else 1)
        pulses = {3: beat / (3 if compound else 2), 2: beat}
        if beats >= 4 and beats % 2 == 0:
            pulses[1] = beat * beats / 2
        here = section == index
        for strength in sorted(pulses, reverse=True):
            level[here & (in_bar % pulses[strength] == 0)] = ACCENTS[strength]
    level[in_bar == 0] = ACCENTS[0]
    return level
