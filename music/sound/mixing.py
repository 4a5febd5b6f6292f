"""The inner loop of `NoteBank`, compiled."""

from __future__ import annotations

import numpy as np

from toccata.compiled import jit


@jit
def mix(audio: np.ndarray, starts: np.ndarray, spans: np.ndarray, recordings: np.ndarray) -> None:
    """Add recordings to the sound of a piece, then clip it to [-1, 1].

    Args:
        audio: (samples,) float32, changed in place; sound after its end is left out.
        starts: (notes,) int64, the sample of `audio` at which each note begins; negative for notes that began earlier.
        spans: (notes,) records of `bank.SPAN_DTYPE`: begin and end of each note's recording, and its step.
        recordings: (n,) int16, all recordings, each in units of its step.
    """
    for note in range(len(starts)):
        span = spans[note]
        start = starts[note]
        recording = recordings[span.begin - min(start, 0) : span.end]
        into = audio[max(start, 0) : max(start, 0) + len(recording)]
        step = span.step
        for sample in range(len(into)):
            into[sample] += step * np.float32(recording[sample])
    for sample in range(len(audio)):
        audio[sample] = min(max(audio[sample], np.float32(-1)), np.float32(1))
