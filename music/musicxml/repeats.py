"""The order in which the bars of a piece are played: repeats, endings, da capo, dal segno, to coda and fine."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal, TypeVar
from xml.etree.ElementTree import Element

Value = TypeVar("Value", int, float)
Repeats = Literal["unfold", "written"]
REPEATS = ("unfold", "written")
MAX_UNFOLDING = 16  # times the written bars: a rondo has about three; beyond, the marks are damaged


@dataclass(frozen=True)
class BarMarks:
    """What one bar says about the order of bars. A mark within the bar counts at its beginning or its end."""

    forward: bool = False  # a repeated section begins here
    backward: int = 0  # one ends here, and is played so many times; 0: none ends
    endings: frozenset[int] = frozenset()  # the passes that the bar is played in; empty: all
    segno: str = ""  # the names of what begins here; empty: nothing
    coda: str = ""
    dacapo: bool = False  # at the end
    dalsegno: str = ""  # the names of where the end jumps to
    tocoda: str = ""  # after da capo or dal segno
    fine: bool = False  # the end, after da capo or dal segno


PLAIN = BarMarks()


def played_bars(marks: Sequence[BarMarks]) -> list[int]:
    """The indices of the bars in the order in which they are played.

    A section is played twice, or as many times as its repeat or its endings say. It begins at the last forward repeat,
    the end of the last repeated section, or the first bar. A jump is taken once, after the repeats of its bar, and
    repeats that have been played are not played again after it: the last ending follows. Without a segno, dal segno is
    ignored, and so is to coda without a coda.

    Returns:
        The bars as written, where that would give more than 16 times as many, or where one would never be played.
    """
    written = list(range(len(marks)))
    groups, last_passes = _ending_groups(marks)
    places = {kind: _places(marks, kind) for kind in ("segno", "coda")}
    order: list[int] = []
    complete: set[int] = set()  # bars whose backward repeat has been played
    complete_groups: set[int] = set()  # of endings, of which the last has been played
    jumps: set[int] = set()  # bars of the jumps that were taken
    bar = section = 0
    number = 1  # of the pass
    while bar < len(marks):
        mark, last_pass = marks[bar], last_passes[groups[bar]]
        after_endings = bar > 0 and bool(marks[bar - 1].endings) and not mark.endings and number > 1
        if (mark.forward or after_endings) and bar != section:
            section, number = bar, 1
        if mark.endings and (last_pass if groups[bar] in complete_groups else number) not in mark.endings:
            bar += 1
            continue
        order.append(bar)
        if len(order) > MAX_UNFOLDING * len(marks):
            return written
        if mark.backward and bar not in complete:
            if number < max(mark.backward, last_pass):
                number += 1
                bar = section
                continue
            complete.add(bar)
        if mark.endings and number >= last_pass:
            complete_groups.add(groups[bar])
        if mark.backward and not (bar + 1 < len(marks) and marks[bar + 1].endings):
            section, number = bar + 1, 1
        if mark.fine and jumps:
            break
        target = 0 if mark.dacapo else None
        if mark.dalsegno:
            target = _named(places["segno"], mark.dalsegno)
        if bar in jumps:
            target = None
        coda = _named(places["coda"], mark.tocoda) if jumps and mark.tocoda else None
        if coda is not None:
            bar, section, number = coda, coda, 1
        elif target is not None:
            jumps.add(bar)
            bar, section, number = target, target, 1
        else:
            bar += 1
    return order if len(set(order)) == len(marks) else written


def played_changes(changes: Sequence[tuple[int, int, Value]], order: Sequence[int]) -> list[tuple[int, int, Value]]:
    """(place in the order, time in its bar, value) of the changes of a value as they are played.

    After a jump the value is that which was in force in the written bars.

    Args:
        changes: (bar, time, value), in order.
        order: the bars as they are played.
    """
    bars = [bar for bar, _, _ in changes]
    played: list[tuple[int, int, Value]] = []
    for place, bar in enumerate(order):
        first, end = bisect_left(bars, bar), bisect_left(bars, bar + 1)
        if changes and place and order[place - 1] != bar - 1:
            played.append((place, 0, changes[max(first - 1, 0)][2]))
        played += [(place, time, value) for _, time, value in changes[first:end]]
    return played


def _places(marks: Sequence[BarMarks], kind: str) -> dict[str, int]:
    """The first bar of each name of a segno or coda, in order."""
    found: dict[str, int] = {}
    for bar, mark in enumerate(marks):
        name = getattr(mark, kind)
        if name:
            found.setdefault(name, bar)
    return found


def _named(places: Mapping[str, int], name: str) -> int | None:
    """The bar of a name, else the first of any name; None without one."""
    return places.get(name, next(iter(places.values()), None))


def _ending_groups(marks: Sequence[BarMarks]) -> tuple[list[int], list[int]]:
    """The group of each bar, and of each group the largest number of its endings.

    Endings that stand one after the other are a group; group 0, with the number 0, are all bars without endings.
    """
    groups: list[int] = []
    largest = [0]
    for mark in marks:
        if mark.endings and not (groups and groups[-1]):
            largest.append(0)
        groups.append(len(largest) - 1 if mark.endings else 0)
        if mark.endings:
            largest[-1] = max(largest[-1], *mark.endings)
    return groups, largest


def marks_of_tree(root: Element) -> list[BarMarks]:
    """The marks of every bar of a `musicxml_tree`; of each kind those of the first part that has it in the bar."""
    parts = [_part_marks(part) for part in root.iter("part")]
    return [_merged(bar) for bar in zip_longest(*parts, fillvalue=PLAIN)]


def _merged(bars: Sequence[BarMarks]) -> BarMarks:
    """The marks of one bar in several parts."""
    fields = PLAIN.__dict__
    found = {name: next((getattr(bar, name) for bar in bars if getattr(bar, name)), None) for name in fields}
    return replace(PLAIN, **{name: value for name, value in found.items() if value is not None})


def _part_marks(part: Element) -> list[BarMarks]:
    """The marks of every bar of one part."""
    bars: list[BarMarks] = []
    endings: frozenset[int] = frozenset()  # of the ending that is open
    for measure in part:
        mark, closed = BarMarks(endings=endings), False
        for barline in measure.iterfind("barline"):
            for child in barline:
                if child.tag == "repeat" and child.get("direction") == "forward":
                    mark = replace(mark, forward=True)
                elif child.tag == "repeat" and child.get("direction") == "backward":
                    mark = replace(mark, backward=_whole(child.get("times"), 2))
                elif child.tag == "ending" and child.get("type") == "start":
                    endings = frozenset(map(int, re.findall(r"[1-9]\d{0,2}", child.get("number", ""))))
                    mark = replace(mark, endings=endings)
                elif child.tag == "ending":
                    closed = True
        for sound in (*measure.iterfind("sound"), *measure.iterfind("direction/sound")):
            mark = _with_jumps(mark, sound)
        bars.append(mark)
        if closed or mark.backward:
            endings = frozenset()
    if endings:  # an ending that nothing closes has its first bar only
        first = max(index for index, mark in enumerate(bars) if not index or mark.endings != bars[index - 1].endings)
        bars[first + 1 :] = [replace(mark, endings=frozenset()) for mark in bars[first + 1 :]]
    return bars


def _with_jumps(mark: BarMarks, sound: Element) -> BarMarks:
    """The marks of a bar, and those of a sound element in it."""

    def name(kind: str, so_far: str) -> str:
        return sound.get(kind) or so_far

    def flag(kind: str) -> bool:
        return sound.get(kind, "no") not in ("no", "")

    return replace(
        mark,
        segno=name("segno", mark.segno),
        coda=name("coda", mark.coda),
        dalsegno=name("dalsegno", mark.dalsegno),
        tocoda=name("tocoda", mark.tocoda),
        dacapo=mark.dacapo or flag("dacapo"),
        fine=mark.fine or flag("fine"),
    )


def _whole(text: str | None, default: int) -> int:
    """The number in a text of one to three digits, else the default."""
    return int(text) if text and re.fullmatch(r"[0-9]{1,3}", text) else default
