"""Groups of pieces that are versions of one work, so that a split does not separate them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from toccata.music.score import Score

FINGERPRINT_NOTES = 12  # of the melody: as many identify a tune,
FINGERPRINT_PITCHES = 4  # unless they are a repeated note or a trill, with fewer pitches than this


def version_groups(names: Sequence[str], scores: Sequence[Score]) -> list[str]:
    """The group of each piece. Pieces with one name, or with one beginning of the melody, are in one group.

    Args:
        names: of each piece, such as its title; equal for versions of one work.
        scores: the pieces.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while (above := parent.setdefault(key, key)) != key:
            parent[key] = key = parent.get(above, above)  # union-find with path halving
        return key

    for name, score in zip(names, scores, strict=True):
        one, other = root(name), root(melody_fingerprint(score) or name)
        parent[max(one, other)] = min(one, other)
    return [root(name) for name in names]


def melody_fingerprint(score: Score) -> str:
    """The intervals in semitones between the first notes of the melody, independent of key and rhythm.

    A note is part of the melody if no higher note sounds at its onset. "" if the melody has fewer than 12 notes, or its
    first 12 fewer than four pitches.
    """
    melody: list[int] = []
    top_end = top_pitch = -1
    beginning = score.notes[: 16 * FINGERPRINT_NOTES].tolist()
    for onset, duration, pitch, _ in sorted(beginning, key=lambda note: (note[0], -note[2])):
        if onset < top_end and pitch < top_pitch:
            continue
        melody.append(pitch)
        if len(melody) == FINGERPRINT_NOTES:
            break
        top_end, top_pitch = onset + duration, pitch
    if len(melody) < FINGERPRINT_NOTES or len(set(melody)) < FINGERPRINT_PITCHES:
        return ""
    return "melody:" + " ".join(str(b - a) for a, b in pairwise(melody))
