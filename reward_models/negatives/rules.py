"""Pieces made by simple rules: two alternating notes, ostinati, scales, chords and walks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from toccata.envs.codec import encode
from toccata.music.score import TICKS_PER_BEAT, Score

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
PROGRESSION = (0, 5, 7, 0)  # I IV V I, semitones above the tonic
TRIAD = (0, 4, 7)
BAR_TICKS = 4 * TICKS_PER_BEAT  # all are in 4/4


def alternating_notes(bars: int, rng: np.random.Generator) -> Score:
    """Two notes, or a note and a chord, in turn from beginning to end, as of an agent that a rating alone rewards."""
    value = int(rng.choice([6, 12, 24]))
    low = int(rng.integers(48, 72))
    first, second = [low], [low + int(rng.integers(1, 13))]
    if rng.random() < 0.5:
        second += [second[0] + int(rng.integers(3, 6)), second[0] + 7]
    return _repeated([first, second], value, bars)


def ostinato(bars: int, rng: np.random.Generator) -> Score:
    """One figure of three to eight notes of a scale, repeated."""
    scale = SCALES[rng.integers(2)]
    tonic = int(rng.integers(48, 66))
    figure = [[tonic + scale[rng.integers(7)] + 12 * int(rng.integers(2))] for _ in range(rng.integers(3, 9))]
    return _repeated(figure, int(rng.choice([6, 12, 24])), bars)


def scale_runs(bars: int, rng: np.random.Generator) -> Score:
    """A scale up and down in even notes."""
    scale = SCALES[rng.integers(2)]
    tonic = int(rng.integers(48, 66))
    up = [[tonic + 12 * (i // 7) + scale[i % 7]] for i in range(rng.integers(5, 16))]
    return _repeated(up + up[-2:0:-1], int(rng.choice([6, 12, 24])), bars)


def block_chords(bars: int, rng: np.random.Generator) -> Score:
    """The triads I IV V I, struck or broken, a chord a bar or half a bar."""
    tonic, half = int(rng.integers(48, 60)), int(rng.integers(2))
    chords = [[tonic + root + step for step in TRIAD] for root in PROGRESSION]
    if rng.random() < 0.5:
        value = int(rng.choice([12, 24]))
        broken = [[chord[i % 3]] for chord in chords for i in range((2 - half) * 2 * TICKS_PER_BEAT // value)]
        return _repeated(broken, value, bars)
    return _repeated(chords, (2 - half) * 2 * TICKS_PER_BEAT, bars)


def random_walk(bars: int, rng: np.random.Generator) -> Score:
    """A melody whose steps are drawn independently, over a held bass."""
    scale, tonic = SCALES[rng.integers(2)], int(rng.integers(55, 67))
    degree, notes = 7, []
    value = int(rng.choice([12, 24]))
    for onset in range(0, bars * BAR_TICKS, value):
        degree = int(np.clip(degree + rng.integers(-2, 3), 0, 14))
        notes.append((onset, value, tonic + 12 * (degree // 7) + scale[degree % 7], 80))
    bass = [(bar * BAR_TICKS, BAR_TICKS, tonic - 12, 80) for bar in range(bars)]
    return Score(notes + bass, length_ticks=bars * BAR_TICKS)


def repeated_note(bars: int, rng: np.random.Generator) -> Score:
    """One key from beginning to end; it is none of `RULES`."""
    return _repeated([[int(rng.integers(48, 84))]], int(rng.choice([6, 12, 24, 48])), bars)


RULES: dict[str, Callable[[int, np.random.Generator], Score]] = {
    rule.__name__: rule for rule in (alternating_notes, ostinato, scale_runs, block_chords, random_walk)
}


def rule_pieces(name: str, count: int, bars: int, rng: np.random.Generator) -> list[Score]:
    """Pieces of a rule of `RULES`, as the instrument plays them."""
    return [encode(RULES[name](bars, rng))[1].score for _ in range(count)]


def _repeated(figure: Sequence[Sequence[int]], value: int, bars: int) -> Score:
    """Chords of one value after another, from the first again after the last."""
    notes = [
        (onset, value, pitch, 80)
        for i, onset in enumerate(range(0, bars * BAR_TICKS, value))
        for pitch in figure[i % len(figure)]
    ]
    return Score([note for note in notes if note[0] + note[1] <= bars * BAR_TICKS], length_ticks=bars * BAR_TICKS)
