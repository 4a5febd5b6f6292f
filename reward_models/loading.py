"""From what a user writes for a reward to the reward model that is meant."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from toccata.envs.reward_model import RewardModel, RewardModelError

ENTRY_POINTS = "toccata.reward_models"


@dataclass(frozen=True)
class _Shipped:
    """Where a reward model that comes with Toccata lives."""

    module: str  # below toccata.reward_models
    attribute: str
    has_weights: bool = False  # its class has `load(path | None)`


_SHIPPED = {
    "rating": _Shipped("rating.model", "RatingModel", has_weights=True),
    "realism": _Shipped("realism.model", "Realism", has_weights=True),
    "silence": _Shipped("rules", "Silence"),
    "repetition": _Shipped("rules", "Repetition"),
    "density": _Shipped("rules", "Density"),
}


class RewardSpecError(RewardModelError, ValueError):
    """What was written for a reward leads to no reward model; the message names it and says why."""


def reward_names() -> tuple[str, ...]:
    """The names that `load_reward` knows: those that come with Toccata, then those of installed packages."""
    return (*_SHIPPED, *(name for name in sorted(_entry_points()) if name not in _SHIPPED))


def load_reward(spec: str | RewardModel | Callable[[], RewardModel]) -> RewardModel:
    """The reward model that `spec` names.

    Args:
        spec: one of

            - a name of `reward_names()`: `rating`;
            - `rating:FOLDER` or `realism:FOLDER`, for weights of one's own;
            - `package.module:Attribute`, a class without arguments, a function that returns a model, or a model.
              Modules are looked for in the current directory first, then where Python looks;
            - a reward model, which is given back, or such a class or function itself.

    Raises:
        RewardSpecError: when it leads to no reward model, naming `spec` and the reason in one line.
    """
    if not isinstance(spec, str):
        return _usable(_made(spec, repr(spec)), repr(spec))
    name, colon, rest = spec.partition(":")
    if name in _SHIPPED:
        return _usable(_load_shipped(spec, name, rest if colon else None), spec)
    if colon:
        return _usable(_made(_attribute(spec, name, rest), spec), spec)
    installed = _entry_points()
    if name in installed:
        return _usable(_made(_guarded(installed[name].load, spec), spec), spec)
    raise RewardSpecError(_unknown(spec))


def has_weights(spec: str) -> bool:
    """Whether `spec` names a reward model of Toccata's that has weights, and so `save`, `load` and `weights_hash`."""
    name = spec.partition(":")[0]
    return name in _SHIPPED and _SHIPPED[name].has_weights


def _entry_points() -> dict[str, EntryPoint]:
    """The reward models of installed packages by name."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _unknown(spec: str) -> str:
    """The message for a name that nobody knows."""
    names = reward_names()
    near = get_close_matches(spec, names, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
    return f"reward {spec!r}: no such name; {hint} (one's own is written package.module:Attribute)"


def _load_shipped(spec: str, name: str, folder: str | None) -> Any:
    """The shipped model `name`, with the weights in `folder` if one is named."""
    shipped = _SHIPPED[name]
    if folder is not None and not shipped.has_weights:
        raise RewardSpecError(f"reward {spec!r}: {name} has no weights that could be read from {folder!r}")
    if folder is not None and not Path(folder).expanduser().is_dir():
        raise RewardSpecError(f"reward {spec!r}: there is no folder {folder!r}")
    weights = Path(folder).expanduser() if folder is not None else None  # no shell expands ~ behind a colon
    model = getattr(importlib.import_module(f"toccata.reward_models.{shipped.module}"), shipped.attribute)
    try:
        return model.load(weights) if shipped.has_weights else model()
    except (ValueError, OSError) as error:  # the loaders' own errors name file and reason
        raise RewardSpecError(f"reward {spec!r}: {' '.join(str(error).split())}") from error


def _attribute(spec: str, module_name: str, path: str) -> Any:
    """What `module_name:path` names, before it is called."""
    if not module_name or not path:
        raise RewardSpecError(f"reward {spec!r}: write package.module:Attribute")
    if module_name.endswith(".py") or "/" in module_name or "\\" in module_name:
        dotted = ".".join(Path(module_name.replace("\\", "/")).with_suffix("").parts)
        raise RewardSpecError(f"reward {spec!r}: write the module with dots, as in {dotted}:{path}")
    current = str(Path.cwd())
    if current not in sys.path and "" not in sys.path:
        sys.path.insert(0, current)  # and leave it there, as `python -m` does: modules may import others late
    importlib.invalidate_caches()
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise RewardSpecError(
                f"reward {spec!r}: module {module_name} needs {error.name!r}, which is not installed"
            ) from error
        raise RewardSpecError(
            f"reward {spec!r}: there is no module {error.name!r} in {current} or among the installed packages"
        ) from error
    except Exception as error:  # whatever happens while a user's module is imported
        raise RewardSpecError(f"reward {spec!r}: importing {module_name} raised {_one_line(error)}") from error
    where = module_name
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            near = get_close_matches(part, [name for name in dir(found) if not name.startswith("_")], 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise RewardSpecError(f"reward {spec!r}: {where} has no {part!r}{hint}") from None
        where = f"{where}.{part}"
    return found


def _made(found: Any, spec: str) -> Any:
    """The model itself, when a class or a function that makes it was found."""
    is_model = callable(getattr(found, "score", None)) and not isinstance(found, type)
    return _guarded(found, spec) if callable(found) and not is_model else found


def _guarded(make: Callable[[], Any], spec: str) -> Any:
    """What `make` returns; whatever it raises names the reward."""
    try:
        return make()
    except RewardSpecError:
        raise
    except Exception as error:  # a user's constructor may raise anything
        raise RewardSpecError(f"reward {spec!r}: making it raised {_one_line(error)}") from error


def _usable(model: Any, spec: str) -> RewardModel:
    """The model, if it has what the protocol asks for."""
    kind = type(model).__name__
    if not callable(getattr(model, "score", None)):
        raise RewardSpecError(f"reward {spec!r}: {kind} has no method score(pieces)")
    name = getattr(model, "name", None)
    if not isinstance(name, str) or not name:
        raise RewardSpecError(f"reward {spec!r}: {kind} needs a name, a text that is not empty, got {name!r}")
    return model


def _one_line(error: Exception) -> str:
    """An exception in one line: its type and message."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
