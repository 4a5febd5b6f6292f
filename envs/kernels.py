"""The instrument's rules as compiled loops over a batch of pianos; `dynamics.py` owns the arrays.

Every loop hoists what it needs out of `Keyboard`, for handing that on in a loop would cost more than the work. Numba
keeps the compiled loops in `__pycache__` and notices changes of this file only: after changing a constant that another
file owns, touch this one.

Arrays have a leading env axis, and an env's state is a record of `STATE_DTYPE`. What sounds is kept as a rising list
of pitches with the tick at which each is released, so that a step costs what the hands hold, not the keyboard.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from toccata.envs.dynamics import RECENT_FRAMES, TICKS_PER_FRAME
from toccata.envs.instrument import CHORD_SIZE, NO_PITCH, VELOCITY, Piano

STATE_DTYPE = np.dtype(
    [
        ("clock", np.int32),  # current tick
        ("start_tick", np.int32),  # where the agent's own part begins, after a primer
        ("end_tick", np.int32),  # the last bar line
        ("last_onset_tick", np.int32),  # of the latest strike; -1 before the first
        ("top_struck", np.int32),  # highest pitch struck at this tick; -1 if none: strikes go upward
        ("last_top", np.int32),  # highest pitch of the latest tick with a strike; -1 before the first
        ("sounding", np.int32),  # keys down
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

CHORD_BITS = 31  # chords reach at most so many semitones up from the lowest of them
FOUR_NOTES = np.uint32(1 << CHORD_BITS)

jit = numba.njit(cache=True, nogil=True)


class Keyboard(NamedTuple):
    """A `Piano` as the kernels take it."""

    lowest: int  # MIDI numbers
    highest: int
    values: np.ndarray  # (values,) int32, ticks
    max_sounding: int  # keys that both hands may hold together
    hand_span: int  # semitones
    fingers: int  # of a hand
    chords: np.ndarray  # (chords, 4) int32, rising pitches
    chord_sizes: np.ndarray  # (chords,) int32, how many there are
    chord_base: int  # the lowest note of all chords
    chord_bits: np.ndarray  # (chords,) uint32, bit k for the note `chord_base + k`; FOUR_NOTES if it has four
    from_bottom: np.ndarray  # (5, chords) uint32, row k: the bit of the note with k others below it; 0 without one
    from_top: np.ndarray  # (5, chords) uint32, row k: the bit of the note with k others above it; 0 without one


def keyboard_of(piano: Piano) -> Keyboard:
    """The piano as the kernels take it."""
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
        piano.chord_pitches.astype(np.int32),
        np.array([len(chord) for chord in chords], np.int32),
        base,
        bits,
        from_bottom,
        from_top,
    )


@jit
def reach(sounding: np.ndarray, count: int, span: int, fingers: int) -> tuple[int, int, int, int, int, int]:
    """Where each hand can put one more finger, beside the `count` rising pitches that both hold.

    Two hands hold a set of keys when each key lies within `span` of the lowest, which the left hand then has, or of
    the highest, which the right hand has; when those that only one hand reaches are no more than its fingers; and
    when all are no more than both hands' fingers. The last is left to the caller.

    Returns:
        left_low, left_high: the pitches the left hand can add, if it has a finger.
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
    # A new outermost key must reach what its hand has to keep: what the other hand lacks the span or fingers for.
    left_keeps = max(left_only, count - fingers)
    right_keeps = max(right_only, count - fingers)
    left_low = sounding[left_keeps - 1] - span if left_keeps > 0 else 0
    right_high = sounding[count - right_keeps] + span if right_keeps > 0 else 127
    return left_low, left_high, fingers - left_only, right_low, right_high, fingers - right_only


@jit
def _bits(low: int, high: int) -> int:
    """The bits `low..high`, as far as chords have them."""
    low, high = max(low, 0), min(high, CHORD_BITS - 1)
    return np.uint32((2 << high) - (1 << low)) if low <= high else np.uint32(0)


