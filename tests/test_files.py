"""Files of strangers are read within bounds, and written whole."""

from __future__ import annotations

import os
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from toccata.files import FileError, inside, read_bytes, read_json, read_npz, write_atomically


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"one")
    umask = os.umask(0o022)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_atomically(tmp_path / "folder", b"two")
    with pytest.raises(FileNotFoundError, match="missing/file"):
        write_atomically(tmp_path / "missing" / "file", b"two")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder"]
    assert path.read_bytes() == b"one"


def test_the_limit_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(11))
    assert len(read_bytes(tmp_path / "file", 11)) == 11
    with pytest.raises(FileError, match="file: is larger than 10 bytes"):
        read_bytes(tmp_path / "file", 10)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="pipe: is not a regular file"):
        read_bytes(tmp_path / "pipe", 10)
    with pytest.raises(FileError, match="nowhere: cannot be read: No such file"):
        read_bytes(tmp_path / "nowhere", 10)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe{", b"[" * 200_000, b'{"a": nan}', b"\x80\x04]."])
def test_what_is_no_json_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.json").write_bytes(content)
    with pytest.raises(FileError, match=r"file\.json: not a readable JSON file: ") as caught:
        read_json(tmp_path / "file.json")
    assert "\n" not in str(caught.value)


def npz(**arrays: np.ndarray) -> bytes:
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def test_arrays_return(tmp_path: Path) -> None:
    arrays = {"a": np.arange(5), "b": np.zeros((2, 0), bool), "c": np.zeros(2, [("x", np.int16), ("y", np.float64)])}
    (tmp_path / "file.npz").write_bytes(npz(**arrays))
    read = read_npz(tmp_path / "file.npz")
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype


def claiming(shape: str) -> bytes:
    """An npz file whose array says that it has another shape."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    npy = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(64)
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", npy)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable npz file"),
        (npz(a=np.arange(5))[:-30], "not a readable npz file"),
        (npz(a=np.zeros(3_000_000)), r"unpacks to 24,000,\d+ bytes, at most 1,000,000 are read"),
        (npz(a=np.array([{}, []], object)), "a.npy holds pickled objects"),
        (claiming("(1000000000000,)"), "a.npy ends too early"),
        (claiming("(-1,)"), "not a readable npz file"),
    ],
)
def test_damaged_and_hostile_arrays(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "file.npz").write_bytes(content)
    with pytest.raises(FileError, match=rf"file\.npz: .*{message}|file\.npz: {message}"):
        read_npz(tmp_path / "file.npz", 1_000_000)


def test_names_stay_in_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "outside").write_text("")
    (folder / "link").symlink_to(tmp_path / "outside")
    for name in ("a.mid", "sub/a.mid", "sub/../a.mid", "caf\udce9.mid", "..a", "./a"):
        assert inside(folder, name) == folder / name
    for name in ("../outside", "sub/../../outside", "/etc/passwd", str(folder / "a.mid"), "link"):
        with pytest.raises(FileError, match=r"folder: .* leads out of this folder"):
            inside(folder, name)
    with pytest.raises(FileError, match="is no name of a file"):
        inside(folder, "a\0b")


def test_members_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text("{" + "".join(f'"{number}":0,' for number in range(100_000)) + '"7":1}')
    with pytest.raises(FileError, match="two members are called '7'"):
        read_json(tmp_path / "file.json")
