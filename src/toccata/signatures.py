"""Signatures of what this user made on this machine, with a key in the user's state folder.

What is signed may be loaded although loading it runs code. A signature says who made a file, not what is in it: it is
an HMAC-SHA-256 (RFC 2104) whose key never leaves the state folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from toccata.errors import ToccataError

KEY_BYTES = 32
_unsaved_key = secrets.token_bytes(KEY_BYTES)  # of this process, where the state folder cannot be written


class UntrustedError(ToccataError, RuntimeError):
    """A file whose loading would run code, and which this user did not make on this machine; names file and code."""


def state_folder() -> Path:
    """Folder of the key: `TOCCATA_STATE`, else the state folder of the platform."""
    if folder := os.environ.get("TOCCATA_STATE"):
        return Path(folder)
    from platformdirs import user_state_dir

    return Path(user_state_dir("toccata"))


def sign(*parts: bytes) -> str:
    """The signature of a sequence of byte strings, 64 hexadecimal digits.

    Where the state folder cannot be written the key lives as long as this process.
    """
    message = b"".join(hashlib.sha256(part).digest() for part in parts)
    return hmac.new(_key(), message, hashlib.sha256).hexdigest()


def is_signed(signature: object, *parts: bytes) -> bool:
    """Whether `signature` is what `sign(*parts)` gives this user on this machine."""
    return isinstance(signature, str) and hmac.compare_digest(signature.encode(), sign(*parts).encode())


def _key() -> bytes:
    """The user's key, made when it is first needed."""
    path = state_folder() / "signing-key"
    with contextlib.suppress(OSError):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            try:
                with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(secrets.token_bytes(KEY_BYTES))
                with contextlib.suppress(FileExistsError):
                    os.link(part, path)  # unlike a rename it never replaces the key of another process
            finally:
                part.unlink(missing_ok=True)
        key = path.read_bytes()
        if len(key) == KEY_BYTES:
            return key
    return _unsaved_key
