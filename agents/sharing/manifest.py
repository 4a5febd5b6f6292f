"""toccata.json: which files a shared repository has, their sizes and SHA-256; and a folder that is verified by it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toccata._version import __version__
from toccata.agents.sharing.formats import (
    CARD_FILE,
    MANIFEST_FILE,
    MAX_CARD_BYTES,
    OF_THE_HUB,
    SharingError,
    check_content,
    check_names,
    check_sizes,
)
from toccata.files import read_bytes, read_json, write_atomically

FORMAT = "toccata repository 1"
MAX_MANIFEST_BYTES = 2**20


@dataclass(frozen=True)
class Manifest:
    """What toccata.json says.

    Attributes:
        kind: of `formats.KINDS`.
        toccata: version that wrote it.
        files: by name, with slashes: size in bytes and SHA-256, 64 hexadecimal digits.
    """

    kind: str
    toccata: str
    files: Mapping[str, tuple[int, str]]

    def check_listing(self, names: Iterable[str], where: str) -> None:
        """Refuse a repository that has other files than the manifest, its own two and the Hub's.

        Raises:
            SharingError: naming the file that is surplus or missing.
        """
        given = set(names) - {MANIFEST_FILE, CARD_FILE, OF_THE_HUB}
        if surplus := given - self.files.keys():
            raise SharingError(
                f"{where}: has {min(surplus)[:200]!r}, which is not in {MANIFEST_FILE}; nothing is taken from it"
            )
        if missing := self.files.keys() - given:
            raise SharingError(f"{where}: lacks {min(missing)[:200]!r}, which is in {MANIFEST_FILE}")

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file."""
        return {name: size for name, (size, _) in self.files.items()}


def write_manifest(folder: Path, kind: str) -> Manifest:
    """Check every file in `folder` and write toccata.json beside them.

    Raises:
        SharingError: naming a file that a repository of this kind does not have, or that is not what its name says.
    """
    names = sorted(set(listing(folder)) - {CARD_FILE})
    check_names(names, kind, str(folder))
    check_sizes({name: (folder / name).stat().st_size for name in [*names, CARD_FILE]}, str(folder))
    files = {}
    for name in names:
        data = (folder / name).read_bytes()
        check_content(name, data, str(folder))
        files[name] = (len(data), hashlib.sha256(data).hexdigest())
    content = {
        "format": FORMAT,
        "kind": kind,
        "toccata": __version__,
        "files": {name: {"size": size, "sha256": digest} for name, (size, digest) in files.items()},
    }
    write_atomically(folder / MANIFEST_FILE, (json.dumps(content, indent=2) + "\n").encode())
    return Manifest(kind, __version__, files)


def read_manifest(path: Path, where: str) -> Manifest:
    """The manifest in a file, with names and sizes that are allowed.

    Args:
        path: of toccata.json.
        where: the repository, for messages.

    Raises:
        FileError: when it cannot be read.
        SharingError: when it is no manifest, is of another format, or has files that are not allowed.
    """
    content = read_json(path, MAX_MANIFEST_BYTES)
    written = content.get("format") if isinstance(content, dict) else None
    if written != FORMAT:
        raise SharingError(
            f"{where}: {MANIFEST_FILE} has the format {str(written)[:100]!r}, this version reads {FORMAT!r}"
        )
    try:
        files = {name: _entry(entry) for name, entry in content["files"].items()}
        kind, version = content["kind"], content["toccata"]
        if not isinstance(kind, str) or not isinstance(version, str):
            raise TypeError("kind and toccata must be texts")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SharingError(f"{where}: {MANIFEST_FILE} is no list of files: {error!r}"[:400]) from error
    check_names(files, kind, where)
    manifest = Manifest(kind, version[:100], files)
    check_sizes(manifest.sizes, where)
    return manifest


def _entry(entry: Any) -> tuple[int, str]:
    """Size and SHA-256 of a file in toccata.json."""
    size, digest = entry["size"], entry["sha256"]
    if type(size) is not int or not isinstance(digest, str) or len(digest) != 64:
        raise ValueError(f"{str(entry)[:100]} has no size and SHA-256")
    return size, digest


def listing(folder: Path) -> list[str]:
    """Names of all files in a folder, with slashes.

    Raises:
        SharingError: for a link, or anything that is neither file nor folder.
        OSError: naming a folder that cannot be read.
    """
    names = []
    for root, folders, files in os.walk(folder, onerror=_raise):
        for name in (*folders, *files):
            path = Path(root) / name
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise SharingError(
                    f"{folder}: {path.relative_to(folder)} is a link or no regular file; it is not taken"
                )
        names += [(Path(root) / name).relative_to(folder).as_posix() for name in files]
    return sorted(names)


def _raise(error: OSError) -> None:
    raise error


def copy_verified(source: Path, manifest: Manifest, into: Path, where: str) -> None:
    """Copy the files of a repository once each is known to be that of its manifest, and what its name says.

    Args:
        source: folder of the repository.
        manifest: its own.
        into: an empty folder.
        where: the repository, for messages.

    Raises:
        SharingError: naming the file that differs; `into` is then to be deleted.
        FileError: naming a file that cannot be read.
    """
    names = listing(source)
    manifest.check_listing(names, where)
    for name, (size, digest) in manifest.files.items():
        same_size = (source / name).stat().st_size == size
        data = read_bytes(source / name, size) if same_size else b""
        if not same_size or hashlib.sha256(data).hexdigest() != digest:
            raise SharingError(
                f"{where}: {name} has another size or SHA-256 than {MANIFEST_FILE} says; it was damaged or exchanged"
            )
        check_content(name, data, where)
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(into / name, data)
    if CARD_FILE in names:
        card = read_bytes(source / CARD_FILE, MAX_CARD_BYTES)
        check_content(CARD_FILE, card, where)
        write_atomically(into / CARD_FILE, card)
    write_atomically(into / MANIFEST_FILE, read_bytes(source / MANIFEST_FILE, MAX_MANIFEST_BYTES))
