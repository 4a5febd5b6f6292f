"""Push and pull by `huggingface_hub`, with a server of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.hub import FakeHub
from helpers.runs import WritePrior
from helpers.sharing import files_of, pulled, pushed
from toccata.agents.prior.prior import Prior
from toccata.agents.sharing import push
from toccata.agents.sharing.formats import SharingError
from toccata.files import FileError

# huggingface_hub 2.4 uploads by Git LFS with an argument that its HTTP library has renamed
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def prior(write_prior: WritePrior, tmp_path: Path) -> Path:
    write_prior("prior")
    return tmp_path / "prior"


def test_what_is_pushed_is_pulled(hub: FakeHub, prior: Path, tmp_path: Path) -> None:
    address = pushed(prior, samples=0)
    assert address.startswith(f"{hub.address}/me/model/commit/")
    there = hub.repositories["me/model"].files
    assert sorted(there) == [".gitattributes", "README.md", "config.json", "prior.safetensors", "toccata.json"]
    assert there["prior.safetensors"] == (prior / "prior.safetensors").read_bytes()
    assert list(hub.objects.values()) == [there["prior.safetensors"]]  # by Git LFS
    out = pulled("me/model", tmp_path / "out")
    assert files_of(out) == {name: data for name, data in there.items() if name != ".gitattributes"}
    assert Prior.load(out).network.config == Prior.load(prior).network.config


def test_pushing_again_is_one_commit_that_leaves_nothing_of_before(hub: FakeHub, prior: Path, tmp_path: Path) -> None:
    (prior / "report.md").write_text("# Report of a prior\n")
    first = pushed(prior, samples=0).rpartition("/")[2]
    (prior / "report.md").unlink()
    second = pushed(prior, samples=0).rpartition("/")[2]
    repository = hub.repositories["me/model"]
    assert list(repository.commits)[1:] == [first, second]
    assert "report.md" in repository.commits[first]
    assert "report.md" not in repository.commits[second]
    assert (pulled("me/model", tmp_path / "old", revision=first) / "report.md").is_file()
    assert not (pulled("me/model", tmp_path / "new") / "report.md").exists()


def test_a_private_repository_needs_a_token(
    hub: FakeHub, prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed(prior, private=True, samples=0)
    assert hub.repositories["me/model"].private
    pulled("me/model", tmp_path / "with")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(SharingError, match=r"me/model: there is no such repository, or it is private: then log in"):
        pulled("me/model", tmp_path / "without")
    with pytest.raises(SharingError, match=r"me/model: uploading needs a token .* `hf auth login`, or set HF_TOKEN"):
        pushed(prior, samples=0)


def test_a_public_repository_is_no_private_one(hub: FakeHub, prior: Path) -> None:
    pushed(prior, samples=0)
    before = dict(hub.repositories["me/model"].commits)
    with pytest.raises(SharingError, match="me/model: is there already and public"):
        pushed(prior, private=True, samples=0)
    assert hub.repositories["me/model"].commits == before


def test_nothing_of_others_is_replaced(hub: FakeHub, prior: Path) -> None:
    hub.add("me/model", {"pytorch_model.bin": b"weights"})
    with pytest.raises(SharingError, match="me/model: holds files that `toccata push` did not write"):
        pushed(prior, samples=0)
    assert hub.repositories["me/model"].files["pytorch_model.bin"] == b"weights"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "no such repository, or your token may not see it|the Hub does not take your token"),
        (403, "your token may not do this"),
        (404, "there is no such repository|the Hub answers 404"),
        (418, "the Hub answers 418"),
    ],
)
def test_answers_of_the_hub_are_one_line(hub: FakeHub, prior: Path, tmp_path: Path, status: int, message: str) -> None:
    hub.answer = status
    for act in (lambda: pushed(prior, samples=0), lambda: pulled("me/model", tmp_path / "out")):
        with pytest.raises(SharingError, match=message) as caught:
            act()
        assert "\n" not in str(caught.value)
        assert "hf_secret" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_unknown_repositories_and_revisions(hub: FakeHub, prior: Path, tmp_path: Path) -> None:
    with pytest.raises(SharingError, match="me/nothing: there is no such repository, or your token may not see it"):
        pulled("me/nothing", tmp_path / "out")
    pushed(prior, samples=0)
    with pytest.raises(SharingError, match="me/model: has no such revision"):
        pulled("me/model", tmp_path / "out", revision="v2")
    assert not (tmp_path / "out").exists()


def test_no_network(hub: FakeHub, prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    for act in (lambda: pushed(prior, samples=0), lambda: pulled("me/model", tmp_path / "out")):
        with pytest.raises(SharingError, match=r"me/model: .* failed: the Hub cannot be reached"):
            act()


def test_nothing_is_downloaded_of_a_repository_that_is_not_as_it_should_be(
    hub: FakeHub, prior_repository: Path, tmp_path: Path
) -> None:
    files = files_of(prior_repository)
    longer = {**files, "prior.safetensors": files["prior.safetensors"] + b"x"}
    for content, message in (
        ({**files, "model.pkl": b"\x80\x04."}, "has 'model.pkl', which is not in toccata.json"),
        ({name: data for name, data in files.items() if name != "config.json"}, "lacks 'config.json'"),
        (longer, "prior.safetensors has .* bytes, toccata.json says"),
        ({"config.json": b"{}"}, "has no toccata.json, so `toccata push` did not write it"),
        ({**files, "toccata.json": b" " * 2**21}, "toccata.json is larger than 1,048,576 bytes"),
    ):
        hub.add("me/model", content)
        hub.requests.clear()
        with pytest.raises(SharingError, match=message):
            pulled("me/model", tmp_path / "out")
        got = {
            request.rpartition("/")[2] for request in hub.requests if request.startswith("GET") and "resolve" in request
        }
        assert got <= {"toccata.json"}
        assert not (tmp_path / "out").exists()


def test_a_file_that_is_exchanged_on_the_way(hub: FakeHub, prior_repository: Path, tmp_path: Path) -> None:
    files = files_of(prior_repository)
    files["prior.safetensors"] = files["prior.safetensors"][:-1] + b"x"
    hub.add("me/model", files)
    with pytest.raises(
        SharingError, match=r"me/model: prior\.safetensors has another size or SHA-256 than toccata\.json"
    ):
        pulled("me/model", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_refused_before_anything_is_asked(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(FileError, match="exists already; choose another OUT"):
        pulled("me/model", tmp_path / "out")
    assert not hub.requests


def test_a_token_is_asked_for_before_pieces_are_composed(
    hub: FakeHub, prior: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(push, "write_repository", None)  # which composes them
    with pytest.raises(SharingError, match="uploading needs a token"):
        pushed(prior)


def test_a_token_that_no_header_takes(hub: FakeHub, prior: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "é")
    with pytest.raises(SharingError, match="the token has characters that no token has; log in with `hf auth login`"):
        pushed(prior, samples=0)
