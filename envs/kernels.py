"""The instrument's rules as compiled loops over a batch of pianos; `dynamics.py` owns the arrays.

Each function works on row `i` of arrays with a leading env axis. What is sounding is kept as a rising list of
pitches with the tick at which each is released, so that a step costs what the hands hold, not the keyboard.
"""

from __future__ import annotations

import numba
import numpy as np

# One record an env.
STATE_DTYPE = np.dtype(
    [
        ("clock", np.int32),  # current tick
        ("start_tick", np.int32),  # where the agent's own part begins, after a primer
        ("end_tick", np.int32),  # the last bar line
        ("last_onset_tick", np.int32),  # of the latest strike; -1 before the first
        ("top_struck", np.int32),  # highest pitch struck at this tick; -1 if none: strikes go upward
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

CHORD_SIZE = 4  # notes in the largest chord
NOTHING = 255  # above every pitch: fills the rows of `chords` (chords, 5) behind their last note
CHORD_BITS = 32  # chords reach at most this many semitones above the lowest chord note

jit = numba.njit(cache=True, nogil=True, boundscheck=False)


@jit
def two_hands_hold(pitches, count, span, fingers):
    """Whether `pitches[:count]`, rising, fit under two hands: the left takes as many of the lowest as it can."""
    left = 0
    while left < count and left < fingers and pitches[left] - pitches[0] <= span:
        left += 1
    right = count - left
    return right == 0 or (right <= fingers and pitches[count - 1] - pitches[left] <= span)


@jit
def _allow(allowed, low, high):
    """Mark the pitches `low..high`, cut to the array."""
    for pitch in range(max(low, 0), min(high, len(allowed) - 1) + 1):
        allowed[pitch] = True


@jit
def allow_pitches(allowed, sounding, count, max_sounding, span, fingers):
    """Mark in `allowed` (128,) each pitch that two hands can add to the `count` rising pitches they hold.

    The same answer as trying every pitch with `two_hands_hold`, from a few intervals: below the lowest held pitch,
    under the left hand that starts there, and beyond it.
    """
    allowed[:] = False
    if count >= max_sounding:
        return
    if count == 0:
        allowed[:] = True
        return
    lowest, highest = sounding[0], sounding[count - 1]
    left = 0  # held pitches under a left hand that starts at the lowest
    within = 0  # the same, were there fingers enough
    while within < count and sounding[within] - lowest <= span:
        within += 1
    left = min(within, fingers)
    needed = max(0, count - fingers)  # the left hand must hold these, so that the right can hold the rest
    while needed < count and highest - sounding[needed] > span:
        needed += 1

    # Below: the new pitch becomes the left hand's first.
    if needed == 0:
        _allow(allowed, 0, lowest - 1)
    elif needed <= fingers - 1:
        _allow(allowed, sounding[needed - 1] - span, lowest - 1)
    # The right hand, holding what is above `left`, reaches these.
    if left == count:
        right_low, right_high = 0, 127
    elif count - left + 1 <= fingers:
        right_low, right_high = highest - span, sounding[left] + span
    else:
        right_low, right_high = 1, 0
    # Under the left hand.
    if within + 1 <= fingers:
        _allow(allowed, lowest + 1, lowest + span)
    else:
        if needed <= fingers - 1:  # a finger comes down in between and pushes the highest to the right hand
            _allow(allowed, lowest + 1, sounding[fingers - 1] - 1)
        _allow(allowed, max(sounding[fingers - 1] + 1, right_low), min(lowest + span, right_high))
    # Beyond it.
    _allow(allowed, max(lowest + span + 1, right_low), right_high)
    for k in range(count):
        allowed[sounding[k]] = False


@jit
def _allow_chords(fits, words, allowed, sounding, count, keyboard):
    """Mark in `fits` (chords, padded to whole words) each chord that two hands can add to what they hold.

    `words` is `fits` seen as uint64, to pass over eight misfits at a glance.
    """
    _, _, chords, chord_sizes, chord_bits, chord_base, smallest, _, hands = keyboard
    max_sounding, span, fingers = hands
    free_bits = np.uint32(0)
    for k in range(min(CHORD_BITS, 128 - chord_base)):
        free_bits = np.uint32(free_bits | np.uint32(np.uint32(allowed[chord_base + k]) << np.uint32(k)))
    if count + smallest > max_sounding or free_bits == 0:
        words[:] = 0
        return
    # Each note of a chord must be allowed by itself: one comparison of bits decides that.
    taken_bits = np.uint32(~free_bits)
    for c in range(len(chords)):
        fits[c] = np.uint32(chord_bits[c] & taken_bits) == np.uint32(0)
    # One hand holds all that sounds: the other takes any chord. (Two hands that cross can always be uncrossed.)
    if count == 0:
        return
    if count + CHORD_SIZE <= max_sounding and count <= fingers and sounding[count - 1] - sounding[0] <= span:
        return
    lowest, highest = sounding[0], sounding[count - 1]
    within = 0  # sounding pitches under a left hand that starts at the lowest of them
    while within < count and sounding[within] - lowest <= span:
        within += 1
    for w in range(len(words)):
        if words[w] == 0:
            continue
        for c in range(8 * w, min(8 * w + 8, len(chords))):
            if not fits[c]:
                continue
            size = chord_sizes[c]
            # `two_hands_hold` for what sounds and the chord together, without merging them: the left hand takes
            # a of the one and b of the other, the right hand the rest.
            a = within
            if chords[c, 0] < lowest:
                a = 0
                while a < count and sounding[a] - chords[c, 0] <= span:
                    a += 1
            reach = min(lowest, chords[c, 0]) + span
            b = 0
            for k in range(CHORD_SIZE):
                b += chords[c, k] <= reach
            while a + b > fingers:
                if b == 0 or (a > 0 and sounding[a - 1] > chords[c, b - 1]):
                    a -= 1
                else:
                    b -= 1
            low = min(chords[c, b], sounding[a] if a < count else NOTHING)
            top = max(highest, chords[c, size - 1])
            rest = count + size - a - b
            fits[c] = count + size <= max_sounding and rest <= fingers and top - low <= span


@jit
def write_masks(states, sounding, masks, rows, keyboard):
    """The legal actions of the envs `rows` (k,) into `masks` (n, whats + values)."""
    lowest, highest, chords, _, _, _, _, values, hands = keyboard
    max_sounding, span, fingers = hands
    keys = highest - lowest + 1
    whats = 1 + keys + len(chords)
    allowed = np.empty(128, np.bool_)
    fits = np.zeros(len(chords) + 8 - len(chords) % 8, np.bool_)
    words = fits.view(np.uint64)
    for i in rows:
        state = states[i]
        remaining = state.end_tick - state.clock
        if remaining <= 0:  # the piece is over: the shortest wait stands, so that no dimension is empty
            masks[i, :] = False
            masks[i, 0] = masks[i, whats] = True
            continue
        allow_pitches(allowed, sounding[i], state.sounding, max_sounding, span, fingers)
        allowed[: state.top_struck + 1] = False
        _allow_chords(fits, words, allowed, sounding[i], state.sounding, keyboard)
        mask = masks[i]  # unsigned indices below: the loops become plain copies
        mask[0] = True
        for k in range(keys):
            mask[np.uint64(1 + k)] = allowed[np.uint64(lowest + k)]
        for c in range(len(chords)):
            mask[np.uint64(1 + keys + c)] = fits[c]
        for v in range(len(values)):
            mask[np.uint64(whats + v)] = values[v] <= remaining


@jit
def begin(states, notes, rows, length_ticks, ticks_per_bar, velocity):
    """Clear the envs `rows` (k,) for pieces of `length_ticks`."""
    for i in rows:
        state = states[i]
        for k in range(state.notes):
            notes[i, k, 3] = velocity
        state.clock = state.start_tick = state.notes = state.sounding = 0
        state.steps = state.illegal_actions = state.what = state.value = 0
        state.last_onset_tick = state.top_struck = -1
        state.end_tick = length_ticks
        state.ticks_per_bar = ticks_per_bar


@jit
def _strike(state, sounding, release, notes, pitch, duration):
    """Press `pitch` for `duration` ticks: into the rising list of what sounds, and onto the page."""
    k = state.sounding
    while k > 0 and sounding[k - 1] > pitch:
        sounding[k] = sounding[k - 1]
        release[k] = release[k - 1]
        k -= 1
    sounding[k] = pitch
    release[k] = state.clock + duration
    state.sounding += 1
    state.top_struck = max(state.top_struck, pitch)
    state.last_onset_tick = state.clock
    note = notes[state.notes]
    note[0], note[1], note[2] = state.clock, duration, pitch
    state.notes += 1


@jit
def _wait(state, sounding, release, duration):
    """Let `duration` ticks pass and lift the fingers whose notes are over."""
    state.clock += duration
    state.top_struck = -1
    kept = 0
    for k in range(state.sounding):
        if release[k] > state.clock:
            sounding[kept] = sounding[k]
            release[kept] = release[k]
            kept += 1
    state.sounding = kept


@jit
def step(states, sounding, release, notes, played, actions, legal, masks, new_masks, rows, keyboard):
    """Play one action in the envs `rows`, all of them, note it in `played` and write the next masks.

    An action that `masks` does not allow becomes a wait of its value, as far as the last bar line; `legal` (n,)
    says which were allowed.
    """
    lowest, highest, chords, chord_sizes, _, _, _, values, _ = keyboard
    keys = highest - lowest + 1
    whats = 1 + keys + len(chords)
    for i in range(len(states)):
        state = states[i]
        what, value = actions[i, 0], actions[i, 1]
        duration = values[value]
        legal[i] = masks[i, what] and masks[i, whats + value]
        if not legal[i]:
            state.illegal_actions += 1
            what = 0
            duration = min(duration, state.end_tick - state.clock)
        state.what, state.value = what, value
        if state.steps < played.shape[1]:
            played[i, state.steps, 0], played[i, state.steps, 1] = what, value
        state.steps += 1
        if what == 0:
            _wait(state, sounding[i], release[i], duration)
        elif what <= keys:
            _strike(state, sounding[i], release[i], notes[i], lowest + what - 1, duration)
        else:
            chord = what - 1 - keys
            for k in range(chord_sizes[chord]):
                _strike(state, sounding[i], release[i], notes[i], chords[chord, k], duration)
    write_masks(states, sounding, new_masks, rows, keyboard)


@jit
def write_held(states, sounding, release, held, lowest, ticks_per_beat, most_beats):
    """(n, keys) float32: beats each key will still sound, at most `most_beats`."""
    held[:] = 0
    for i in range(len(states)):
        for k in range(states[i].sounding):
            beats = (release[i, k] - states[i].clock) / ticks_per_beat
            held[i, sounding[i, k] - lowest] = min(beats, most_beats)


@jit
def write_recent(states, notes, recent, lowest, keys, frames, ticks_per_frame, longest):
    """(n, frames * keys) uint8 roll of the last `frames` frames, the current one last: 1 sounding, 2 struck."""
    recent[:] = 0
    for i in range(len(states)):
        state = states[i]
        now = state.clock // ticks_per_frame
        first = now - frames + 1
        k = state.notes - 1
        while k >= 0 and notes[i, k, 0] + longest >= first * ticks_per_frame:
            onset = notes[i, k, 0]
            key = notes[i, k, 2] - lowest
            struck = onset // ticks_per_frame
            last = min(
                now, (onset + notes[i, k, 1] - 1) // ticks_per_frame, (state.clock - 1) // ticks_per_frame
            )
            for frame in range(max(struck, first), max(last, struck) + 1):
                cell = (frame - first) * keys + key
                recent[i, cell] = 2 if frame == struck else max(recent[i, cell], 1)
            k -= 1


@jit
def write_place(states, place):
    """(n, 3) int32: tick in the bar, bars the agent has finished, bars still to write."""
    for i in range(len(states)):
        state = states[i]
        own = state.clock - state.start_tick
        place[i, 0] = own % state.ticks_per_bar
        place[i, 1] = own // state.ticks_per_bar
        place[i, 2] = (state.end_tick - state.start_tick) // state.ticks_per_bar - place[i, 1]


@jit
def write_clock(states, clock, ticks_per_beat, most_beats):
    """(n, 6) float32: place in bar and in beat as sine and cosine, progress, beats since the last onset."""
    for i in range(len(states)):
        state = states[i]
        own = state.clock - state.start_tick  # 0 at a bar line: a primer fills whole bars
        in_bar = 2 * np.pi * (own % state.ticks_per_bar) / state.ticks_per_bar
        in_beat = 2 * np.pi * (own % ticks_per_beat) / ticks_per_beat
        clock[i, 0] = np.sin(in_bar)
        clock[i, 1] = np.cos(in_bar)
        clock[i, 2] = np.sin(in_beat)
        clock[i, 3] = np.cos(in_beat)
        clock[i, 4] = min(1.0, own / max(1, state.end_tick - state.start_tick))
        silent = most_beats
        if state.last_onset_tick >= 0:
            silent = min(most_beats, (state.clock - state.last_onset_tick) / ticks_per_beat)
        clock[i, 5] = silent / most_beats


@jit
def choose_legal(masks, whats, uniforms, actions):
    """For each env a legal `what` and a legal `value`, uniform over each; `uniforms` (n, 2) in [0, 1)."""
    for i in range(len(masks)):
        for d in range(2):
            low = 0 if d == 0 else whats
            high = whats if d == 0 else masks.shape[1]
            legal = 0
            for k in range(low, high):
                legal += masks[i, k]
            left = int(uniforms[i, d] * legal)
            for k in range(low, high):
                if masks[i, k]:
                    if left == 0:
                        actions[i, d] = k - low
                        break
                    left -= 1
