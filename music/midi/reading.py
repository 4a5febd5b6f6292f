"""Reading of MIDI files."""

from __future__ import annotations

import warnings
from itertools import pairwise
from os import PathLike
from pathlib import Path

import numpy as np

from toccata.errors import printable
from toccata.files import FileError, read_bytes
from toccata.music.metre import (
    DENOMINATORS,
    TimeSignature,
    last_at_each_tick,
    main_metre,
    moved_keys,
    read_signatures,
)
from toccata.music.midi.content import DEFAULT_TEMPO, Content, read_content
from toccata.music.midi.errors import MAX_FILE_BYTES, MAX_TICKS, MidiError, MidiWarning
from toccata.music.midi.pedal import PEDALS, Pedal
from toccata.music.midi.performance import BEATS, PERFORMED_SHARE, Beats, off_grid_share, tracked
from toccata.music.score import NOTE_DTYPE, TICKS_PER_BEAT, Score

DEFAULT_SIGNATURE = 4, 4  # until the first time signature


def read_midi(
    path: str | PathLike[str],
    ticks_per_beat: int | None = None,
    pedal: Pedal = "ignore",
    beats: Beats = "file",
) -> Score:
    """Read a MIDI file onto the grid, with all its pitched instruments merged.

    - Notes are paired in file ticks, per channel and pitch: a note-off ends the note that began first, of its track if
      there is one. A note that none ends lasts until its track ends, or its key is struck again.
    - Onsets and ends are then rounded to the nearest tick, halves up; a note has at least one tick.
    - Drums (channel 10) and the percussive instruments and sound effects of General MIDI (programs 112-127,
      zero-based) are left out. The program of a note is that of its channel when it begins, whatever track sets it; at
      one tick, programs precede notes of other tracks. Controllers other than the sustain pedal are ignored, the
      sostenuto pedal too, and pitch bend.
    - The metre is the one with the longest total duration (4/4 if the file has none). Signatures whose bar is no
      whole number of ticks are ignored. A signature is at a bar line: after an upbeat with its own signature, or an
      introduction that is no whole number of bars, all notes are moved later, by less than a bar, so that most bar
      lines of the main metre are bar lines of the score.
    - The tempo is the mean tempo from the first onset to the last end.
    - Silence before the first note is kept.
    - Repeated and overlapping notes of one pitch are resolved as in `Score`.
    - Events and chunks that nothing of this needs are skipped, even malformed ones. Tracks beyond the number in the
      file's header are read.

    Args:
        path: a Standard MIDI File of format 0 or 1, bare (.mid, .kar) or in a RIFF file (.rmi).
        ticks_per_beat: grid of the score; by default that of the score the file was written from, and 24 for files of
            other programs.
        pedal: "ignore": a note ends where its key goes up. "extend": where its key goes up while the sustain pedal of
            its channel (controller 64, down from 64 on) is down, it ends where the pedal goes up, or its key is struck
            again; a pedal that never goes up does so at the end of its track. Controllers 120, 121 and 123 put it up.
        beats: "file": quarters are those of the file. "track": for a recorded performance, whose file has a tempo that
            nobody played to: its beats are found, and become quarters, see `tracked`. The metre is then 4/4 from
            the first one on, since bars are not found.

    Raises:
        MidiError: for a file that is not MIDI, is damaged, or is too large (4 MiB, 500,000 events, 200,000 notes,
            4 million ticks).
        OSError: when the file does not exist or cannot be opened.

    Warns:
        MidiWarning: when the file is a recorded performance, and neither `beats` nor `ticks_per_beat` is given: more
            than 30 % of its onsets are off the grid.
    """
    path = Path(path)
    for name, value, allowed in (("pedal", pedal, PEDALS), ("beats", beats, BEATS)):
        if value not in allowed:
            raise MidiError(f"{path}: {name} must be {' or '.join(allowed)}, got {str(value)[:50]!r}")
    if path.is_dir():
        raise MidiError(f"{path}: is a folder, not a MIDI file")
    try:
        data = read_bytes(path, MAX_FILE_BYTES)
    except FileError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise MidiError(str(error)) from None
    try:
        content = read_content(data, pedal)
        score = _score(tracked(content) if beats == "track" else content, ticks_per_beat)
    except ValueError as error:  # of Score too: a tempo out of its range
        raise MidiError(f"{path}: {error}") from None
    if beats == "file" and ticks_per_beat is None and not content.header:
        share = off_grid_share([note.start for note in content.notes], content.resolution)
        if share > PERFORMED_SHARE:
            message = (
                f"{path}: {share:.0%} of its onsets are off the grid of {TICKS_PER_BEAT} ticks a quarter: it is like "
                'a recorded performance, whose beats are not in the file; beats="track" finds them'
            )
            warnings.warn(printable(message), MidiWarning, stacklevel=2)
    return score


