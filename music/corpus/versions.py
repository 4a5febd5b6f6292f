"""Which pieces are versions of one another, so that a split can keep them together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from toccata.music.score import Score

FINGERPRINT_NOTES = 12  # of the melody: enough that only the same tune begins so,
FINGERPRINT_PITCHES = 4  # if they are not a repeated note or a trill


def version_groups(names: Sequence[str], scores: Sequence[Score]) -> list[str]:
    """A group for each piece; pieces share it when they share their name or the beginning of their melody.

    Args:
        names: what is known of each piece beside its notes, such as its title; equal for versions of one work.
        scores: the pieces, as many.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while (above := parent.setdefault(key, key)) != key:
            parent[key] = key = parent.get(above, above)
        return key

    for name, score in zip(names, scores, strict=True):
        one, other = root(name), root(melody_fingerprint(score) or name)
        parent[max(one, other)] = min(one, other)
    return [root(name) for name in names]


def melody_fingerprint(score: Score) -> str:
    """The steps in semitones between the melody's first notes, the same in every key and rhythm.

    The melody is every note that nothing above it covers as it begins. "" when its first 12 are missing or have fewer
    than four pitches.
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
