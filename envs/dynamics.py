"""The batched dynamics: what happens on many pianos when each is given one action."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from toccata.envs.instrument import CHORD_SIZE, NO_PITCH, Piano
from toccata.music.score import NOTE_DTYPE, TICKS_PER_BEAT, Score

VELOCITY = 80  # mezzo-forte; the piano has no dynamics of its own
RECENT_FRAMES = 32  # sixteenths the agent sees of the past: two bars of 4/4
TICKS_PER_FRAME = TICKS_PER_BEAT // 4
MOST_BEATS = 4.0  # where observed times are clipped: the longest note value

ONSET, DURATION, PITCH, NOTE_VELOCITY = range(4)  # columns of `Dynamics.notes`


class Dynamics:
    """`num_envs` pianos side by side. It knows no episodes, rewards or seeds: see `core.py`.

    Attributes:
        states: (n,) records of `kernels.STATE_DTYPE`.
        masks: (n, whats + values) bool, the legal actions, the two dimensions concatenated.
        notes: (n, room, 4) int32, onset tick, duration in ticks, pitch and velocity of what was written.
        played: (n, max_steps, 2) int16, the actions of this episode.
    """

    def __init__(self, num_envs: int, piano: Piano, max_steps: int) -> None:
        from toccata.envs import kernels  # numba is loaded with the first piano, not with the package

        self._kernels = kernels
        self.piano = piano
        self.num_envs = num_envs
        self.whats, value_count = piano.nvec
        self._keyboard = _keyboard(piano)
        self.states = np.zeros(num_envs, kernels.STATE_DTYPE)
        self.sounding = np.zeros((num_envs, piano.max_sounding), np.int16)
        self.release = np.zeros((num_envs, piano.max_sounding), np.int32)
        self.notes = np.zeros((num_envs, 256, 4), np.int32)
        self.notes[..., NOTE_VELOCITY] = VELOCITY
        self._all = np.arange(num_envs)
        self.played = np.zeros((num_envs, max_steps, 2), np.int16)
        self.masks = np.zeros((num_envs, self.whats + value_count), np.bool_)
        self._notes_at_most = 0  # bound on any env's notes, so that room is looked for now and then only

    def begin(self, rows: ArrayLike, *, length_ticks: int, ticks_per_bar: int) -> None:
        """Clear the envs `rows` (k,) for pieces of `length_ticks`."""
        rows = np.asarray(rows, np.int64)
        self._kernels.begin(self.states, self.notes, rows, length_ticks, ticks_per_bar, VELOCITY)
        self.refresh_masks(rows)

    def write(self, i: int, score: Score) -> None:
        """Put a primer on the page of env `i`, which was just begun, and set its clock behind it."""
        while self.notes.shape[1] < len(score):
            self._double_room()
        self.notes[i, : len(score)] = np.stack([score.notes[name] for name in NOTE_DTYPE.names], axis=1)
        state = self.states[i]
        state["clock"] = state["start_tick"] = score.length_ticks
        state["notes"] = len(score)
        state["last_onset_tick"] = score.notes["onset_tick"][-1] if len(score) else -1
        self._notes_at_most = max(self._notes_at_most, len(score))

    def refresh_masks(self, rows: np.ndarray) -> None:
        """Write the masks of the envs `rows` (k,) anew after a change of `states`."""
        self._kernels.write_masks(self.states, self.sounding, self.masks, rows, self._keyboard)

    def step(self, actions: np.ndarray) -> np.ndarray:
        """Play `actions` (n, 2) and give (n,) bool, which of them were legal; the others became waits."""
        self._make_room()
        legal = np.empty(self.num_envs, np.bool_)
        new_masks = np.empty_like(self.masks)
        self._kernels.step(
            self.states,
            self.sounding,
            self.release,
            self.notes,
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

    def _make_room(self) -> None:
        """Let `notes` hold what one more step can write."""
        most = self.piano.max_sounding
        room = self.notes.shape[1]
        if self._notes_at_most + most > room:
            self._notes_at_most = int(self.states["notes"].max())
            if self._notes_at_most + most > room:
                self._double_room()
        self._notes_at_most += most

    def _double_room(self) -> None:
        more = np.zeros_like(self.notes)
        more[..., NOTE_VELOCITY] = VELOCITY
        self.notes = np.concatenate([self.notes, more], axis=1)

    def random_legal_actions(self, rng: np.random.Generator) -> np.ndarray:
        """(n, 2) int64: for each env a legal `what` and a legal `value`, uniform over each."""
        return random_legal_actions(self.masks, self.whats, rng)

    # What an agent sees; each a fresh array

    def held(self) -> np.ndarray:
        """(n, keys) float32, beats each key will still sound, in [0, 4]."""
        held = np.empty((self.num_envs, self.piano.keys), np.float32)
        self._kernels.write_held(
            self.states, self.sounding, self.release, held, self.piano.lowest, TICKS_PER_BEAT, MOST_BEATS
        )
        return held

    def recent(self) -> np.ndarray:
        """(n, 32 * keys) uint8, roll of the last 32 sixteenths, the current one last: 1 sounding, 2 struck."""
        keys = self.piano.keys
        recent = np.empty((self.num_envs, RECENT_FRAMES * keys), np.uint8)
        self._kernels.write_recent(
            self.states,
            self.notes,
            recent,
            self.piano.lowest,
            keys,
            RECENT_FRAMES,
            TICKS_PER_FRAME,
            self.piano.values[-1],
        )
        return recent

    def place(self) -> np.ndarray:
        """(n, 3) int32: tick in the bar, bars the agent has finished, bars still to write."""
        place = np.empty((self.num_envs, 3), np.int32)
        self._kernels.write_place(self.states, place)
        return place

    def clock(self) -> np.ndarray:
        """(n, 6) float32 in [-1, 1]: sine and cosine of the place in the bar and in the beat, progress, silence."""
        clock = np.empty((self.num_envs, 6), np.float32)
        self._kernels.write_clock(self.states, clock, TICKS_PER_BEAT, MOST_BEATS)
        return clock

    # What was written

    def score(self, i: int, end_tick: int, tempo_bpm: float) -> Score:
        """The piece of env `i` up to `end_tick`; notes that would last longer are cut there."""
        state = self.states[i]
        written = self.notes[i, : state["notes"]]
        written = written[written[:, ONSET] < end_tick]
        notes = np.empty(len(written), NOTE_DTYPE)
        notes["onset_tick"] = written[:, ONSET]
        notes["duration_ticks"] = np.minimum(written[:, DURATION], end_tick - written[:, ONSET])
        notes["pitch"] = written[:, PITCH]
        notes["velocity"] = written[:, NOTE_VELOCITY]
        return Score(
            notes,
            beats_per_bar=int(state["ticks_per_bar"]) / TICKS_PER_BEAT,
            tempo_bpm=tempo_bpm,
            length_ticks=int(end_tick),
        )


def _keyboard(piano: Piano) -> tuple:
    """The piano as the kernels take it: pitches, chords and the bits of their notes, values, hands."""
    from toccata.envs.kernels import NOTHING

    chords = piano.chord_pitches
    base = int(chords[chords != NO_PITCH].min()) if len(chords) else piano.lowest
    padded = np.full((len(chords), CHORD_SIZE + 1), NOTHING, np.int16)
    padded[:, :CHORD_SIZE] = np.where(chords == NO_PITCH, NOTHING, chords)
    bits = [sum(1 << (pitch - base) for pitch in row if pitch != NO_PITCH) for row in chords.tolist()]
    return (
        piano.lowest,
        piano.highest,
        padded,
        (chords != NO_PITCH).sum(axis=1),
        np.array(bits, np.uint32),
        base,
        int((chords != NO_PITCH).sum(axis=1).min(initial=CHORD_SIZE)),
        np.array(piano.values, np.int32),
        (piano.max_sounding, piano.hand_span, piano.fingers_per_hand),
    )


def random_legal_actions(masks: np.ndarray, whats: int, rng: np.random.Generator) -> np.ndarray:
    """Random legal play: (n, 2) int64, for each mask a legal `what` and a legal `value`, uniform over each.

    Args:
        masks: (n, whats + values) bool.
        whats: size of the action's first dimension.
        rng: the source of chance.
    """
    from toccata.envs import kernels

    actions = np.empty((len(masks), 2), np.int64)
    kernels.choose_legal(masks, whats, rng.random((len(masks), 2)), actions)
    return actions
