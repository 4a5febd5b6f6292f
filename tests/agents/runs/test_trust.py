"""Runs of strangers: nothing of them is executed, unless the user trusts them."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from helpers.runs import USER_REWARDS, Toy, WritePrior, resumed_config, train_quietly
from toccata.agents.evaluation.config import EvaluateConfig
from toccata.agents.evaluation.evaluate import evaluate_folder
from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.runs.compose import compose
from toccata.agents.runs.compose_config import ComposeConfig
from toccata.agents.runs.rewards_file import load_rewards
from toccata.agents.runs.run_folder import Run
from toccata.agents.runs.trust import SIGNATURE_FILE
from toccata.errors import ToccataError
from toccata.reward_models.realism.discriminator import Discriminator
from toccata.reward_models.realism.model import Realism
from toccata.signatures import UntrustedError


class Payload:
    """Writes the file `marker` when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.marker,)


def payloads(marker: Path) -> Iterator[bytes]:
    """Files that fire when they are unpickled, imported or read by numpy, torch or Stable-Baselines3."""
    raw = pickle.dumps(Payload(marker))
    yield raw
    buffer = io.BytesIO()
    torch.save(Payload(marker), buffer)
    yield buffer.getvalue()
    buffer = io.BytesIO()
    np.savez(buffer, states=np.array([Payload(marker)], object))
    yield buffer.getvalue()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # a model of Stable-Baselines3
        data = {"policy_class": {":type:": "x", ":serialized:": base64.b64encode(raw).decode()}}
        archive.writestr("data", json.dumps(data))
        archive.writestr("policy.pth", raw)
    yield buffer.getvalue()
    yield f"open({str(marker)!r}, 'w')\n".encode()
    yield f'__import__("pathlib").Path({str(marker)!r}).touch()'.encode()


def uses(folder: Path) -> Iterator[Callable[[], object]]:
    """Everything that reads a run folder."""
    yield lambda: train_quietly(resumed_config(folder, total_timesteps=512))
    yield lambda: evaluate_folder(EvaluateConfig(folder, samples=2, pieces=1), Console(file=StringIO()))
    yield lambda: compose(
        ComposeConfig(run=folder, pieces=1, bars=1, out=folder.parent / "composed"), Console(file=StringIO())
    )
    yield lambda: ComposerPPO.load(folder / "model.zip", device="cpu")


@pytest.fixture
def run(toy: Toy, write_prior: WritePrior) -> Run:
    """A run with a sequence policy and a discriminator."""
    write_prior("mine")
    torch.manual_seed(0)
    Realism(Discriminator(4)).save("critic")
    changes: dict[str, Any] = {"policy": "transformer", "prior": "mine", "clone_epochs": 0, "total_timesteps": 128}
    return train_quietly(toy("run", rewards=(("realism:critic", 1.0), ("silence", 1.0)), **changes))


@pytest.mark.slow
def test_a_payload_in_any_file_of_a_run_does_not_fire(run: Run, tmp_path: Path) -> None:
    marker = tmp_path / "fired"
    pickle.loads(pickle.dumps(Payload(marker)))
    assert marker.exists(), "the payload works"
    marker.unlink()
    files = [path.relative_to(run.folder) for path in run.folder.rglob("*") if path.is_file()]
    assert len(files) > 15
    for number, file in enumerate(sorted(files)):
        kinds = list(payloads(marker))
        for payload in {kinds[0], kinds[number % len(kinds)]}:
            victim = tmp_path / "victim"
            shutil.copytree(run.folder, victim, symlinks=True)
            (victim / file).write_bytes(payload)
            for use in uses(victim):
                with contextlib.suppress(ToccataError, OSError):  # in one line, or the file is not needed
                    use()
                assert not marker.exists(), f"{file}: {payload[:40]!r} was executed"
            shutil.rmtree(victim)
            shutil.rmtree(tmp_path / "composed", ignore_errors=True)


