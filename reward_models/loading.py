"""Load reward models by name, path, or `package.module:Attribute`, each with arguments, and weighted sums of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from toccata.envs.reward_model import RewardModel, RewardModelError, RewardSpecError, check_name
from toccata.reward_models.combination.weighted_sum import WeightedSum
from toccata.settings.options import shown
from toccata.settings.specs import WEIGHT_KEY, Spec, SpecError, parse_spec, spec_from_data, weighted_spec
from toccata.user_code import import_attribute, made

RewardSpec = str | Mapping[str, Any] | Sequence[Any] | RewardModel | Callable[[], RewardModel]
ENTRY_POINTS = "toccata.reward_models"


@dataclass(frozen=True)
class _Builtin:
    """A reward model of Toccata: where it is defined, and whether it is loaded from weights."""

    module: str  # in toccata.reward_models
    attribute: str
    has_weights: bool = False  # the class has `load(folder | None)`, `to(device)`, `save` and `weights_hash`


_BUILTIN = {
    "rating": _Builtin("rating.model", "RatingModel", has_weights=True),
    "realism": _Builtin("realism.model", "Realism", has_weights=True),
    "typicality": _Builtin("typicality.model", "TypicalityReward", has_weights=True),
    "silence": _Builtin("rules", "Silence"),
    "repetition": _Builtin("rules", "Repetition"),
    "density": _Builtin("rules", "Density"),
    "lyrics": _Builtin("lyrics.reward", "LyricsReward", has_weights=True),
    "lyric_agreement": _Builtin("lyrics.agreement", "LyricAgreement", has_weights=True),
    "stress_on_beats": _Builtin("lyrics.terms", "StressOnBeats"),
    "stress_on_length": _Builtin("lyrics.terms", "StressOnLength"),
    "line_end_degree": _Builtin("lyrics.terms", "LineEndDegree"),
    "line_end_length": _Builtin("lyrics.terms", "LineEndLength"),
    "phrase_arch": _Builtin("lyrics.terms", "PhraseArch"),
}


def reward_names() -> tuple[str, ...]:
    """The names that `load_reward` takes: those of Toccata, then those of installed packages in alphabetical order."""
    return (*_BUILTIN, *(name for name in sorted(_entry_points()) if name not in _BUILTIN))


def load_reward(reward: RewardSpec, device: Any = "cpu") -> RewardModel:
    """The reward model that a spec names; the grammar is in docs/rewards.md.

    Args:
        reward: one of

            - a text: a name of `reward_names()`; `rating:FOLDER`, `realism:FOLDER` or `typicality:FOLDER`,
              for custom weights; or
              `package.module:Attribute`, a class, a function that returns a model, or a model, whose module is searched
              in the current directory, then on `sys.path`. Each may have arguments: `my_rewards:Steps(limit=2)`;
            - the same as data: `{"model": "my_rewards:Steps", "args": {"limit": 2}}`; with a `weight` it is weighted;
            - a list of pairs `[spec, weight]` and of these objects: their weighted sum, see `parse_rewards`;
            - a reward model, which is returned as it is, or a class or function that takes no arguments.
        device: a torch device or its name. `rating`, `realism` and `typicality` are put there; all others stay as
            they are.

    Raises:
        RewardSpecError: when there is no such reward model, or it fails to load.
    """
    if isinstance(reward, (list, tuple)) or (isinstance(reward, Mapping) and WEIGHT_KEY in reward):
        return parse_rewards([reward] if isinstance(reward, Mapping) else reward, device)
    if isinstance(reward, str) or (isinstance(reward, Mapping) and not _is_model(reward)):
        return _load(_spec(reward), device)
    who = f"reward {shown(reward)}"
    return _validated(_made(reward, Spec("it"), who), who)


def parse_rewards(
    weighted_rewards: Iterable[tuple[RewardSpec, float] | Mapping[str, Any] | str], device: Any = "cpu"
) -> WeightedSum:
    """The weighted sum of pairs such as `[("rating", 1.0), ("my_lab.tension:Tension(limit=2)", 0.2)]`.

    Args:
        weighted_rewards: pairs of what `load_reward` takes and its weight; or `{"model", "weight", "args"}`, where the
            weight is 1 by default.
        device: as in `load_reward`.

    Raises:
        RewardSpecError: for a spec without a reward model, or a weight that is not a finite number.
    """
    models: list[tuple[RewardModel, float]] = []
    for entry in weighted_rewards:
        if isinstance(entry, (list, tuple)) and len(entry) == 2 and not isinstance(entry[0], str):
            models.append((load_reward(entry[0], device), entry[1]))
            continue
        try:
            spec, weight = weighted_spec(entry)
        except SpecError as error:
            raise RewardSpecError(str(error)) from None
        models.append((_load(spec, device), weight))
    return WeightedSum(models)


def is_builtin(target: str) -> bool:
    """Whether the target of a spec is a reward model of Toccata."""
    return target.partition(":")[0] in _BUILTIN


def is_registered(target: str) -> bool:
    """Whether the target of a spec is a reward model of Toccata, or an entry point of an installed package.

    Others name Python code of one's own, which is imported when they are loaded.
    """
    return is_builtin(target) or (":" not in target and target in _entry_points())


def has_weights(target: str) -> bool:
    """Whether a target is a reward model of Toccata with weights, and so with `save`, `load` and `weights_hash`."""
    return is_builtin(target) and _BUILTIN[target.partition(":")[0]].has_weights


def _is_model(thing: Any) -> bool:
    """Whether an object has the method of a reward model; a dict may, too."""
    return callable(getattr(thing, "score", None))


def _spec(reward: str | Mapping[str, Any]) -> Spec:
    """The spec of a text or of data."""
    try:
        return parse_spec(reward) if isinstance(reward, str) else spec_from_data(reward)
    except SpecError as error:
        raise RewardSpecError(f"reward {error}") from None


def _load(spec: Spec, device: Any) -> RewardModel:
    """The reward model of a spec."""
    who = f"reward {shown(str(spec))}"
    name, colon, folder = spec.target.partition(":")
    if name in _BUILTIN:
        return _validated(_load_builtin(spec, name, folder if colon else None, device, who), who)
    if colon:
        return _validated(_made(import_attribute(spec.target, who, RewardSpecError), spec, who), who)
    installed = _entry_points()
    if name in installed:
        return _validated(_made(made(installed[name].load, {}, who, RewardSpecError), spec, who), who)
    raise RewardSpecError(_unknown_name(spec.target))


def _entry_points() -> dict[str, EntryPoint]:
    """Entry points of installed packages by name."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _unknown_name(spec: str) -> str:
    """The message for an unknown name, with the nearest known one."""
    if "(" in spec:
        return f"reward {spec!r}: a bracket is not closed"
    names = reward_names()
    nearest = get_close_matches(spec, names, 1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(names)}"
    return f"reward {spec!r}: no such name; {hint} (write custom rewards as package.module:Attribute)"


