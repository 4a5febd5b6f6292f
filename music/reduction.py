"""Piano reduction: a score reduced to what two hands can play, melody and bass first."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from toccata.music.score import NOTE_DTYPE, Score

LOWEST_KEY, HIGHEST_KEY = 21, 108  # A0 and C8, the ends of the piano's keyboard
HAND_SPAN = 14  # semitones, a ninth: what most adult hands reach
FINGERS_PER_HAND = 5
NOTE_VALUES = (1, 3, 4, 6, 8, 12, 16, 18, 24, 36, 48, 72, 96)  # ticks, 24 a quarter: 1/96 to a whole note


@dataclass(frozen=True)
class ReductionReport:
    """Counts of the notes that a reduction changed."""

    notes: int  # of the score that was reduced
    dropped: int  # those that are not in the reduced score
    shortened: int  # those that are in it with a shorter duration

    @property
    def kept(self) -> float:
        """Share of the notes that were not dropped, in [0, 1]; 1 for a score without notes."""
        return 1 - self.dropped / self.notes if self.notes else 1.0


def fits_two_hands(
    pitches: Iterable[int], hand_span: int = HAND_SPAN, fingers_per_hand: int = FINGERS_PER_HAND
) -> bool:
    """Whether two hands can hold these keys at once.

    The left hand holds as many of the lowest keys as it can, and the right hand must hold all others. Without crossed
    hands this greedy assignment is exact. Every subset of a set that fits also fits.

    Args:
        pitches: MIDI numbers in any order.
        hand_span: greatest distance from the lowest to the highest key of one hand, semitones.
        fingers_per_hand: greatest number of keys of one hand.
    """
    return _fits(sorted(set(pitches)), hand_span, fingers_per_hand)


def reduce_to_two_hands(
    score: Score,
    *,
    lowest: int = LOWEST_KEY,
    highest: int = HIGHEST_KEY,
    hand_span: int = HAND_SPAN,
    fingers_per_hand: int = FINGERS_PER_HAND,
    max_sounding: int = 2 * FINGERS_PER_HAND,
    values: Sequence[int] = NOTE_VALUES,
) -> tuple[Score, ReductionReport]:
    """Reduce a score to what two hands can play, melody and bass first.

    Durations are shortened to the largest note value that they contain. Then, tick by tick, the notes are added from
    the outside in (highest, lowest, next highest, ...). If a note does not fit with the held ones, these are released
    early, inner voices first and the bass last; if that is not enough, the note is dropped.

    Args:
        score: any score, of any number of voices.
        lowest: lowest key of the keyboard, MIDI number.
        highest: highest key of the keyboard, MIDI number.
        hand_span: greatest distance from the lowest to the highest key of one hand, semitones.
        fingers_per_hand: greatest number of keys of one hand.
        max_sounding: greatest number of keys of both hands.
        values: allowed durations in ticks of the score, ascending. Shorter notes are dropped.

    Returns:
        The reduced score, of the same length, metre and tempo, and the report. At every tick of it the sounding keys
        fit two hands; all its durations are in `values`; reducing it again changes nothing.

    Raises:
        ValueError: when `values` is empty, not ascending or not positive.
    """
    values = tuple(values)
    if not values or values[0] < 1 or any(a >= b for a, b in pairwise(values)):
        raise ValueError(f"values must be ascending positive numbers of ticks, got {values}")
    onsets: dict[int, list[tuple[int, int, int]]] = {}  # tick -> [(pitch, duration, index)], by ascending pitch
    for index, (onset, duration, pitch, _) in enumerate(score.notes.tolist()):
        value = _largest_value(values, duration)
        if value and lowest <= pitch <= highest:
            onsets.setdefault(onset, []).append((pitch, value, index))

    durations = [0] * len(score)  # 0: dropped
    sounding: list[int] = []  # keys that are down, ascending
    held: dict[int, tuple[int, int, int]] = {}  # key pressed at an earlier tick -> (onset, end, index)
    for now, notes_now in onsets.items():
        for pitch in [pitch for pitch, (_, end, _) in held.items() if end <= now]:
            del held[pitch]
            sounding.remove(pitch)
        new = {}
        for pitch, value, index in _outside_in(notes_now):
            released = _keys_to_release(pitch, sounding, held, now, values, (max_sounding, hand_span, fingers_per_hand))
            if released is None:
                continue
            for key in released:
                onset, _, held_index = held.pop(key)
                sounding.remove(key)
                durations[held_index] = _largest_value(values, now - onset)
            insort(sounding, pitch)
            durations[index] = value
            new[pitch] = (now, now + value, index)
        held.update(new)

    reduced = np.array(durations, NOTE_DTYPE["duration_ticks"])
    kept = reduced > 0
    shortened = int((kept & (reduced < score.notes["duration_ticks"])).sum())
    notes = score.notes.copy()
    notes["duration_ticks"] = reduced
    report = ReductionReport(notes=len(score), dropped=int((~kept).sum()), shortened=shortened)
    return replace(score, notes=notes[kept]), report


def _fits(keys: Sequence[int], hand_span: int, fingers_per_hand: int) -> bool:
    """`fits_two_hands` for ascending keys."""
    left = min(bisect_right(keys, keys[0] + hand_span), fingers_per_hand) if keys else 0
    right = len(keys) - left
    return right <= 0 or (right <= fingers_per_hand and keys[-1] - keys[left] <= hand_span)


def _largest_value(values: Sequence[int], duration: int) -> int:
    """The largest of the ascending values that is not above the duration, 0 if there is none."""
    count = bisect_right(values, duration)
    return values[count - 1] if count else 0


def _outside_in(notes: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Notes of ascending pitch in the order highest, lowest, next highest, next lowest, ..."""
    inwards = [note for pair in zip(reversed(notes), notes, strict=True) for note in pair]
    return inwards[: len(notes)]


def _keys_to_release(
    pitch: int,
    sounding: list[int],
    held: dict[int, tuple[int, int, int]],
    now: int,
    values: Sequence[int],
    limits: tuple[int, int, int],
) -> Collection[int] | None:
    """The held keys to release so that `pitch` can be played, as few as possible; None if it cannot be played."""
    max_sounding, hand_span, fingers_per_hand = limits

    def playable_without(released: Collection[int]) -> bool:
        keys = [key for key in sounding if key not in released]
        insort(keys, pitch)
        return len(keys) <= max_sounding and _fits(keys, hand_span, fingers_per_hand)

    if playable_without(()):
        return ()
    ends = sorted(held)
    outer = {ends[-1]: 1, ends[0]: 2} if ends else {}  # the bass is released last, the melody before it
    candidates = sorted(
        (key for key, (onset, _, _) in held.items() if now - onset >= values[0]),
        key=lambda key: (outer.get(key, 0), held[key][1] - now, key),  # the note that ends first loses least
    )
    for key in candidates:
        if playable_without((key,)):
            return (key,)
    released: set[int] = set(candidates)
    if not playable_without(released):
        return None
    for key in reversed(candidates):  # keep the keys that need not be released, the bass first
        if playable_without(released - {key}):
            released.discard(key)
    return released


def shortened_to_values(score: Score, values: Sequence[int]) -> Score:
    """The score with each duration shortened to the largest of the ascending `values` that it contains.

    Notes shorter than the first value are dropped.
    """
    index = np.searchsorted(values, score.notes["duration_ticks"], side="right") - 1
    notes = score.notes[index >= 0].copy()
    notes["duration_ticks"] = np.asarray(values)[index[index >= 0]]
    return replace(score, notes=notes)
