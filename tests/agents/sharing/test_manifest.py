"""A repository whose files are not those of its manifest is refused, whole."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.sharing import files_of, pulled, with_digests, write_files
from toccata.agents.prior.prior import Prior
from toccata.agents.sharing.formats import SharingError
from toccata.agents.sharing.manifest import read_manifest
from toccata.errors import ToccataError

DAMAGE = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def refused(files: dict[str, bytes], message: str) -> str:
    """Pull from a folder of these files, see that it fails and leaves nothing; the message."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "out"
        with pytest.raises(ToccataError, match=message) as caught:
            pulled(write_files(files, Path(name) / "repository"), out)
        assert [path.name for path in Path(name).iterdir()] == ["repository"]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_manifest_tells_of_every_file(prior_repository: Path) -> None:
    content = json.loads((prior_repository / "toccata.json").read_text())
    assert (content["format"], content["kind"]) == ("toccata repository 1", "prior")
    assert sorted(content["files"]) == ["config.json", "prior.safetensors"]
    manifest = read_manifest(prior_repository / "toccata.json", "here")
    assert manifest.sizes == {name: (prior_repository / name).stat().st_size for name in content["files"]}


@DAMAGE
@given(data=st.data())
def test_a_flipped_byte_is_noticed(prior_repository: Path, data: st.DataObject) -> None:
    files = files_of(prior_repository)
    name = data.draw(st.sampled_from(["config.json", "prior.safetensors"]))
    content = bytearray(files[name])
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    refused({**files, name: bytes(content)}, "has another size or SHA-256 than toccata.json says")


@DAMAGE
@given(data=st.data())
def test_a_damaged_manifest_gives_one_line_or_the_same_files(
    prior_repository: Path, tmp_path: Path, data: st.DataObject
) -> None:
    files = files_of(prior_repository)
    content = bytearray(files["toccata.json"])
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    files["toccata.json"] = bytes(content)
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "out"
        try:
            pulled(write_files(files, Path(name) / "repository"), out)
        except ToccataError as error:
            assert "\n" not in str(error)
            assert not out.exists()
        else:  # the byte was of the version, a space, or a name that means the same
            assert files_of(out) == files


@DAMAGE
@given(name=st.sampled_from(["config.json", "prior.safetensors", "toccata.json"]))
def test_a_file_that_is_missing(prior_repository: Path, name: str) -> None:
    files = files_of(prior_repository)
    del files[name]
    refused(files, f"lacks '{name}', which is in toccata.json|has no toccata.json")


@DAMAGE
@given(name=st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?\.(pkl|py|json|safetensors|html|md)", fullmatch=True))
def test_a_file_too_many(prior_repository: Path, name: str) -> None:
    files = files_of(prior_repository)
    if name not in files:
        assert name in refused({**files, name: b"x"}, "which is not in toccata.json")


def test_the_model_card_may_be_edited_or_missing(prior_repository: Path, tmp_path: Path) -> None:
    (prior_repository / "README.md").write_text("# Mine\n")
    assert (pulled(prior_repository, tmp_path / "one") / "README.md").read_text() == "# Mine\n"
    (prior_repository / "README.md").unlink()
    assert not (pulled(prior_repository, tmp_path / "other") / "README.md").exists()
    refused({**files_of(prior_repository), "README.md": b"\xff"}, "README.md is no text in UTF-8")


def test_manifests_that_tell_of_what_is_not_allowed(prior_repository: Path) -> None:
    files = files_of(prior_repository)
    for name in ("model.pkl", "setup.py", "signature.json", "x/y.safetensors"):
        refused(with_digests({**files, name: b"x"}, "prior"), f"{name!r} is no file of a shared prior")
    outside = json.loads(with_digests(files, "prior")["toccata.json"])
    outside["files"]["../evil.safetensors"] = {"size": 1, "sha256": "0" * 64}
    refused({**files, "toccata.json": json.dumps(outside).encode()}, r"'\.\./evil\.safetensors' is no file of a shared")
    refused(with_digests({**files, "prior.safetensors": b"\x80\x04."}, "prior"), "prior.safetensors is no safetensors")
    refused(with_digests(files, "rating"), "toccata.json calls it a rating, its files are of a prior")
    refused(with_digests({"config.json": b"{}"}, "prior"), "has no model.zip")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "toccata.json has the format 'None', this version reads 'toccata repository 1'"),
        ({"format": "toccata repository 2"}, "toccata.json has the format 'toccata repository 2'"),
        ({"format": "toccata repository 1"}, "toccata.json is no list of files: KeyError"),
        ({"format": "toccata repository 1", "kind": "prior", "toccata": "1", "files": []}, "is no list of files"),
        ({"format": "toccata repository 1", "kind": 3, "toccata": "1", "files": {}}, "kind and toccata must be texts"),
        (
            {"format": "toccata repository 1", "kind": "prior", "toccata": "1", "files": {"config.json": {"size": 1}}},
            "is no list of files",
        ),
    ],
)
def test_what_is_no_manifest(tmp_path: Path, content: object, message: str) -> None:
    (tmp_path / "toccata.json").write_text(json.dumps(content))
    with pytest.raises(SharingError, match=message):
        read_manifest(tmp_path / "toccata.json", "here")


def test_links_are_refused(prior_repository: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.safetensors"
    shutil.copyfile(prior_repository / "prior.safetensors", secret)
    (prior_repository / "prior.safetensors").unlink()
    (prior_repository / "prior.safetensors").symlink_to(secret)
    with pytest.raises(SharingError, match=r"prior\.safetensors is a link or no regular file"):
        pulled(prior_repository, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_pulled_folder_is_a_repository_again(prior_repository: Path, tmp_path: Path) -> None:
    again = pulled(pulled(prior_repository, tmp_path / "one"), tmp_path / "two")
    assert files_of(again) == files_of(prior_repository)
    Prior.load(again)
