"""`toccata push`: a folder as a repository, uploaded to the Hub or written beside."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shlex import quote

from rich.console import Console

from toccata._version import __version__
from toccata.agents.sharing.card import write_card
from toccata.agents.sharing.collecting import collect
from toccata.agents.sharing.config import PushConfig, check_repo
from toccata.agents.sharing.formats import CARD_FILE, MANIFEST_FILE
from toccata.agents.sharing.hub import check_token, refuse_others, upload
from toccata.agents.sharing.kinds import Shared, recognised
from toccata.agents.sharing.manifest import Manifest, write_manifest
from toccata.files import refuse_existing, whole_folder


def push(config: PushConfig, console: Console | None = None) -> str:
    """Share a folder.

    Args:
        config: of the command.
        console: for the list of files and remarks; by default the terminal.

    Returns:
        the address of the commit, or the folder that was written.

    Raises:
        SharingError, RunError, ConfigError, FileError, WeightsError: for what cannot be shared, before anything is
            uploaded or written; SharingError also when the Hub refuses.
        OSError: naming the file that cannot be written.
    """
    console = console or Console()
    refuse_existing(config.to, "another --to")
    shared = recognised(config.folder)
    if "/" not in config.repo:
        config = replace(config, repo=f"{config.repo}/{shared.usual_name}")
        check_repo(config.repo)
    if config.to is not None:
        with whole_folder(config.to) as folder:
            manifest = write_repository(shared, config, folder, _printer(console))
        _list(console, manifest)
        _say(console, f"written: {config.to}\nread it with: toccata pull {quote(str(config.to))} OUT")
        return str(config.to)
    check_token(config.repo)  # before pieces are composed, which takes minutes
    with tempfile.TemporaryDirectory(prefix="toccata-push-") as name:
        folder = Path(name)
        manifest = write_repository(shared, config, folder, _printer(console))
        _list(console, manifest)
        total = sum(manifest.sizes.values())
        with console.status(f"uploading {total / 1e6:.1f} MB to {config.repo}"):
            names = [*manifest.files, MANIFEST_FILE, CARD_FILE]
            message = f"{shared.kind}, by toccata push {__version__}"
            address = upload(config.repo, folder, names, message, private=config.private, check=refuse_others)
    _say(console, f"pushed: {address}\nget it with: toccata pull {config.repo}")
    return address


def write_repository(shared: Shared, config: PushConfig, folder: Path, say: Callable[[str], None]) -> Manifest:
    """Write the files of the repository into an empty folder: what is shared, the model card, the manifest.

    Args:
        shared: what `recognised` found.
        config: its `repo` is OWNER/NAME.
        folder: an empty one.
        say: is given remarks, a line each.

    Raises:
        SharingError, FileError, OSError: naming the file.
    """
    for line in collect(shared, folder, config.samples):
        say(f"remark: {line}")
    if config.licence is None:
        say("remark: the card names no licence; give one with --licence, such as mit")
    write_card(shared, folder, config.repo, config.licence)
    return write_manifest(folder, shared.kind)


def _list(console: Console, manifest: Manifest) -> None:
    """Print what is shared."""
    for name, size in manifest.sizes.items():
        _say(console, f"{size:>14,}  {name}")


def _printer(console: Console) -> Callable[[str], None]:
    return lambda line: _say(console, line)


def _say(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, markup=False, highlight=False)
