"""Folders whose files appear together or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from toccata.files import FileError, naming, read_json, whole_folder


def everything(root: Path) -> dict[str, str | None]:
    return {
        str(path.relative_to(root)): path.read_text() if path.is_file() else None for path in sorted(root.rglob("*"))
    }


def test_a_new_folder_appears_with_all_its_files(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "a" / "b") as folder:
        (folder / "one").write_text("1")
        (folder / "sub").mkdir()
        assert not list((tmp_path / "a" / "b").iterdir())
    assert everything(tmp_path) == {"a": None, "a/b": None, "a/b/one": "1", "a/b/sub": None}


@pytest.mark.parametrize("existing", ["refuse", "add", "replace"])
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("no")])
def test_a_failure_leaves_nothing(tmp_path: Path, existing: str, failure: BaseException) -> None:
    with pytest.raises(type(failure)) as caught, whole_folder(tmp_path / "a" / "b", existing) as folder:  # type: ignore[arg-type]
        (folder / "one").write_text("1")
        raise failure
    assert everything(tmp_path) == {}
    if isinstance(failure, OSError):
        assert str(caught.value) == f"[Errno 28] No space left on device: '{tmp_path}/a/b'"


@pytest.mark.parametrize("existing", ["add", "replace"])
def test_a_failure_leaves_what_was_there(tmp_path: Path, existing: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").write_text("old")
    before = everything(tmp_path)
    with pytest.raises(OSError, match="a/sub/one'"), whole_folder(tmp_path / "a", existing) as folder:  # type: ignore[arg-type]
        (folder / "old").write_text("new")
        (folder / "sub" / "one").write_text("1")  # sub was not made
    assert everything(tmp_path) == before


def test_what_is_there_is_refused_replaced_or_kept(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").write_text("old")
    with pytest.raises(FileExistsError, match="/a'"), whole_folder(tmp_path / "a"):
        raise AssertionError
    with whole_folder(tmp_path / "a", "add") as folder:
        for name in ("config.json", "weights"):
            (folder / name).write_text(name)
    assert everything(tmp_path / "a") == {"config.json": "config.json", "old": "old", "weights": "weights"}
    with whole_folder(tmp_path / "a", "replace") as folder:
        (folder / "new").write_text("new")
        assert "old" in everything(tmp_path / "a")
    assert everything(tmp_path) == {"a": None, "a/new": "new"}


def test_the_current_folder_and_links_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path / "real")
    for number, name in enumerate((".", "../link")):
        with whole_folder(name, "add") as folder:
            (folder / f"{number}").write_text("x")
    assert everything(tmp_path / "real") == {"0": "x", "1": "x"}


def test_a_place_that_is_no_folder_is_named_as_the_user_wrote_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("mine")
    for existing in ("refuse", "add", "replace"):
        with pytest.raises(OSError, match="'file/b'"), whole_folder("file/b", existing):  # type: ignore[arg-type]
            raise AssertionError
    assert everything(tmp_path) == {"file": "mine"}


def test_several_that_replace_one_folder_at_once_do_not_mix(tmp_path: Path) -> None:
    failures: list[Exception] = []

    def write(number: int) -> None:
        try:
            for _ in range(20):
                with whole_folder(tmp_path / "a", "replace") as folder:
                    for name in "xyz":
                        (folder / name).write_text(str(number))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert len({path.read_text() for path in (tmp_path / "a").iterdir()}) == 1


def test_folders_and_files_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with whole_folder(tmp_path / "a") as folder:
            (folder / "one").write_text("1")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "a" / "one").stat().st_mode & 0o777 == 0o640


def test_errors_without_a_file_get_one() -> None:
    with pytest.raises(OSError, match=r"No space left on device: 'x.wav'"), naming("x.wav"):
        raise OSError(28, "No space left on device")
    with pytest.raises(OSError, match=r"^x.wav: full$"), naming("x.wav"):
        raise OSError("full")
    with pytest.raises(OSError, match="'other'"), naming("x.wav"):
        raise OSError(28, "No space left on device", "other")


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"b": {"c": 1, "c": 2}}]')
    with pytest.raises(FileError, match=r"a\.json: .*two members are called 'c'"):
        read_json(tmp_path / "a.json")


def test_errors_name_files_where_they_would_be(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=f"^{tmp_path}/a/x: is damaged$"), whole_folder(tmp_path / "a") as folder:
        raise FileError(f"{folder / 'x'}: is damaged")
