"""Words for a melody: text as syllables, and which note carries which syllable."""

from toccata.music.lyrics.errors import LyricsError
from toccata.music.lyrics.lyrics import Lyrics, Syllable
from toccata.music.lyrics.underlay import Underlay, underlay
from toccata.music.lyrics.voices import VOICES, VoiceRange

__all__ = ["VOICES", "Lyrics", "LyricsError", "Syllable", "Underlay", "VoiceRange", "underlay"]
