"""Models of runs on disk: one zip of JSON and safetensors. Nothing is unpickled, all is verified.

    model.json               instrument, policy and arguments that rebuild the model, and its counters
    policy.safetensors       weights of the policy
    optimizer.safetensors    state of its optimizer, by parameter
    rollout.safetensors      what the next rollout begins with: observations, pieces under way

The comment of the zip file, its last 64 bytes, is the SHA-256 of all before it.

`ComposerPPO.save` and `ComposerPPO.load` are those of Stable-Baselines3, whose files hold pickles; see docs/safety.md.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from toccata.agents.policies.feedforward_policy import FeedforwardPolicy
from toccata.agents.policies.sequence_network import NetworkConfig, SequenceNetwork
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.ppo.history import History
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.ppo.whole_pieces import WholePiecePPO
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.core import genre_count
from toccata.envs.instrument import Piano
from toccata.errors import ToccataError, one_line
from toccata.files import FileError, check_unpacked_size, read_bytes, write_atomically
from toccata.settings.genres import GENRES
from toccata.settings.options import shown
from toccata.weights import all_finite, count_numbers, serialized

FORMAT = "toccata model 1"
ABOUT = "model.json"
POLICY, OPTIMIZER, ROLLOUT = "policy.safetensors", "optimizer.safetensors", "rollout.safetensors"
MAX_BYTES = 4 * 2**30  # unpacked; a policy of ten million parameters has 120 MB with its optimizer
DIGEST_CHARACTERS = 64  # hexadecimal digits of a SHA-256
WRITTEN = (1980, 1, 1, 0, 0, 0)  # date of every member, so that equal models give equal files
ARGUMENTS = (  # of the constructor, and attributes of the same names
    "n_steps",
    "batch_size",
    "n_epochs",
    "learning_rate",
    "gamma",
    "gae_lambda",
    "ent_coef",
    "vf_coef",
    "max_grad_norm",
    "normalize_advantage",
    "target_kl",
    "seed",
)
SCHEDULES = ("clip_range", "clip_range_vf")  # those that are arguments too; None or constant
KL_ARGUMENTS = ("prior_kl_coef", "prior_kl_target")
PIECE_ARGUMENTS = ("algorithm", "best_of")  # of `WholePiecePPO`; models of other classes have none
OWN_CLASSES = (SequencePolicy, FeedforwardPolicy)  # policies that need no class to be given; subclasses do


class ModelError(ToccataError, ValueError):
    """A model file that is missing, damaged or of another kind; names the file and the reason."""


def save_model(model: ComposerPPO, path: str | PathLike[str]) -> None:
    """Write a model so that training goes on exactly where it was; the file appears whole or not at all.

    Neither environments nor reward models nor the reference policy are in it.

    Args:
        model: with a constant learning rate and clip range. A policy class of the user's own is saved by its name and
            its `policy_kwargs`, which must be literals.
        path: of the file.

    Raises:
        ValueError: for a model that cannot be rebuilt from such a file; `model.save` takes any.
        OSError: naming the file, when it cannot be written.
    """
    members = {
        POLICY: serialized(model.policy.state_dict()),
        OPTIMIZER: serialized(_optimizer_state(model)),
        ROLLOUT: serialized(_rollout_state(model)),
    }
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in {ABOUT: json.dumps(_about(model), indent=2).encode(), **members}.items():
            archive.writestr(zipfile.ZipInfo(name, WRITTEN), data)
        archive.comment = bytes(DIGEST_CHARACTERS)  # makes room
    write_atomically(path, with_digest(buffer.getvalue()))


def load_model(
    source: str | PathLike[str] | bytes,
    device: torch.device | str = "cpu",
    env: VecEnv | None = None,
    *,
    resume: bool = False,
    name: str | PathLike[str] = "model.zip",
    policy_class: type[BasePolicy] | None = None,
) -> ComposerPPO:
    """Read what `save_model` wrote.

    Args:
        source: path of the file, or its bytes.
        device: where the model is put.
        env: environments to go on training in; without them the model plays only.
        resume: go on in the middle of the pieces under way. `env` must be in the same state; else new pieces begin.
        name: of the file in messages, where `source` is its bytes.
        policy_class: the class of the policy, where that is the user's own: none is imported by a name in the file.

    Raises:
        ModelError: naming the file, when it is missing, damaged, of another kind, or was saved with other environments.
    """
    path = Path(name) if isinstance(source, bytes) else Path(source)
    about, files = _read(path, source if isinstance(source, bytes) else None)
    try:
        _check_class(about["policy"].get("class"), policy_class)
        model = _build(about, files[POLICY], device, env, policy_class)
        model.policy.load_state_dict(files[POLICY])
        if env is not None:
            _set_optimizer_state(model, files[OPTIMIZER])
        if resume:
            _set_rollout_state(model, files[ROLLOUT])
        _set_counters(model, about["counters"])
    except Exception as error:  # contents that do not belong together fail in many ways inside torch
        raise ModelError(f"{path}: not a readable model: {one_line(error)}") from error
    return model


def check_saveable(model: ComposerPPO) -> None:
    """Raise, as `save_model` would, ValueError for a model that cannot be rebuilt from a file, or what torch raises."""
    _about(model)
    serialized(model.policy.state_dict())


def is_model_file(data: bytes) -> bool:
    """Whether these are the bytes of a file of `save_model`."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            return ABOUT in archive.namelist()
    except Exception:  # no zip file at all; a damaged one fails in many ways
        return False


