"""The two staves of a piano: which hand plays a note."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from toccata.music.notation.smoothing import best_path
from toccata.music.reduction import FINGERS_PER_HAND, HAND_SPAN
from toccata.music.score import Score

LOWEST_SPLIT, HIGHEST_SPLIT = 43, 79  # the lowest pitch of the right hand: G2 to G5
MIDDLE_C = 60
LEFT_HIGHEST, RIGHT_LOWEST = 64, 55  # E4 and G3: up and down to there a hand plays as a matter of course
# Costs of a split of the keyboard at an onset; only their ratios count.
BEYOND = 1.0  # a semitone of a note beyond the limit of its hand
PAST_MIDDLE = 0.1  # a semitone of a note on the other hand's side of middle C
SWAP = 1.5  # a note that a hand takes from the other while as many notes sound as before
MOVE = 0.5  # a semitone by which the split moves to the next onset
STRETCH = 500.0  # notes that a hand cannot reach, or has no fingers for
FAR = 0.01  # a semitone from the split to middle C: of equal splits the nearest


def right_hand(score: Score) -> np.ndarray:
    """(notes,) bool, whether the right hand plays each note: it is written on the upper staff.

    At each onset the keyboard is split in two. The splits are those of least cost: each hand can hold its notes
    (`toccata.music.reduction`), the right one stays above middle C and the left one below, and the split moves little,
    as does the number of notes of each hand while as many sound, so that a line stays on its staff.
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
    sounding_notes = np.zeros((len(onsets), 1), np.int64)
    of_right = np.zeros((len(onsets), len(splits)), np.int64)
    for step, (onset, start, end) in enumerate(zip(onsets, first, [*first[1:], len(notes)], strict=True)):
        new = range(start, end)
        held = [index for index in held if ends[index] > onset] + list(new)
        pitch = pitches[start:end, None]
        right = pitch >= splits
        beyond = np.where(right, RIGHT_LOWEST - pitch, pitch - LEFT_HIGHEST)
        past = np.where(right, MIDDLE_C - pitch, pitch - MIDDLE_C + 1)
        costs[step] += (BEYOND * np.maximum(beyond, 0) + PAST_MIDDLE * np.maximum(past, 0)).sum(0)
        sounding = pitches[held][:, None]
        right = sounding >= splits
        sounding_notes[step], of_right[step] = len(held), right.sum(0)
        for hand in (right, ~right):
            low = np.where(hand, sounding, 999).min(0)
            high = np.where(hand, sounding, -1).max(0)
            costs[step] += STRETCH * ((high - low > HAND_SPAN) | (hand.sum(0) > FINGERS_PER_HAND))
    move = MOVE * np.abs(splits[:, None] - splits)
    changes = (
        move + SWAP * np.abs(before[:, None] - after) * (count == last)
        for (last, count), (before, after) in zip(pairwise(sounding_notes), pairwise(of_right), strict=True)
    )
    path = best_path(costs, changes)
    return notes["pitch"] >= splits[path][np.searchsorted(onsets, notes["onset_tick"])]
