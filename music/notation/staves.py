"""What each voice of a staff has in each measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from toccata.music.notation.beams import beams
from toccata.music.notation.layout import Measure
from toccata.music.notation.values import Kind, Piece, Value, values
from toccata.music.notation.voices import Sound, VoiceNote, two_voices

SIMPLE_REST = 6  # ticks: sixteenths


class Written(NamedTuple):
    """A note, chord, rest or space of one written value."""

    value: Value
    kind: Kind
    notes: tuple[int, ...]  # indices of the notes of a chord, ascending in pitch
    beams: tuple[str, ...]
    shared: bool  # another voice sounds at that time


def staff_measures(notes: Sequence[VoiceNote], bars: Sequence[Measure]) -> list[list[list[Written]]]:
    """Of each measure, the voices: none of a measure of silence, else one or two; the first is the upper.

    Args:
        notes: of the staff, by onset.
        bars: that follow one another, to the end of the last note or later.
    """
    upper, lower = (_by_measure(voice, bars) for voice in two_voices(notes))
    staff = []
    for bar, above, below in zip(bars, upper, lower, strict=True):
        sounding = [sounds for sounds in (above, below) if any(sound.notes for sound in sounds)]
        if len(sounding) == 1:  # with the rests of the staff
            sounding = [[sound._replace(shared=False) for sound in sounding[0] if sound.notes]]
        staff.append([_written(bar, sounds, "space" if place else "rest") for place, sounds in enumerate(sounding)])
    return staff


def silent_measure(bar: Measure) -> list[Written]:
    """The rests of a measure that is no whole bar."""
    return _written(bar, [], "rest")


def _by_measure(sounds: Sequence[Sound], bars: Sequence[Measure]) -> list[list[Sound]]:
    """The sounds of a voice in each measure, cut at the bar lines, in ticks from the start of the measure's bar."""
    found: list[list[Sound]] = [[] for _ in bars]
    index = 0
    for sound in sounds:
        while bars[index].start + bars[index].first + bars[index].ticks <= sound.start:
            index += 1
        at = index
        while at < len(bars) and bars[at].start < sound.end:
            bar = bars[at]
            start, end = max(sound.start - bar.start, 0), min(sound.end - bar.start, bar.first + bar.ticks)
            found[at].append(sound._replace(start=start, end=end))
            at += 1
    return found


def _kind(sound: Sound) -> Kind:
    """A rest of one voice beside notes of the other is written if it is simple."""
    if sound.notes:
        return "note"
    return "space" if sound.start % SIMPLE_REST or sound.end % SIMPLE_REST else "rest"


def _written(bar: Measure, sounds: Sequence[Sound], gap: Kind) -> list[Written]:
    """The written values of a voice in a measure, with rests or spaces where it has nothing."""
    pieces: list[Piece] = []
    filled: list[Sound | None] = []
    now = bar.first
    for sound in [*sounds, None]:
        start = sound.start if sound else bar.first + bar.ticks
        if now < start:
            pieces.append(Piece(now, start, gap))
            filled.append(None)
        if sound:
            pieces.append(Piece(start, sound.end, _kind(sound)))
            filled.append(sound)
            now = sound.end
    written = values(bar.division, pieces)
    found = []
    for value, beamed in zip(written, beams(bar.division, pieces, written), strict=True):
        sound = filled[value.piece]
        kind = pieces[value.piece].kind
        notes, shared = (sound.notes, sound.shared) if sound else ((), False)
        found.append(Written(value, kind, notes, tuple(beamed), shared))
    return found
