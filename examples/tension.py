"""A custom reward: dissonance that rises to the middle of the piece and is resolved at its end.

Train an agent with it, from the root of the repository:

    python train.py --rewards rating 1.0 examples.tension:Tension 0.5
"""

import numpy as np


class Tension:
    """Correlation of dissonance over time with an arch, in [-1, 1]; 0 where the dissonance is constant."""

    name = "tension"

    def score(self, pieces):
        """(n,) float32."""
        return np.array([arch_correlation(score) for score in pieces.own], np.float32)


def arch_correlation(score):
    """Pearson's correlation of the seconds, sevenths and tritones sounding at each tick with half a sine."""
    chroma = np.pad(score.roll() > 0, ((0, 0), (0, 4))).reshape(-1, 11, 12).any(axis=1)  # (ticks, pitch classes)
    dissonances = sum((chroma & np.roll(chroma, steps, axis=1)).sum(axis=1) for steps in (1, 2, 6))
    if not np.any(dissonances != dissonances[:1]):
        return 0.0
    return np.corrcoef(dissonances, np.sin(np.linspace(0, np.pi, len(dissonances))))[0, 1]
