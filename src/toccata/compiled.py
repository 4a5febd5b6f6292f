"""Functions compiled by Numba. Their cache on disk may be missing, damaged, read-only or full: it only saves time.

Numba keeps compiled functions in `__pycache__`, or where that is read-only in the user's own cache folder. Without
either nothing is kept: a folder for temporary files is shared, and the cache is a pickle.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.dispatcher import Dispatcher

DIGEST_BYTES = sha256().digest_size


def jit(function: Callable[..., Any]) -> Any:
    """The function compiled in nopython mode, without Python's global lock; compiled when it is first called."""
    compiled = numba.njit(nogil=True)(function)
    if isinstance(compiled, Dispatcher):  # a plain function under NUMBA_DISABLE_JIT
        with suppress(RuntimeError, OSError):  # no folder for a cache can be written
            compiled._cache = _Cache(function)  # type: ignore[attr-defined]  # private to Numba
    return compiled


class _Cache(FunctionCache):
    """Numba's cache of one function, whose failures only cost the time to compile."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        locator = self._impl.locator
        self._cache_file = _CheckedFile(self._cache_path, self._impl.filename_base, locator.get_source_stamp())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function; None where it must be compiled."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # unpickling a damaged file may raise anything
            with suppress(Exception):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled function, if that is possible."""
        with suppress(Exception):  # a full disk, or a folder that became read-only
            super().save_overload(sig, data)


class _CheckedFile(IndexDataCacheFile):
    """The files of a cache, each with its SHA-256 in front: damaged machine code would crash the process."""

    def _load_index(self) -> dict[Any, str]:
        try:
            version, stamp, overloads = _read(self._index_path)
        except FileNotFoundError:
            return {}
        return overloads if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, (self._version, self._source_stamp, overloads))

    def _load_data(self, name: str) -> Any:
        return _read(self._data_path(name))

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), data)

    def _write(self, path: str, value: Any) -> None:
        data = self._dump(value)
        with self._open_for_write(path) as file:
            file.write(sha256(data).digest() + data)


def _read(path: str) -> Any:
    """The value that was written.

    Raises:
        ValueError: when the file is damaged.
    """
    content = Path(path).read_bytes()
    digest, data = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if sha256(data).digest() != digest:
        raise ValueError(f"{path}: is damaged")
    return pickle.loads(data)  # beside the code or in this user's cache folder: who can write there needs no pickle
