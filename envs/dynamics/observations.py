"""The observations of a batch of pianos as Numba functions over the arrays of `batch.py`.

As in `kernels.py` they read no global of another module, because Numba's cache would not notice its change.
"""

from __future__ import annotations

import numpy as np

from toccata.compiled import jit


@jit
def write_held(
    held: np.ndarray,
    states: np.ndarray,
    sounding: np.ndarray,
    release: np.ndarray,
    rows: np.ndarray,
    lowest: int,
    ticks_per_beat: int,
    max_beats: float,
) -> None:
    """(k, keys) float32: beats that each key will still sound, at most `max_beats`."""
    held[:] = 0
    for row, i in enumerate(rows):
        for k in range(states[i].sounding):
            beats = (release[i, k] - states[i].clock) / ticks_per_beat
            held[row, sounding[i, k] - lowest] = min(beats, max_beats)


@jit
def _copy(target: np.ndarray, source: np.ndarray) -> None:
    """Copy element by element, which the compiler vectorises; Numba's slice assignment copies byte by byte."""
    for k in range(len(target)):
        target[k] = source[k]


@jit
def write_recent(
    recent: np.ndarray, states: np.ndarray, roll: np.ndarray, rows: np.ndarray, ticks_per_frame: int
) -> None:
    """(k, frames * keys) uint8: the ring buffer `roll` (n, frames, keys) in order, the current frame last."""
    frames, keys = roll.shape[1], roll.shape[2]
    size = frames * keys
    for row, i in enumerate(rows):
        flat = roll[i].reshape(size)
        oldest = (states[i].clock // ticks_per_frame + 1) % frames * keys
        _copy(recent[row, : size - oldest], flat[oldest:])
        _copy(recent[row, size - oldest :], flat[:oldest])


@jit
def write_place(place: np.ndarray, states: np.ndarray, rows: np.ndarray) -> None:
    """(k, 4) int32: tick in the bar, ticks in a bar, bars the agent has finished, bars left."""
    for row, i in enumerate(rows):
        state = states[i]
        ticks = state.clock - state.start_tick
        place[row, 0] = ticks % state.ticks_per_bar
        place[row, 1] = state.ticks_per_bar
        place[row, 2] = ticks // state.ticks_per_bar
        place[row, 3] = (state.end_tick - state.start_tick) // state.ticks_per_bar - place[row, 2]


@jit
def write_clock(clock: np.ndarray, states: np.ndarray, rows: np.ndarray, ticks_per_beat: int, max_beats: float) -> None:
    """(k, 6) float32 in [-1, 1].

    Sine and cosine of the position in the bar, the same in the beat, the share of the piece that is written, and the
    beats since the last onset, clipped to `max_beats` and divided by it.
    """
    for row, i in enumerate(rows):
        state = states[i]
        ticks = state.clock - state.start_tick  # 0 is a bar line: a primer fills whole bars
        in_bar = 2 * np.pi * (ticks % state.ticks_per_bar) / state.ticks_per_bar
        in_beat = 2 * np.pi * (ticks % ticks_per_beat) / ticks_per_beat
        since_onset = max_beats
        if state.last_onset_tick >= 0:
            since_onset = min(max_beats, (state.clock - state.last_onset_tick) / ticks_per_beat)
        clock[row, 0] = np.sin(in_bar)
        clock[row, 1] = np.cos(in_bar)
        clock[row, 2] = np.sin(in_beat)
        clock[row, 3] = np.cos(in_beat)
        clock[row, 4] = ticks / (state.end_tick - state.start_tick)
        clock[row, 5] = since_onset / max_beats
