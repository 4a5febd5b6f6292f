"""Beats of a single line of known tempo: the steadiest beats that its onsets fit, with swing or without."""

from __future__ import annotations

import numpy as np

PLACES = 48  # parts of a beat
BEATS_PER_SEGMENT = 4  # within which the tempo is constant
MAX_SHIFT = 6  # places a segment: the tempo is at most 3 % from the given one
SHIFT_COST = 0.15  # nats of the squared shift of a segment, in places
ELSEWHERE = 0.3  # probability of an onset anywhere in the beat
ON_BEAT = 0.55  # of the others; the rest are off the beat
OFF_BEAT = range(24, 33)  # places from the half of a beat to two thirds: from straight to swung quavers
SPREAD = 2.2  # places, the standard deviation of an onset's


def steady_beats(onsets: np.ndarray, tempo_bpm: float) -> np.ndarray:
    """The times of the beats of a line played to a steady pulse, such as a solo over a rhythm section.

    Viterbi decoding: the state is where the beat begins, its changes are small departures from the given tempo, and
    onsets are likely on the beat and between its half and two thirds. Unlike `toccata.music.midi.beats.track_beats`,
    which follows a pianist's rubato and can put a beat on nearly every onset, it has one free number in four beats.

    Args:
        onsets: (notes,) ascending seconds, at least one.
        tempo_bpm: mean tempo, beats a minute.

    Returns:
        (beats,) ascending seconds, at least two; the first is at or before the first onset, the last after the last.
    """
    period = 60 / tempo_bpm
    beats = (onsets - onsets[0]) / period  # at the given tempo, from the first onset
    segments = (beats // BEATS_PER_SEGMENT).astype(int)
    shifts = np.arange(-MAX_SHIFT, MAX_SHIFT + 1)
    starts, chosen = _best_shifts(beats, segments, shifts)
    knots = np.arange(segments[-1] + 2) * BEATS_PER_SEGMENT
    score = knots + (starts + np.concatenate(([0], np.cumsum(chosen)))) / PLACES  # beats of the line at the knots
    numbers = np.arange(np.floor(score[0]), np.ceil(score[-1]) + 1)
    places = np.interp(numbers, score, knots)
    places += np.minimum(numbers - score[0], 0) + np.maximum(numbers - score[-1], 0)  # beyond the ends
    return onsets[0] + places * period


def _best_shifts(beats: np.ndarray, segments: np.ndarray, shifts: np.ndarray) -> tuple[int, np.ndarray]:
    """The best place of the first onset in its beat, and the shift of each segment, in places."""
    nats, count = _nats_of_places(), int(segments[-1]) + 1
    states = np.arange(PLACES)
    ends = (states[:, None] + shifts) % PLACES
    best = np.zeros(PLACES)
    came = np.empty((count, PLACES), int)  # index of the shift by which each state is reached
    for segment in range(count):
        own = beats[segments == segment]
        through = own / BEATS_PER_SEGMENT - segment
        places = own * PLACES + states[:, None, None] + shifts[:, None] * through
        values = best[:, None] + nats[np.round(places).astype(int) % PLACES].sum(axis=2) - SHIFT_COST * shifts**2
        reached = np.full((PLACES, len(shifts)), -np.inf)
        reached[ends, np.arange(len(shifts))] = values
        came[segment], best = reached.argmax(axis=1), reached.max(axis=1)
    state = int(best.argmax())
    chosen = np.empty(count, int)
    for segment in reversed(range(count)):
        chosen[segment] = shifts[came[segment, state]]
        state = (state - chosen[segment]) % PLACES
    return state, chosen


def _nats_of_places() -> np.ndarray:
    """(PLACES,) log-probability of an onset at each place of a beat."""
    places = np.arange(PLACES)

    def near(centre: int) -> np.ndarray:
        distance = (places - centre + PLACES // 2) % PLACES - PLACES // 2
        bell = np.exp(-0.5 * (distance / SPREAD) ** 2)
        return bell / bell.sum()

    off_beat = np.mean([near(centre) for centre in OFF_BEAT], axis=0)
    return np.log(ELSEWHERE / PLACES + (1 - ELSEWHERE) * (ON_BEAT * near(0) + (1 - ON_BEAT) * off_beat))
