"""Models of runs on disk: what is saved is loaded, and whatever is wrong with a file is one line."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from toccata.agents import ComposerPPO, FeedforwardPolicy, PianoVecEnv, SequenceComposerPPO, SequencePolicy
from toccata.agents.ppo.model_file import POLICY, ROLLOUT, ModelError, load_model, save_model, with_digest
from toccata.agents.ppo.signed_zip import MEMBER
from toccata.envs.instrument import Piano
from toccata.reward_models import Silence
from toccata.settings.genres import GENRES
from toccata.signatures import UntrustedError

SMALL = Piano(lowest=48, highest=72, chords=("maj",), values=(6, 12, 24))


def agent(kind: str = "transformer", envs: int = 3, genres: tuple[str, ...] = GENRES) -> ComposerPPO:
    arguments: dict[str, Any] = {"reward_model": Silence(), "n_steps": 16, "batch_size": 24, "gamma": 1.0, "seed": 5}
    observation = "full" if kind in ("mlp", "cnn") else "actions"
    env = PianoVecEnv(envs, bars=1, piano=SMALL, observation=observation, genre=genres[-1], genres=genres)
    if kind in ("mlp", "cnn"):
        policy_kwargs: dict[str, Any] = {"piano": SMALL, "features": kind, "genres": genres}
        return ComposerPPO(FeedforwardPolicy, env, policy_kwargs=policy_kwargs, device="cpu", **arguments)
    network = {"width": 24, "layers": 2, "genres": genres} | ({"heads": 2} if kind == "transformer" else {})
    policy_kwargs = {"piano": SMALL, "backbone": kind, "network_config": network}
    return SequenceComposerPPO(SequencePolicy, env, policy_kwargs=policy_kwargs, device="cpu", **arguments)


@pytest.mark.parametrize("kind", ["mlp", "cnn", "lstm", "transformer"])
def test_training_goes_on_exactly(tmp_path: Path, kind: str) -> None:
    model = agent(kind, genres=(*GENRES, "ragtime")).learn(96)
    save_model(model, tmp_path / "model.zip")
    assert model.env is not None
    again = load_model(tmp_path / "model.zip", env=model.env, resume=True)  # in the middle of its pieces
    assert type(again) is type(model)
    assert (again.num_timesteps, again.updates) == (model.num_timesteps, model.updates)
    assert list(again.ep_info_buffer or ()) == list(model.ep_info_buffer or ())
    save_model(again, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "model.zip").read_bytes()
    state = model.env.state()  # type: ignore[attr-defined]
    rng = model.env.random_state()  # type: ignore[attr-defined]
    after = []
    for each in (model, again):
        each.reward_model = Silence()
        each.env.set_state(state)  # type: ignore[union-attr]
        each.env.set_random_state(rng)  # type: ignore[union-attr]
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002  # SB3 draws from it
        each.learn(48, reset_num_timesteps=False)
        after.append(each.policy.state_dict())
    assert all(torch.equal(after[0][key], after[1][key]) for key in after[0])


@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_genres_are_saved_and_files_without_them_have_the_six(tmp_path: Path, kind: str) -> None:
    genres = (*GENRES, "ragtime", "tango")
    save_model(agent(kind, genres=genres), tmp_path / "more.zip")
    assert load_model(tmp_path / "more.zip").policy.genres == genres
    with pytest.raises(ModelError, match=r"more\.zip: not a readable model"):
        load_model(tmp_path / "more.zip", env=agent("mlp").env)

    save_model(agent(kind), tmp_path / "old.zip")

    def forget(members: dict[str, bytes]) -> None:
        about = json.loads(members["model.json"])
        about["policy"].get("network_config", about["policy"]).pop("genres")
        members["model.json"] = json.dumps(about).encode()

    before = load_model(tmp_path / "old.zip").policy.state_dict()
    rewritten(tmp_path / "old.zip", forget)
    after = load_model(tmp_path / "old.zip").policy
    assert after.genres == GENRES
    assert all(torch.equal(before[key], value) for key, value in after.state_dict().items())


def test_files_without_the_bars_of_primers_have_none(tmp_path: Path) -> None:
    model = agent().learn(48)
    save_model(model, tmp_path / "old.zip")

    def forget(members: dict[str, bytes]) -> None:
        rollout = safetensors.torch.load(members[ROLLOUT])
        del rollout["history.primer_bars"]
        members[ROLLOUT] = safetensors.torch.save(rollout)

    rewritten(tmp_path / "old.zip", forget)
    again = load_model(tmp_path / "old.zip", env=model.env, resume=True)
    assert isinstance(again, SequenceComposerPPO)
    assert again.history.primer_bars.tolist() == [0, 0, 0]
    again.reward_model = Silence()
    again.learn(48, reset_num_timesteps=False)


def test_a_model_plays_without_environments_and_in_any_number_of_them(tmp_path: Path) -> None:
    model = agent().learn(48)
    save_model(model, tmp_path / "model.zip")
    env = PianoVecEnv(5, bars=1, piano=SMALL, observation="actions")
    for again in (
        load_model(tmp_path / "model.zip"),
        load_model(tmp_path / "model.zip", env=env),
        ComposerPPO.load(tmp_path / "model.zip", device="cpu"),
        SequenceComposerPPO.load(tmp_path / "model", env=env, device="cpu", reward_model=Silence()),
    ):
        torch.manual_seed(0)
        actions, _ = again.predict(env.reset(), action_masks=env.action_masks())
        torch.manual_seed(0)
        expected, _ = model.predict(env.reset(), action_masks=env.action_masks())
        np.testing.assert_array_equal(actions, expected)
    again.learn(80)


def test_a_model_that_only_plays_has_no_optimizer(tmp_path: Path) -> None:
    model = agent().learn(48)
    save_model(model, tmp_path / "model.zip")
    again = load_model(tmp_path / "model.zip")
    again.predict(model.env.reset(), action_masks=model.env.action_masks())
    assert "optimizer" in vars(model.policy)
    assert "optimizer" not in vars(again.policy), "torch would import its compiler"


def test_every_setting_returns(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "n_epochs": 3,
        "learning_rate": 0.5,
        "gamma": 0.25,
        "gae_lambda": 0.125,
        "ent_coef": 0.75,
        "vf_coef": 0.375,
        "max_grad_norm": 2.0,
        "normalize_advantage": False,
        "clip_range": 0.3,
        "clip_range_vf": 0.4,
        "target_kl": 0.01,
    }
    policy_kwargs = {"piano": SMALL, "network_config": {"width": 24, "layers": 2, "heads": 2}}
    env = PianoVecEnv(2, bars=1, piano=SMALL, observation="actions")
    model = SequenceComposerPPO(SequencePolicy, env, policy_kwargs=policy_kwargs, device="cpu", **settings)
    save_model(model, tmp_path / "model.zip")
    again = load_model(tmp_path / "model.zip")
    for name, value in settings.items():
        found = getattr(again, name)
        assert (found(0.5) if callable(found) else found) == value, name


def test_a_model_that_such_a_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    env = PianoVecEnv(2, bars=1, piano=SMALL)
    usual: dict[str, Any] = {"n_steps": 16, "batch_size": 32, "device": "cpu", "policy_kwargs": {"piano": SMALL}}
    sgd = {"piano": SMALL, "optimizer_class": torch.optim.SGD, "optimizer_kwargs": {}}
    for message, settings in (
        ("learning_rate changes", {"learning_rate": lambda left: left}),
        ("clip_range changes", {"clip_range": lambda left: left}),
        ("the optimizer is SGD", {"policy_kwargs": sgd}),
    ):
        with pytest.raises(ValueError, match=message):
            save_model(ComposerPPO(FeedforwardPolicy, env, **{**usual, **settings}), tmp_path / "model.zip")
    assert not list(tmp_path.iterdir())


def rewritten(path: Path, change: Callable[[dict[str, bytes]], object]) -> None:
    """Change the members of a model file; its digest follows."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.comment = bytes(64)
    path.write_bytes(with_digest(path.read_bytes()))


