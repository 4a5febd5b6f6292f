"""Push and pull without a word on the terminal."""

from __future__ import annotations

import hashlib
import json
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from toccata.agents.sharing.config import PullConfig, PushConfig
from toccata.agents.sharing.pull import pull
from toccata.agents.sharing.push import push


def pushed(folder: Path, repo: str = "me/model", **options: Any) -> str:
    """The address of the commit, or the folder that was written."""
    return push(PushConfig(folder, repo, **options), Console(file=StringIO()))


def pulled(source: str | Path, out: Path, **options: Any) -> Path:
    return pull(PullConfig(str(source), out, **options), Console(file=StringIO()))


def files_of(folder: Path) -> dict[str, bytes]:
    """The bytes of every file of a repository's folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def with_digests(files: dict[str, bytes], kind: str) -> dict[str, bytes]:
    """The files with a toccata.json that tells of them, as somebody could write it who wishes no good."""
    own = {name: data for name, data in files.items() if name not in ("toccata.json", "README.md")}
    entries = {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in own.items()}
    manifest = {"format": "toccata repository 1", "kind": kind, "toccata": "0.1.0", "files": entries}
    return {**files, "toccata.json": json.dumps(manifest).encode()}


def write_files(files: dict[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
