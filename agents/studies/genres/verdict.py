"""Which genre does best by each measure, and whether its interval is apart from those of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toccata.stats import Interval


@dataclass(frozen=True)
class Winner:
    """The best genre by one measure.

    Attributes:
        measure: in words.
        genre: the best.
        value: its.
        second: the next best.
        second_value: its.
        apart: whether the two intervals do not overlap.
    """

    measure: str
    genre: str
    value: Interval
    second: str
    second_value: Interval
    apart: bool


def winner(measure: str, values: Mapping[str, Interval], *, higher: bool) -> Winner:
    """The best genre by a measure.

    Args:
        measure: in words.
        values: of two genres or more.
        higher: whether higher values are better; else lower ones are.
    """
    ranked = sorted(values, key=lambda genre: (values[genre].mean * (-1 if higher else 1), genre))
    first, second = ranked[:2]
    ours, theirs = values[first], values[second]
    apart = ours.low > theirs.high if higher else ours.high < theirs.low
    return Winner(measure, first, ours, second, theirs, apart)


def in_words(winners: list[Winner]) -> list[str]:
    """Sentences about how often each genre is the best, and by which measures it is so beyond the intervals."""
    lines = []
    for genre in sorted({each.genre for each in winners}):
        own = [each for each in winners if each.genre == genre]
        apart = [each for each in own if each.apart]
        beyond = f", beyond the intervals by {len(apart)}" if apart else ", by none of them beyond the intervals"
        lines.append(f"{genre} is best by {len(own)} of {len(winners)} measures{beyond}")
    best = {each.genre for each in winners if each.apart}
    if len({each.genre for each in winners}) == 1:
        lines.append("All measures agree." if best else "All measures agree, but none has intervals that are apart.")
    elif len(best) > 1:
        *others, last = sorted(best)
        lines.append(
            "No genre is the most generative: measures whose intervals are apart favour "
            f"{', '.join(others)} and {last}."
        )
    elif best:
        lines.append(f"Where intervals are apart, the best is {best.pop()}; elsewhere the measures disagree.")
    else:
        lines.append("No measure separates the best genre from the next.")
    return lines
