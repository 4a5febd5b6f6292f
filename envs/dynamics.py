"""The batched dynamics: what happens on many pianos when each is given one action."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike

from toccata.envs.instrument import CHORD_SIZE, Piano
from toccata.music.score import NOTE_DTYPE, TICKS_PER_BEAT, Score

RECENT_FRAMES = 32  # sixteenths the agent sees of the past: two bars of 4/4
TICKS_PER_FRAME = TICKS_PER_BEAT // 4
MOST_BEATS = 4.0  # where observed times are clipped: the longest note value
NOTES_ROOM = 256  # notes that an env has room for at first; it doubles when one needs more

ARRAYS = ("states", "sounding", "release", "notes", "roll", "played", "masks")  # where a `Dynamics` stands
ONSET, DURATION, PITCH, NOTE_VELOCITY = range(4)  # columns of `Dynamics.notes`


def kernels() -> ModuleType:
    """The compiled rules. Numba is loaded with the first piano, not with the package."""
    from toccata.envs import kernels

    return kernels


def views() -> ModuleType:
    """The compiled observations."""
    from toccata.envs import observations as views

    return views


class Dynamics:
    """`num_envs` pianos side by side. It knows no episodes, rewards or seeds: see `core.py`.

    Attributes:
        states: (n,) records of `kernels.STATE_DTYPE`.
        masks: (n, whats + values) bool, the legal actions, the two dimensions concatenated. It is replaced, never
            changed: who keeps one keeps that moment's.
        sounding: (n, max_sounding) int16, the rising pitches of the keys that are down; `states` says how many.
        release: (n, max_sounding) int32, the tick at which each of them is lifted.
        notes: (n, room, 4) int32, onset tick, duration in ticks, pitch and velocity of what was written.
        roll: (n, 32, keys) uint8, what `recent` shows, frame f in row f % 32; (n, 0, keys) unless `keep_roll`.
        played: (n, max_steps, 2) int16, the actions of this episode.
    """

    def __init__(self, num_envs: int, piano: Piano, max_steps: int, *, keep_roll: bool = False) -> None:
        self.piano = piano
        self.num_envs = num_envs
        self.whats, value_count = piano.nvec
        self.states = np.zeros(num_envs, kernels().STATE_DTYPE)
        self.masks = np.zeros((num_envs, self.whats + value_count), np.bool_)
        self.sounding = np.zeros((num_envs, piano.max_sounding), np.int16)
        self.release = np.zeros((num_envs, piano.max_sounding), np.int32)
        self.notes = np.zeros((num_envs, NOTES_ROOM, 4), np.int32)
        self.roll = np.zeros((num_envs, RECENT_FRAMES if keep_roll else 0, piano.keys), np.uint8)
        self.played = np.zeros((num_envs, max_steps, 2), np.int16)
        self._keyboard = kernels().keyboard_of(piano)
        self._all = np.arange(num_envs)
        self._most_notes = 0  # bound on any env's notes, so that they are counted now and then only

    def begin(self, rows: ArrayLike, *, ticks_per_bar: int, end_tick: int, primer: Score | None = None) -> None:
        """Clear the envs `rows` (k,) for pieces that end at `end_tick`, after the primer on their page."""
        rows = np.asarray(rows, np.int64)
        start_tick = 0 if primer is None else primer.length_ticks
        kernels().begin(self.states, rows, ticks_per_bar, start_tick, end_tick)
        if primer is not None and len(primer):
            self._most_notes = max(self._most_notes, len(primer))
            self._make_room(len(primer))
            self.notes[rows, : len(primer)] = primer.notes.tolist()  # the fields of a note are our columns
            self.states["notes"][rows] = len(primer)
            self.states["last_onset_tick"][rows] = primer.notes["onset_tick"][-1]
            self.states["last_top"][rows] = primer.notes["pitch"][-1]  # notes are sorted by onset, then pitch
        self.roll[rows] = 0
        if primer is not None and self.roll.size:
            self.roll[rows] = _roll_at_end(primer, self.piano)
        self.masks = self.masks.copy()
        kernels().write_masks(self.masks, self.states, self.sounding, rows, self._keyboard)

    def step(self, actions: np.ndarray) -> np.ndarray:
        """Play `actions` (n, 2) and give (n,) bool, which of them were legal; the others became waits."""
        self._most_notes += CHORD_SIZE
        if self._most_notes > self.notes.shape[1]:
            self._most_notes = int(self.states["notes"].max()) + CHORD_SIZE
            self._make_room(self._most_notes)
        legal = np.empty(self.num_envs, np.bool_)
        new_masks = np.empty_like(self.masks)
        kernels().step(
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
            self._all,
            self._keyboard,
        )
        self.masks = new_masks
        return legal

    def _make_room(self, notes: int) -> None:
        """Let every env hold so many notes."""
        room = self.notes.shape[1]
        if notes > room:
            more = np.zeros((self.num_envs, max(room, notes - room), 4), np.int32)
            self.notes = np.concatenate([self.notes, more], axis=1)

    def random_legal_actions(self, rng: np.random.Generator) -> np.ndarray:
        """(n, 2) int64: for each env a legal `what` and a legal `value`, uniform over each."""
        return random_legal_actions(self.masks, self.whats, rng)

    def arrays(self) -> dict[str, np.ndarray]:
        """Every array that the next steps depend on, by name."""
        return {name: getattr(self, name) for name in ARRAYS}

    def set_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go back to what `arrays` gave.

        Raises:
            ValueError: when it comes from another number of envs, or from another piano.
        """
        for name in ARRAYS:
            given, own = arrays[name], getattr(self, name)
            fits = given.shape[::2] == own.shape[::2] if name == "notes" else given.shape == own.shape
            if not fits or given.dtype != own.dtype:
                raise ValueError(f"the state's {name} has shape {given.shape}, this piano's {own.shape}")
        for name in ARRAYS:
            setattr(self, name, arrays[name])
        self._most_notes = int(self.states["notes"].max())

    # What an agent sees; each a fresh array

    def held(self, rows: np.ndarray) -> np.ndarray:
        """(k, keys) float32 for the envs `rows` (k,): beats each key will still sound, in [0, 4]."""
        held = np.empty((len(rows), self.piano.keys), np.float32)
        views().write_held(held, self.states, self.sounding, self.release, rows, self.piano.lowest)
        return held

    def recent(self, rows: np.ndarray) -> np.ndarray:
        """(k, 32 * keys) uint8, roll of the last 32 sixteenths, the current one last: 1 sounding, 2 struck."""
        recent = np.empty((len(rows), RECENT_FRAMES * self.piano.keys), np.uint8)
        views().write_recent(recent, self.states, self.roll, rows)
        return recent

    def place(self, rows: np.ndarray) -> np.ndarray:
        """(k, 4) int32: tick in the bar, ticks in a bar, bars the agent has finished, bars still to write."""
        place = np.empty((len(rows), 4), np.int32)
        views().write_place(place, self.states, rows)
        return place

    def top(self, rows: np.ndarray) -> np.ndarray:
        """(k,) int64: the `what` of the highest key of the latest tick with a strike; 0 before the first."""
        tops = self.states["last_top"][rows]
        return np.where(tops < 0, 0, tops - self.piano.lowest + 1).astype(np.int64)

    def clock(self, rows: np.ndarray) -> np.ndarray:
        """(k, 6) float32 in [-1, 1]: sine and cosine of the place in the bar and in the beat, progress, silence."""
        clock = np.empty((len(rows), 6), np.float32)
        views().write_clock(clock, self.states, rows)
        return clock

    # What was written

    def score(self, i: int, end_tick: int, tempo_bpm: float) -> Score:
        """The piece of env `i` up to `end_tick`; notes that would last longer are cut there."""
        return self.draft(i, end_tick, tempo_bpm)()

    def draft(self, i: int, end_tick: int, tempo_bpm: float) -> Callable[[], Score]:
        """What makes `score` of the page as it is now; the env may play on meanwhile."""
        written = self.notes[i, : self.states["notes"][i]].copy()
        return partial(_read, written, int(self.states["ticks_per_bar"][i]), end_tick, tempo_bpm)


