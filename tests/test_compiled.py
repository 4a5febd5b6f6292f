"""Compiled functions work, and are kept, whatever their cache is like."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

MODULE = """
from toccata.compiled import jit

@jit
def inner(x):
    return x + 1

@jit
def outer(x):
    return 2 * inner(x)
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[[], ModuleType]:
    """Imports a module with two compiled functions anew, as another process would."""
    (tmp_path / "kernels_of_test.py").write_text(MODULE)

    def again() -> ModuleType:
        spec = importlib.util.spec_from_file_location("kernels_of_test", tmp_path / "kernels_of_test.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return again


def hits(module: ModuleType) -> int:
    """How many functions came from the cache when `outer` was called; the result must be right."""
    assert module.outer(3) == 8
    return sum(module.outer.stats.cache_hits.values())


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("__pycache__/kernels_of_test.*.nb[ic]"))


def test_compiled_functions_are_kept(load: Callable[[], ModuleType], tmp_path: Path) -> None:
    assert hits(load()) == 0
    assert {path.suffix for path in files(tmp_path)} == {".nbi", ".nbc"}
    assert hits(load()) == 1


def _flip(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize(
    "damage",
    [lambda data: b"", lambda data: data[:20], lambda data: data[:-1], lambda data: b"x" * 1000, _flip],
    ids=["empty", "head", "cut", "other", "bit"],
)
def test_a_damaged_cache_is_made_anew(
    load: Callable[[], ModuleType], tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes]
) -> None:
    hits(load())
    for path in files(tmp_path):
        if path.suffix == suffix:
            path.write_bytes(damage(path.read_bytes()))
    assert hits(load()) == 0
    assert hits(load()) == 1


def test_without_a_place_for_a_cache_nothing_is_kept(
    load: Callable[[], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(self: object, *_: object) -> None:
        raise RuntimeError("cannot cache function 'inner': no locator available")

    monkeypatch.setattr("toccata.compiled.FunctionCache.__init__", nowhere)
    assert hits(load()) == 0
    assert not files(tmp_path)


def test_a_full_disk_only_costs_time(load: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("toccata.compiled._CheckedFile._write", full)
    assert hits(load()) == 0
    assert hits(load()) == 0


READ_ONLY = """
import os, sys
sys.path.insert(0, "package")
import kernels_of_test
assert kernels_of_test.outer(3) == 8
try:
    open("package/x", "w")
except OSError:
    print("nothing can be written")
"""


def test_a_read_only_installation_and_home(load: Callable[[], ModuleType], tmp_path: Path) -> None:
    for name in ("package", "home"):
        (tmp_path / name).mkdir()
    (tmp_path / "kernels_of_test.py").rename(tmp_path / "package" / "kernels_of_test.py")
    for name in ("package", "home"):
        (tmp_path / name).chmod(0o555)
    drop = "--{}=-dac_override,-dac_read_search"
    root = [] if os.geteuid() else ["setpriv", drop.format("bounding-set"), drop.format("inh-caps")]
    if root and shutil.which("setpriv") is None:
        pytest.skip("root can write everywhere, and setpriv is missing")
    environment = {**os.environ, "HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    for variable in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        environment.pop(variable, None)
    command = [*root, sys.executable, "-c", READ_ONLY]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("nothing can be written\n", "")
