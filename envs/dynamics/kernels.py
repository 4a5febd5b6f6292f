"""The rules of the instrument as Numba functions over a batch of pianos; `batch.py` owns the arrays.

Numba caches compiled functions on disk and recompiles them only when their own file changes. So they read no global of
another module: such values are fields of `Keyboard`, arguments or array shapes. Fields of `Keyboard` are read before
each loop, because passing the whole tuple to a function inside a loop is slow.

Arrays have a leading env axis, and the state of an env is a record of `STATE_DTYPE`. The sounding keys are an ascending
list of pitches with the release tick of each, so that the cost of a step depends on the keys held, not on the keyboard.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from toccata.compiled import jit
from toccata.envs.dynamics.batch import TICKS_PER_FRAME
from toccata.envs.instrument import CHORD_SIZE, NO_PITCH, VELOCITY, Piano

STATE_DTYPE = np.dtype(
    [
        ("clock", np.int32),  # current tick
        ("start_tick", np.int32),  # where the agent's part begins, after a primer
        ("end_tick", np.int32),  # the last bar line
        ("last_onset_tick", np.int32),  # of the latest onset; -1 before the first
        ("current_top", np.int32),  # highest pitch with an onset at the current tick; -1 if none
        ("last_top", np.int32),  # highest pitch of the latest onset; -1 before the first
        ("sounding", np.int32),  # number of keys that are down
        ("notes", np.int32),  # notes written so far
        ("steps", np.int32),  # steps of this episode
        ("illegal_actions", np.int32),  # of this episode
        ("what", np.int32),  # the last action
        ("value", np.int32),
        ("genre", np.int32),
        ("ticks_per_bar", np.int32),
    ]
)
Record = Any  # of STATE_DTYPE; mypy knows no fields of a NumPy record

CHORD_BITS = 31  # semitones from the lowest note of all chords to the highest, at most
FOUR_NOTES = np.uint32(1 << CHORD_BITS)  # flag of the chords with four notes


class Keyboard(NamedTuple):
    """A `Piano` and the constants of other modules, in the form that the kernels take."""

    lowest: int  # MIDI number
    highest: int  # MIDI number
    values: np.ndarray  # (values,) int32, ticks
    max_sounding: int  # keys that both hands may hold together
    hand_span: int  # semitones
    fingers: int  # of one hand
    velocities: np.ndarray  # (velocities,) int32; of a piano without any the one of every note
    ticks_per_frame: int  # of the rolls
    chords: np.ndarray  # (chords, 4) int32, ascending pitches
    chord_sizes: np.ndarray  # (chords,) int32, notes of each chord
    chord_base: int  # the lowest note of all chords
    chord_bits: np.ndarray  # (chords,) uint32, bit k for the note `chord_base + k`; FOUR_NOTES if it has four
    from_bottom: np.ndarray  # (5, chords) uint32, row k: the bit of the note with k others below it; 0 without one
    from_top: np.ndarray  # (5, chords) uint32, row k: the bit of the note with k others above it; 0 without one


def keyboard_of(piano: Piano) -> Keyboard:
    """The `Keyboard` of a piano."""
    chords = [[pitch for pitch in row if pitch != NO_PITCH] for row in piano.chord_pitches.tolist()]
    base = min((chord[0] for chord in chords), default=piano.lowest)
    bits = np.zeros(len(chords), np.uint32)
    from_bottom = np.zeros((CHORD_SIZE + 1, len(chords)), np.uint32)
    from_top = np.zeros((CHORD_SIZE + 1, len(chords)), np.uint32)
    for c, chord in enumerate(chords):
        from_bottom[: len(chord), c] = [1 << (pitch - base) for pitch in chord]
        from_top[: len(chord), c] = from_bottom[: len(chord), c][::-1]
        bits[c] = from_bottom[:, c].sum() + (FOUR_NOTES if len(chord) == CHORD_SIZE else 0)
    return Keyboard(
        piano.lowest,
        piano.highest,
        np.array(piano.values, np.int32),
        piano.max_sounding,
        piano.hand_span,
        piano.fingers_per_hand,
        np.array([VELOCITY] if piano.velocities is None else piano.velocities, np.int32),
        TICKS_PER_FRAME,
        piano.chord_pitches.astype(np.int32),
        np.array([len(chord) for chord in chords], np.int32),
        base,
        bits,
        from_bottom,
        from_top,
    )


@jit
def reach(sounding: np.ndarray, count: int, span: int, fingers: int) -> tuple[int, int, int, int, int, int]:
    """The pitches that each hand can add to the `count` ascending pitches that both hands hold.

    Two hands can hold a set of keys if each key is within `span` of the lowest, which the left hand holds, or of the
    highest, which the right hand holds; if the keys that only one hand reaches are no more than its fingers; and if all
    keys are no more than the fingers of both hands. The caller checks the last condition.

    Returns:
        left_low, left_high: range of the pitches that the left hand can add, if it has a free finger.
        left_free: its fingers less the keys that only it reaches.
        right_low, right_high, right_free: the same for the right hand.
    """
    if count == 0:
        return 0, 127, fingers, 0, 127, fingers
    left_high = sounding[0] + span
    right_low = sounding[count - 1] - span
    left_only = right_only = 0
    for k in range(count):
        left_only += sounding[k] < right_low
        right_only += sounding[k] > left_high
    # A new outermost key must be within reach of the keys its hand keeps: the other hand lacks the span or the fingers.
    left_keeps = max(left_only, count - fingers)
    right_keeps = max(right_only, count - fingers)
    left_low = sounding[left_keeps - 1] - span if left_keeps > 0 else 0
    right_high = sounding[count - right_keeps] + span if right_keeps > 0 else 127
    return left_low, left_high, fingers - left_only, right_low, right_high, fingers - right_only


@jit
def _bits(low: int, high: int) -> int:
    """The bits `low..high`, clipped to `0..CHORD_BITS - 1`."""
    low, high = max(low, 0), min(high, CHORD_BITS - 1)
    return np.uint32((2 << high) - (1 << low)) if low <= high else np.uint32(0)


@jit
def write_masks(
    masks: np.ndarray, states: np.ndarray, sounding: np.ndarray, rows: np.ndarray, keyboard: Keyboard
) -> None:
    """Write the legal actions of the envs `rows` (k,) into `masks` (n, whats + values).

    If the masks have more columns these are of the velocities, which are always legal.
    """
    lowest_key, highest_key, values = keyboard.lowest, keyboard.highest, keyboard.values
    span, fingers = keyboard.hand_span, keyboard.fingers
    max_sounding = min(keyboard.max_sounding, 2 * fingers)
    base, chord_bits = keyboard.chord_base, keyboard.chord_bits
    from_top, from_bottom = keyboard.from_top, keyboard.from_bottom
    chord_size = len(from_top) - 1
    first_chord = 1 + highest_key - lowest_key + 1
    whats = first_chord + len(chord_bits)
    for i in rows:
        state = states[i]
        mask = masks[i]
        mask[:] = False
        mask[0] = True
        mask[whats + len(values) :] = True
        remaining = state.end_tick - state.clock
        if remaining <= 0:  # the piece is over: the shortest rest stays legal, so that no dimension is empty
            mask[whats] = True
            continue
        for v in range(len(values)):
            mask[whats + v] = values[v] <= remaining
        count = state.sounding
        free = max_sounding - count
        if free <= 0:
            continue
        hands = reach(sounding[i], count, span, fingers)
        left_low, left_high, left_free, right_low, right_high, right_free = hands
        lowest = max(lowest_key, state.current_top + 1)  # the notes of one tick are played in ascending order
        legal_bits = np.uint32(0)  # the pitches from `chord_base` on that can be played
        for low, high, fingers_free in ((left_low, left_high, left_free), (right_low, right_high, right_free)):
            if fingers_free > 0:
                mask[1 + max(low, lowest) - lowest_key : 2 + min(high, highest_key) - lowest_key] = True
                legal_bits |= _bits(max(low, lowest) - base, high - base)
        for k in range(count):  # a key that is down cannot be pressed
            mask[1 + sounding[i, k] - lowest_key] = False
            legal_bits &= ~_bits(sounding[i, k] - base, sounding[i, k] - base)
        if legal_bits == 0 or free < chord_size - 1:
            continue

        # Every chord fits one hand. It is legal if each of its notes is, and if those that only one hand reaches are
        # no more than the free fingers of that hand. Bit tests in a plain loop, which the compiler vectorises.
        missing = np.uint32(~legal_bits if free < chord_size else ~legal_bits & ~FOUR_NOTES)
        beyond_left = np.uint32(_bits(left_high + 1 - base, CHORD_BITS))
        beyond_right = np.uint32(_bits(0, right_low - 1 - base))
        left_must = from_top[min(right_free, chord_size)]
        right_must = from_bottom[min(left_free, chord_size)]
        chord_mask = mask[first_chord:whats]
        for c in range(len(chord_mask)):
            lacking = (chord_bits[c] & missing) | (left_must[c] & beyond_left) | (right_must[c] & beyond_right)
            chord_mask[c] = lacking == 0


@jit
def begin(states: np.ndarray, rows: np.ndarray, ticks_per_bar: int, start_tick: int, end_tick: int) -> None:
    """Reset the states of the envs `rows` (k,) for pieces that the agent writes from `start_tick` to `end_tick`."""
    for i in rows:
        state = states[i]
        state.clock = state.start_tick = start_tick
        state.end_tick = end_tick
        state.ticks_per_bar = ticks_per_bar
        state.last_onset_tick = state.current_top = state.last_top = -1
        state.notes = state.sounding = state.steps = state.illegal_actions = state.what = state.value = 0


@jit
def _press(
    state: Record,
    sounding: np.ndarray,
    release: np.ndarray,
    notes: np.ndarray,
    pitch: int,
    duration: int,
    velocity: int,
) -> None:
    """Press `pitch` for `duration` ticks: insert it into the ascending `sounding` and append it to `notes`."""
    k = state.sounding
    while k > 0 and sounding[k - 1] > pitch:
        sounding[k] = sounding[k - 1]
        release[k] = release[k - 1]
        k -= 1
    sounding[k] = pitch
    release[k] = state.clock + duration
    state.sounding += 1
    state.current_top = state.last_top = pitch
    state.last_onset_tick = state.clock
    note = notes[state.notes]
    note[0], note[1], note[2], note[3] = state.clock, duration, pitch, velocity
    state.notes += 1


@jit
def _rest(state: Record, sounding: np.ndarray, release: np.ndarray, duration: int) -> None:
    """Advance the clock by `duration` ticks and release the keys whose notes have ended."""
    state.clock += duration
    state.current_top = -1
    kept = 0
    for k in range(state.sounding):
        sounding[kept], release[kept] = sounding[k], release[k]
        kept += release[kept] > state.clock
    state.sounding = kept


@jit
def _draw_onset(roll: np.ndarray, clock: int, key: int, ticks_per_frame: int) -> None:
    """Mark an onset in `roll` (frames, keys), a ring buffer: frame f is row f % frames, 1 sounding and 2 onset."""
    roll[clock // ticks_per_frame % len(roll), key] = 2


@jit
def _draw_rest(
    roll: np.ndarray,
    state: Record,
    sounding: np.ndarray,
    release: np.ndarray,
    duration: int,
    lowest: int,
    ticks_per_frame: int,
) -> None:
    """Advance `roll` by a rest of `duration` ticks: clear the rows of new frames, draw the keys that sound."""
    frames = len(roll)
    end = state.clock + duration
    before, now = state.clock // ticks_per_frame, end // ticks_per_frame
    first = max(before, now - frames + 1)
    for frame in range(max(before + 1, first), now + 1):
        roll[frame % frames] = 0
    first_row = first % frames
    for k in range(state.sounding):
        key = sounding[k] - lowest
        row = first_row
        for _ in range(first, (min(release[k], end) - 1) // ticks_per_frame + 1):
            roll[row, key] = max(roll[row, key], 1)
            row = row + 1 if row + 1 < frames else 0


@jit
def step(
    states: np.ndarray,
    sounding: np.ndarray,
    release: np.ndarray,
    notes: np.ndarray,
    roll: np.ndarray,
    played: np.ndarray,
    actions: np.ndarray,
    legal: np.ndarray,
    masks: np.ndarray,
    new_masks: np.ndarray,
    rows: np.ndarray,
    keyboard: Keyboard,
) -> None:
    """Play one action in each of the envs `rows`, record it in `played` and write their `new_masks`.

    `roll` is (n, frames, keys), or (n, 0, keys) if it is not kept.

    An action that `masks` does not allow becomes a rest of its value, or of the longest value that is left before the
    last bar line; `played` has what it became. `legal` (n,) is set to whether each action was allowed. The actions
    (n, 2), or (n, 3) with velocities, are indices in range.
    """
    lowest, values = keyboard.lowest, keyboard.values
    velocities, ticks_per_frame = keyboard.velocities, keyboard.ticks_per_frame
    chords, chord_sizes = keyboard.chords, keyboard.chord_sizes
    keys = keyboard.highest - lowest + 1
    whats = 1 + keys + len(chords)
    has_velocities = actions.shape[1] > 2
    for i in rows:
        state = states[i]
        what, value = actions[i, 0], actions[i, 1]
        velocity = actions[i, 2] if has_velocities else 0
        state.what, state.value = what, value
        legal[i] = masks[i, what] and masks[i, whats + value]
        if not legal[i]:
            state.illegal_actions += 1
            what = 0
            while value > 0 and not masks[i, whats + value]:
                value -= 1
        if state.steps < played.shape[1]:
            played[i, state.steps, 0], played[i, state.steps, 1] = what, value
            if has_velocities:
                played[i, state.steps, 2] = velocity
        state.steps += 1
        duration = min(values[value], state.end_tick - state.clock)
        if what == 0:
            if roll.shape[1]:
                _draw_rest(roll[i], state, sounding[i], release[i], duration, lowest, ticks_per_frame)
            _rest(state, sounding[i], release[i], duration)
            continue
        chord = what - 1 - keys  # if not negative
        for k in range(1 if chord < 0 else chord_sizes[chord]):
            pitch = lowest + what - 1 if chord < 0 else chords[chord, k]
            _press(state, sounding[i], release[i], notes[i], pitch, duration, velocities[velocity])
            if roll.shape[1]:
                _draw_onset(roll[i], state.clock, pitch - lowest, ticks_per_frame)
    write_masks(new_masks, states, sounding, rows, keyboard)


@jit
def choose_legal(masks: np.ndarray, ends: np.ndarray, uniforms: np.ndarray, actions: np.ndarray) -> None:
    """Write into `actions` (n, dimensions) a legal entry of each dimension for each env, uniform over each.

    `ends` (dimensions,) are where the dimensions end in the `masks`; `uniforms` (n, dimensions) are random numbers in
    [0, 1).
    """
    for i in range(len(masks)):
        for d in range(len(ends)):
            mask = masks[i, ends[d - 1] if d > 0 else 0 : ends[d]]
            skip = int(uniforms[i, d] * mask.sum())
            for k in range(len(mask)):
                if mask[k]:
                    if skip == 0:
                        actions[i, d] = k
                        break
                    skip -= 1