def _score(content: Content, ticks_per_beat: int | None) -> Score:
    """The score on a grid of `ticks_per_beat`, by default the one that the file names."""
    named_ticks_per_beat, beats_per_bar = content.header or (TICKS_PER_BEAT, None)
    if ticks_per_beat is None:
        ticks_per_beat = named_ticks_per_beat
    if not 1 <= ticks_per_beat <= 960:
        raise MidiError(f"ticks_per_beat must be in 1..960, got {ticks_per_beat}")

    def on_grid(tick: int) -> int:
        return (2 * tick * ticks_per_beat + content.resolution) // (2 * content.resolution)  # halves up

    if on_grid(content.last_tick) > MAX_TICKS:
        raise MidiError(f"has events after {MAX_TICKS:,} ticks, it is damaged or far too long")
    rows = [
        (on_grid(note.start), max(on_grid(note.end) - on_grid(note.start), 1), note.pitch, note.velocity)
        for note in content.notes
    ]
    notes = np.array(rows, NOTE_DTYPE)
    last = int((notes["onset_tick"] + notes["duration_ticks"]).max()) if rows else 0
    sections = _sections([each._replace(tick=on_grid(each.tick)) for each in content.signatures], ticks_per_beat)
    shift = 0
    if beats_per_bar is None:
        durations = [
            (each.tick, max(min(later.tick, last) - each.tick, 0), each.beats_per_bar)
            for each, later in pairwise([*sections, TimeSignature(max(last, sections[-1].tick), 4, 4)])
        ]
        beats_per_bar, shift = main_metre(durations, ticks_per_beat)
        notes["onset_tick"] += shift
    ends = [on_grid(tick) for tick in content.score_ends]
    length = ends[0] + shift if len(ends) == 1 and ends[0] >= last else -1
    signatures = read_signatures(sections, shift, ticks_per_beat, max(last + shift, length))
    return Score(
        notes=notes,
        ticks_per_beat=ticks_per_beat,
        beats_per_bar=beats_per_bar,
        tempo_bpm=_mean_tempo_bpm(content),
        length_ticks=length,
        time_signatures=signatures if beats_per_bar in {each.beats_per_bar for each in signatures} else (),
        key_signatures=moved_keys([key._replace(tick=on_grid(key.tick)) for key in content.keys], shift),
    )


def _sections(signatures: list[TimeSignature], ticks_per_beat: int) -> list[TimeSignature]:
    """Those with whole ticks a bar, the default from 0 to the first of them, one at a tick; ticks are of the grid."""
    usable = [each for each in signatures if each.denominator in DENOMINATORS and each.ticks_per_bar(ticks_per_beat)]
    if not usable or usable[0].tick > 0:
        usable.insert(0, TimeSignature(0, *DEFAULT_SIGNATURE))
    return last_at_each_tick(usable)


def _mean_tempo_bpm(content: Content) -> float:
    """The constant tempo at which the notes, from the first onset to the last end, last as long as in the file."""
    first = content.notes[0].start if content.notes else 0
    last = max((note.end for note in content.notes), default=0)
    tempi = [(0, DEFAULT_TEMPO), *content.tempi]
    microseconds = sum(  # times the resolution
        tempo * max(min(stop, last) - max(start, first), 0)
        for (start, tempo), (stop, _) in pairwise([*tempi, (last, 0)])
    )
    if microseconds:
        return 6e7 * (last - first) / microseconds
    return 6e7 / [tempo for tick, tempo in tempi if tick <= first][-1]
