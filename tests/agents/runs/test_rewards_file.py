"""rewards.json: what is saved is loaded, and weights are verified."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from helpers.runs import (
    USER_REWARDS,
    Toy,
    resumed_config,
    train_quietly,
)
from toccata.agents.evaluation.config import EvaluateConfig
from toccata.agents.evaluation.evaluate import evaluate_folder
from toccata.agents.runs.builders import excerpt_dataset
from toccata.agents.runs.rewards_file import load_rewards, save_rewards, with_corpus_limits
from toccata.agents.runs.run_folder import RunError
from toccata.errors import ToccataError
from toccata.reward_models import RewardSpecError, load_reward, parse_rewards
from toccata.reward_models.rating.model import RatingModel
from toccata.reward_models.realism.discriminator import Discriminator
from toccata.reward_models.realism.model import Realism
from toccata.settings.options import ConfigError
from toccata.signatures import UntrustedError


def test_rewards_of_a_run_folder(toy: Toy, tmp_path: Path) -> None:
    Path("my_rewards.py").write_text(USER_REWARDS)
    config = toy("run", rewards=(("silence", 1.0), ("my_rewards:Saves", 0.5), ("silence", 2.0)))
    rewards = with_corpus_limits(excerpt_dataset(config, "train"), parse_rewards(config.rewards), config)
    save_rewards(rewards, config, tmp_path)
    with pytest.raises(UntrustedError, match="'my_rewards:Saves' are code"):
        load_rewards(tmp_path)
    again = load_rewards(tmp_path, trust=True)
    assert again.weights == rewards.weights == {"silence": 1.0, "of-mine": 0.5, "silence-2": 2.0}
    assert again.models["silence"] == rewards.models["silence"] != load_reward("silence")  # limits of the run's music
    (tmp_path / "rewards.json").write_text("[{}]")
    with pytest.raises(ConfigError, match=r"rewards\.json: not a readable list of rewards"):
        load_rewards(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_rewards(tmp_path / "nowhere")


@pytest.mark.parametrize("command", ["evaluate", "resume"])
def test_other_weights_than_those_of_the_run_are_refused(
    toy: Toy, write_rating: Callable[..., RatingModel], command: str
) -> None:
    """Weights that are valid in themselves, but not those whose hash is in rewards.json."""
    write_rating("trio")
    run = train_quietly(toy("run", rewards=(("rating:trio", 1.0),), total_timesteps=128, clone_epochs=0))
    pair = write_rating("pair", members=2)
    for folder in (run.folder, run.folder / "checkpoints" / "step-0000000128"):
        pair.save(folder / "reward_models/rating")
    with pytest.raises(ToccataError, match=r"reward_models/rating: holds other weights of rating than this run"):
        if command == "evaluate":
            evaluate_folder(EvaluateConfig(run.folder, samples=2, pieces=1), Console(file=StringIO()))
        else:
            train_quietly(resumed_config(run.folder, total_timesteps=256))


def test_a_flipped_byte_of_the_discriminator_is_refused(toy: Toy) -> None:
    torch.manual_seed(0)
    Realism(Discriminator(4)).save("critic")
    run = train_quietly(toy("run", rewards=(("realism:critic", 1.0),), total_timesteps=128, clone_epochs=0))
    for name in ("realism.safetensors", "training.safetensors"):
        path = run.folder / "reward_models/realism" / name
        original = path.read_bytes()
        path.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        with pytest.raises(RewardSpecError, match=f"{name}: its SHA-256 is not the one in config.json"):
            load_rewards(run.folder / "reward_models")
        path.write_bytes(original)
    path = run.folder / "reward_models/realism/config.json"
    original = path.read_bytes()
    for changed in (original + b" ", original.replace(b"training.safetensors", b"trbining.safetensors")):
        path.write_bytes(changed)
        with pytest.raises(ConfigError, match=r"config\.json: its SHA-256 is not the one in .*rewards\.json"):
            load_rewards(run.folder / "reward_models")
    path.write_bytes(original)
    (path.parent / "more.safetensors").touch()
    with pytest.raises(ConfigError, match=r"more\.safetensors: is not one of the files in .*rewards\.json"):
        load_rewards(run.folder / "reward_models")
    (path.parent / "more.safetensors").unlink()
    load_rewards(run.folder / "reward_models")


def test_entries_that_would_read_elsewhere_or_unverified_are_refused(toy: Toy) -> None:
    torch.manual_seed(0)
    Realism(Discriminator(4)).save("critic")
    config = toy("run", rewards=(("realism:critic", 1.0),))
    folder = Path("rewards")
    folder.mkdir()
    save_rewards(parse_rewards(config.rewards), config, folder)
    load_rewards(folder)
    (entry,) = json.loads((folder / "rewards.json").read_text())
    changes: list[dict[str, object]] = [
        {"folder": None, "reward": "realism:../critic"},
        {"folder": None, "hash": None},
        {"folder": "../../critic"},
        {"hash": None},
        {"files": None},
        {"files": {"../x": "y"}},
        {"weight": True},
        {"weight": "1"},
    ]
    for change in changes:
        (folder / "rewards.json").write_text(json.dumps([{**entry, **change}]))
        with pytest.raises(ConfigError, match="rewards"):
            load_rewards(folder)


def test_logged_values_of_a_checkpoint_are_checked(toy: Toy) -> None:
    run = train_quietly(toy("run", total_timesteps=128, clone_epochs=0))
    path = run.folder / "checkpoints/last/state.json"
    state = json.loads(path.read_text())
    values: list[object] = [None, 5, [1], {"a": 1}, {"a": ["text", None]}, {"a": [1.0, [{}]]}]
    for value in values:
        path.write_text(json.dumps({**state, "logged": value}))
        with pytest.raises(RunError, match="not a readable checkpoint"):
            train_quietly(resumed_config(run.folder, total_timesteps=256))
    assert (run.folder / "command.txt").read_text().count("\n") == 1
