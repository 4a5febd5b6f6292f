"""The Hugging Face Hub, by `huggingface_hub`: what is in a repository, one commit, downloads; errors in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toccata.agents.sharing.formats import MANIFEST_FILE, OF_THE_HUB, SharingError
from toccata.errors import one_line

LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"
UNREACHABLE = {  # errors of requests and httpx, by whichever version of huggingface_hub
    "ConnectError",
    "ConnectionError",
    "LocalEntryNotFoundError",
    "NetworkError",
    "Timeout",
    "TimeoutException",
}


@dataclass(frozen=True)
class Repository:
    """A revision of a repository.

    Attributes:
        repo: OWNER/NAME.
        commit: 40 hexadecimal digits.
        sizes: bytes of each file by its name.
    """

    repo: str
    commit: str
    sizes: dict[str, int]


def _library() -> Any:
    """`huggingface_hub`.

    Raises:
        SharingError: when it is not installed.
    """
    try:
        import huggingface_hub
        from huggingface_hub.utils import disable_progress_bars
    except ImportError as error:
        raise SharingError('the Hub needs another package: pip install "toccata[hub]"') from error
    disable_progress_bars()  # ours is on the same lines
    return huggingface_hub


@contextmanager
def _errors(repo: str, doing: str) -> Iterator[Any]:
    """The library; what it raises becomes a SharingError that says what can be done.

    Its errors are of several HTTP libraries, by version, so other errors of a request are told by what they have.
    """
    hub = _library()
    from huggingface_hub import errors

    try:
        yield hub
    except errors.GatedRepoError as error:
        raise SharingError(f"{repo}: its owner decides who may download it; ask for access on its page") from error
    except errors.RevisionNotFoundError as error:
        raise SharingError(f"{repo}: has no such revision; see the branches and commits on its page") from error
    except errors.RepositoryNotFoundError as error:
        status = _status(error)
        if status == 401 and not hub.get_token():
            raise SharingError(f"{repo}: there is no such repository, or it is private: then {LOG_IN}") from error
        raise SharingError(f"{repo}: there is no such repository, or your token may not see it") from error
    except errors.EntryNotFoundError as error:
        raise SharingError(f"{repo}: a file is missing: {one_line(error)}") from error
    except errors.OfflineModeIsEnabled as error:
        raise SharingError(f"{repo}: the Hub is switched off by HF_HUB_OFFLINE; unset it") from error
    except errors.HFValidationError as error:
        raise SharingError(f"{repo}: is no name of a repository: {one_line(error)}") from error
    except Exception as error:
        if isinstance(error, SharingError):
            raise
        raise SharingError(f"{repo}: {doing} failed: {_reason(error)}") from error


def _status(error: BaseException) -> int | None:
    """The HTTP status in an error or in what caused it, if there is one."""
    cause: BaseException | None = error
    while cause is not None:
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
        cause = cause.__cause__
    return None


def _reason(error: BaseException) -> str:
    """Why a request failed, and what can be done."""
    status = _status(error)
    if status == 401:
        return f"the Hub does not take your token (401); {LOG_IN}"
    if status == 403:
        return "your token may not do this (403); it needs the permission to write, and OWNER must be you or yours"
    if status is not None:
        return f"the Hub answers {status}: {one_line(error)}"
    if isinstance(error, UnicodeEncodeError):  # of the header that has the token
        return f"the token has characters that no token has; {LOG_IN}"
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & UNREACHABLE:
        return f"the Hub cannot be reached: {one_line(error)}"
    return one_line(error)


def check_token(repo: str) -> None:
    """Refuse an upload without a token; whether it is a good one, only the Hub can say.

    Raises:
        SharingError: when there is none, or `huggingface_hub` is not installed.
    """
    if not _library().get_token():
        raise SharingError(f"{repo}: uploading needs a token with the permission to write; {LOG_IN}")


def look(repo: str, revision: str | None = None) -> Repository:
    """What is in a repository.

    Raises:
        SharingError: when there is none, it may not be seen, or the Hub cannot be reached.
    """
    with _errors(repo, "reading it") as hub:
        info = hub.HfApi().model_info(repo, revision=revision, files_metadata=True)
        sizes = {each.rfilename: each.size or 0 for each in info.siblings or ()}
        return Repository(repo, str(info.sha), sizes)


def download(repository: Repository, name: str, into: Path) -> Path:
    """Download a file of a revision into a folder, and return its path.

    Raises:
        SharingError: when that fails.
    """
    with _errors(repository.repo, f"downloading {name}") as hub:
        return Path(hub.HfApi().hf_hub_download(repository.repo, name, revision=repository.commit, local_dir=into))


def upload(
    repo: str, folder: Path, names: list[str], message: str, *, private: bool, check: Callable[[Repository], None]
) -> str:
    """Make a repository hold exactly the files of a folder, by one commit.

    Args:
        repo: OWNER/NAME; it is made if it is not there.
        folder: of the files.
        names: of the files, with slashes.
        message: of the commit.
        private: whether a new repository is.
        check: refuses a repository that is there already, by raising.

    Returns:
        the address of the commit.

    Raises:
        SharingError: when there is no token, or the Hub refuses; nothing of the repository is changed then.
    """
    check_token(repo)
    with _errors(repo, "uploading") as hub:
        api = hub.HfApi()
        api.create_repo(repo, private=private or None, exist_ok=True)
        info = api.model_info(repo, files_metadata=True)
        there = Repository(repo, str(info.sha), {each.rfilename: each.size or 0 for each in info.siblings or ()})
        check(there)
        if private and not info.private:  # the option is of new repositories, and nobody should be surprised
            raise SharingError(
                f"{repo}: is there already and public; make it private on its page, or choose another NAME"
            )
        operations: list[Any] = [hub.CommitOperationAdd(name, folder / name) for name in names]
        gone = there.sizes.keys() - set(names) - {OF_THE_HUB}
        operations += [hub.CommitOperationDelete(name) for name in sorted(gone)]
        commit = api.create_commit(repo, operations, commit_message=message, parent_commit=info.sha)
        return str(commit.commit_url)


def refuse_others(repository: Repository) -> None:
    """Refuse to replace what `toccata push` did not write.

    Raises:
        SharingError: naming the repository.
    """
    if repository.sizes.keys() - {OF_THE_HUB} and MANIFEST_FILE not in repository.sizes:
        raise SharingError(
            f"{repository.repo}: holds files that `toccata push` did not write, and would replace; choose another NAME"
        )