def with_digest(data: bytes) -> bytes:
    """The bytes of a model file with their digest in place of the last 64."""
    content = data[:-DIGEST_CHARACTERS]
    return content + hashlib.sha256(content).hexdigest().encode()


# Reading


def _read(path: Path, data: bytes | None) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """model.json and the tensors of the other members, each verified."""
    try:
        data = read_bytes(path, MAX_BYTES) if data is None else data
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = archive.namelist()
            if ABOUT not in names:
                raise FileError(f"{path}: not a readable model: it has no {ABOUT}, so it was not written by Toccata")
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise FileError(f"{path}: not a readable model: its members are packed, which save_model does not do")
            check_unpacked_size(archive, path, MAX_BYTES)
            if data != with_digest(data):
                raise FileError(f"{path}: not a readable model: its SHA-256 is not the one at its end; it was damaged")
            about = json.loads(archive.read(ABOUT))
            if about["format"] != FORMAT:
                raise FileError(f"{path}: its format is {about['format']!r}, this version reads {FORMAT!r}")
            files = {name: load(archive.read(name)) for name in (POLICY, OPTIMIZER, ROLLOUT)}
    except FileError as error:
        raise ModelError(str(error)) from error
    except Exception as error:  # zipfile, json and safetensors raise nearly any kind for a damaged file
        raise ModelError(f"{path}: not a readable model: {one_line(error)}") from error
    for name, tensors in files.items():
        if not all_finite(tensors.values()):
            raise ModelError(f"{path}: {name} holds numbers that are not finite")
    return about, files


# What rebuilds a model


