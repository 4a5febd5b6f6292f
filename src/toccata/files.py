"""Files: atomic writing, and bounded reading of JSON, TOML and npz files that may come from strangers."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

import numpy as np

from toccata.errors import ToccataError, one_line

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_JSON_BYTES = 64 * 2**20
MAX_NPZ_BYTES = 2**30  # unpacked
LAST_FILE = "config.json"  # is moved last into a folder: without it the folder is no network, prior or run
REPLACE_ATTEMPTS = 20
MAX_HASHED_BYTES = 4 * 2**30


class FileError(ToccataError, ValueError):
    """A file that is missing, damaged, too large or outside its folder; names the file and the reason."""


def cache_folder() -> Path:
    """The folder of the cache files: `TOCCATA_CACHE`, else the cache folder of the platform."""
    if folder := os.environ.get("TOCCATA_CACHE"):
        return Path(folder)
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("toccata"))


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write the file whole or not at all: into a temporary neighbour first, then renamed over `path`.

    Raises:
        OSError: naming `path`, when its folder is missing or cannot be written; `path` is untouched then.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name[:100]}.{token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:  # x: never through a link that somebody left there
            file.write(data)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise type(error)(error.errno, error.strerror, str(path)) from None
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def refuse_existing(path: str | os.PathLike[str] | None, choose: str) -> None:
    """Refuse to write where something is already, links that lead nowhere included; None is free.

    Raises:
        FileError: naming the path; it ends with what to `choose`.
    """
    if path is not None and (Path(path).exists() or Path(path).is_symlink()):
        raise FileError(f"{Path(path)}: exists already; choose {choose}")


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """A block that writes the file `path`, with a library whose errors do not name it.

    Raises:
        OSError: naming `path`, in place of any other that names no file.
    """
    try:
        yield
    except OSError as error:
        raise (error if error.filename is not None else _named(error, path)) from None


@contextlib.contextmanager
def whole_folder(
    folder: str | os.PathLike[str], existing: Literal["refuse", "add", "replace"] = "refuse"
) -> Iterator[Path]:
    """A folder whose files appear together, or not at all: the block writes into a hidden one, which is then moved.

    Args:
        folder: where the files are to be.
        existing: what happens to a folder that is there already. "refuse" it; "add" the files to it; or "replace" it,
            which stays until the new one is complete.

    Returns:
        the hidden folder.

    Raises:
        FileExistsError: with "refuse".
        OSError: naming the file as it would be in `folder`, when one cannot be written; nothing is left of it then.
    """
    folder = Path(folder)
    place = folder.resolve()
    missing = [parent for parent in place.parents if not parent.exists()]
    made = existing != "replace" and not place.exists()
    part = (place if existing == "add" and not made else place.parent) / f".{place.name[:100]}.{token_hex(4)}.part"
    try:
        if existing != "replace":
            place.mkdir(parents=True, exist_ok=existing == "add")  # nobody else takes the name
        part.mkdir(parents=True)
        yield part
        if existing == "replace":
            _replace_folder(place, part)
        elif made:
            part.replace(place)
        else:
            for path in sorted(part.iterdir(), key=lambda path: path.name == LAST_FILE):
                path.replace(place / path.name)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        for left in (place, *missing) if made else missing:
            with contextlib.suppress(OSError):
                left.rmdir()
        if isinstance(error, ToccataError) and str(part) in str(error):
            raise type(error)(str(error).replace(str(part), str(folder))) from error
        if not isinstance(error, OSError):
            raise
        name = Path(os.fsdecode(error.filename)) if isinstance(error.filename, (str, bytes)) else part
        if name.is_relative_to(part):
            name = folder / name.relative_to(part)
        raise _named(error, folder if name == place else name) from None
    shutil.rmtree(part, ignore_errors=True)


def _replace_folder(folder: Path, new: Path) -> None:
    """Put `new` in the place of `folder`, which is moved aside first and then deleted."""
    replaced = []
    for _ in range(REPLACE_ATTEMPTS):
        aside = folder.with_name(f"{folder.name}.old-{token_hex(4)}")
        with contextlib.suppress(FileNotFoundError):
            folder.replace(aside)
            replaced.append(aside)
        try:
            new.replace(folder)
            break
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # else another process was faster: once more
                if replaced:
                    with contextlib.suppress(OSError):
                        replaced[-1].replace(folder)
                raise
    else:
        raise FileExistsError(errno.EEXIST, "other processes replace it all the time", str(folder))
    for aside in replaced:
        if aside.is_dir() and not aside.is_symlink():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.unlink(missing_ok=True)


def _named(error: OSError, path: str | os.PathLike[str]) -> OSError:
    """The error, of the file `path`."""
    if error.errno is None:
        return OSError(f"{path}: {one_line(error)}")
    return OSError(error.errno, error.strerror, str(path))


def read_bytes(path: str | os.PathLike[str], most: int) -> bytes:
    """The content of a file of at most `most` bytes.

    Raises:
        FileError: naming the file, when it cannot be read, is no regular file, or is larger.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # a pipe would wait, a device would never end
            raise FileError(f"{path}: is not a regular file")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or one_line(error)}") from error
    if len(data) > most:
        raise FileError(f"{path}: is larger than {most:,} bytes")
    return data


