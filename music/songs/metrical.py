"""The metrical weight of ticks: how strong the positions of a bar are."""

from __future__ import annotations

import numpy as np

from toccata.music.metre import TimeSignature, time_signature
from toccata.music.notation.metres import Division, division, strength
from toccata.music.score import TICKS_PER_BEAT, Score

LEVELS = 4  # from the beginning of a bar to what has weight 0: halves of beats in 4/4
STRONG = 0.75  # the least weight of a strong beat: the beginning of a bar, and the middle of one of four beats


def metrical_weight(score: Score, ticks: np.ndarray) -> np.ndarray:
    """(n,) float in [0, 1], the weight of the position of each tick in its bar.

    1 at the beginning of a bar, 3/4 at a group of beats such as the middle of 4/4, 1/2 at other beats, 1/4 at a pulse
    that is no beat (an eighth in 6/8), else 0. In a bar that no time signature describes 1/2 at each quarter.
    Source: the levels of the metrical grid of Lerdahl & Jackendoff 1983, "A Generative Theory of Tonal Music", ch. 4,
    spread evenly over [0, 1].

    Args:
        score: whose bars count.
        ticks: (n,) integers, at or after 0.
    """
    ticks = np.asarray(ticks, np.int64)
    starts = score.bar_ticks
    if not len(starts):
        return np.zeros(len(ticks))
    bar = np.searchsorted(starts, ticks, side="right") - 1
    single = time_signature(score.beats_per_bar)
    signatures = score.time_signatures or ((TimeSignature(0, *single),) if single else ())
    number = np.searchsorted([each.tick for each in signatures], starts[bar], side="right") - 1
    divisions = [_division(each) for each in signatures]
    weights = [
        _weight(divisions[which] if signatures else None, int(tick), score.ticks_per_beat)
        for which, tick in zip(number, ticks - starts[bar], strict=True)
    ]
    return np.array(weights, float)


def _division(signature: TimeSignature) -> Division | None:
    """How a bar of the signature divides; None of one that is not on the grid of 24."""
    try:
        return division(signature.numerator, signature.denominator)
    except ValueError:
        return None


def _weight(bar: Division | None, tick: int, ticks_per_beat: int) -> float:
    """The weight of a tick in a bar."""
    if bar is None:
        return 1.0 if tick == 0 else 0.5 * (tick % ticks_per_beat == 0)
    on_grid, rest = divmod(tick * TICKS_PER_BEAT, ticks_per_beat)
    return 0.0 if rest or on_grid >= bar.ticks else max(1 - strength(bar, on_grid) / LEVELS, 0.0)
