"""A reward of one's own in ten lines: tension that rises to the middle of the piece and is resolved at its end.

`python train.py --rewards rating 1.0 examples.tension:Tension 0.5` pays it.
"""

import numpy as np


class Tension:
    """Correlation over time of the dissonances that sound with an arch, in [-1, 1]; 0 where nothing changes."""

    name = "tension"

    def score(self, pieces):
        """(n,) float32."""
        return np.array([arch_likeness(score) for score in pieces.own], np.float32)


def arch_likeness(score):
    """Pearson's correlation of seconds, sevenths and tritones at each tick with half a sine over the piece."""
    chroma = np.pad(score.roll() > 0, ((0, 0), (0, 4))).reshape(-1, 11, 12).any(axis=1)  # (ticks, pitch classes)
    dissonances = sum((chroma & np.roll(chroma, steps, axis=1)).sum(axis=1) for steps in (1, 2, 6))
    if not np.any(dissonances != dissonances[:1]):
        return 0.0
    return np.corrcoef(dissonances, np.sin(np.linspace(0, np.pi, len(dissonances))))[0, 1]
