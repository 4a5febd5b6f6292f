"""Accompaniment of a melody from chords, in the left hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, pairwise, product

import numpy as np

from toccata.music.chord_estimation import ChordSpan
from toccata.music.chord_symbols import Chord
from toccata.music.score import NOTE_DTYPE, Score

# Where chords are struck in a bar of four quarters and how long they sound, in quarters from the bar line.
RHYTHMS: dict[str, tuple[tuple[float, float], ...]] = {
    "whole": ((0, 4),),
    "halves": ((0, 2), (2, 2)),
    "quarters": ((0, 1), (1, 1), (2, 1), (3, 1)),
    "charleston": ((0, 1.5), (1.5, 2.5)),
}
BASS_RANGE = range(36, 52)  # C2 to Eb3
HIGHEST = 67  # G4
HAND_SPAN = 14  # semitones from the bass to the highest note of the hand
BELOW_MELODY = 1  # semitones at least
FIRST_VOICING = 50  # D3, which the notes of the first voicing are near
VELOCITY = 64


def comp(melody: Score, chords: Sequence[ChordSpan], rhythm: str = "halves", velocity: int = VELOCITY) -> Score:
    """The melody with its chords below it, as a pianist plays from a lead sheet.

    Each chord is a shell voicing: the bass and the two notes that tell the quality of the chord, its third and seventh,
    or third and fifth of a triad. Of the voicings that one hand reaches below the melody, it is the one nearest to the
    voicing before. Source: Levine 1989, "The Jazz Piano Book", chapter 3 (three-note voicings). What the left hand
    cannot play below a low melody is left out. A chord is struck as the rhythm says, and anew where it changes.

    Args:
        melody: the line, of any metre; its notes are unchanged, but where they would sound the same key at once.
        chords: ascending; each lasts until the next, the last to the end of the melody.
        rhythm: one of `RHYTHMS`. In a shorter bar the strokes after its end are left out.
        velocity: of the chords.

    Raises:
        ValueError: for an unknown rhythm and for chords that do not ascend.
    """
    if rhythm not in RHYTHMS:
        raise ValueError(f"unknown rhythm {rhythm!r}; there are {', '.join(RHYTHMS)}")
    ticks = [span.onset_tick for span in chords]
    if any(later <= earlier for earlier, later in pairwise(ticks)):
        raise ValueError("the chords must ascend in onset_tick")
    notes: list[tuple[int, int, int, int]] = []
    before: tuple[int, ...] = ()
    for onset, end, chord in _strokes(melody, chords, rhythm):
        ceiling = _lowest_sounding(melody, onset, end) - BELOW_MELODY
        voicing = _voicing(chord, min(HIGHEST, ceiling), before)
        notes += [(onset, end - onset, pitch, velocity) for pitch in voicing]
        before = voicing or before
    accompaniment = np.array(notes, NOTE_DTYPE)
    return replace(melody, notes=np.concatenate((melody.notes, accompaniment)))


def _strokes(melody: Score, chords: Sequence[ChordSpan], rhythm: str) -> list[tuple[int, int, Chord]]:
    """(onset tick, end tick, chord) of each stroke."""
    ends = [*(span.onset_tick for span in chords), melody.length_ticks][1:]
    bars = np.append(melody.bar_ticks, melody.length_ticks).tolist()
    pattern = [(round(at * melody.ticks_per_beat), round(long * melody.ticks_per_beat)) for at, long in RHYTHMS[rhythm]]
    strokes = []
    for span, end in zip(chords, ends, strict=True):
        if span.chord is None:
            continue
        for bar, next_bar in pairwise(bars):
            for at, long in pattern:
                start, stop = max(bar + at, span.onset_tick), min(bar + at + long, next_bar, end)
                if start < stop:
                    strokes.append((start, stop, span.chord))
    return strokes


def _lowest_sounding(melody: Score, onset: int, end: int) -> int:
    """The lowest pitch of the melody that sounds between two ticks; 128 if none does."""
    sounding = (melody.notes["onset_tick"] < end) & (melody.offset_ticks > onset)
    return int(melody.notes["pitch"][sounding].min(initial=128))


def _voicing(chord: Chord, ceiling: int, before: tuple[int, ...]) -> tuple[int, ...]:
    """The ascending pitches of the shell voicing nearest to that before; as many notes as fit below the ceiling."""
    tones = [(chord.root + each) % 12 for each in (chord.third, chord.seventh) if each is not None]
    fifth = next((each for each in chord.intervals if each in (6, 7, 8)), None)
    if len(tones) < 2 and fifth is not None:
        tones.append((chord.root + fifth) % 12)
    basses = [pitch for pitch in BASS_RANGE if pitch % 12 == chord.bass and pitch <= ceiling]
    for count in range(len(tones), -1, -1):
        voicings = [
            (bass, *sorted(upper))
            for bass in basses
            for kept in combinations(tones, count)
            for upper in product(*(_placements(tone, bass, ceiling) for tone in kept))
        ]
        if voicings:
            return min(voicings, key=lambda voicing: (_movement(before, voicing), voicing))
    return ()


def _placements(tone: int, bass: int, ceiling: int) -> list[int]:
    """The pitches of a pitch class that the hand reaches above the bass."""
    return [pitch for pitch in range(bass + 3, min(bass + HAND_SPAN, ceiling) + 1) if pitch % 12 == tone]


def _movement(before: tuple[int, ...], voicing: tuple[int, ...]) -> tuple[int, int]:
    """Semitones that the upper notes move, and the bass; for the first voicing, how far it is from D3."""
    if len(before) != len(voicing):
        return sum(abs(pitch - FIRST_VOICING) for pitch in voicing), 0
    return sum(abs(a - b) for a, b in zip(before[1:], voicing[1:], strict=True)), abs(before[0] - voicing[0])
