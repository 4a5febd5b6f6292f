"""The batched dynamics: one action in each of many pianos."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike

from toccata.envs.instrument import CHORD_SIZE, Piano
from toccata.music.score import NOTE_DTYPE, TICKS_PER_BEAT, Score

RECENT_FRAMES = 32  # sixteenths of the past in an observation: two bars of 4/4
TICKS_PER_FRAME = TICKS_PER_BEAT // 4
MAX_OBSERVED_BEATS = 4.0  # durations in observations are clipped to it: the longest note value
INITIAL_NOTE_CAPACITY = 256  # notes of one env; doubled when an env needs more

STATE_ARRAYS = ("states", "sounding", "release", "notes", "roll", "played", "masks")  # attributes of a `Dynamics`
ONSET, DURATION, PITCH, NOTE_VELOCITY = range(4)  # columns of `Dynamics.notes`


def _load_kernels() -> ModuleType:
    """The compiled rules. They are imported with the first piano, not with the package, because Numba loads slowly."""
    from toccata.envs.dynamics import kernels

    return kernels


def _load_observations() -> ModuleType:
    """The compiled observations."""
    from toccata.envs.dynamics import observations

    return observations


class Dynamics:
    """`num_envs` pianos, stepped together. Episodes, rewards and seeds are in `core.py`.

    Attributes:
        states: (n,) records of `kernels.STATE_DTYPE`.
        masks: (n, whats + values) bool, the legal actions, the two dimensions concatenated, and the velocities of a
            piano that has any, all legal. Each step replaces the array and leaves the old one unchanged, so that it can
            be returned without a copy.
        sounding: (n, max_sounding) int16, the ascending pitches of the keys that are down; their number is in `states`.
        release: (n, max_sounding) int32, the tick at which each of them is released.
        notes: (n, capacity, 4) int32, onset tick, duration in ticks, pitch and velocity of the notes so far.
        roll: (n, 32, keys) uint8, the frames of `recent` as a ring buffer, frame f in row f % 32; (n, 0, keys) unless
            `keep_roll`.
        played: (n, max_steps, 2) int16, the actions of this episode; illegal ones as the rests that they became. With
            velocities (n, max_steps, 3).
    """

    state_arrays: tuple[str, ...] = STATE_ARRAYS

    def __init__(self, num_envs: int, piano: Piano, max_steps: int, *, keep_roll: bool = False) -> None:
        self.piano = piano
        self.num_envs = num_envs
        self.whats = piano.nvec[0]
        self.states = np.zeros(num_envs, _load_kernels().STATE_DTYPE)
        self.masks = np.zeros((num_envs, sum(piano.nvec)), np.bool_)
        self.sounding = np.zeros((num_envs, piano.max_sounding), np.int16)
        self.release = np.zeros((num_envs, piano.max_sounding), np.int32)
        self.notes = np.zeros((num_envs, INITIAL_NOTE_CAPACITY, 4), np.int32)
        self.roll = np.zeros((num_envs, RECENT_FRAMES if keep_roll else 0, piano.keys), np.uint8)
        self.played = np.zeros((num_envs, max_steps, len(piano.nvec)), np.int16)
        self._keyboard = _load_kernels().keyboard_of(piano)
        self._all = np.arange(num_envs)
        self._note_bound = 0  # upper bound of the notes of any env, so that they are not counted at every step

    def begin(self, rows: ArrayLike, *, ticks_per_bar: int, end_tick: int, primer: Score | None = None) -> None:
        """Reset the envs `rows` (k,) to pieces that begin with the primer, if there is one, and end at `end_tick`."""
        rows = np.asarray(rows, np.int64)
        start_tick = 0 if primer is None else primer.length_ticks
        _load_kernels().begin(self.states, rows, ticks_per_bar, start_tick, end_tick)
        if primer is not None and len(primer):
            self._note_bound = max(self._note_bound, len(primer))
            self._ensure_capacity(len(primer))
            self.notes[rows, : len(primer)] = primer.notes.tolist()  # the fields of NOTE_DTYPE are the columns here
            self.states["notes"][rows] = len(primer)
            self.states["last_onset_tick"][rows] = primer.notes["onset_tick"][-1]
            self.states["last_top"][rows] = primer.notes["pitch"][-1]  # notes are sorted by onset, then pitch
        self.roll[rows] = 0
        if primer is not None and self.roll.size:
            self.roll[rows] = _roll_at_end(primer, self.piano)
        self.masks = self.masks.copy()
        _load_kernels().write_masks(self.masks, self.states, self.sounding, rows, self._keyboard)

    def step(self, actions: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Play `actions` (n, 2) and return (n,) bool, which of them were legal; the others became rests.

        A piano with velocities takes actions (n, 3). With `rows` (k,) only those envs play; the actions of the
        others are ignored, and count as legal.
        """
        self._note_bound += CHORD_SIZE
        if self._note_bound > self.notes.shape[1]:
            self._note_bound = int(self.states["notes"].max()) + CHORD_SIZE
            self._ensure_capacity(self._note_bound)
        legal = np.ones(self.num_envs, np.bool_)
        new_masks = np.empty_like(self.masks) if rows is None else self.masks.copy()
        _load_kernels().step(
            self.states,
            self.sounding,
            self.release,
            self.notes,
            self.roll,
            self.played,
            actions,
            legal,
            self.masks,
            new_masks,
            self._all if rows is None else rows,
            self._keyboard,
        )
        self.masks = new_masks
        return legal

    def _ensure_capacity(self, notes: int) -> None:
        """Enlarge `notes` to hold at least that many notes in each env."""
        capacity = self.notes.shape[1]
        if notes > capacity:
            more = np.zeros((self.num_envs, max(capacity, notes - capacity), 4), np.int32)
            self.notes = np.concatenate([self.notes, more], axis=1)

    def random_legal_actions(self, rng: np.random.Generator) -> np.ndarray:
        """(n, dimensions) int64: for each env a legal entry of each dimension, uniform over each."""
        return random_legal_actions(self.masks, self.whats, rng, velocities=len(self.piano.velocities or ()))

    def last_velocity(self, rows: np.ndarray) -> np.ndarray:
        """(k,) int16, the velocity of the last action as it was chosen, even of an illegal one; 0 before the first."""
        steps = self.states["steps"][rows]
        return np.where(steps > 0, self.played[rows, np.minimum(steps, self.played.shape[1]) - 1, 2], 0)

    def arrays(self) -> dict[str, np.ndarray]:
        """Every array that the next steps depend on, by name."""
        return {name: getattr(self, name) for name in self.state_arrays}

    def set_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `arrays` returned.

        Raises:
            ValueError: when it comes from another number of envs, or from another piano.
        """
        for name in self.state_arrays:
            new, current = arrays[name], getattr(self, name)
            fits = new.shape[::2] == current.shape[::2] if name == "notes" else new.shape == current.shape
            if not fits or new.dtype != current.dtype:
                raise ValueError(f"the state's {name} has shape {new.shape}, this piano's {current.shape}")
        for name in self.state_arrays:
            setattr(self, name, arrays[name])
        self._note_bound = int(self.states["notes"].max())

    # Observations, each a new array

    def held(self, rows: np.ndarray) -> np.ndarray:
        """(k, keys) float32 for the envs `rows` (k,): beats that each key will still sound, in [0, 4]."""
        held = np.empty((len(rows), self.piano.keys), np.float32)
        _load_observations().write_held(
            held,
            self.states,
            self.sounding,
            self.release,
            rows,
            self.piano.lowest,
            TICKS_PER_BEAT,
            MAX_OBSERVED_BEATS,
        )
        return held

    def recent(self, rows: np.ndarray) -> np.ndarray:
        """(k, 32 * keys) uint8, roll of the last 32 sixteenths, the current one last: 1 sounding, 2 onset."""
        recent = np.empty((len(rows), RECENT_FRAMES * self.piano.keys), np.uint8)
        _load_observations().write_recent(recent, self.states, self.roll, rows, TICKS_PER_FRAME)
        return recent

    def place(self, rows: np.ndarray) -> np.ndarray:
        """(k, 4) int32: tick in the bar, ticks in a bar, bars the agent has finished, bars left."""
        place = np.empty((len(rows), 4), np.int32)
        _load_observations().write_place(place, self.states, rows)
        return place

    def top(self, rows: np.ndarray) -> np.ndarray:
        """(k,) int64: the `what` of the highest key of the latest onset; 0 before the first."""
        tops = self.states["last_top"][rows]
        return np.where(tops < 0, 0, tops - self.piano.lowest + 1).astype(np.int64)

    def clock(self, rows: np.ndarray) -> np.ndarray:
        """(k, 6) float32 in [-1, 1]: sine, cosine of the position in the bar and in the beat, progress, silence."""
        clock = np.empty((len(rows), 6), np.float32)
        _load_observations().write_clock(clock, self.states, rows, TICKS_PER_BEAT, MAX_OBSERVED_BEATS)
        return clock

    # Scores

    def score(self, i: int, end_tick: int, tempo_bpm: float) -> Score:
        """The piece of env `i` up to `end_tick`; longer notes are cut there."""
        return self.lazy_score(i, end_tick, tempo_bpm)()

    def lazy_score(self, i: int, end_tick: int, tempo_bpm: float) -> Callable[[], Score]:
        """A function that makes the `score` of the notes so far; later steps do not change its result."""
        rows = self.notes[i, : self.states["notes"][i]].copy()
        return partial(_score_of_rows, rows, int(self.states["ticks_per_bar"][i]), end_tick, tempo_bpm)


def _roll_at_end(score: Score, piano: Piano) -> np.ndarray:
    """(32, keys) uint8: `Dynamics.roll` of one env after the score, which must be playable on `piano`."""
    now = score.length_ticks // TICKS_PER_FRAME
    roll = np.zeros((RECENT_FRAMES, piano.keys), np.uint8)
    for onset, duration, pitch, _ in score.notes.tolist():  # by onset: later ones overwrite earlier ones
        onset_frame, last = onset // TICKS_PER_FRAME, (onset + duration - 1) // TICKS_PER_FRAME
        for frame in range(max(onset_frame, now - RECENT_FRAMES + 1), last + 1):
            row = frame % RECENT_FRAMES
            roll[row, pitch - piano.lowest] = 2 if frame == onset_frame else max(1, roll[row, pitch - piano.lowest])
    return roll


def _score_of_rows(rows: np.ndarray, ticks_per_bar: int, end_tick: int, tempo_bpm: float) -> Score:
    """The score of `rows` (notes, 4) of `Dynamics.notes`."""
    rows = rows[rows[:, ONSET] < end_tick]
    notes = np.empty(len(rows), NOTE_DTYPE)
    notes["onset_tick"] = rows[:, ONSET]
    notes["duration_ticks"] = np.minimum(rows[:, DURATION], end_tick - rows[:, ONSET])
    notes["pitch"] = rows[:, PITCH]
    notes["velocity"] = rows[:, NOTE_VELOCITY]
    beats_per_bar = ticks_per_bar / TICKS_PER_BEAT
    return Score(notes, beats_per_bar=beats_per_bar, tempo_bpm=tempo_bpm, length_ticks=end_tick)


def random_legal_actions(masks: np.ndarray, whats: int, rng: np.random.Generator, *, velocities: int = 0) -> np.ndarray:
    """(n, 2) int64: for each mask a legal `what` and a legal `value`, uniform over each.

    Args:
        masks: (n, whats + values) bool.
        whats: size of the action's first dimension.
        rng: random number generator.
        velocities: size of its third dimension, whose masks come last; the actions then are (n, 3).
    """
    size = masks.shape[1]
    ends = np.array([whats, size - velocities, size] if velocities else [whats, size])
    actions = np.empty((len(masks), len(ends)), np.int64)
    _load_kernels().choose_legal(masks, ends, rng.random(actions.shape), actions)
    return actions