def test_a_payload_in_a_model_does_not_fire(run: Run, tmp_path: Path) -> None:
    """The slow test has every payload in every file, and every use."""
    marker = tmp_path / "fired"
    raw, _, arrays, stable_baselines3, *_ = payloads(marker)
    resume, evaluation, composing, loading = uses(run.folder)
    for name, payload, use in (
        ("model.zip", stable_baselines3, resume),
        ("model.zip", raw, evaluation),
        ("model.zip", stable_baselines3, composing),
        ("model.zip", stable_baselines3, loading),
        ("reference.zip", stable_baselines3, resume),
        ("checkpoints/last/envs.npz", arrays, resume),
        ("reward_models/realism/training.safetensors", raw, evaluation),
    ):
        original = (run.folder / name).read_bytes()
        (run.folder / name).write_bytes(payload)
        with pytest.raises((ToccataError, OSError)):
            use()
        (run.folder / name).write_bytes(original)
        assert not marker.exists()


PLANTED = "from pathlib import Path\nPath({marker!r}).touch()\n" + USER_REWARDS


@pytest.fixture
def own(toy: Toy) -> Run:
    """A run of this user with a reward model of the user's own."""
    Path("my_rewards.py").write_text(PLANTED.format(marker=str(Path("imported").absolute())))
    return train_quietly(toy("run", rewards=(("my_rewards:Saves", 1.0),), total_timesteps=128, clone_epochs=0))


def test_own_runs_need_no_trust(own: Run) -> None:
    evaluate_folder(EvaluateConfig(own.folder, samples=2, pieces=1), Console(file=StringIO()))
    train_quietly(resumed_config(own.folder, total_timesteps=256))


def made_by_somebody_else(run: Run, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """The same run, when another user or machine has made it, or it was changed on the way."""
    path = run.folder / SIGNATURE_FILE
    if how == "another key":
        monkeypatch.setenv("TOCCATA_STATE", str(run.folder.parent / "state-of-another-user"))
    elif how == "no signature":
        path.unlink()
    else:
        content = json.loads(path.read_text())
        content["modules"]["my_rewards:Saves"] = str(run.folder)
        path.write_text(json.dumps(content))


@pytest.mark.parametrize("how", ["another key", "no signature", "another module folder"])
def test_reward_models_of_strangers_are_named_and_not_imported(
    own: Run, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    made_by_somebody_else(own, monkeypatch, how)
    Path("imported").unlink()
    message = r"its rewards 'my_rewards:Saves' are code that does not come with Toccata .* add --trust"
    with pytest.raises(UntrustedError, match=message):
        evaluate_folder(EvaluateConfig(own.folder, samples=2, pieces=1), Console(file=StringIO()))
    with pytest.raises(UntrustedError, match=message):
        train_quietly(resumed_config(own.folder, total_timesteps=256))
    for checkpoint in own.checkpoints():
        shutil.rmtree(checkpoint)
    with pytest.raises(UntrustedError, match=r"config\.json: its rewards 'my_rewards:Saves'"):
        train_quietly(resumed_config(own.folder, total_timesteps=256))
    assert not Path("imported").exists()


def test_trusted_runs_are_loaded(own: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made_by_somebody_else(own, monkeypatch, "another key")
    evaluate_folder(EvaluateConfig(own.folder, samples=2, pieces=1, trust=True), Console(file=StringIO()))
    train_quietly(replace(resumed_config(own.folder, total_timesteps=256), trust=True))


def test_a_rewards_file_names_only_what_is_registered(toy_run: Path, tmp_path: Path) -> None:
    shutil.copytree(toy_run, tmp_path / "victim", symlinks=True)
    path = tmp_path / "victim/reward_models/rewards.json"
    entries = json.loads(path.read_text())

    def loading_with(**changes: object) -> None:
        path.write_text(json.dumps([entries[0] | changes, *entries[1:]]))
        load_rewards(path.parent, tmp_path / "victim")

    loading_with()
    for model in ("os:system", "torch.hub:load", "builtins:print", "subprocess:run"):
        with pytest.raises(UntrustedError, match=f"'{model}' are code that does not come with Toccata"):
            loading_with(model=model)
    with pytest.raises(UntrustedError, match="are code"):  # unknown arguments, also of what is installed
        loading_with(model="installed", args={"path": "/"})
    for changes in ({"model": 3}, {"model": None}, {"model": ["x"]}, {"args": [1]}, {"reward": "os:system"}):
        with pytest.raises(ToccataError, match=r"model|args|reward"):
            loading_with(**changes)