def sha256_of_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, 64 hexadecimal digits.

    Raises:
        FileError: naming the file, when it cannot be read.
    """
    return hashlib.sha256(read_bytes(path, MAX_HASHED_BYTES)).hexdigest()


def read_json(path: str | os.PathLike[str], most: int = MAX_JSON_BYTES) -> Any:
    """The value in a JSON file.

    Raises:
        FileError: naming the file, when it cannot be read, is larger than `most` bytes, is not JSON in UTF-8, or has an
            object with two members of one name.
    """
    data = read_bytes(path, most)
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_unique_members)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else one_line(error)
        raise FileError(f"{path}: not a readable JSON file: {reason}") from error


def read_toml(path: str | os.PathLike[str], most: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """The table in a TOML file.

    Raises:
        FileError: naming the file, when it cannot be read, is larger than `most` bytes, or is not TOML in UTF-8.
    """
    data = read_bytes(path, most)
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else one_line(error)
        raise FileError(f"{path}: not a readable TOML file: {reason}") from error


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object as a dict; of two members of one name json.loads would keep the last without a word."""
    members = dict(pairs)
    if len(members) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"two members are called {twice[:200]!r}")
    return members


def read_npz(path: str | os.PathLike[str], most: int = MAX_NPZ_BYTES) -> dict[str, np.ndarray]:
    """The arrays of an npz file by name. Nothing is unpickled, and nothing is unpacked before its size is known.

    Raises:
        FileError: naming the file, when it cannot be read, is damaged, holds objects, or is larger than `most` bytes
            when unpacked.
    """
    data = read_bytes(path, most)
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            check_unpacked_size(archive, path, most)
            return {name.removesuffix(".npy"): _read_npy(archive, name) for name in archive.namelist()}
    except FileError:
        raise
    except Exception as error:  # zipfile and numpy raise nearly any kind for a damaged file
        raise FileError(f"{path}: not a readable npz file: {one_line(error)}") from error


def check_unpacked_size(archive: zipfile.ZipFile, path: str | os.PathLike[str], most: int) -> None:
    """Raise FileError when the members of a zip file are together larger than `most` bytes; nothing is unpacked.

    A member that is larger than its entry says cannot be read: zipfile stops there, and its CRC is wrong.
    """
    members = archive.infolist()
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise FileError(f"{path}: is packed with another method than deflate")  # zipfile unpacks those without a bound
    size = sum(member.file_size for member in members)
    if size > most:
        raise FileError(f"{path}: unpacks to {size:,} bytes, at most {most:,} are read")


def _read_npy(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """One array, once its header is known to describe no more than there is."""
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        if version not in read:
            raise ValueError(f"{name} is of an unknown version {version}")
        shape, _, dtype = read[version](file)
    if dtype.hasobject:
        raise ValueError(f"{name} holds pickled objects")
    if math.prod(shape) * dtype.itemsize > archive.getinfo(name).file_size:
        raise ValueError(f"{name} ends too early")
    with archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def inside(folder: str | os.PathLike[str], name: str | os.PathLike[str]) -> Path:
    """The path of `name` in `folder`, for names that were read from a file.

    Raises:
        FileError: for a name that leads out of the folder: an absolute one, one with "..", or a link to elsewhere.
    """
    folder = Path(folder)
    try:
        path = folder / name
        if not Path(name).is_absolute() and path.resolve().is_relative_to(folder.resolve()):
            return path
    except (OSError, ValueError, RuntimeError):  # null characters, names that are too long, loops of links
        raise FileError(f"{folder}: {str(name)[:200]!r} is no name of a file") from None
    raise FileError(f"{folder}: {str(name)[:200]!r} leads out of this folder; only files in it are read")


def existing_name(folder: str | os.PathLike[str], name: str) -> Path:
    """The file `name` in `folder`, for names in a table.

    Names are bytes on disk, UTF-8 or Latin-1 in old archives, and so may the table be. So a name that is no file is
    tried in the other encoding too. Bytes that are not UTF-8 are surrogates in `name`, as in the names that Python
    lists.

    Raises:
        FileError: as `inside`.
    """
    path = inside(folder, name)
    with contextlib.suppress(OSError, ValueError):
        for other in _spellings(name) if not path.exists() else ():
            if inside(folder, other).exists():
                return inside(folder, other)
    return path


def is_file(path: Path) -> bool:
    """Whether it is a file; False for a path that the system refuses, such as one of a damaged table."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long a name, a null character, a loop of links
        return False


def is_folder(path: Path) -> bool:
    """Whether it is a folder; False for a path that the system refuses."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # as above
        return False


def _spellings(name: str) -> list[str]:
    """The name with its characters outside ASCII in the other encoding, where that is possible."""
    spellings = []
    with contextlib.suppress(UnicodeError):  # UTF-8 in the table, Latin-1 on disk
        spellings.append(os.fsdecode(name.encode("latin-1")))
    with contextlib.suppress(UnicodeError):  # Latin-1 in the table, UTF-8 on disk
        spellings.append(os.fsencode(name).decode("latin-1"))
    return [other for other in spellings if other != name]
