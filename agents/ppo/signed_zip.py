"""Signatures in the zip files of Stable-Baselines3's `save`, so that `load` unpickles only what this user saved."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from io import BytesIO

from toccata.files import check_unpacked_size
from toccata.signatures import is_signed, sign

MEMBER = "toccata_signature"  # of the zip file; Stable-Baselines3 ignores members that it does not know
MAX_BYTES = 2 * 2**30  # unpacked
PURPOSE = b"Stable-Baselines3 model"


def with_signature(data: bytes) -> bytes:
    """The bytes of a zip file, with one more member: the signature of the others."""
    buffer = BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(MEMBER, sign(PURPOSE, *_contents(archive)))
    return buffer.getvalue()


def has_signature(data: bytes) -> bool:
    """Whether a zip file has a valid signature of this user on this machine, and nothing else in it was changed."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            if archive.namelist().count(MEMBER) != 1:
                return False
            check_unpacked_size(archive, MEMBER, MAX_BYTES)
            return is_signed(archive.read(MEMBER).decode(), PURPOSE, *_contents(archive))
    except Exception:  # no zip file, or a damaged one, which fails in many ways
        return False


def _contents(archive: zipfile.ZipFile) -> Iterator[bytes]:
    """Names and contents of the members but the signature, in their order."""
    for info in archive.infolist():
        if info.filename != MEMBER:
            yield info.filename.encode()
            yield archive.read(info)
