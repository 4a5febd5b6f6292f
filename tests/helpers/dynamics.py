"""Pianos of two bars, and one action on them."""

from __future__ import annotations

import numpy as np

from toccata.envs.dynamics import Dynamics
from toccata.envs.instrument import Piano
from toccata.music import Score

PIANO = Piano()
BAR = 96
ALL = np.arange(1)
C4, E4 = PIANO.key_of(60), PIANO.key_of(64)


def make_dynamics(piano: Piano = PIANO, n: int = 1, bars: int = 2, primer: Score | None = None) -> Dynamics:
    dynamics = Dynamics(n, piano, max_steps=1000, keep_roll=True)
    start = 0 if primer is None else primer.length_ticks
    dynamics.begin(np.arange(n), ticks_per_bar=BAR, end_tick=start + bars * BAR, primer=primer)
    return dynamics


def act(dynamics: Dynamics, what: int, ticks: int) -> bool:
    return bool(dynamics.step(np.array([[what, dynamics.piano.values.index(ticks)]]))[0])
