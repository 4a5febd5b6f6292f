"""`toccata pull`: a repository, verified, as a folder that works as one's own."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from shlex import quote

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from toccata.agents.sharing.config import PullConfig
from toccata.agents.sharing.formats import CARD_FILE, MANIFEST_FILE, SharingError, check_sizes
from toccata.agents.sharing.hub import Repository, download, look
from toccata.agents.sharing.kinds import Shared, recognised
from toccata.agents.sharing.manifest import MAX_MANIFEST_BYTES, Manifest, copy_verified, listing, read_manifest
from toccata.files import refuse_existing, whole_folder
from toccata.settings.options import ConfigError

USES = {  # by kind: what to do with it
    "run": "toccata evaluate {0}",
    "prior": "toccata compose --prior {0}",
    "rating": "toccata train --rewards rating:{0} 1.0 silence 1.0 repetition 3.0",
    "realism": "toccata train --rewards rating 1.0 realism:{0} 1.0 silence 1.0 repetition 3.0",
    "typicality": "toccata train --rewards rating 1.0 typicality:{0} 1.0",
    "rival": "toccata compose --with {1}:{0}",
}


def pull(config: PullConfig, console: Console | None = None) -> Path:
    """Get a repository, verify it and write it as a folder.

    Args:
        config: of the command.
        console: for progress and what was written; by default the terminal.

    Returns:
        the folder.

    Raises:
        SharingError: when there is no such repository, the Hub cannot be reached, or anything of it differs from its
            manifest or is not allowed; nothing is left of the folder then.
        FileError: when the folder is there already.
        WeightsError, RunError, ConfigError: for contents that do not belong together.
        OSError: naming the file that cannot be written.
    """
    console = console or Console()
    source = Path(config.source)
    is_folder = source.is_dir()
    if is_folder and config.revision is not None:
        raise ConfigError(f"--revision is of repositories on the Hub; {source} is a folder")
    out = config.out or Path(source.resolve().name if is_folder else config.source.rpartition("/")[2])
    refuse_existing(out, "another OUT")
    if is_folder:
        shared, whence = write_verified(source, out, str(source)), str(source)
    else:
        repository = look(config.source, config.revision)
        whence = f"{repository.repo} at {repository.commit}"
        with tempfile.TemporaryDirectory(prefix="toccata-pull-") as name:
            fetch(repository, Path(name), console)
            shared = write_verified(Path(name), out, repository.repo)
    use = USES[shared.kind].format(quote(str(out)), shared.rival)
    console.print(
        f"pulled: {out} ({shared.kind} of {whence})\nuse it: {use}", soft_wrap=True, markup=False, highlight=False
    )
    return out


def fetch(repository: Repository, into: Path, console: Console) -> None:
    """Download a repository once its list of files is known to be that of its manifest.

    Raises:
        SharingError: naming the file that is surplus, missing, too large, or of another size than the manifest says;
            no other file than the manifest is downloaded then.
    """
    where = repository.repo
    if MANIFEST_FILE not in repository.sizes:
        raise SharingError(
            f"{where}: has no {MANIFEST_FILE}, so `toccata push` did not write it; nothing is taken from it"
        )
    if repository.sizes[MANIFEST_FILE] > MAX_MANIFEST_BYTES:
        raise SharingError(f"{where}: {MANIFEST_FILE} is larger than {MAX_MANIFEST_BYTES:,} bytes")
    manifest = read_manifest(download(repository, MANIFEST_FILE, into), where)
    manifest.check_listing(repository.sizes, where)
    for name, size in manifest.sizes.items():
        if repository.sizes[name] != size:
            raise SharingError(f"{where}: {name} has {repository.sizes[name]:,} bytes, {MANIFEST_FILE} says {size:,}")
    names = [*manifest.files, *([CARD_FILE] if CARD_FILE in repository.sizes else [])]
    sizes = {name: repository.sizes[name] for name in names}
    check_sizes(sizes, where)
    columns = (TextColumn("downloading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("downloading", total=sum(sizes.values()))
        for name in names:
            download(repository, name, into)
            bar.advance(task, sizes[name])
    _delete_cache(into)


def _delete_cache(folder: Path) -> None:
    """Delete what `huggingface_hub` notes beside its downloads."""
    shutil.rmtree(folder / ".cache", ignore_errors=True)


def write_verified(source: Path, out: Path, where: str) -> Shared:
    """Copy a repository to `out`, whole or not at all, once every file is verified, and return what it is.

    Raises:
        SharingError: naming the file that is not as it should be.
    """
    if MANIFEST_FILE not in listing(source):
        raise SharingError(f"{where}: has no {MANIFEST_FILE}, so it is no repository of `toccata push`")
    manifest: Manifest = read_manifest(source / MANIFEST_FILE, where)
    with whole_folder(out) as folder:
        copy_verified(source, manifest, folder, where)
        shared = recognised(folder)
        if shared.kind != manifest.kind:
            raise SharingError(f"{where}: {MANIFEST_FILE} calls it a {manifest.kind}, its files are of a {shared.kind}")
    return shared
