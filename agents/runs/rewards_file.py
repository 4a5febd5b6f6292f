"""The reward models of a run and their files: rewards.json and the weights next to it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.trust import require_trust
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.reward_model import RewardModel
from toccata.errors import ToccataError, one_line
from toccata.files import FileError, inside, read_json, sha256_of_file, write_atomically
from toccata.options import ConfigError
from toccata.reward_models import Density, Repetition, Silence, WeightedSum, has_weights, load_reward

RULES = (Silence, Repetition, Density)  # reward models whose limits are percentiles of real pieces
LIMIT_EXCERPTS = 256  # real excerpts that the limits are taken from
REWARDS_FILE = "rewards.json"  # in the run folder's reward_models/: which models, their weights and hashes


def with_corpus_limits(music: ExcerptDataset, rewards: WeightedSum, seed: int) -> WeightedSum:
    """The reward models, rules with limits taken from real music, the others as they are."""
    rng = np.random.default_rng([seed, 3])
    scores = [piece.score for piece in music.sample(LIMIT_EXCERPTS, rng, transpose=False)]
    return WeightedSum(
        [
            (type(model).from_scores(scores) if isinstance(model, RULES) else model, rewards.weights[term])
            for term, model in rewards.models.items()
        ]
    )


def save_rewards(rewards: WeightedSum, config: TrainConfig, folder: Path) -> None:
    """Write rewards.json and the weights of the reward models that have some into a run's reward_models/."""
    entries = []
    for (spec, weight), (term, model) in zip(config.rewards, rewards.models.items(), strict=True):
        entry: dict[str, Any] = {"term": term, "reward": spec, "weight": weight, "folder": None, "hash": None}
        if isinstance(model, RULES):
            entry["limits"] = asdict(model)
        if has_weights(spec):
            model.save(folder / term)  # type: ignore[attr-defined]  # those with weights have these three
            entry["folder"] = term
            entry["hash"] = model.weights_hash()  # type: ignore[attr-defined]
            entry["files"] = {path.name: sha256_of_file(path) for path in sorted((folder / term).iterdir())}
        entries.append(entry)
    write_atomically(folder / REWARDS_FILE, (json.dumps(entries, indent=2) + "\n").encode())


def load_rewards(folder: Path, run_folder: Path | None = None, *, trust: bool = False) -> WeightedSum:
    """Read what `save_rewards` wrote. Nothing in these files is executed.

    Args:
        folder: with rewards.json.
        run_folder: of the run, whose signature tells whether this user made it on this machine.
        trust: load reward models of somebody else's run that do not come with Toccata or an installed package.

    Raises:
        ConfigError: naming the file, when it is missing, is not such a list, or has the hashes of other weights.
        RewardSpecError: for a model that cannot be made.
        UntrustedError: naming the reward models whose loading would run code that is not trusted.
    """
    path = folder / REWARDS_FILE
    try:
        entries = read_json(path)
        require_trust([entry["reward"] for entry in entries], path, run_folder, trust=trust)
        models: list[tuple[RewardModel, float]] = [
            (_load_entry(entry, folder), float(entry["weight"])) for entry in entries
        ]
        return WeightedSum(models)
    except FileError as error:
        raise ConfigError(str(error)) from error
    except ToccataError:
        raise
    except Exception as error:  # a list of anything else fails in many ways
        raise ConfigError(f"{path}: not a readable list of rewards: {one_line(error)}") from error


def _load_entry(entry: dict[str, Any], folder: Path) -> RewardModel:
    """The reward model of one entry of rewards.json."""
    spec, weights = entry["reward"], None
    if not isinstance(entry["weight"], (int, float)) or isinstance(entry["weight"], bool):
        raise ValueError(f"the weight of {spec!r} must be a number, got {entry['weight']!r}")
    if has_weights(spec):  # whatever path the user gave, the run has its own copy
        for name, kind in (("folder", str), ("hash", str), ("files", dict)):
            if not isinstance(entry[name], kind) or not entry[name]:
                raise ValueError(f"{spec!r} has weights, but no {name}")
        weights = inside(folder, entry["folder"])
        spec = f"{spec.partition(':')[0]}:{weights}"
    model = load_reward(spec)
    if entry["hash"] is not None and entry["hash"] != model.weights_hash():  # type: ignore[attr-defined]  # has weights
        raise ConfigError(
            f"{weights}: holds other weights of {entry['term']} than this run was trained with; their "
            f"SHA-256 is {model.weights_hash()[:12]}..., {folder / REWARDS_FILE} says {entry['hash'][:12]}..."  # type: ignore[attr-defined]
        )
    if weights is not None:
        for name, digest in entry["files"].items():
            file = inside(weights, name)
            if sha256_of_file(file) != digest:
                raise ConfigError(
                    f"{file}: its SHA-256 is not the one in {folder / REWARDS_FILE}: the file was damaged or exchanged"
                )
        if surplus := {path.name for path in weights.iterdir()} - entry["files"].keys():
            raise ConfigError(f"{weights / min(surplus)}: is not one of the files in {folder / REWARDS_FILE}")
    return replace(model, **entry["limits"]) if isinstance(model, RULES) else model