def _load_builtin(spec: Spec, name: str, folder: str | None, device: Any, who: str) -> Any:
    """The model `name` of Toccata, with the weights in `folder` if one is given, on a device if it has weights."""
    builtin = _BUILTIN[name]
    if folder is not None and not builtin.has_weights:
        raise RewardSpecError(f"{who}: {name} has no weights to read from {folder!r}")
    if folder is not None and not Path(folder).expanduser().is_dir():
        raise RewardSpecError(f"{who}: there is no folder {folder!r}")
    model = getattr(importlib.import_module(f"toccata.reward_models.{builtin.module}"), builtin.attribute)
    make = model
    if builtin.has_weights:
        weights = Path(folder).expanduser() if folder is not None else None  # shells do not expand ~ after a colon
        make = partial(model.load, weights)
    reward = made(make, spec.args, who, RewardSpecError)
    return reward.to(device) if builtin.has_weights else reward


def _made(found: Any, spec: Spec, who: str) -> Any:
    """A model as it is; the result of a class or function called with the arguments of `spec`."""
    if callable(getattr(found, "score", None)) and not isinstance(found, type):
        if spec.args:
            raise RewardSpecError(f"{who}: {spec.target} is a model already; only classes and functions take arguments")
        return found
    return made(found, spec.args, who, RewardSpecError) if callable(found) else found


def _validated(model: Any, who: str) -> RewardModel:
    """The model, once it has the members of the protocol."""
    kind = type(model).__name__
    if not _is_model(model):
        raise RewardSpecError(f"{who}: {kind} has no method score(pieces)")
    name = made(lambda: getattr(model, "name", None), {}, f"{who}: its name", RewardSpecError)
    if not isinstance(name, str) or not name:
        raise RewardSpecError(f"{who}: {kind} needs a name, a non-empty string, got {name!r}")
    try:
        check_name(name)
    except RewardModelError as error:
        raise RewardSpecError(f"{who}: {error}") from None
    return model
