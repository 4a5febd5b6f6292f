"""Scores as pictures of 106 x 106 pixels, and back.

A picture has a row for each of the pitches 21 (A0) to 126 and a column for each of 106 sixteenths. midi2img
(github.com/mathigatti/midi2img) writes MIDI files as pictures of as many pitches. There a pixel is white where a note
sounds, so that a repeated note is the same as a long one; here the column of the onset has 1 and those in which it is
held have 1/2.

What fits is kept exactly: notes of these pitches whose onsets and ends are on the grid of sixteenths. Other onsets and
ends are moved to the nearest column, a note has one column at least, and the velocities are lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from toccata.agents.rivals.composer import RivalError
from toccata.envs.instrument import VELOCITY
from toccata.music.score import TICKS_PER_BEAT, Score

SIZE = 106  # pitches, and columns
LOWEST = 21  # MIDI number of row 0
STEPS_PER_BEAT = 4
TICKS_PER_STEP = TICKS_PER_BEAT // STEPS_PER_BEAT
HELD, ONSET = 0.5, 1.0
LEVELS = 2  # times a pixel of a score is a whole number
MAX_PICTURES = 4000  # of a set: 45 MB


def picture_of(score: Score, start_step: int = 0) -> np.ndarray:
    """(SIZE, SIZE) float32 picture of a score in [0, 1], pitch by sixteenth.

    Args:
        score: of any grid.
        start_step: sixteenths of the score before the picture; notes that began before it are not shown.
    """
    return _grid(score, start_step + SIZE)[:, start_step : start_step + SIZE].astype(np.float32) / LEVELS


def _grid(score: Score, least_steps: int) -> np.ndarray:
    """(SIZE, steps) uint8 of a whole score, `LEVELS` times the values of its pictures, with silence after it."""
    scale = STEPS_PER_BEAT / score.ticks_per_beat
    onset = np.floor(score.notes["onset_tick"] * scale + 0.5).astype(int)
    end = np.maximum(np.floor(score.offset_ticks * scale + 0.5).astype(int), onset + 1)
    grid = np.zeros((SIZE, max(least_steps, end.max(initial=0))), np.uint8)
    rows = score.notes["pitch"].astype(int) - LOWEST
    shown = (rows >= 0) & (rows < SIZE)
    for row, first, last in zip(rows[shown], onset[shown], end[shown], strict=True):
        grid[row, first] = LEVELS
        grid[row, first + 1 : last] = LEVELS // 2
    return grid


def training_pictures(scores: Iterable[Score], rng: np.random.Generator) -> np.ndarray:
    """(n, SIZE, SIZE) uint8, `LEVELS` times the pictures that begin at each bar line of the scores.

    A work shorter than a picture gives one, with silence at its end; longer ones none that goes beyond their end. If
    there are more than `MAX_PICTURES`, `rng` chooses.
    """
    grids, places = [], []
    for number, score in enumerate(scores):
        steps = -(-score.length_ticks * STEPS_PER_BEAT // score.ticks_per_beat)
        grids.append(_grid(score, max(steps, SIZE)))
        starts = np.floor(score.bar_ticks * STEPS_PER_BEAT / score.ticks_per_beat + 0.5).astype(int)
        inside = starts[starts + SIZE <= max(steps, SIZE)]
        places += [(number, int(start)) for start in (inside if len(inside) else [0])]
    if len(places) > MAX_PICTURES:
        places = [places[index] for index in np.sort(rng.choice(len(places), MAX_PICTURES, replace=False))]
    pictures = np.zeros((len(places), SIZE, SIZE), np.uint8)
    for picture, (number, start) in zip(pictures, places, strict=True):
        picture[:] = grids[number][:, start : start + SIZE]
        held_over = np.cumprod(picture == LEVELS // 2, axis=1, dtype=bool)  # of notes that began before the picture
        picture[held_over] = 0
    return pictures


def steps_per_bar(beats_per_bar: float) -> int:
    """Columns of a bar.

    Raises:
        RivalError: for bars that are no whole number of sixteenths, and for those longer than a picture.
    """
    steps = beats_per_bar * STEPS_PER_BEAT
    if not float(steps).is_integer() or not 1 <= steps <= SIZE:
        raise RivalError(
            f"beats_per_bar must make a bar of 1 to {SIZE} sixteenths, a picture's columns, got {beats_per_bar:g}"
        )
    return int(steps)


def pictures_per_piece(bars: int, beats_per_bar: float) -> int:
    """Pictures that a piece of `bars` bars is joined from: the whole bars of each are used."""
    return -(-bars // (SIZE // steps_per_bar(beats_per_bar)))


def score_of(pictures: Sequence[np.ndarray] | np.ndarray, bars: int, beats_per_bar: float, tempo_bpm: float) -> Score:
    """The score of the whole bars of pictures, one after the other.

    A pixel nearer to 1 than to 1/2 is an onset, one nearer to 1/2 than to 0 is held; where nothing was struck that
    could be held, in the first column too, it is an onset. In one picture this is the inverse of `picture_of`.

    Args:
        pictures: (`pictures_per_piece`, rows, SIZE) with values in [0, 1]; the rows are the pitches from `LOWEST` on.
        bars: of the score.
        beats_per_bar: quarter notes in a bar.
        tempo_bpm: quarter notes a minute.

    Raises:
        RivalError: as `steps_per_bar`.
    """
    steps = steps_per_bar(beats_per_bar)
    columns = SIZE // steps * steps
    levels = np.floor(np.stack([picture[:, :columns] for picture in pictures]) * LEVELS + 0.5).astype(int)
    sounding = levels > 0
    struck = levels >= LEVELS
    struck[:, :, 1:] |= sounding[:, :, 1:] & ~sounding[:, :, :-1]
    struck[:, :, 0] |= sounding[:, :, 0]
    sounding, struck = (np.concatenate(list(each), axis=1)[:, : bars * steps] for each in (sounding, struck))
    silent = np.pad(~sounding, ((0, 0), (0, 1)), constant_values=True)
    again = np.pad(struck, ((0, 0), (0, 1)), constant_values=True)
    notes = []
    for row, onset in np.argwhere(struck).tolist():
        duration = 1 + int(np.argmax((silent | again)[row, onset + 1 :]))
        notes.append((onset * TICKS_PER_STEP, duration * TICKS_PER_STEP, LOWEST + row, VELOCITY))
    return Score(notes, TICKS_PER_BEAT, beats_per_bar, tempo_bpm, bars * steps * TICKS_PER_STEP)
