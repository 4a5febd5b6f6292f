"""The settings of `toccata push` and `toccata pull`. Imports nothing heavy, so that `--help` is instant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import tyro

from toccata.settings.options import ConfigError, Range, check_fields, shown

PUSH_RANGES = {"samples": Range(0, 16)}
MAX_REPO_NAME = 96  # characters, of the Hub
PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


@dataclass(frozen=True)
class PushConfig:
    """Share a run, prior, rating, realism or composer on the Hugging Face Hub, with a model card.

    What the folder is is seen from its files. Only JSON, text, safetensors, pictures, scores and sound are uploaded, no
    pickles; names of folders of this machine are shortened. The token is that of `hf auth login`, or HF_TOKEN.
    """

    folder: tyro.conf.Positional[Path]
    """Folder of a run, or what fit-prior, fit-rating, harden (its rating or realism) or fit-rival wrote."""

    repo: tyro.conf.Positional[str]
    """Repository OWNER/NAME; or OWNER alone, for the usual name, such as grpo-toccata-Piano-v0. One that is there is
    replaced by one commit, if it came from `toccata push`."""

    private: bool = False
    """Make a new repository private; one that is there and public is refused."""

    to: Path | None = None
    """Folder to write the repository to instead of uploading it, to look at, or for `toccata pull FOLDER`; it must not
    exist."""

    licence: str | None = None
    """Licence of the weights by its name on the Hub, such as mit or cc-by-4.0. By default the card names none."""

    samples: int = 3
    """Pieces in the repository, as MIDI, WAV, picture and MusicXML: of a run from its evaluation/, of a prior or
    composer composed for it."""

    def __post_init__(self) -> None:
        check_fields(self, PUSH_RANGES)
        check_repo(self.repo, owner_alone=True)
        if self.licence is not None and not LICENCE.fullmatch(self.licence):
            raise ConfigError(f"licence must be a name such as mit or cc-by-4.0, got {shown(self.licence)}")


@dataclass(frozen=True)
class PullConfig:
    """Download what `toccata push` shared, verify it, and write it as a folder that works as one of your own.

    File list, sizes, SHA-256 and contents are checked before the folder appears. Nothing in it is executed.
    """

    source: tyro.conf.Positional[str]
    """Repository OWNER/NAME; or a folder of `toccata push --to`, where there is one of this name."""

    out: tyro.conf.Positional[Path | None] = None
    """Folder to write; it must not exist. By default NAME in the current folder."""

    revision: str | None = None
    """Branch, tag or commit of the repository; a commit always gives the same files. By default the newest."""

    def __post_init__(self) -> None:
        check_fields(self, {})
        if not Path(self.source).is_dir():
            check_repo(self.source)


def check_repo(repo: str, *, owner_alone: bool = False) -> None:
    """Raise ConfigError for what is no name of a repository, by the rules of the Hub."""
    parts = repo.split("/")
    right = len(parts) in ((1, 2) if owner_alone else (2,)) and all(map(PART.fullmatch, parts))
    if not right or len(repo) > MAX_REPO_NAME or "--" in repo or ".." in repo or repo.endswith(".git"):
        kinds = "OWNER/NAME or OWNER" if owner_alone else "OWNER/NAME, or a folder that is there"
        raise ConfigError(
            f"repository must be {kinds}, of letters, digits, '-', '_' and '.', at most {MAX_REPO_NAME} characters, "
            f"got {shown(repo)}"
        )
