"""MusicXML files of songs: a staff for the voice with syllables under its notes, above the two of the piano."""

from __future__ import annotations

from os import PathLike
from typing import Literal

import numpy as np

from toccata.music.lyrics.lyrics import Syllable
from toccata.music.lyrics.underlay import Underlay
from toccata.music.musicxml.measure_elements import LyricMark
from toccata.music.musicxml.writing import PartPlan, piano_part, write_musicxml
from toccata.music.score import Score
from toccata.music.songs.midi import VOICE_PROGRAM, syllable_text

LOW_VOICE = 57  # mean pitch, A3, below which the voice begins in the bass clef


def write_song_musicxml(
    score: Score,
    underlay: Underlay,
    path: str | PathLike[str],
    title: str | None = None,
    composer: str | None = None,
) -> None:
    """Write a MusicXML file of a song, which `read_musicxml` reads back as an equal score.

    The part "Voice" has the sung notes, with each syllable under its first note: hyphens join the syllables of a word,
    a line extends the last one of a word over further notes. The part "Piano" has the others. Everything else is as
    `write_musicxml` writes it.

    Args:
        score: the whole song.
        underlay: its words; every sung note is one of the score.
        path: of the file.
        title: of the song; by default the name of the file without suffix.
        composer: by default "Toccata".

    Raises:
        MusicXMLError: as `write_musicxml`.
        OSError: when the file cannot be written.
    """
    numbers = sung_numbers(score, underlay)
    is_sung = np.zeros(len(score), bool)
    is_sung[numbers] = True
    low = len(numbers) > 0 and underlay.pitches.mean() < LOW_VOICE
    voice = PartPlan("Voice", VOICE_PROGRAM + 1, [(is_sung, "F" if low else "G")], _marks(underlay, numbers))
    write_musicxml(score, path, title, composer, [voice, piano_part(score, ~is_sung)])


def sung_numbers(score: Score, underlay: Underlay) -> np.ndarray:
    """(n,) int64, the index in the score of each note of an underlay."""
    rows = zip(score.notes["onset_tick"].tolist(), score.notes["pitch"].tolist(), strict=True)
    number = {row: index for index, row in enumerate(rows)}
    sung = zip(underlay.onset_ticks.tolist(), underlay.pitches.tolist(), strict=True)
    return np.array([number[row] for row in sung], np.int64)


def _marks(underlay: Underlay, numbers: np.ndarray) -> dict[int, LyricMark]:
    """What is written under each note of a score, by its index."""
    marks: dict[int, LyricMark] = {}
    syllables = underlay.syllables.tolist()
    for place, (number, syllable) in enumerate(zip(numbers.tolist(), syllables, strict=True)):
        each = underlay.lyrics.syllables[syllable]
        begins = place == 0 or syllables[place - 1] != syllable
        goes_on = syllables[place + 1 : place + 2] == [syllable]
        extends = each.word_end and not (begins and not goes_on)
        if begins:
            marks[number] = LyricMark(syllable_text(each), _syllabic(each), "start" if extends else "")
        elif extends and not goes_on:
            marks[number] = LyricMark("", "single", "stop")
    return marks


def _syllabic(syllable: Syllable) -> Literal["single", "begin", "middle", "end"]:
    """The place of a syllable in its word."""
    if syllable.word_begin:
        return "single" if syllable.word_end else "begin"
    return "end" if syllable.word_end else "middle"
