"""Bars, time signatures and key signatures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np

MAX_NUMERATOR = 255  # one byte in a MIDI file
DENOMINATORS = (4, 8, 16, 32, 64, 2, 1)  # in the order in which they are tried for a bar that has no signature


class TimeSignature(NamedTuple):
    """A time signature and the bar line that it stands at."""

    tick: int
    numerator: int  # 1-255
    denominator: int  # 1, 2, 4, 8, 16, 32 or 64

    @property
    def beats_per_bar(self) -> float:
        """Quarter notes in a bar."""
        return 4 * self.numerator / self.denominator

    def ticks_per_bar(self, ticks_per_beat: int) -> int:
        """Ticks in a bar; 0 if that is no whole number."""
        ticks, remainder = divmod(4 * self.numerator * ticks_per_beat, self.denominator)
        return 0 if remainder else ticks


class KeySignature(NamedTuple):
    """A key signature and where it stands."""

    tick: int
    fifths: int  # sharps, or flats counted negative, -7 to 7


Signature = TypeVar("Signature", TimeSignature, KeySignature)


def checked_signatures(signatures: Iterable[Sequence[int]], ticks_per_beat: int) -> tuple[TimeSignature, ...]:
    """Time signatures from (tick, numerator, denominator) of each.

    Raises:
        ValueError: for a signature that is none or whose bar is no whole number of ticks, and for ticks that do not
            rise from 0.
    """
    checked: list[TimeSignature] = []
    for entry in signatures:
        if len(entry) != 3 or any(value != int(value) for value in entry):
            raise ValueError(f"time_signatures must be (tick, numerator, denominator), got {tuple(entry)}")
        signature = TimeSignature(*map(int, entry))
        _check_signature(signature, ticks_per_beat)
        if not checked and signature.tick:
            raise ValueError(f"the first of time_signatures must be at tick 0, got {signature.tick}")
        if checked and signature.tick <= checked[-1].tick:
            raise ValueError(f"the ticks of time_signatures must rise, got {signature.tick} after {checked[-1].tick}")
        checked.append(signature)
    return tuple(checked)


def canonical_signatures(
    signatures: Sequence[TimeSignature], ticks_per_beat: int, length_ticks: int
) -> tuple[TimeSignature, ...]:
    """Checked time signatures without those that change neither signature nor bar lines, and those after the end."""
    kept: list[TimeSignature] = []
    for signature in signatures:
        same = bool(kept) and signature[1:] == kept[-1][1:]
        if not same or (signature.tick - kept[-1].tick) % signature.ticks_per_bar(ticks_per_beat):
            kept.append(signature)
    return tuple(each for each in kept if each.tick < length_ticks or not each.tick)


def beside_bar(signatures: tuple[TimeSignature, ...], beats_per_bar: float) -> tuple[TimeSignature, ...]:
    """Canonical signatures of a score with this bar: empty for a single one that is what the bar itself says.

    Raises:
        ValueError: when none has such a bar.
    """
    if signatures and beats_per_bar not in {each.beats_per_bar for each in signatures}:
        found = ", ".join(f"{each.numerator}/{each.denominator}" for each in signatures)
        raise ValueError(f"beats_per_bar is {beats_per_bar:g}, a bar of none of the time_signatures {found}")
    if len(signatures) == 1 and signatures[0][1:] == time_signature(beats_per_bar):
        return ()
    return signatures


def checked_keys(signatures: Iterable[Sequence[int]]) -> tuple[KeySignature, ...]:
    """Key signatures from (tick, fifths) of each, without those that change nothing.

    Raises:
        ValueError: for fifths outside -7..7, and ticks that do not rise from 0.
    """
    kept: list[KeySignature] = []
    for tick, fifths in signatures:
        if fifths != int(fifths) or not -7 <= fifths <= 7:
            raise ValueError(f"the fifths of key_signatures must be in -7..7, got {fifths}")
        if tick < 0 or (kept and tick <= kept[-1].tick):
            raise ValueError(f"the ticks of key_signatures must rise from 0, got {tick}")
        if not kept or fifths != kept[-1].fifths:
            kept.append(KeySignature(int(tick), int(fifths)))
    return tuple(kept)


def longest_metre(signatures: Sequence[TimeSignature], end_tick: int) -> float:
    """Quarter notes in a bar of the metre with the longest total duration, of equal ones the first; 4 of none."""
    if not signatures:
        return 4
    durations: Counter[float] = Counter()
    for each, end in zip(signatures, [*(later.tick for later in signatures[1:]), end_tick], strict=True):
        durations[each.beats_per_bar] += max(end - each.tick, 0)
    return durations.most_common(1)[0][0]


def _check_signature(signature: TimeSignature, ticks_per_beat: int) -> None:
    """Raise ValueError for a signature that no bars can have."""
    if not 1 <= signature.numerator <= MAX_NUMERATOR or signature.denominator not in DENOMINATORS:
        allowed = ", ".join(map(str, sorted(DENOMINATORS)))
        found = f"{signature.numerator}/{signature.denominator}"
        raise ValueError(f"a time signature must have 1..{MAX_NUMERATOR} over one of {allowed}, got {found}")
    if not signature.ticks_per_bar(ticks_per_beat):
        raise ValueError(
            f"a bar of {signature.numerator}/{signature.denominator} is no whole number of ticks, of which a quarter "
            f"has {ticks_per_beat}"
        )


def sliced(signatures: Sequence[Signature], start_tick: int, end_tick: int) -> tuple[Signature, ...]:
    """Those in force in `[start_tick, end_tick)`, moved earlier by `start_tick`: the first is that at `start_tick`."""
    in_force: list[Signature] = [each for each in signatures if each.tick <= start_tick][-1:]
    in_force += [each for each in signatures if start_tick < each.tick < end_tick]
    return tuple(each._replace(tick=max(each.tick - start_tick, 0)) for each in in_force)


def moved_keys(keys: Sequence[KeySignature], shift: int) -> tuple[KeySignature, ...]:
    """Key signatures moved later by `shift`, the first to tick 0 if it was there; of several at a tick the last."""
    moved = [key._replace(tick=key.tick + shift if key.tick else 0) for key in sorted(keys, key=lambda key: key.tick)]
    return tuple(last_at_each_tick(moved))


def last_at_each_tick(signatures: Sequence[Signature]) -> list[Signature]:
    """Of several signatures at one tick the last, which is in force; ticks never fall."""
    return [each for each, later in pairwise(signatures) if later.tick > each.tick] + list(signatures[-1:])


def next_bar_line(signatures: Sequence[TimeSignature], ticks_per_beat: int, ticks_per_bar: int, tick: int) -> int:
    """The first bar line at or after `tick`, in bars of `ticks_per_bar` where there are no signatures."""
    last = [each for each in signatures if each.tick <= tick][-1:]
    start, bar = (last[0].tick, last[0].ticks_per_bar(ticks_per_beat)) if last else (0, ticks_per_bar)
    line = start + -(-(tick - start) // bar) * bar
    return min([line, *(each.tick for each in signatures if tick <= each.tick)])


def bar_starts(signatures: Sequence[TimeSignature], ticks_per_beat: int, length_ticks: int) -> np.ndarray:
    """(bars,) int64 tick at which each bar begins before `length_ticks`."""
    ends = [*(each.tick for each in signatures[1:]), length_ticks]
    parts = [
        np.arange(each.tick, min(end, length_ticks), each.ticks_per_bar(ticks_per_beat))
        for each, end in zip(signatures, ends, strict=True)
    ]
    return np.concatenate([np.empty(0, np.int64), *parts]).astype(np.int64)


def read_signatures(
    sections: Sequence[TimeSignature], shift: int, ticks_per_beat: int, end_tick: int
) -> tuple[TimeSignature, ...]:
    """The signatures of a score that was read from a file, and whose notes `main_metre` moved.

    Where an upbeat, and what it was moved by, make a whole first bar, that bar has the signature after it.

    Args:
        sections: of the file, each at a bar line of it.
        shift: ticks by which everything is moved later.
        ticks_per_beat: grid.
        end_tick: of the score; sections from there on are left out.
    """
    moved = [each._replace(tick=each.tick + shift) for each in sections]
    kept = last_at_each_tick(moved)
    if shift and len(kept) > 1 and kept[1].tick == kept[1].ticks_per_bar(ticks_per_beat):
        kept = [kept[1]._replace(tick=0), *kept[2:]]
    elif shift:
        bar = kept[0].ticks_per_bar(ticks_per_beat)
        second = kept[1].tick if len(kept) > 1 else end_tick
        start = kept[0]._replace(tick=0)
        kept = [start, *(kept[:1] if shift % bar and shift < second else []), *kept[1:]]
    return tuple(each for each in kept if each.tick < end_tick or not each.tick)


def main_metre(sections: Sequence[tuple[int, int, float]], ticks_per_beat: int) -> tuple[float, int]:
    """The metre with the longest total duration, and the shift that puts its bar lines on multiples of a bar.

    Args:
        sections: (first tick, ticks, beats in a bar) of each section with one metre, at least one. A section begins at
            a bar line. After an upbeat the sections of the main metre do not begin at multiples of its bar; the shift
            is the one that is right for most of their ticks.
        ticks_per_beat: grid; every bar must be a whole number of ticks.

    Returns:
        Beats in a bar, and the number of ticks, less than a bar, by which to move all notes later.
    """
    durations: Counter[float] = Counter()
    for _, duration, beats in sections:
        durations[beats] += duration
    main = durations.most_common(1)[0][0]
    bar = int(main * ticks_per_beat)
    shifts: Counter[int] = Counter()
    for start, duration, beats in sections:
        if beats == main:
            shifts[-start % bar] += duration
    return main, shifts.most_common(1)[0][0]


def time_signature(beats_per_bar: float) -> tuple[int, int] | None:
    """The time signature, such as (7, 8), of bars of that length; None if no MIDI or MusicXML file can hold it."""
    for denominator in DENOMINATORS:
        numerator = beats_per_bar * denominator / 4
        if numerator == int(numerator) and 1 <= numerator <= MAX_NUMERATOR:
            return int(numerator), denominator
    return None
