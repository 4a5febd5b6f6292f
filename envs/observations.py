"""What an agent sees of a batch of pianos, as compiled loops over the arrays of `dynamics.py`."""

from __future__ import annotations

import numpy as np

from toccata.envs.dynamics import MOST_BEATS, RECENT_FRAMES, TICKS_PER_FRAME
from toccata.envs.kernels import jit
from toccata.music.score import TICKS_PER_BEAT


@jit
def write_held(
    held: np.ndarray, states: np.ndarray, sounding: np.ndarray, release: np.ndarray, rows: np.ndarray, lowest: int
) -> None:
    """(k, keys) float32: beats each key will still sound, at most MOST_BEATS."""
    held[:] = 0
    for row, i in enumerate(rows):
        for k in range(states[i].sounding):
            beats = (release[i, k] - states[i].clock) / TICKS_PER_BEAT
            held[row, sounding[i, k] - lowest] = min(beats, MOST_BEATS)


@jit
def _copy(target: np.ndarray, source: np.ndarray) -> None:
    """A slice assigned by hand: Numba's own goes byte by byte."""
    for k in range(len(target)):
        target[k] = source[k]


@jit
def write_recent(recent: np.ndarray, states: np.ndarray, roll: np.ndarray, rows: np.ndarray) -> None:
    """(k, 32 * keys) uint8: the frames of `roll` in their order, the current one last."""
    size = roll.shape[1] * roll.shape[2]
    for row, i in enumerate(rows):
        frames = roll[i].reshape(size)
        oldest = (states[i].clock // TICKS_PER_FRAME + 1) % RECENT_FRAMES * roll.shape[2]
        _copy(recent[row, : size - oldest], frames[oldest:])
        _copy(recent[row, size - oldest :], frames[:oldest])


@jit
def write_place(place: np.ndarray, states: np.ndarray, rows: np.ndarray) -> None:
    """(k, 4) int32: tick in the bar, ticks in a bar, bars the agent has finished, bars still to write."""
    for row, i in enumerate(rows):
        state = states[i]
        own = state.clock - state.start_tick
        place[row, 0] = own % state.ticks_per_bar
        place[row, 1] = state.ticks_per_bar
        place[row, 2] = own // state.ticks_per_bar
        place[row, 3] = (state.end_tick - state.start_tick) // state.ticks_per_bar - place[row, 2]


@jit
def write_clock(clock: np.ndarray, states: np.ndarray, rows: np.ndarray) -> None:
    """(k, 6) float32: place in bar and in beat as sine and cosine, progress, beats since the last onset."""
    for row, i in enumerate(rows):
        state = states[i]
        own = state.clock - state.start_tick  # 0 at a bar line: a primer fills whole bars
        in_bar = 2 * np.pi * (own % state.ticks_per_bar) / state.ticks_per_bar
        in_beat = 2 * np.pi * (own % TICKS_PER_BEAT) / TICKS_PER_BEAT
        silent = MOST_BEATS
        if state.last_onset_tick >= 0:
            silent = min(MOST_BEATS, (state.clock - state.last_onset_tick) / TICKS_PER_BEAT)
        clock[row, 0] = np.sin(in_bar)
        clock[row, 1] = np.cos(in_bar)
        clock[row, 2] = np.sin(in_beat)
        clock[row, 3] = np.cos(in_beat)
        clock[row, 4] = own / (state.end_tick - state.start_tick)
        clock[row, 5] = silent / MOST_BEATS
