"""What listeners agree to before they are asked anything."""

from __future__ import annotations

from pathlib import Path

from toccata.errors import ToccataError
from toccata.files import read_bytes

MAX_BYTES = 20_000
CONSENT_TEXT = """\
You will hear short piano pieces. Some were composed by computer programs, some may have been written by people. You \
are asked which of two pieces you find better, or which one a person wrote; in the radio you can like pieces.

Taking part is voluntary, and you can stop at any time. There are no right or wrong answers to what you find better. \
A few questions check whether the sound is on.

What is kept: your answers, how long each took, which pieces you heard and liked, the day on which you agreed, and a \
random number that holds your answers together. Your name, your address on the network and your device are not kept. A \
cookie in this browser says which answers are yours; no other site gets it.

The answers may be published as a table, without the random number. You can have all your answers deleted, as long as \
this browser keeps the cookie. Tables that were published before stay as they are."""


class ConsentError(ToccataError, ValueError):
    """A text of consent that cannot be shown."""


def read_consent(path: Path | None) -> str:
    """The text that listeners agree to: that of a file, or Toccata's own.

    Raises:
        FileError, ConsentError: naming the file, when it cannot be read, is empty, is not UTF-8, or has more than
            20,000 bytes.
    """
    if path is None:
        return CONSENT_TEXT
    try:
        text = read_bytes(path, MAX_BYTES).decode("utf-8").strip()
    except UnicodeDecodeError:
        raise ConsentError(f"{path}: is not UTF-8 text") from None
    if not text:
        raise ConsentError(f"{path}: is empty")
    return text
