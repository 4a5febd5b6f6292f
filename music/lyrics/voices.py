"""The ranges of the four voices."""

from __future__ import annotations

from difflib import get_close_matches
from typing import NamedTuple

from toccata.music.lyrics.errors import LyricsError

LARGEST_LEAP = 16  # semitones, a major tenth: the sung line leaps no further


class VoiceRange(NamedTuple):
    """The pitches of a voice, MIDI numbers."""

    lowest: int
    highest: int


# The ranges that textbooks of four-part writing give, such as Kostka & Payne, "Tonal Harmony", chapter 5.
VOICES = {
    "soprano": VoiceRange(60, 79),  # C4-G5
    "alto": VoiceRange(55, 74),  # G3-D5
    "tenor": VoiceRange(48, 67),  # C3-G4
    "bass": VoiceRange(40, 60),  # E2-C4
}


def voice_range(voice: str) -> VoiceRange:
    """The range of a voice by its name; raises LyricsError as `checked_voice`."""
    return VOICES[checked_voice(voice)]


def checked_voice(voice: str) -> str:
    """`voice`, a name of `VOICES`.

    Raises:
        LyricsError: for an unknown voice, with the nearest known one.
    """
    if isinstance(voice, str) and voice in VOICES:
        return voice
    near = get_close_matches(str(voice), VOICES, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise LyricsError(f"unknown voice {voice!r}: it must be one of {', '.join(VOICES)}{hint}")
