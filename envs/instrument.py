"""The instrument: its keys, chords and note values, and the limits of the hands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

# Chord qualities as semitones above the root.
QUALITIES = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
}
CHORD_LOWEST = range(48, 60)  # C3-B3: the register of accompaniment, below most melodies
CHORD_SIZE = 4  # notes in the largest chord shape; shorter ones are padded with NO_PITCH
NO_PITCH = -1
VELOCITY = 80  # of every note, mezzo-forte, where actions have no velocity
VELOCITIES = (32, 48, 64, 80, 96, 112)  # pp, p, mp, mf, f and ff: the levels of `toccata/PianoVelocity-v0`

NOTE_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def note_name(pitch: int) -> str:
    """Name of a MIDI pitch, such as "C4" for 60."""
    return f"{NOTE_NAMES[pitch % 12]}{pitch // 12 - 1}"


@dataclass(frozen=True)
class Piano:
    """The vocabulary of actions and the limits of two hands, under which an agent composes.

    An action is `(what, value)`. `what` 0 is a rest, 1..keys plays a key, larger ones play a chord. `value` is an index
    into `values`: the duration of the notes, or of the rest. Pitches are MIDI numbers, durations are ticks (24 to a
    quarter note).

    With `velocities` an action is `(what, value, velocity)`, and `velocity` is an index into `velocities`: of all notes
    that it strikes. That of a rest has no effect; `encode` gives rests 0.

    Args:
        lowest: lowest key.
        highest: highest key.
        chords: chord qualities, names of `QUALITIES`; each in every inversion in close position, with its lowest note
            on each of C3-B3, as far as the keyboard, hands and `max_sounding` allow.
        values: durations of notes and rests in ticks, ascending, each a multiple of the first, so that every gap on
            that grid is a sum of them.
        max_sounding: keys that may be down at once.
        hand_span: semitones between the outer fingers of one hand; 14 is a ninth, what most adult hands reach.
        fingers_per_hand: keys one hand can hold.
        velocities: of the notes, ascending, in 1..127; None: actions have no velocity, and every note has velocity 80.

    Raises:
        ValueError: for a field outside its range, naming it.
    """

    lowest: int = 21
    highest: int = 108
    chords: tuple[str, ...] = tuple(QUALITIES)
    values: tuple[int, ...] = (1, 3, 4, 6, 8, 12, 16, 18, 24, 36, 48, 72, 96)
    max_sounding: int = 10
    hand_span: int = 14
    fingers_per_hand: int = 5
    velocities: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "chords", tuple(self.chords))
        values = tuple(int(value) for value in self.values)
        if values != tuple(self.values):
            raise ValueError(f"values must be whole numbers of ticks, got {self.values}")
        object.__setattr__(self, "values", values)
        if not 0 <= self.lowest < self.highest <= 127:
            raise ValueError(f"keys must satisfy 0 <= lowest < highest <= 127, got {self.lowest} and {self.highest}")
        unknown = [name for name in self.chords if name not in QUALITIES]
        if unknown:
            raise ValueError(f"unknown chord quality {unknown[0]!r}; there are {', '.join(QUALITIES)}")
        if not self.values or self.values[0] < 1 or list(self.values) != sorted(set(self.values)):
            raise ValueError(f"values must be ascending positive ticks, got {self.values}")
        if any(value % self.values[0] for value in self.values):
            raise ValueError(f"values must be multiples of the smallest, {self.values[0]}, got {self.values}")
        if not 1 <= self.max_sounding <= 32:
            raise ValueError(f"max_sounding must be in 1..32, got {self.max_sounding}")
        if not 0 <= self.hand_span <= 127:
            raise ValueError(f"hand_span must be in 0..127 semitones, got {self.hand_span}")
        if not 1 <= self.fingers_per_hand <= 32:
            raise ValueError(f"fingers_per_hand must be in 1..32, got {self.fingers_per_hand}")
        if self.velocities is not None:
            velocities = tuple(int(velocity) for velocity in self.velocities)
            if velocities != tuple(self.velocities):
                raise ValueError(f"velocities must be whole numbers, got {self.velocities}")
            object.__setattr__(self, "velocities", velocities)
            if not velocities or list(velocities) != sorted(set(velocities) & set(range(1, 128))):
                raise ValueError(f"velocities must be ascending and in 1..127, or None, got {velocities}")

    @property
    def keys(self) -> int:
        """Number of keys."""
        return self.highest - self.lowest + 1

    @cached_property
    def chord_pitches(self) -> np.ndarray:
        """(chords, 4) int16, the ascending pitches of each chord, padded with -1."""
        shapes = []
        for name in self.chords:
            above_root = QUALITIES[name]
            for inversion in range(len(above_root)):
                inverted = above_root[inversion:] + tuple(step + 12 for step in above_root[:inversion])
                shape = tuple(step - inverted[0] for step in inverted)
                if shape not in shapes:  # all inversions of an augmented triad have one shape
                    shapes.append(shape)
        rows = [
            [lowest + step for step in shape] + [NO_PITCH] * (CHORD_SIZE - len(shape))
            for shape in shapes
            for lowest in CHORD_LOWEST
            if lowest >= self.lowest
            and lowest + shape[-1] <= self.highest
            and len(shape) <= self.max_sounding
            and shape[-1] <= self.hand_span
            and len(shape) <= self.fingers_per_hand
        ]
        return np.array(rows, np.int16).reshape(-1, CHORD_SIZE)

    @cached_property
    def chord_index(self) -> dict[tuple[int, ...], int]:
        """The `what` of each chord, by its ascending pitches."""
        return {
            tuple(pitch for pitch in row if pitch != NO_PITCH): 1 + self.keys + i
            for i, row in enumerate(self.chord_pitches.tolist())
        }

    @property
    def nvec(self) -> tuple[int, ...]:
        """Sizes of the action's dimensions: `(1 + keys + chords, len(values))`, with velocities also their number."""
        sizes = 1 + self.keys + len(self.chord_pitches), len(self.values)
        return sizes if self.velocities is None else (*sizes, len(self.velocities))

    def key_of(self, pitch: int) -> int:
        """The `what` that plays `pitch`; the inverse of `pitches_of` for single keys."""
        if not self.lowest <= pitch <= self.highest:
            raise ValueError(f"pitch must be in {self.lowest}..{self.highest}, got {pitch}")
        return pitch - self.lowest + 1

    def pitches_of(self, what: int) -> tuple[int, ...]:
        """The ascending pitches that `what` plays; none for a rest."""
        if not 0 <= what < self.nvec[0]:
            raise ValueError(f"what must be in 0..{self.nvec[0] - 1}, got {what}")
        if what == 0:
            return ()
        if what <= self.keys:
            return (self.lowest + what - 1,)
        return tuple(p for p in self.chord_pitches[what - 1 - self.keys].tolist() if p != NO_PITCH)

    def describe(self, action: np.ndarray | tuple[int, ...]) -> str:
        """An action as text, such as "rest 24" ticks, "C3+E3+G3 for 48", or "C4 for 24 at 64" with a velocity."""
        what, value = int(action[0]), self.values[int(action[1])]
        if what == 0:
            return f"rest {value}"
        at = "" if self.velocities is None else f" at {self.velocities[int(action[2])]}"
        return f"{'+'.join(note_name(pitch) for pitch in self.pitches_of(what))} for {value}{at}"
