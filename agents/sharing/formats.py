"""Which files a repository may have, and whether each is what its name says. Nothing is unpickled or executed."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterable
from io import BytesIO

import safetensors

from toccata.agents.ppo.model_file import ABOUT, FORMAT, OPTIMIZER, POLICY, ROLLOUT, with_digest
from toccata.errors import ToccataError, one_line

MAX_FILES = 500
MAX_FILE_BYTES = 4 * 2**30  # as of weights and models
MAX_TOTAL_BYTES = 8 * 2**30
MAX_TEXT_BYTES = 64 * 2**20  # of JSON and text
MAX_CARD_BYTES = 2**20
CARD_FILE = "README.md"  # may be edited on the Hub, so it has no SHA-256
MANIFEST_FILE = "toccata.json"
OF_THE_HUB = ".gitattributes"  # written by the Hub into every repository; it is left there

_PIECE = r"(evaluation|samples)/piece-\d{3}\.(mid|wav|png|musicxml)"
_WEIGHTS = (r"config\.json", r"[\w.-]+\.safetensors", r"fit\.json", r"MODEL_CARD\.md", r"report\.md", r"[\w-]+\.png")
KINDS: dict[str, tuple[str, ...]] = {  # by kind the patterns of its files
    "run": (
        r"config\.json",
        r"command\.txt",
        r"versions\.json",
        r"progress\.csv",
        r"model\.zip",
        r"reference\.zip",
        r"reward_models/rewards\.json",
        r"reward_models/[^/]+/[\w.-]+\.(json|safetensors)",
        r"evaluation/metrics\.json",
        _PIECE,
    ),
    "prior": (*_WEIGHTS, _PIECE),
    "rating": _WEIGHTS,
    "realism": _WEIGHTS,
    "typicality": _WEIGHTS,
    "rival": (*_WEIGHTS, _PIECE),
}


class SharingError(ToccataError, RuntimeError):
    """A folder or repository that cannot be shared or is not accepted; names it, the file and the reason."""


def check_names(names: Iterable[str], kind: str, where: str) -> None:
    """Refuse names of files that a repository of this kind does not have, before any of them is opened.

    Raises:
        SharingError: naming the file: one that leads out of the folder, is hidden, or is of no file of such a
            repository; two that differ in case only; more than 500.
    """
    names = list(names)
    if kind not in KINDS:
        raise SharingError(f"{where}: is of the unknown kind {kind[:100]!r}; this version knows {', '.join(KINDS)}")
    if len(names) > MAX_FILES:
        raise SharingError(f"{where}: has {len(names):,} files, at most {MAX_FILES} are taken")
    for name in names:
        plain = len(name) <= 400 and name.isprintable() and "\\" not in name and ":" not in name
        parts = name.split("/")
        inside = plain and all(part and not part.startswith(".") and len(part.encode()) <= 255 for part in parts)
        if not inside or not any(re.fullmatch(pattern, name) for pattern in KINDS[kind]):
            raise SharingError(f"{where}: {name[:200]!r} is no file of a shared {kind}, so nothing is taken from it")
    if len({name.lower() for name in names}) < len(names):
        raise SharingError(f"{where}: two of its files differ in upper and lower case only")


def check_sizes(sizes: dict[str, int], where: str) -> None:
    """Refuse files that are too large, one or all together.

    Raises:
        SharingError: naming the file and the limit.
    """
    for name, size in sizes.items():
        text = name.endswith((".json", ".md", ".txt", ".csv", ".musicxml"))
        most = MAX_CARD_BYTES if name == CARD_FILE else MAX_TEXT_BYTES if text else MAX_FILE_BYTES
        if not 0 <= size <= most:
            raise SharingError(f"{where}: {name} has {size:,} bytes, at most {most:,} are taken")
    if (total := sum(sizes.values())) > MAX_TOTAL_BYTES:
        raise SharingError(f"{where}: has {total:,} bytes, at most {MAX_TOTAL_BYTES:,} are taken")


def check_content(name: str, data: bytes, where: str) -> None:
    """Refuse a file whose content is not what its name says.

    Raises:
        SharingError: naming the file and the reason.
    """
    suffix = name[name.rindex(".") :]
    try:
        _CHECKS[suffix](data)
    except Exception as error:  # json, zipfile and safetensors raise nearly any kind for a damaged file
        raise SharingError(f"{where}: {name} is no {_NAMES[suffix]}: {one_line(error)}") from error


def _check_text(data: bytes) -> None:
    if "\0" in data.decode("utf-8"):
        raise ValueError("it has a null character")


def _check_safetensors(data: bytes) -> None:
    safetensors.deserialize(data)


def _check_model(data: bytes) -> None:
    """A file of `save_model`, with none but its four members, which are not packed."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        members = archive.infolist()
        if sorted(member.filename for member in members) != sorted((ABOUT, POLICY, OPTIMIZER, ROLLOUT)):
            raise ValueError("it has other members than a model of Toccata")
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("its members are packed")
        if data != with_digest(data):
            raise ValueError("its SHA-256 is not the one at its end")
        if json.loads(archive.read(ABOUT))["format"] != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        for name in (POLICY, OPTIMIZER, ROLLOUT):
            _check_safetensors(archive.read(name))


def _begins(*parts: tuple[int, bytes]) -> Callable[[bytes], None]:
    """A check of the bytes at some places."""

    def check(data: bytes) -> None:
        if any(data[start : start + len(part)] != part for start, part in parts):
            raise ValueError("it begins with other bytes")

    return check


def _check_musicxml(data: bytes) -> None:
    _check_text(data)
    _begins((0, b"<?xml"))(data)


_CHECKS: dict[str, Callable[[bytes], None]] = {
    ".json": lambda data: json.loads(data.decode("utf-8")),
    ".safetensors": _check_safetensors,
    ".zip": _check_model,
    ".md": _check_text,
    ".txt": _check_text,
    ".csv": _check_text,
    ".musicxml": _check_musicxml,
    ".png": _begins((0, b"\x89PNG\r\n\x1a\n")),
    ".wav": _begins((0, b"RIFF"), (8, b"WAVE")),
    ".mid": _begins((0, b"MThd")),
}
_NAMES = {
    ".json": "JSON file",
    ".safetensors": "safetensors file",
    ".zip": "model of Toccata",
    ".md": "text in UTF-8",
    ".txt": "text in UTF-8",
    ".csv": "text in UTF-8",
    ".musicxml": "MusicXML file",
    ".png": "PNG picture",
    ".wav": "WAV file",
    ".mid": "MIDI file",
}
