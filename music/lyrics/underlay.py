"""Text underlay: which note of a score carries which syllable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toccata.music.lyrics.errors import LyricsError
from toccata.music.lyrics.lyrics import Lyrics
from toccata.music.lyrics.voices import voice_range
from toccata.music.score import Score
from toccata.music.skyline import is_highest


@dataclass(frozen=True, eq=False)
class Underlay:
    """The sung notes of a score in order, and their syllables; of an unfinished piece the first n of them.

    Raises:
        LyricsError: when the arrays differ in length, or are longer than the sung notes of the lyrics.
    """

    lyrics: Lyrics
    onset_ticks: np.ndarray
    """(n,) integers, ascending, in the ticks of the score."""
    duration_ticks: np.ndarray
    """(n,) integers, at least 1."""
    pitches: np.ndarray
    """(n,) integers, MIDI numbers."""
    syllables: np.ndarray
    """(n,) integers, index into `lyrics.syllables`; the later notes of a melisma repeat it."""

    def __post_init__(self) -> None:
        sung = min(len(self.onset_ticks), len(self.lyrics.note_syllables))
        for name in ("onset_ticks", "duration_ticks", "pitches", "syllables"):
            array = np.array(getattr(self, name), np.int64)
            if array.shape != (sung,):
                raise LyricsError(f"the underlay has {sung} notes, {name} has the shape {array.shape}")
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        """Number of sung notes."""
        return len(self.onset_ticks)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Underlay):
            return NotImplemented
        names = ("onset_ticks", "duration_ticks", "pitches", "syllables")
        same = all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)
        return self.lyrics == other.lyrics and same

    def __hash__(self) -> int:
        return hash((self.lyrics, self.onset_ticks.tobytes(), self.pitches.tobytes()))


def is_sung(score: Score, voice: str = "soprano", start_tick: int = 0) -> np.ndarray:
    """(notes,) bool, which notes of a score are sung.

    A note is sung if it is at or above the lowest pitch of the voice, and no higher key sounds at its onset.

    Args:
        score: written for lyrics, in which everything else is accompaniment.
        voice: a name of `VOICES`.
        start_tick: where the song begins, after a primer.

    Raises:
        LyricsError: for an unknown voice.
    """
    notes = score.notes
    in_range = notes["pitch"] >= voice_range(voice).lowest
    return is_highest(notes) & in_range & (notes["onset_tick"] >= start_tick)


def underlay(
    score: Score, lyrics: Lyrics, voice: str = "soprano", start_tick: int = 0, *, partial: bool = False
) -> Underlay:
    """The text underlay of a score that was written for the lyrics: the n-th sung note carries the n-th syllable.

    Args:
        score: of an environment with these lyrics and this voice.
        lyrics: a syllable has as many notes as its melisma.
        voice: a name of `VOICES`.
        start_tick: where the song begins, after a primer.
        partial: whether the score may be of an unfinished piece, with fewer sung notes.

    Raises:
        LyricsError: when there are more or fewer sung notes, see `is_sung`, than the lyrics need.
    """
    notes = score.notes[is_sung(score, voice, start_tick)]
    count = len(notes)
    if count > len(lyrics.note_syllables) or (count < len(lyrics.note_syllables) and not partial):
        raise LyricsError(
            f"the lyrics are sung on {len(lyrics.note_syllables)} notes, the {voice} of the score has {count}"
        )
    syllables = lyrics.note_syllables[:count]
    return Underlay(lyrics, notes["onset_tick"], notes["duration_ticks"], notes["pitch"], syllables)
