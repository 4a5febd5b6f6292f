"""The two staves of a piano: which hand plays a note."""

from __future__ import annotations

import numpy as np

from toccata.music.notation.smoothing import best_path
from toccata.music.reduction import FINGERS_PER_HAND, HAND_SPAN
from toccata.music.score import Score

LOWEST_SPLIT, HIGHEST_SPLIT = 43, 79  # the lowest pitch of the right hand: G2 to G5
MIDDLE_C = 60
# Costs of a split of the keyboard at an onset; only their ratios count. A note a fifth beyond middle C in the other
# hand costs as much as a hand that moves by as much.
BEYOND = 1.0  # a semitone of a note of the right hand below middle C, or of the left above B3
MOVE = 1.0  # a semitone by which the split moves to the next onset
STRETCH = 20.0  # notes that a hand cannot reach, or has no fingers for
FAR = 0.01  # a semitone from the split to middle C: of equal splits the nearest


def right_hand(score: Score) -> np.ndarray:
    """(notes,) bool, whether the right hand plays each note: it is written on the upper staff.

    At each onset the keyboard is split in two. The splits are those of least cost: each hand can hold its notes
    (`toccata.music.reduction`), the right one stays above middle C and the left one below, and the split moves little,
    so that a line stays on its staff.
    """
    notes = score.notes
    if not len(notes):
        return np.zeros(0, bool)
    onsets, first = np.unique(notes["onset_tick"], return_index=True)
    splits = np.arange(LOWEST_SPLIT, HIGHEST_SPLIT + 1)
    distance = np.abs(splits - MIDDLE_C)
    costs = np.tile(FAR * distance, (len(onsets), 1))
    pitches, ends = notes["pitch"].astype(np.int64), score.offset_ticks
    held: list[int] = []
    for step, (onset, start, end) in enumerate(zip(onsets, first, [*first[1:], len(notes)], strict=True)):
        new = range(start, end)
        held = [index for index in held if ends[index] > onset] + list(new)
        pitch = pitches[start:end, None]
        right = pitch >= splits
        beyond = np.where(right, np.maximum(MIDDLE_C - pitch, 0), np.maximum(pitch - MIDDLE_C + 1, 0))
        costs[step] += BEYOND * beyond.sum(0)
        sounding = pitches[held][:, None]
        right = sounding >= splits
        for hand in (right, ~right):
            low = np.where(hand, sounding, 999).min(0)
            high = np.where(hand, sounding, -1).max(0)
            costs[step] += STRETCH * ((high - low > HAND_SPAN) | (hand.sum(0) > FINGERS_PER_HAND))
    path = best_path(costs, MOVE * np.abs(splits[:, None] - splits))
    return notes["pitch"] >= splits[path][np.searchsorted(onsets, notes["onset_tick"])]