@jit
def write_masks(
    masks: np.ndarray, states: np.ndarray, sounding: np.ndarray, rows: np.ndarray, keyboard: Keyboard
) -> None:
    """The legal actions of the envs `rows` (k,) into `masks` (n, whats + values)."""
    lowest_key, highest_key, values = keyboard.lowest, keyboard.highest, keyboard.values
    span, fingers = keyboard.hand_span, keyboard.fingers
    most = min(keyboard.max_sounding, 2 * fingers)
    base, chord_bits = keyboard.chord_base, keyboard.chord_bits
    from_top, from_bottom = keyboard.from_top, keyboard.from_bottom
    first_chord = 1 + highest_key - lowest_key + 1
    whats = first_chord + len(chord_bits)
    for i in rows:
        state = states[i]
        mask = masks[i]
        mask[:] = False
        mask[0] = True
        remaining = state.end_tick - state.clock
        if remaining <= 0:  # the piece is over: the shortest wait stands, so that no dimension is empty
            mask[whats] = True
            continue
        for v in range(len(values)):
            mask[whats + v] = values[v] <= remaining
        count = state.sounding
        room = most - count
        if room <= 0:
            continue
        hands = reach(sounding[i], count, span, fingers)
        left_low, left_high, left_free, right_low, right_high, right_free = hands
        lowest = max(lowest_key, state.top_struck + 1)  # the strikes of a tick go upward
        free_bits = np.uint32(0)  # the pitches from `chord_base` on that can be struck
        for low, high, free in ((left_low, left_high, left_free), (right_low, right_high, right_free)):
            if free > 0:
                mask[1 + max(low, lowest) - lowest_key : 2 + min(high, highest_key) - lowest_key] = True
                free_bits |= _bits(max(low, lowest) - base, high - base)
        for k in range(count):  # what is down cannot be struck
            mask[1 + sounding[i, k] - lowest_key] = False
            free_bits &= ~_bits(sounding[i, k] - base, sounding[i, k] - base)
        if free_bits == 0 or room < CHORD_SIZE - 1:
            continue

        # A chord, which fits one hand, can be struck when each of its notes can, and when those that only one hand
        # reaches are no more than that hand's free fingers. All the tests are bits, in a plain loop that the
        # compiler makes wide.
        missing = np.uint32(~free_bits if room < CHORD_SIZE else ~free_bits & ~FOUR_NOTES)
        beyond_left = np.uint32(_bits(left_high + 1 - base, CHORD_BITS))
        beyond_right = np.uint32(_bits(0, right_low - 1 - base))
        left_must = from_top[min(right_free, CHORD_SIZE)]
        right_must = from_bottom[min(left_free, CHORD_SIZE)]
        chord_mask = mask[first_chord:whats]
        for c in range(len(chord_mask)):
            lacking = (chord_bits[c] & missing) | (left_must[c] & beyond_left) | (right_must[c] & beyond_right)
            chord_mask[c] = lacking == 0


@jit
def begin(states: np.ndarray, rows: np.ndarray, ticks_per_bar: int, start_tick: int, end_tick: int) -> None:
    """Clear the envs `rows` (k,) for pieces that the agent writes from `start_tick` to `end_tick`."""
    for i in rows:
        state = states[i]
        state.clock = state.start_tick = start_tick
        state.end_tick = end_tick
        state.ticks_per_bar = ticks_per_bar
        state.last_onset_tick = state.top_struck = state.last_top = -1
        state.notes = state.sounding = state.steps = state.illegal_actions = state.what = state.value = 0


@jit
def _strike(
    state: Record, sounding: np.ndarray, release: np.ndarray, notes: np.ndarray, pitch: int, duration: int
) -> None:
    """Press `pitch` for `duration` ticks: into the rising list of what sounds, and onto the page."""
    k = state.sounding
    while k > 0 and sounding[k - 1] > pitch:
        sounding[k] = sounding[k - 1]
        release[k] = release[k - 1]
        k -= 1
    sounding[k] = pitch
    release[k] = state.clock + duration
    state.sounding += 1
    state.top_struck = state.last_top = pitch
    state.last_onset_tick = state.clock
    note = notes[state.notes]
    note[0], note[1], note[2], note[3] = state.clock, duration, pitch, VELOCITY
    state.notes += 1


