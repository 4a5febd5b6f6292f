"""The reward models of a run and their files: rewards.json and the weights next to it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from toccata.agents.runs.config import TrainConfig
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.reward_model import RewardModel
from toccata.errors import one_line
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
        entry["module_in"] = _module_folder(spec)
        if isinstance(model, RULES):
            entry["limits"] = asdict(model)
        if has_weights(spec):
            model.save(folder / term)  # type: ignore[attr-defined]  # those with weights have these three
            entry["folder"] = term
            entry["hash"] = model.weights_hash()  # type: ignore[attr-defined]
        entries.append(entry)
    (folder / REWARDS_FILE).write_text(json.dumps(entries, indent=2) + "\n")


def load_rewards(folder: Path) -> WeightedSum:
    """Read what `save_rewards` wrote.

    Raises:
        ConfigError: naming the file, when it is missing, is not such a list, or has the hashes of other weights.
        RewardSpecError: for a model that cannot be made.
    """
    path = folder / REWARDS_FILE
    try:
        entries = json.loads(path.read_text())
        models: list[tuple[RewardModel, float]] = [
            (_load_entry(entry, folder), float(entry["weight"])) for entry in entries
        ]
    except ConfigError:
        raise
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: not a readable list of rewards: {one_line(error)}") from error
    return WeightedSum(models)


def _load_entry(entry: dict[str, Any], folder: Path) -> RewardModel:
    """The reward model of one entry of rewards.json."""
    spec = entry["reward"]
    module_folder = entry.get("module_in")
    if module_folder is not None and module_folder not in sys.path:
        sys.path.append(module_folder)  # last, as a user's module may be called like any other
    if entry["folder"] is not None:
        spec = f"{spec.partition(':')[0]}:{folder / entry['folder']}"
    model = load_reward(spec)
    if entry["hash"] is not None and entry["hash"] != model.weights_hash():  # type: ignore[attr-defined]  # has weights
        raise ConfigError(
            f"{folder / entry['folder']}: holds other weights of {entry['term']} than this run was trained with; their "
            f"SHA-256 is {model.weights_hash()[:12]}..., {folder / REWARDS_FILE} says {entry['hash'][:12]}..."  # type: ignore[attr-defined]
        )
    return replace(model, **entry["limits"]) if isinstance(model, RULES) else model


def _module_folder(spec: str) -> str | None:
    """Where Python found the module of a `package.module:Attribute`, for whoever reads the run in another folder."""
    module = sys.modules.get(spec.partition(":")[0].partition(".")[0]) if ":" in spec else None
    places = [*getattr(module, "__path__", ()), getattr(module, "__file__", None)]
    return str(Path(places[0]).absolute().parent) if places[0] else None
