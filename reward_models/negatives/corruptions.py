"""Corruptions: real pieces with one property destroyed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from toccata.envs.codec import encode
from toccata.music.score import NOTE_DTYPE, Score

CHANGE_PROBABILITY = 0.3  # of a note in `wrong_notes`, of an onset in `timing_jitter`


def shuffled_pitches(score: Score, rng: np.random.Generator) -> Score:
    """The pitches permuted over the notes; the rhythm is unchanged."""
    return _with_fields(score, pitch=rng.permutation(score.notes["pitch"]))


def wrong_notes(score: Score, rng: np.random.Generator) -> Score:
    """Each note, with probability 0.3, 1..6 semitones too high or too low."""
    shift = rng.integers(1, 7, len(score)) * rng.choice([-1, 1], len(score))
    return _with_fields(score, pitch=score.notes["pitch"] + shift * (rng.random(len(score)) < CHANGE_PROBABILITY))


def transposed_upper_notes(score: Score, rng: np.random.Generator) -> Score:
    """The notes above the median pitch transposed by 1, 3, 4 or 6 semitones, the others unchanged."""
    pitch = score.notes["pitch"].copy()
    pitch[pitch > np.median(pitch)] += rng.choice([-6, -4, -3, -1, 1, 3, 4, 6])
    return _with_fields(score, pitch=pitch)


def shuffled_rhythm(score: Score, rng: np.random.Generator) -> Score:
    """The inter-onset intervals permuted, and the durations permuted."""
    onsets, index = np.unique(score.notes["onset_tick"], return_inverse=True)
    intervals = rng.permutation(np.diff(onsets))
    shuffled = onsets[:1].sum() + np.concatenate(([0], np.cumsum(intervals)))
    return _with_fields(
        score, onset_tick=shuffled[index], duration_ticks=rng.permutation(score.notes["duration_ticks"])
    )


def timing_jitter(score: Score, rng: np.random.Generator) -> Score:
    """Each onset, with probability 0.3, 1..5 ticks (up to a fifth of a beat) too early or too late."""
    onsets, index = np.unique(score.notes["onset_tick"], return_inverse=True)
    shift = rng.integers(1, 6, len(onsets)) * rng.choice([-1, 1], len(onsets))
    shift = shift * (rng.random(len(onsets)) < CHANGE_PROBABILITY)
    return _with_fields(score, onset_tick=(onsets + shift)[index])


def shuffled_bars(score: Score, rng: np.random.Generator) -> Score:
    """The bars permuted; notes held over a bar line end there."""
    bar = score.ticks_per_bar
    bars = []
    for position, source in enumerate(rng.permutation(score.length_ticks // bar).tolist()):
        notes = score.slice(source * bar, (source + 1) * bar).notes.copy()
        notes["onset_tick"] += position * bar
        bars.append(notes)
    return replace(score, notes=np.concatenate([np.empty(0, NOTE_DTYPE), *bars]))


def repeated_figure(score: Score, rng: np.random.Generator) -> Score:
    """The onsets of the piece, with the notes of one to four successive onsets repeated from beginning to end."""
    onsets = np.unique(score.notes["onset_tick"])
    first, period = int(rng.integers(len(onsets))), int(rng.integers(1, 5))
    figure = [score.notes[score.notes["onset_tick"] == onset] for onset in onsets[first : first + period]]
    groups = [figure[i % len(figure)].copy() for i in range(len(onsets))]
    for onset, notes in zip(onsets, groups, strict=True):
        notes["onset_tick"] = onset
    return _with_notes(score, np.concatenate(groups))


def deleted_notes(score: Score, rng: np.random.Generator) -> Score:
    """Each note kept with one probability in 0..0.4, more often a small one."""
    return _with_notes(score, score.notes[rng.random(len(score)) < 0.4 * rng.random() ** 2])


def added_notes(score: Score, rng: np.random.Generator) -> Score:
    """One to four more notes at each note, up to 8 semitones away."""
    notes = [score.notes]
    for _ in range(int(rng.integers(1, 5))):
        added = score.notes.copy()
        added["pitch"] = np.clip(added["pitch"] + rng.integers(-8, 9, len(added)), 21, 108)
        notes.append(added)
    return _with_notes(score, np.concatenate(notes))


CORRUPTIONS: dict[str, Callable[[Score, np.random.Generator], Score]] = {
    corruption.__name__: corruption
    for corruption in (
        shuffled_pitches,
        wrong_notes,
        transposed_upper_notes,
        shuffled_rhythm,
        timing_jitter,
        shuffled_bars,
        repeated_figure,
        deleted_notes,
        added_notes,
    )
}
"""Every corruption by name: from a score with notes and a random number generator to a score of the same length."""


def corrupt(name: str, scores: Sequence[Score], rng: np.random.Generator) -> list[Score]:
    """Each score with the corruption `name`, as the instrument plays it; scores without notes are left out."""
    return [encode(CORRUPTIONS[name](score, rng))[1].score for score in scores if len(score)]


def _with_fields(score: Score, **fields: np.ndarray) -> Score:
    """The score with these fields of its notes."""
    notes = score.notes.copy()
    for name, values in fields.items():
        notes[name] = values
    return _with_notes(score, notes)


def _with_notes(score: Score, notes: np.ndarray) -> Score:
    """The score with these notes, clipped to the keyboard and to the length of the piece."""
    notes = notes.copy()
    notes["onset_tick"] = np.clip(notes["onset_tick"], 0, score.length_ticks - 1)
    notes["duration_ticks"] = np.minimum(notes["duration_ticks"], score.length_ticks - notes["onset_tick"])
    notes["pitch"] = np.clip(notes["pitch"], 21, 108)
    return replace(score, notes=notes)
