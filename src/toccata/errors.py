"""The base of every error that Toccata raises for its users."""

from __future__ import annotations

import unicodedata


class ToccataError(Exception):
    """An error that a user can mend: its message is one line with the file or field, the value and what is allowed.

    The commands print the message without a traceback. Every error class of Toccata derives from it, most of them from
    `ValueError` or `RuntimeError` too.
    """

    def __str__(self) -> str:
        """The message, printable also where it holds a file name that is not UTF-8."""
        return printable(super().__str__())


def printable(text: str) -> str:
    """The text with an escape, as in bytes, for each byte of a file name that is not UTF-8: it can be printed."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # other halves of characters, which no file name gives
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def shortened(text: str, longest: int) -> str:
    """The text in one printable line, with escapes for control characters, and shortened in the middle."""
    text = printable(text)
    if len(text) > longest:
        text = f"{text[: longest // 2]} ... {text[-(longest // 2) :]}"
    return "".join(
        char if char.isprintable() or unicodedata.category(char) == "Zs" else char.encode("unicode_escape").decode()
        for char in text
    )


def one_line(error: BaseException, longest: int = 300) -> str:
    """The message of an exception in one line of at most `longest` characters; its type where it has none."""
    try:
        return " ".join(str(error).split())[:longest] or type(error).__name__
    except Exception:  # an error of somebody's own may fail to say what it is
        return type(error).__name__
