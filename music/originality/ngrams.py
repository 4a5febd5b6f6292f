"""N-grams of scores that transposition and other note values leave unchanged, as 64-bit hashes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from toccata.music.score import Score
from toccata.music.skyline import skyline

NGRAM = 8  # onsets; shorter ones are shared by most works of a style, see docs/originality.md
VOICES = ("melody", "texture")  # what n-grams are made of: the skyline, or all notes of each onset


class Events(NamedTuple):
    """The onsets of a score in one of the `VOICES`, in order; e of them."""

    onset_ticks: np.ndarray  # (e,) int64, strictly increasing
    tops: np.ndarray  # (e,) int64, MIDI pitch of the highest note that begins
    chords: np.ndarray  # (e,) uint64, hash of the intervals from the highest note down to the others
    counts: np.ndarray  # (e,) int64, notes that begin


def events_of(score: Score, voice: str) -> Events:
    """The onsets of the score; of the melody those of its skyline, with one note each."""
    notes = (skyline(score) if voice == "melody" else score).notes
    onsets, pitches = notes["onset_tick"].astype(np.int64), notes["pitch"].astype(np.int64)
    last = np.flatnonzero(np.diff(onsets, append=-1))  # the highest note of each onset, as pitches ascend
    counts = np.diff(last, prepend=-1)
    tops = pitches[last]
    below = _mixed((np.repeat(tops, counts) - pitches).astype(np.uint64))
    chords = np.add.reduceat(below, last - counts + 1) if len(last) else below
    return Events(onsets[last], tops, chords, counts)


def ngram_hashes(events: Events) -> np.ndarray:
    """(max(0, e - 7),) uint64 hashes of the n-grams that begin with each onset.

    An n-gram is eight successive onsets: the intervals between their highest notes in semitones, the times between
    them divided by their greatest common divisor, and their chords. So it is the same in another key, at another tempo,
    on another grid, and in halved or doubled note values.
    """
    grams = len(events.tops) - NGRAM + 1
    if grams < 1:
        return np.empty(0, np.uint64)
    intervals = sliding_window_view(np.diff(events.tops), NGRAM - 1)
    times = sliding_window_view(np.diff(events.onset_ticks), NGRAM - 1)
    times = times // np.gcd.reduce(times, axis=1)[:, None]
    hashes = np.zeros(grams, np.uint64)
    for k in range(NGRAM - 1):
        hashes = _mixed(hashes ^ (intervals[:, k] + 128).astype(np.uint64))
        hashes = _mixed(hashes ^ times[:, k].astype(np.uint64))
    for k in range(NGRAM):
        hashes = _mixed(hashes ^ events.chords[k : k + grams])
    return hashes


def _mixed(values: np.ndarray) -> np.ndarray:
    """A bijection of uint64 whose bits all depend on all bits of the values.

    Source: the finaliser of SplitMix64, Steele, Lea & Flood 2014, "Fast Splittable Pseudorandom Number Generators".
    """
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
