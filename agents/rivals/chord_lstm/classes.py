"""Scores as sequences of events, and the classes that a network predicts of them.

An event is an onset: the set of pitches that are struck there, which is one class, and its timing, the ticks until the
next onset and the ticks that it sounds, which is another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from toccata.envs.codec import encode
from toccata.envs.instrument import VELOCITY, Piano
from toccata.music.score import TICKS_PER_BEAT, Score

START, UNKNOWN = 0, 1  # classes before the first event, and of sets of pitches outside the vocabulary
FIRST_CHORD = 2  # number of the first class that is a set of pitches
MAX_CHORDS = 1000  # sets of pitches: in Bach's chorales those that are left out are 13 % of the onsets
MIN_COUNT = 2  # a set that occurs once in the training works cannot be learnt
MAX_TIMINGS = 128

Chord = tuple[int, ...]  # MIDI numbers, ascending
Timing = tuple[int, int]  # ticks to the next onset, ticks that it sounds; both at least 1


@dataclass(frozen=True)
class Events:
    """The onsets of a score, in order of time."""

    chords: tuple[Chord, ...]
    timings: np.ndarray  # (n, 2) int64, ticks to the next onset or the end, and ticks that the chord sounds

    def __len__(self) -> int:
        """Number of onsets."""
        return len(self.chords)

    @property
    def notes(self) -> int:
        """Number of notes."""
        return sum(map(len, self.chords))


def events_of(score: Score, piano: Piano | None = None) -> Events:
    """The events of a score as the piano plays it, at 24 ticks a quarter.

    The notes of a chord get one duration, the most frequent of theirs, of several the shortest. The silence before the
    first onset is left out.

    Args:
        score: any.
        piano: by default `Piano()`.
    """
    played = encode(score, piano)[1].score
    onsets, first = np.unique(played.notes["onset_tick"], return_index=True)
    groups = np.split(played.notes, first[1:]) if len(onsets) else []
    gaps = np.diff(np.append(onsets, played.length_ticks))
    durations = [_most_frequent(group["duration_ticks"]) for group in groups]
    timings = np.stack([gaps, np.array(durations, np.int64)], axis=1).astype(np.int64).reshape(-1, 2)
    return Events(tuple(tuple(group["pitch"].tolist()) for group in groups), timings)


def _most_frequent(values: np.ndarray) -> int:
    """The most frequent of values, of several the least."""
    distinct, counts = np.unique(values, return_counts=True)
    return int(distinct[counts.argmax()])


def score_of(events: Events, length_ticks: int, beats_per_bar: float, tempo_bpm: float) -> Score:
    """The score of events, the first of them at tick 0; what is after `length_ticks` is cut.

    The inverse of `events_of` for a score that begins with an onset, whose chords have notes of one duration.
    """
    onset, notes = 0, []
    for chord, (gap, duration) in zip(events.chords, events.timings.tolist(), strict=True):
        if onset >= length_ticks:
            break
        notes += [(onset, min(duration, length_ticks - onset), pitch, VELOCITY) for pitch in chord]
        onset += gap
    return Score(notes, TICKS_PER_BEAT, beats_per_bar, tempo_bpm, length_ticks)


@dataclass(frozen=True)
class Vocabulary:
    """The sets of pitches and the timings that have a class, each the most frequent first.

    Raises:
        ValueError: for none of them, a pitch outside 0..127, and ticks less than 1.
    """

    chords: tuple[Chord, ...]
    timings: tuple[Timing, ...]

    def __post_init__(self) -> None:
        if not self.chords or not self.timings:
            raise ValueError("a vocabulary needs at least one chord and one timing")
        if any(
            not chord or list(chord) != sorted({*chord}) or chord[-1] > 127 or chord[0] < 0 for chord in self.chords
        ):
            raise ValueError("the chords of a vocabulary must be ascending pitches in 0..127")
        if any(len(timing) != 2 or min(timing) < 1 for timing in self.timings):
            raise ValueError("the timings of a vocabulary must be pairs of at least one tick")

    @classmethod
    def of(cls, works: Iterable[Events]) -> Vocabulary:
        """The vocabulary of training works."""
        chords, timings = Counter[Chord](), Counter[Timing]()
        for events in works:
            chords.update(events.chords)
            timings.update((gap, duration) for gap, duration in events.timings.tolist())
        ordered = sorted(chords.items(), key=lambda item: (-item[1], item[0]))
        kept = [chord for chord, count in ordered[:MAX_CHORDS] if count >= MIN_COUNT] or [ordered[0][0]]
        by_count = sorted(timings.items(), key=lambda item: (-item[1], item[0]))[:MAX_TIMINGS]
        return cls(tuple(kept), tuple(timing for timing, _ in by_count))

    @classmethod
    def from_json(cls, about: Mapping[str, Any]) -> Vocabulary:
        """The vocabulary that `to_json` wrote.

        Raises:
            ValueError, KeyError, AttributeError: for something else.
        """
        chords, timings = (
            tuple(tuple(map(int, text.split("."))) for text in about[name]) for name in ("chords", "timings")
        )
        return cls(chords, timings)  # type: ignore[arg-type]  # the constructor checks that timings are pairs

    def to_json(self) -> dict[str, list[str]]:
        """Chords and timings as texts such as "60.64.67", which JSON files need few lines for."""
        return {name: [".".join(map(str, each)) for each in getattr(self, name)] for name in ("chords", "timings")}

    @property
    def classes(self) -> int:
        """Number of classes of chords, those of `START` and `UNKNOWN` included."""
        return FIRST_CHORD + len(self.chords)

    @cached_property
    def _numbers(self) -> dict[Chord, int]:
        return {chord: FIRST_CHORD + number for number, chord in enumerate(self.chords)}

    def chord_classes(self, chords: Sequence[Chord]) -> np.ndarray:
        """(n,) int64 classes of sets of pitches, `UNKNOWN` for those without one."""
        return np.array([self._numbers.get(chord, UNKNOWN) for chord in chords], np.int64)

    def timing_classes(self, timings: np.ndarray) -> np.ndarray:
        """(n,) int64 classes of timings (n, 2): the nearest in log ticks, the first of equally near ones."""
        known = np.log(np.array(self.timings, float))
        distance = np.abs(np.log(timings.astype(float))[:, None] - known).sum(axis=2)
        return distance.argmin(axis=1)
