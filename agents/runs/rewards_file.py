"""The reward models of a run and their files: rewards.json, and weights and states next to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.trust import require_trust
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModel, RewardSpecError
from toccata.errors import ToccataError, one_line
from toccata.files import FileError, inside, read_json, sha256_of_file, write_atomically
from toccata.reward_models import (
    Combination,
    Density,
    Repetition,
    Silence,
    WeightedSum,
    has_weights,
    is_builtin,
    load_reward,
)
from toccata.reward_models.combination import RealScores, combination_class
from toccata.reward_models.learning import has_state, load_state, save_state
from toccata.reward_models.typicality.model import TypicalityReward
from toccata.settings.options import ConfigError, shown
from toccata.settings.specs import Spec, SpecError, spec_from_data

RULES = (Silence, Repetition, Density)  # reward models whose limits are percentiles of real pieces
LIMIT_EXCERPTS = 256  # real excerpts that limits and thresholds are taken from
ENTRY_KEYS = ("term", "model", "weight", "args", "folder", "hash", "files", "limits")
COMBINATION_KEYS = ("combine", "real", "multipliers", "rewards")
REWARDS_FILE = "rewards.json"  # in the run folder's reward_models/: which models, their weights and hashes


def real_pieces(music: ExcerptDataset, seed: int) -> Pieces:
    """The real excerpts that a run takes limits and thresholds from."""
    return Pieces(music.sample(LIMIT_EXCERPTS, np.random.default_rng([seed, 3]), transpose=False), music.piano)


def with_corpus_limits(music: ExcerptDataset, rewards: WeightedSum, config: TrainConfig) -> WeightedSum:
    """The reward models, rules named in `config` with limits taken from real music; see `with_limits`."""
    return with_limits(music, rewards, [spec for spec, _ in config.reward_specs], config.seed)


def with_limits(music: ExcerptDataset, rewards: WeightedSum, specs: Sequence[Spec | None], seed: int) -> WeightedSum:
    """The reward models, rules named by `specs` with limits taken from real music, but for those given as arguments.

    The typicality's band is such a limit. Rules that functions of a user's own return stay as they are, as do all other
    models, and those without a spec.

    Raises:
        RewardSpecError: for a typicality without a band.
    """
    real = real_pieces(music, seed)
    models: list[tuple[RewardModel, float]] = []
    for spec, (term, model) in zip(specs, rewards.models.items(), strict=True):
        if spec is not None and is_builtin(spec.target) and isinstance(model, RULES):
            model = replace(type(model).from_scores(real.scores), **spec.args)
        elif spec is not None and is_builtin(spec.target) and isinstance(model, TypicalityReward):
            try:
                model = model.with_band_of(real, **spec.args)
            except ValueError as error:
                raise RewardSpecError(f"reward {shown(str(spec))}: its band in this corpus: {error}") from None
        models.append((model, rewards.weights[term]))
    return WeightedSum(models)


def save_rewards(rewards: WeightedSum, config: TrainConfig, folder: Path) -> None:
    """Write rewards.json, and weights and states of the reward models that have some, into a run's reward_models/.

    Raises:
        RewardModelError: naming the model whose state cannot be saved.
    """
    entries = []
    for (spec, weight), (term, model) in zip(config.reward_specs, rewards.models.items(), strict=True):
        entry: dict[str, Any] = {
            "term": term,
            "model": spec.target,
            "weight": weight,
            "args": dict(spec.args),
            "folder": None,
            "hash": None,
        }
        if is_builtin(spec.target) and isinstance(model, RULES):
            entry["limits"] = asdict(model)
        if has_weights(spec.target):
            model.save(folder / term)  # type: ignore[attr-defined]  # those with weights have these three
            entry["hash"] = model.weights_hash()  # type: ignore[attr-defined]  # as above
        elif has_state(model):
            save_state(model, term, folder / term)
        if (folder / term).is_dir():
            entry["folder"] = term
            entry["files"] = {path.name: sha256_of_file(path) for path in sorted((folder / term).iterdir())}
        entries.append(entry)
    content: Any = entries
    if isinstance(rewards, Combination):
        content = {"combine": rewards.name, **rewards.state(), "rewards": entries}
    write_atomically(folder / REWARDS_FILE, (json.dumps(content, indent=2) + "\n").encode())


def load_rewards(
    folder: Path, run_folder: Path | None = None, *, trust: bool = False, device: torch.device | str = "cpu"
) -> WeightedSum:
    """Read what `save_rewards` wrote. Nothing in these files is executed.

    Args:
        folder: with rewards.json.
        run_folder: of the run, whose signature tells whether this user made it on this machine.
        trust: load reward models of somebody else's run that do not come with Toccata or an installed package.
        device: where `rating` and `realism` are put; the files do not say where they were.

    Raises:
        ConfigError: naming the file, when it is missing, is not such a list, or has the hashes of other weights.
        RewardSpecError: for a model that cannot be made.
        RewardModelError: for one that does not take its saved state.
        UntrustedError: naming the reward models whose loading would run code that is not trusted.
    """
    path = folder / REWARDS_FILE
    try:
        content = read_json(path)
        entries = content["rewards"] if isinstance(content, dict) else content
        specs = [_spec(entry) for entry in entries]
        require_trust(specs, path, run_folder, trust=trust)
        models: list[tuple[RewardModel, float]] = [
            (_load_entry(entry, spec, folder, device), float(entry["weight"]))
            for entry, spec in zip(entries, specs, strict=True)
        ]
        return _combined(content, models) if isinstance(content, dict) else WeightedSum(models)
    except FileError as error:
        raise ConfigError(str(error)) from error
    except SpecError as error:
        raise ConfigError(f"{path}: {error}") from error
    except ToccataError:
        raise
    except Exception as error:  # a list of anything else fails in many ways
        raise ConfigError(f"{path}: not a readable list of rewards: {one_line(error)}") from error


def _combined(content: dict[str, Any], models: list[tuple[RewardModel, float]]) -> Combination:
    """The combination that rewards.json tells of."""
    if unknown := content.keys() - set(COMBINATION_KEYS):
        raise ValueError(f"unknown {min(unknown)!r}; there are {', '.join(COMBINATION_KEYS)}")
    real = {term: RealScores.from_data(data) for term, data in content["real"].items()}
    rewards = combination_class(content["combine"])(models, real)
    rewards.load_state(content)
    return rewards


def _spec(entry: dict[str, Any]) -> Spec:
    """What an entry of rewards.json names."""
    if unknown := entry.keys() - ENTRY_KEYS:
        raise ValueError(f"unknown {min(unknown)!r}; there are {', '.join(ENTRY_KEYS)}")
    return spec_from_data({"model": entry["model"], "args": entry["args"]})


def _load_entry(entry: dict[str, Any], spec: Spec, folder: Path, device: torch.device | str) -> RewardModel:
    """The reward model of one entry of rewards.json."""
    if not isinstance(entry["weight"], (int, float)) or isinstance(entry["weight"], bool):
        raise ValueError(f"the weight of {spec.target!r} must be a number, got {entry['weight']!r}")
    if has_weights(spec.target):
        return _load_with_weights(entry, spec, folder, device)
    if entry["folder"] is not None:
        state_folder = inside(folder, _needed(entry, "folder", str))
        _check_files(state_folder, _needed(entry, "files", dict), folder / REWARDS_FILE)
    model = load_reward({"model": spec.target, "args": spec.args}, device)
    if entry["folder"] is not None:
        load_state(model, entry["term"], state_folder)
    return replace(model, **entry["limits"]) if is_builtin(spec.target) and isinstance(model, RULES) else model


def _load_with_weights(entry: dict[str, Any], spec: Spec, folder: Path, device: torch.device | str) -> RewardModel:
    """A reward model of Toccata with weights: whatever path the user gave, the run has its own copy of them."""
    weights = inside(folder, _needed(entry, "folder", str))
    digest, files = _needed(entry, "hash", str), _needed(entry, "files", dict)
    model: Any = load_reward({"model": f"{spec.target.partition(':')[0]}:{weights}", "args": spec.args}, device)
    if digest != model.weights_hash():
        raise ConfigError(
            f"{weights}: holds other weights of {entry['term']} than this run was trained with; their "
            f"SHA-256 is {model.weights_hash()[:12]}..., {folder / REWARDS_FILE} says {digest[:12]}..."
        )
    _check_files(weights, files, folder / REWARDS_FILE)
    return model


def _needed(entry: dict[str, Any], name: str, kind: type) -> Any:
    """What an entry says of the files of its model."""
    if not isinstance(entry[name], kind) or not entry[name]:
        raise ValueError(f"{entry['model']!r} has files, but no {name}")
    return entry[name]


def _check_files(folder: Path, digests: dict[str, str], source: Path) -> None:
    """Raise ConfigError when `folder` does not hold exactly the files with these SHA-256, which `source` says."""
    for name, digest in digests.items():
        file = inside(folder, name)
        if sha256_of_file(file) != digest:
            raise ConfigError(f"{file}: its SHA-256 is not the one in {source}: the file was damaged or exchanged")
    if surplus := {path.name for path in folder.iterdir()} - digests.keys():
        raise ConfigError(f"{folder / min(surplus)}: is not one of the files in {source}")
