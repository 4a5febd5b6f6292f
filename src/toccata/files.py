"""Atomic writing of files: no reader ever finds a part of one."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write the file whole or not at all: into a temporary neighbour first, then renamed over `path`.

    Raises:
        OSError: naming `path`, when its folder is missing or cannot be written; `path` is untouched then.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise type(error)(error.errno, error.strerror, str(path)) from None
