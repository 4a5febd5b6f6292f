from __future__ import annotations

import json
import pickle
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from toccata.agents.ppo.model_file import DIGEST_CHARACTERS, with_digest
from toccata.agents.sharing.formats import KINDS, MAX_FILES, SharingError, check_content, check_names, check_sizes


@pytest.mark.parametrize(
    "name",
    [
        "../config.json",
        "/config.json",
        "reward_models/../../x/config.json",
        "reward_models/../config.json",
        "reward_models//config.json",
        "./config.json",
        "C:config.json",
        "reward_models\\x\\config.json",
        ".gitattributes",
        "reward_models/.hidden/config.json",
        "model.pkl",
        "config.json.pkl",
        "run.py",
        "signature.json",
        "checkpoints/step-0000000001/model.zip",
        "evaluation/report.html",
        "evaluation/piece-0000.wav",
        "config.json\n",
        "\u202econfig.json",
        "x" * 300 + ".safetensors",
        "",
    ],
)
def test_names_that_no_repository_has(name: str) -> None:
    for kind in KINDS:
        with pytest.raises(SharingError, match="is no file of a shared"):
            check_names(["config.json", name], kind, "me/model")


def test_names_of_every_kind() -> None:
    check_names(["config.json", "model.zip", "reward_models/of-mine/state.safetensors"], "run", "here")
    check_names(["config.json", "prior.safetensors", "samples/piece-000.wav", "report.md"], "prior", "here")
    check_names(["config.json", "rating.safetensors", "curves.png"], "rating", "here")
    with pytest.raises(SharingError, match=r"here: 'samples/piece-000.wav' is no file of a shared rating"):
        check_names(["config.json", "samples/piece-000.wav"], "rating", "here")
    with pytest.raises(SharingError, match="here: is of the unknown kind 'dataset'; this version knows run, prior"):
        check_names([], "dataset", "here")
    with pytest.raises(SharingError, match="differ in upper and lower case only"):
        check_names(["a.safetensors", "A.safetensors"], "rival", "here")
    with pytest.raises(SharingError, match=f"has {MAX_FILES + 1} files, at most {MAX_FILES} are taken"):
        check_names([f"{number}.safetensors" for number in range(MAX_FILES + 1)], "rival", "here")


def test_sizes_have_limits() -> None:
    check_sizes({"model.zip": 2**32}, "here")
    for sizes, message in (
        ({"model.zip": 2**32 + 1}, "here: model.zip has 4,294,967,297 bytes, at most 4,294,967,296"),
        ({"config.json": 2**26 + 1}, "here: config.json has"),
        ({"README.md": 2**20 + 1}, "here: README.md has"),
        ({"model.zip": -1}, "here: model.zip has -1 bytes"),
        ({"a.safetensors": 2**32, "b.safetensors": 2**32, "c.safetensors": 1}, "here: has 8,589,934,593 bytes"),
    ):
        with pytest.raises(SharingError, match=message):
            check_sizes(sizes, "here")


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, data in members.items():
            file.writestr(name, data)
        file.comment = bytes(DIGEST_CHARACTERS)
    return with_digest(buffer.getvalue())


PICKLE = pickle.dumps({"a": 1})
EMPTY = (2).to_bytes(8, "little") + b"{}"  # safetensors
MODEL = {
    "model.json": json.dumps({"format": "toccata model 1"}).encode(),
    "policy.safetensors": EMPTY,
    "optimizer.safetensors": EMPTY,
    "rollout.safetensors": EMPTY,
}


def test_what_is_what_its_name_says() -> None:
    for name, data in {
        "config.json": b"{}",
        "a.safetensors": EMPTY,
        "model.zip": archive(MODEL),
        "report.md": "é".encode(),
        "x.musicxml": b"<?xml version='1.0'?>",
        "x.wav": b"RIFF....WAVE",
        "x.mid": b"MThd",
        "x.png": b"\x89PNG\r\n\x1a\n",
    }.items():
        check_content(name, data, "here")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        *((name, PICKLE, "me/model: ") for name in ("config.json", "a.safetensors", "model.zip", "report.md")),
        *((name, PICKLE, "me/model: ") for name in ("x.musicxml", "x.wav", "x.mid", "x.png", "x.csv", "x.txt")),
        ("model.zip", archive({**MODEL, "data.pkl": b"\x80\x04."}), "it has other members than a model of Toccata"),
        ("model.zip", archive(MODEL, zipfile.ZIP_DEFLATED), "its members are packed"),
        ("model.zip", archive({**MODEL, "policy.safetensors": b"\x80\x04."}), "model.zip is no model of Toccata"),
        ("model.zip", archive(MODEL).replace(b"toccata model 1", b"toccata model 2"), "its SHA-256 is not the one"),
        ("model.zip", archive({**MODEL, "model.json": b'{"format": "x"}'}), "its format is not 'toccata model 1'"),
        ("report.md", b"a\0b", "report.md is no text in UTF-8: it has a null character"),
        ("config.json", b"{", "config.json is no JSON file: Expecting"),
    ],
)
def test_what_is_not(name: str, data: bytes, message: str) -> None:
    with pytest.raises(SharingError, match=message) as caught:
        check_content(name, data, "me/model")
    assert str(caught.value).startswith(f"me/model: {name} is no ")
    assert "\n" not in str(caught.value)


def test_a_model_of_stable_baselines3_is_refused(tmp_path: Path) -> None:
    from toccata.agents import ComposerPPO, FeedforwardPolicy, PianoVecEnv

    agent = ComposerPPO(FeedforwardPolicy, PianoVecEnv(2, bars=1, reward="silence"), n_steps=4, batch_size=8)
    agent.save(tmp_path / "model.zip")  # pickles
    with pytest.raises(SharingError, match="it has other members than a model of Toccata"):
        check_content("model.zip", (tmp_path / "model.zip").read_bytes(), "here")