def about_with(**changes: Any) -> Callable[[dict[str, bytes]], object]:
    def change(members: dict[str, bytes]) -> None:
        members["model.json"] = json.dumps({**json.loads(members["model.json"]), **changes}).encode()

    return change


def size_of(width: Any, layers: Any) -> dict[str, Any]:
    return {"backbone": "transformer", "network_config": {"width": width, "layers": layers, "heads": 2}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (about_with(format="toccata model 9"), "its format is 'toccata model 9', this version reads"),
        (about_with(policy=size_of(4096, 64)), "it describes a network of 11,.* numbers, the weights are"),
        (about_with(policy=size_of(10**9, 2)), "width must be a whole number in 1..4096"),
        (about_with(policy=size_of(16, 2)), "not a readable model"),
        (about_with(policy={"backbone": "os.system"}), "not a readable model"),
        (about_with(policy={"features": "mlp", "genres": ["a|b"]}), "not a readable model"),
        (about_with(piano={}), "not a readable model"),
        (about_with(piano={"lowest": 0, "highest": 10**6}), "not a readable model"),
        (about_with(arguments={"n_steps": 10**15}), "not a readable model"),
        (about_with(counters=None), "not a readable model"),
        (lambda members: members.pop(POLICY), "not a readable model"),
        (lambda members: members.update({POLICY: b"\x80\x04."}), "not a readable model"),
    ],
)
def test_what_is_wrong_with_a_model_is_one_line(
    tmp_path: Path, change: Callable[[dict[str, bytes]], object], message: str
) -> None:
    path = tmp_path / "model.zip"
    save_model(agent(), path)
    rewritten(path, change)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    model = agent("lstm")
    save_model(model, path)
    original = path.read_bytes()
    for position in range(0, len(original), 499):
        path.write_bytes(original[:position] + bytes([original[position] ^ 1]) + original[position + 1 :])
        with pytest.raises(ModelError):
            load_model(path)
    for position in range(0, len(original), 4999):
        path.write_bytes(original[:position])
        with pytest.raises(ModelError):
            load_model(path)


# Files of Stable-Baselines3


def test_own_files_of_stable_baselines3_load_and_others_need_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = agent()
    model.save(tmp_path / "mine")
    assert SequenceComposerPPO.load(tmp_path / "mine", device="cpu").n_steps == 16
    buffer = BytesIO()
    model.save(buffer)
    buffer.seek(0)
    assert SequenceComposerPPO.load(buffer, device="cpu").n_steps == 16
    changed = (tmp_path / "mine.zip").read_bytes()
    with zipfile.ZipFile(BytesIO(changed)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name in members:
        if name == MEMBER:
            continue
        with zipfile.ZipFile(tmp_path / "changed.zip", "w") as archive:
            for each, data in members.items():
                archive.writestr(each, data + b" " * (each == name))
        with pytest.raises(UntrustedError, match=r"changed\.zip: was not saved by you on this machine"):
            SequenceComposerPPO.load(tmp_path / "changed.zip", device="cpu")
    monkeypatch.setenv("TOCCATA_STATE", str(tmp_path / "of-another-user"))
    with pytest.raises(UntrustedError, match=r"mine\.zip: was not saved by you .* trust=True"):
        SequenceComposerPPO.load(tmp_path / "mine.zip", device="cpu")
    assert SequenceComposerPPO.load(tmp_path / "mine.zip", device="cpu", trust=True).n_steps == 16
