"""The rules of a sung line as Numba functions, on top of those of `kernels.py`.

The state of the voice of an env is a record of `VOICE_DTYPE`; its windows are rows of the arrays of `Windows`. The left
hand has the keys below the lowest pitch of the voice, the right hand those from there on: the sung note, which is the
highest, and what accompanies it. As long as both hands fit, the last sung pitch can be struck again, so that no rule
leaves the voice without a note.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from toccata.compiled import jit
from toccata.envs.dynamics.kernels import Keyboard

VOICE_DTYPE = np.dtype(
    [
        ("sung", np.int32),  # sung notes so far
        ("total", np.int32),  # sung notes of the text
        ("onset_tick", np.int32),  # of the latest sung note; -1 before the first
        ("end_tick", np.int32),  # of the latest sung note
        ("pitch", np.int32),  # of the latest sung note; -1 before the first
        ("pitch_before", np.int32),  # of the sung note before that; -1 without one
        ("below_tick", np.int32),  # latest onset of a note below the voice; before the song if there was none
        ("together_tick", np.int32),  # latest tick whose accompaniment the next sung note must begin with
    ]
)
Record = Any  # of VOICE_DTYPE and STATE_DTYPE; mypy knows no fields of a NumPy record
NONE_DUE = -1

PRESENT, STRESS, MELISMA, LINE_END, EARLIEST, LATEST = range(6)  # columns of the observed syllables


class Windows(NamedTuple):
    """The windows of the sung notes of each env, and what is observed of them; the columns are the notes."""

    earliest: np.ndarray  # (n, most) int32, first tick at which the note may begin
    latest: np.ndarray  # (n, most + 1) int32, last tick at which it may; after the last note the end of the piece
    rest_after: np.ndarray  # (n, most) int32, ticks of rest that follow it in the sung line, at least
    stress: np.ndarray  # (n, most) float32: 1 primary, 0.5 secondary, 0 none, -1 unknown
    melisma: np.ndarray  # (n, most) bool, whether it continues the syllable before it
    lines_left: np.ndarray  # (n, most + 1) int32, lines that are not finished before the note


class VoiceLimits(NamedTuple):
    """What the voice can sing, and what the piano leaves it."""

    lowest: int  # MIDI number
    highest: int  # MIDI number
    leap: int  # semitones between two sung notes, at most
    shortest: int  # ticks of a sung note, at least
    max_steps: int  # of an episode


@jit
def _due(voice: Record, clock: int, earliest: np.ndarray, rest_after: np.ndarray) -> int:
    """Index of the sung note that may begin now, one row of the windows given; NONE_DUE if none may.

    After a sung note was struck a higher key of the same tick takes its place, so it is still due.
    """
    if voice.onset_tick == clock:
        return voice.sung - 1
    note = voice.sung
    if note == voice.total or clock < earliest[note] or clock < voice.end_tick:
        return NONE_DUE
    if note > 0 and clock < voice.end_tick + rest_after[note - 1]:
        return NONE_DUE
    return note


@jit
def _deadline(voice: Record, earliest: np.ndarray, latest: np.ndarray, rest_after: np.ndarray) -> int:
    """The tick that no rest may pass: the last at which the next sung note can begin, or the end of the piece.

    Inside a line of the text that is the end of the note before it, unless its window begins later.
    """
    note = voice.sung
    if note == 0 or note == voice.total or rest_after[note - 1] > 0:
        return latest[note]
    return max(earliest[note], voice.end_tick)


@jit
def steps_needed(notes: int, ticks: int, longest: int) -> int:
    """Steps in which `notes` can always be sung in `ticks`: a note and a few rests each, and rests of `longest`."""
    return 6 * (notes + 1) + ticks // longest


@jit
def _in_a_hurry(state: Record, voice: Record, longest: int, max_steps: int) -> bool:
    """Whether the steps that are left are no more than the words may need."""
    needed = steps_needed(voice.total - voice.sung, state.end_tick - state.clock, longest)
    return max_steps - state.steps <= needed


@jit
def choose(
    actions: np.ndarray,
    legal: np.ndarray,
    masks: np.ndarray,
    states: np.ndarray,
    voices: np.ndarray,
    windows: Windows,
    rows: np.ndarray,
    keyboard: Keyboard,
    limits: VoiceLimits,
) -> None:
    """Replace the actions of the envs `rows` by what they become, and move their voices on.

    An illegal action becomes a rest of its value; when few steps are left, of the nearest legal one. Where a rest is
    not legal, it repeats the last sung pitch, or plays the highest legal key, with its value or the nearest legal one.
    A rest that would pass the last tick at which the next sung note can begin becomes the longest one that does not.

    Args:
        actions: (n, 2) or (n, 3), replaced.
        legal: (n,) bool, set to whether each action was allowed by `masks`.
        masks: (n, whats + values) bool of this step.
        states: (n,) before the step; illegal actions are counted.
        voices: (n,) of VOICE_DTYPE, moved on.
        windows: of the sung notes.
        rows: (k,) envs that play.
        keyboard: the instrument.
        limits: of the voice.
    """
    values, chords, chord_sizes = keyboard.values, keyboard.chords, keyboard.chord_sizes
    keys = keyboard.highest - keyboard.lowest + 1
    whats = 1 + keys + len(chords)
    for i in rows:
        state, voice, mask = states[i], voices[i], masks[i]
        what, value = actions[i, 0], actions[i, 1]
        legal[i] = mask[what] and mask[whats + value]
        if not legal[i]:
            state.illegal_actions += 1
            what = 0
            if not mask[0]:
                repeated = voice.pitch - keyboard.lowest + 1
                what = repeated if voice.pitch >= 0 and mask[repeated] else keys
                while not mask[what]:  # a sung one, if the bar has accompaniment
                    what -= 1
            if not mask[0] or _in_a_hurry(state, voice, values[-1], limits.max_steps):
                while value > 0 and not mask[whats + value]:
                    value -= 1
                while not mask[whats + value]:
                    value += 1
        note = _due(voice, state.clock, windows.earliest[i], windows.rest_after[i])
        if what == 0:
            earliest, latest, rest_after = windows.earliest[i], windows.latest[i], windows.rest_after[i]
            room = _deadline(voice, earliest, latest, rest_after) - state.clock
            while value > 0 and values[value] > room:
                value -= 1
        else:
            chord = what - 1 - keys  # if not negative
            top = keyboard.lowest + what - 1 if chord < 0 else chords[chord, chord_sizes[chord] - 1]
            if (top if chord < 0 else chords[chord, 0]) < limits.lowest:
                voice.below_tick = state.clock
                if not mask[0]:
                    voice.together_tick = state.clock
            if note != NONE_DUE and top >= limits.lowest:
                if note == voice.sung:
                    voice.pitch_before = voice.pitch
                    voice.onset_tick = state.clock
                    voice.sung += 1
                voice.pitch = top
                voice.end_tick = state.clock + values[value]
        actions[i, 0], actions[i, 1] = what, value


@jit
def restrict_masks(
    masks: np.ndarray,
    states: np.ndarray,
    voices: np.ndarray,
    windows: Windows,
    sounding: np.ndarray,
    rows: np.ndarray,
    keyboard: Keyboard,
    limits: VoiceLimits,
) -> None:
    """Take out of the `masks` of `kernels.write_masks` what the sung line forbids, in the envs `rows` (k,)."""
    lowest_key, highest_key, values = keyboard.lowest, keyboard.highest, keyboard.values
    chords, chord_sizes, span, fingers = keyboard.chords, keyboard.chord_sizes, keyboard.hand_span, keyboard.fingers
    most_keys = min(keyboard.max_sounding, 2 * fingers)
    floor = limits.lowest
    keys = highest_key - lowest_key + 1
    whats = 1 + keys + len(chords)
    for i in rows:
        state, voice, mask = states[i], voices[i], masks[i]
        clock = state.clock
        if clock >= state.end_tick:
            continue
        hurry = _in_a_hurry(state, voice, values[-1], limits.max_steps)
        if voice.sung == voice.total and clock >= voice.end_tick:  # the piece ends with the words
            mask[1:whats] = False
            if hurry:
                _keep_the_longest(mask[whats : whats + len(values)])
            continue
        note = _due(voice, clock, windows.earliest[i], windows.rest_after[i])
        is_due = note != NONE_DUE
        struck = voice.onset_tick == clock  # a sung note at this tick; a higher one may take its place
        sings = voice.end_tick > clock
        if is_due:
            whole_values = mask[whats : whats + len(values)].copy()
            earliest, latest, rest_after = windows.earliest[i], windows.latest[i], windows.rest_after[i]
            waits = clock < _deadline(voice, earliest, latest, rest_after) and voice.together_tick < clock
            mask[0] = struck or waits
            room = latest[note + 1] - rest_after[note] - clock
            least = limits.shortest
            if note + 1 < voice.total and rest_after[note] == 0:
                least = max(least, earliest[note + 1] - clock)  # it lasts until the next may begin
            _keep_between(mask[whats : whats + len(values)], values, least, room)
        if hurry:
            _keep_the_longest(mask[whats : whats + len(values)])
            if is_due and not struck:
                mask[0] = False
            else:
                mask[1:whats] = False
                mask[0] = True
                continue

        before = voice.pitch_before if struck else voice.pitch
        top_low, top_high = floor, -1  # range of the highest note of an action that has any from `floor` on
        left_lowest, left_highest, left_count = 128, -1, 0
        right_lowest, right_count = 128, 0
        for k in range(state.sounding):
            pitch = sounding[i, k]
            if pitch < floor:
                left_lowest, left_highest = min(left_lowest, pitch), max(left_highest, pitch)
                left_count += 1
            else:
                right_lowest = min(right_lowest, pitch)
                right_count += 1
        if is_due:
            top_high = limits.highest
            if before >= 0:
                top_low, top_high = max(floor, before - limits.leap), min(top_high, before + limits.leap)
            if state.sounding > 0:
                top_low = max(top_low, sounding[i, state.sounding - 1] + 1)
        elif sings:
            top_high = voice.pitch - 1
        free = most_keys - state.sounding
        free_below = free if sings else free - 1  # one key is kept for the voice

        bar_line = clock - (clock - state.start_tick) % state.ticks_per_bar
        bare = is_due and not struck and not hurry and left_count == 0 and voice.below_tick < bar_line
        if bare:  # a bar without accompaniment so far: it comes first, if the hands can hold any
            bare = False
            for what in range(1, min(floor, highest_key + 1) - lowest_key + 1):
                bare |= mask[what] and free_below > 0
        if bare:
            top_high = -1
            mask[0] = False
            mask[whats : whats + len(values)] = whole_values

        for pitch in range(lowest_key, highest_key + 1):
            what = 1 + pitch - lowest_key
            if not mask[what]:
                continue
            if pitch < floor:
                mask[what] = (
                    not (hurry or struck)
                    and free_below > 0
                    and left_count < fingers
                    and max(left_highest, pitch) - min(left_lowest, pitch) <= span
                )
            else:
                outermost = pitch if is_due else voice.pitch
                mask[what] = (
                    top_low <= pitch <= top_high
                    and right_count < fingers
                    and outermost - min(right_lowest, pitch) <= span
                )
        for c in range(len(chords)):
            what = 1 + keys + c
            if not mask[what]:
                continue
            size = chord_sizes[c]
            lowest, top = chords[c, 0], chords[c, size - 1]
            below = 0  # notes for the left hand
            while below < size and chords[c, below] < floor:
                below += 1
            fits = not hurry
            if below > 0:
                highest_below = max(left_highest, chords[c, below - 1])
                fits &= left_count + below <= fingers and highest_below - min(left_lowest, lowest) <= span
            if below == size:
                fits &= size <= free_below and not struck
            else:
                outermost = top if is_due else voice.pitch
                fits &= top_low <= top <= top_high and right_count + size - below <= fingers
                fits &= outermost - min(right_lowest, chords[c, below]) <= span
            mask[what] = fits


@jit
def _keep_between(mask: np.ndarray, values: np.ndarray, least: int, most: int) -> None:
    """Leave only the values in `least..most` in a mask (values,); the longest up to `most` if there is none."""
    found = False
    for v in range(len(values)):
        mask[v] &= values[v] <= most
        found |= mask[v] and values[v] >= least
    if not found:
        _keep_the_longest(mask)
        return
    for v in range(len(values)):
        mask[v] &= values[v] >= least


@jit
def _keep_the_longest(mask: np.ndarray) -> None:
    """Leave only the last legal entry of a mask (values,)."""
    v = len(mask) - 1
    while v > 0 and not mask[v]:
        v -= 1
    mask[:v] = False


@jit
def write_syllables(
    syllables: np.ndarray,
    states: np.ndarray,
    voices: np.ndarray,
    windows: Windows,
    rows: np.ndarray,
    ticks_per_beat: int,
    most_beats: float,
) -> None:
    """(k, notes, 6) float32 of the next sung notes: present, stress, melisma, line end, beats to its window's ends."""
    syllables[:] = 0
    for row, i in enumerate(rows):
        state, voice = states[i], voices[i]
        for k in range(min(syllables.shape[1], voice.total - voice.sung)):
            note = voice.sung + k
            shown = syllables[row, k]
            shown[PRESENT] = 1
            shown[STRESS] = windows.stress[i, note]
            shown[MELISMA] = windows.melisma[i, note]
            shown[LINE_END] = windows.lines_left[i, note + 1] < windows.lines_left[i, note]
            earliest = (windows.earliest[i, note] - state.clock) / ticks_per_beat
            latest = (windows.latest[i, note] - state.clock) / ticks_per_beat
            shown[EARLIEST] = min(max(earliest, 0.0), most_beats)
            shown[LATEST] = min(max(latest, 0.0), most_beats)


@jit
def write_voice(
    voice_state: np.ndarray,
    states: np.ndarray,
    voices: np.ndarray,
    windows: Windows,
    rows: np.ndarray,
    lowest: int,
    keys: int,
    ticks_per_beat: int,
    most_beats: float,
    most_left: int,
) -> None:
    """(k, 5) float32 in [0, 1].

    `what` of the latest sung note in `keys`; beats that it still sounds, in `most_beats`; the share of the sung notes
    that are left; those of the line and the lines that are left, in `most_left`.
    """
    for row, i in enumerate(rows):
        voice, lines_left = voices[i], windows.lines_left[i]
        of_line = 0
        while voice.sung + of_line < voice.total and lines_left[voice.sung + of_line] == lines_left[voice.sung]:
            of_line += 1
        voice_state[row, 0] = (voice.pitch - lowest + 1) / keys if voice.pitch >= 0 else 0
        beats = max(0, voice.end_tick - states[i].clock) / ticks_per_beat
        voice_state[row, 1] = min(beats, most_beats) / most_beats
        voice_state[row, 2] = (voice.total - voice.sung) / voice.total
        voice_state[row, 3] = min(of_line, most_left) / most_left
        voice_state[row, 4] = min(lines_left[voice.sung], most_left) / most_left