@jit
def _wait(state: Record, sounding: np.ndarray, release: np.ndarray, duration: int) -> None:
    """Let `duration` ticks pass and lift the fingers whose notes are over."""
    state.clock += duration
    state.top_struck = -1
    kept = 0
    for k in range(state.sounding):
        sounding[kept], release[kept] = sounding[k], release[k]
        kept += release[kept] > state.clock
    state.sounding = kept


@jit
def _draw_strike(roll: np.ndarray, clock: int, key: int) -> None:
    """Note a strike in `roll` (32, keys): frame f stands in its row f % 32, 1 sounding and 2 struck."""
    roll[clock // TICKS_PER_FRAME % RECENT_FRAMES, key] = 2


@jit
def _draw_wait(
    roll: np.ndarray, state: Record, sounding: np.ndarray, release: np.ndarray, duration: int, lowest: int
) -> None:
    """Turn `roll` on by `duration` ticks, which are to be waited: wipe the rows of new frames, draw what sounds."""
    end = state.clock + duration
    before, now = state.clock // TICKS_PER_FRAME, end // TICKS_PER_FRAME
    first = max(before, now - RECENT_FRAMES + 1)
    for frame in range(max(before + 1, first), now + 1):
        roll[frame % RECENT_FRAMES] = 0
    for k in range(state.sounding):
        for frame in range(first, (min(release[k], end) - 1) // TICKS_PER_FRAME + 1):
            row = frame % RECENT_FRAMES
            roll[row, sounding[k] - lowest] = max(roll[row, sounding[k] - lowest], 1)


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
    """Play one action in the envs `rows`, all of them, note it in `played` and write `new_masks`.

    `roll` (n, 32, keys) is kept up to date if there is one, else it is (n, 0, keys).

    An action that `masks` does not allow becomes a wait of its value, as far as the last bar line; `legal` (n,)
    says which were allowed.
    """
    lowest, values = keyboard.lowest, keyboard.values
    chords, chord_sizes = keyboard.chords, keyboard.chord_sizes
    keys = keyboard.highest - lowest + 1
    whats = 1 + keys + len(chords)
    for i in rows:
        state = states[i]
        what, value = actions[i, 0], actions[i, 1]
        state.what, state.value = what, value
        if state.steps < played.shape[1]:
            played[i, state.steps, 0], played[i, state.steps, 1] = what, value
        state.steps += 1
        legal[i] = masks[i, what] and masks[i, whats + value]
        if not legal[i]:
            state.illegal_actions += 1
            what = 0
        duration = min(values[value], state.end_tick - state.clock)
        if what == 0:
            if roll.shape[1]:
                _draw_wait(roll[i], state, sounding[i], release[i], duration, lowest)
            _wait(state, sounding[i], release[i], duration)
            continue
        chord = what - 1 - keys  # if not negative
        for k in range(1 if chord < 0 else chord_sizes[chord]):
            pitch = lowest + what - 1 if chord < 0 else chords[chord, k]
            _strike(state, sounding[i], release[i], notes[i], pitch, duration)
            if roll.shape[1]:
                _draw_strike(roll[i], state.clock, pitch - lowest)
    write_masks(new_masks, states, sounding, rows, keyboard)


@jit
def choose_legal(masks: np.ndarray, whats: int, uniforms: np.ndarray, actions: np.ndarray) -> None:
    """For each env a legal `what` and a legal `value`, uniform over each; `uniforms` (n, 2) in [0, 1)."""
    for i in range(len(masks)):
        for d in range(2):
            part = masks[i, :whats] if d == 0 else masks[i, whats:]
            skip = int(uniforms[i, d] * part.sum())
            for k in range(len(part)):
                if part[k]:
                    if skip == 0:
                        actions[i, d] = k
                        break
                    skip -= 1
