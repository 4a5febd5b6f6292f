"""The error of words that cannot be sung."""

from __future__ import annotations

from toccata.errors import ToccataError


class LyricsError(ToccataError, ValueError):
    """Words that cannot be read, or notes that do not fit them; names the file and line, the value, what is allowed."""
