"""What the agreement of note and syllable is computed from: products of features of both.

Rests and the ends of lines are left out: an environment with words has a rest after each line, whatever is played.
"""

from __future__ import annotations

import numpy as np

from toccata.music.songs.prosody import SungSyllables

NOTE_FEATURES = (
    "weight",  # metrical, in [0, 1]
    "weight_over_last",  # minus that of the syllable before
    "weight_over_next",
    "length",  # log2 of its ticks over the median, in [-3, 3]
    "length_over_last",
    "length_over_next",
    "step_up",  # interval from the note before, in units of a third, in [-2, 2]
    "step_down_after",  # interval to the next note, downwards
    "leap",  # size of the interval from the note before
    "height",  # of the pitch, in standard deviations of the song, in [-3, 3]
    "melisma",  # 1 for a syllable on several notes
    "weight_and_length",  # product
)
SYLLABLE_FEATURES = ("stressed", "unstressed", "word_begin", "word_end", "stressed_monosyllable")
COUNT = len(NOTE_FEATURES) * len(SYLLABLE_FEATURES)
THIRD = 3.5  # semitones
WIDEST = 2.0  # thirds
LONGEST = 3.0  # octaves of length
HIGHEST = 3.0  # standard deviations
LEAST_SPREAD = 1.0  # semitones, of songs on one note or two


def note_features(sung: SungSyllables) -> np.ndarray:
    """(n, notes' features) float64 of the notes of each syllable; they do not depend on the words.

    Args:
        sung: n syllables, at least one.
    """
    pitches = sung.first_pitches.astype(float)
    length = np.clip(np.log2(sung.ticks / np.median(sung.ticks)), -LONGEST, LONGEST)
    step = np.clip(np.diff(pitches, prepend=pitches[0]) / THIRD, -WIDEST, WIDEST)
    columns = [
        sung.weights,
        *_over_neighbours(sung.weights),
        length,
        *_over_neighbours(length),
        step,
        -np.append(step[1:], 0.0),
        np.abs(step),
        np.clip((pitches - pitches.mean()) / max(pitches.std(), LEAST_SPREAD), -HIGHEST, HIGHEST),
        (sung.notes > 1).astype(float),
        sung.weights * length,
    ]
    return np.stack(columns, axis=1)


def syllable_features(sung: SungSyllables) -> np.ndarray:
    """(n, syllables' features) float64 in {0, 1} of the words; they do not depend on the notes."""
    stressed = sung.stress > 0
    columns = [
        stressed,
        sung.stress == 0,
        sung.word_begins,
        sung.word_ends,
        stressed & sung.word_begins & sung.word_ends,
    ]
    return np.stack(columns, axis=1).astype(float)


def products(notes: np.ndarray, syllables: np.ndarray) -> np.ndarray:
    """(n, COUNT) every feature of a note times every feature of its syllable."""
    return (notes[:, :, None] * syllables[:, None, :]).reshape(len(notes), COUNT)


def _over_neighbours(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each of (n,) values minus the one before, and minus the next, in [-2, 2]; 0 where there is none."""
    steps = np.clip(np.diff(values), -WIDEST, WIDEST)
    return np.insert(steps, 0, 0.0), np.append(-steps, 0.0)
