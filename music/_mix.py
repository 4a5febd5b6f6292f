"""The inner loop of `NoteBank`, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def mix(audio: np.ndarray, starts: np.ndarray, spans: np.ndarray, recordings: np.ndarray) -> None:
    """Add recordings to the sound of a piece, then clip it to [-1, 1].

    Args:
        audio: (samples,) float32, changed; what would ring on after its end is left out.
        starts: (notes,) int64, the sample of `audio` at which each note begins.
        spans: (notes, 2) int64, where in `recordings` each note's recording begins and ends.
        recordings: (any,) float32.
    """
    for note in range(len(starts)):
        recording = recordings[spans[note, 0] : spans[note, 1]]
        into = audio[starts[note] : starts[note] + len(recording)]
        for sample in range(len(into)):
            into[sample] += recording[sample]
    for sample in range(len(audio)):
        audio[sample] = min(max(audio[sample], np.float32(-1)), np.float32(1))