def _roll_at_end(score: Score, piano: Piano) -> np.ndarray:
    """(32, keys) uint8: `Dynamics.roll` when the score, which `piano` can play, has been played."""
    now = score.length_ticks // TICKS_PER_FRAME
    roll = np.zeros((RECENT_FRAMES, piano.keys), np.uint8)
    for onset, duration, pitch, _ in score.notes.tolist():  # rising onsets: what is struck later is drawn over
        struck, last = onset // TICKS_PER_FRAME, (onset + duration - 1) // TICKS_PER_FRAME
        for frame in range(max(struck, now - RECENT_FRAMES + 1), last + 1):
            row = frame % RECENT_FRAMES
            roll[row, pitch - piano.lowest] = 2 if frame == struck else max(1, roll[row, pitch - piano.lowest])
    return roll


def _read(written: np.ndarray, ticks_per_bar: int, end_tick: int, tempo_bpm: float) -> Score:
    """The score of the rows `written` (notes, 4) of `Dynamics.notes`."""
    written = written[written[:, ONSET] < end_tick]
    notes = np.empty(len(written), NOTE_DTYPE)
    notes["onset_tick"] = written[:, ONSET]
    notes["duration_ticks"] = np.minimum(written[:, DURATION], end_tick - written[:, ONSET])
    notes["pitch"] = written[:, PITCH]
    notes["velocity"] = written[:, NOTE_VELOCITY]
    beats_per_bar = ticks_per_bar / TICKS_PER_BEAT
    return Score(notes, beats_per_bar=beats_per_bar, tempo_bpm=tempo_bpm, length_ticks=end_tick)


def random_legal_actions(masks: np.ndarray, whats: int, rng: np.random.Generator) -> np.ndarray:
    """Random legal play: (n, 2) int64, for each mask a legal `what` and a legal `value`, uniform over each.

    Args:
        masks: (n, whats + values) bool.
        whats: size of the action's first dimension.
        rng: the source of chance.
    """
    actions = np.empty((len(masks), 2), np.int64)
    kernels().choose_legal(masks, whats, rng.random((len(masks), 2)), actions)
    return actions
