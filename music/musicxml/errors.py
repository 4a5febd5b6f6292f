"""The error of notation files."""

from toccata.errors import ToccataError


class MusicXMLError(ToccataError, ValueError):
    """A notation file that cannot be read or written; names the file and the reason."""