def _about(model: ComposerPPO) -> dict[str, Any]:
    """What `_build` and `_set_counters` need, as JSON."""
    policy = model.policy
    if not isinstance(model.learning_rate, (int, float)):
        raise ValueError("learning_rate changes while training; a model file holds constants only")
    if type(policy.optimizer) is not torch.optim.Adam:
        raise ValueError(f"the optimizer is {type(policy.optimizer).__name__}; a model file holds Adam's state only")
    arguments: dict[str, Any] = {name: getattr(model, name) for name in ARGUMENTS}
    for name in SCHEDULES:
        schedule = getattr(model, name)
        arguments[name] = None if schedule is None else float(schedule(1.0))
        if schedule is not None and schedule(0.0) != arguments[name]:
            raise ValueError(f"{name} changes while training; a model file holds constants only")
    if isinstance(model, SequenceComposerPPO):
        arguments["prior_kl_coef"] = model.kl_controller.coef
        arguments["prior_kl_target"] = model.kl_controller.target
    if isinstance(model, WholePiecePPO):
        arguments |= {name: getattr(model, name) for name in PIECE_ARGUMENTS}
    if isinstance(policy, OWN_CLASSES) and type(policy) in OWN_CLASSES:
        policy_arguments = policy.constructor_arguments()
        del policy_arguments["piano"]
    else:
        policy_arguments = {"class": class_name(type(policy)), "arguments": _literals(model.policy_kwargs)}
        policy_arguments["genres"] = _genres(model)
    return {
        "format": FORMAT,
        "piano": asdict(getattr(policy, "piano", None) or Piano()),
        "policy": policy_arguments,
        "arguments": arguments,
        "counters": {
            "num_timesteps": int(model.num_timesteps),
            "updates": model.updates,
            "was_trained_with_reward_model": model.was_trained_with_reward_model,
            "episodes": [[float(each["r"]), int(each["l"])] for each in model.ep_info_buffer or ()],
        },
    }


def class_name(policy_class: type) -> str:
    """The name of a class in a model file, `module:Class`."""
    return f"{policy_class.__module__}:{policy_class.__qualname__}"


def _genres(model: ComposerPPO) -> list[str]:
    """Names of as many genres as the model's observations have."""
    count = genre_count(model.observation_space)
    count = len(GENRES) if count is None else count
    return [*GENRES[:count], *(f"genre-{index}" for index in range(len(GENRES), count))]


