"""The words of a piece as they are sung."""

from __future__ import annotations

from toccata.envs.pieces import Piece
from toccata.music.lyrics.errors import LyricsError
from toccata.music.songs.prosody import SungSyllables, sung_syllables

NO_WORDS = 0.0  # the score of every term for a piece without words, or whose notes do not fit them


def sung_of(piece: Piece) -> SungSyllables | None:
    """The syllables that are sung, of an unfinished piece so far.

    None of a piece without words, before the first of them, and where notes do not fit the words.
    """
    try:
        found = piece.underlay
    except LyricsError:
        return None
    return sung_syllables(piece.score, found) if found is not None and len(found) else None