def _literals(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments, once JSON is known to give them back."""
    if json.loads(json.dumps(arguments, default=str)) != arguments:
        raise ValueError(f"policy_kwargs must be numbers, texts, lists and dicts of these, got {arguments!r}"[:300])
    return arguments


def _check_class(name: object, given: type[BasePolicy] | None) -> None:
    """Refuse a policy of another class than the file's; `name` is None for Toccata's own."""
    if name is None and given is not None:
        raise ValueError(f"its policy is Toccata's own, not a {class_name(given)}")
    if name is not None and given is None:
        raise ValueError(f"its policy is a {shown(name)}, which is not Toccata's: load it with policy_class")
    if given is not None and name != class_name(given):
        raise ValueError(f"its policy is a {shown(name)}, not a {class_name(given)}")


def _build(
    about: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    device: torch.device | str,
    env: VecEnv | None,
    policy_class: type[BasePolicy] | None,
) -> ComposerPPO:
    """A model with random weights; only what is known by name reaches a constructor of Toccata."""
    fields: dict[str, Any] = {
        name: tuple(each) if isinstance(each, list) else each for name, each in about["piano"].items()
    }
    piano = Piano(**fields)
    sequence = "backbone" in about["policy"] or (policy_class is not None and issubclass(policy_class, SequencePolicy))
    names = (*ARGUMENTS, *SCHEDULES, *(KL_ARGUMENTS if sequence else ()))
    arguments = {name: about["arguments"][name] for name in names}
    sequence_ppo: type[SequenceComposerPPO] = SequenceComposerPPO
    if sequence and env is not None and "algorithm" in about["arguments"]:  # of no consequence to one that plays only
        sequence_ppo = WholePiecePPO
        arguments |= {name: about["arguments"][name] for name in PIECE_ARGUMENTS}
    described = about["policy"]["network_config"] if sequence and policy_class is None else about["policy"]
    genres = described.get("genres", GENRES)
    if env is None:  # spaces are all that playing needs: the smallest rollout buffer will do
        observation = "actions" if sequence else "full"
        env = PianoVecEnv(1, bars=1, genre=None, genres=genres, piano=piano, observation=observation)
        arguments |= {"n_steps": 2, "batch_size": 2}
    if policy_class is not None:
        algorithm = sequence_ppo if sequence else ComposerPPO
        policy_kwargs = about["policy"]["arguments"]
        return algorithm(policy_class, env, policy_kwargs=policy_kwargs, device=device, **arguments)
    if not sequence:
        policy_kwargs = {"piano": piano, "genres": genres, "features": about["policy"]["features"]}
        return ComposerPPO(FeedforwardPolicy, env, policy_kwargs=policy_kwargs, device=device, **arguments)
    backbone, sizes = about["policy"]["backbone"], dict(about["policy"]["network_config"])
    needed = count_numbers(lambda: SequenceNetwork(piano, NetworkConfig(backbone, **sizes)))
    given = sum(tensor.numel() for tensor in weights.values())
    if needed > given:
        raise ValueError(f"it describes a network of {needed:,} numbers, the weights are {given:,}")
    policy_kwargs = {"piano": piano, "backbone": backbone, "network_config": sizes}
    return sequence_ppo(SequencePolicy, env, policy_kwargs=policy_kwargs, device=device, **arguments)


def _set_counters(model: ComposerPPO, counters: Mapping[str, Any]) -> None:
    """Restore what is counted and logged over the whole of training."""
    model.num_timesteps = int(counters["num_timesteps"])
    model.updates = int(counters["updates"])
    model.was_trained_with_reward_model = bool(counters["was_trained_with_reward_model"])
    model.begin_episode_statistics()
    for reward, length in counters["episodes"]:
        model.record_episode(float(reward), int(length))


# The optimizer


def _optimizer_state(model: ComposerPPO) -> dict[str, Tensor]:
    """The state of every parameter as `PARAMETER.KEY`, such as Adam's moments and step."""
    return {
        f"{name}.{key}": value
        for name, parameter in model.policy.named_parameters()
        for key, value in model.policy.optimizer.state.get(parameter, {}).items()
    }


def _set_optimizer_state(model: ComposerPPO, state: Mapping[str, Tensor]) -> None:
    """The inverse of `_optimizer_state`."""
    by_parameter: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        parameter, _, key = name.rpartition(".")
        by_parameter.setdefault(parameter, {})[key] = value
    names = [name for name, _ in model.policy.named_parameters()]
    if unknown := by_parameter.keys() - set(names):
        raise ValueError(f"{OPTIMIZER} has the state of an unknown parameter {min(unknown)!r}")
    numbered = {names.index(name): values for name, values in by_parameter.items()}
    optimizer = model.policy.optimizer
    optimizer.load_state_dict({"state": numbered, "param_groups": optimizer.state_dict()["param_groups"]})


# What the next rollout begins with


def _rollout_state(model: ComposerPPO) -> dict[str, Tensor]:
    """Observations, and for each piece under way what was rewarded and observed so far; {} before the first reset."""
    if model.last_observations is None:
        return {}
    arrays = {f"observation.{key}": value for key, value in model.last_observations.items()}
    arrays |= {"episode_starts": model.last_episode_starts, "rewarded": model.rewarded}
    if isinstance(model, SequenceComposerPPO):
        history = model.history
        arrays |= {f"history.observation.{key}": value for key, value in history.observations.items()}
        arrays |= {"history.lengths": history.lengths, "history.kl": history.kl}
        arrays["history.primer_bars"] = history.primer_bars
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def _set_rollout_state(model: ComposerPPO, state: Mapping[str, Tensor]) -> None:
    """The inverse of `_rollout_state`."""
    if not state:
        return
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    model.last_episode_starts = arrays["episode_starts"]
    model.rewarded = arrays["rewarded"]
    if len(model.rewarded) != model.n_envs:
        raise ValueError(f"it was saved with {len(model.rewarded)} environments, got {model.n_envs}")
    model.last_observations = {
        name.removeprefix("observation."): array for name, array in arrays.items() if name.startswith("observation.")
    }
    if isinstance(model, SequenceComposerPPO):
        prefix = "history.observation."
        observations = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        lengths, kl = arrays["history.lengths"], arrays["history.kl"]
        primer_bars = arrays.get("history.primer_bars", np.zeros_like(lengths))  # older files: without primers
        model.history = History(observations, lengths, kl, primer_bars)
