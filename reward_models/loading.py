"""Load reward models by name, path, or `package.module:Attribute`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from toccata.envs.reward_model import RewardModel, RewardModelError, check_name, guarded

ENTRY_POINTS = "toccata.reward_models"


@dataclass(frozen=True)
class _Builtin:
    """A reward model of Toccata: where it is defined, and whether it is loaded from weights."""

    module: str  # in toccata.reward_models
    attribute: str
    has_weights: bool = False  # the class has `load(folder | None)`, `save` and `weights_hash`


_BUILTIN = {
    "rating": _Builtin("rating.model", "RatingModel", has_weights=True),
    "realism": _Builtin("realism.model", "Realism", has_weights=True),
    "silence": _Builtin("rules", "Silence"),
    "repetition": _Builtin("rules", "Repetition"),
    "density": _Builtin("rules", "Density"),
}


class RewardSpecError(RewardModelError, ValueError):
    """A spec that does not give a reward model; the message is one line with the spec and the reason."""


def reward_names() -> tuple[str, ...]:
    """The names that `load_reward` takes: those of Toccata, then those of installed packages in alphabetical order."""
    return (*_BUILTIN, *(name for name in sorted(_entry_points()) if name not in _BUILTIN))


def load_reward(spec: str | RewardModel | Callable[[], RewardModel]) -> RewardModel:
    """The reward model of a spec.

    Args:
        spec: one of

            - a name of `reward_names()`: `rating`;
            - `rating:FOLDER` or `realism:FOLDER`, for custom weights;
            - `package.module:Attribute`: a class without arguments, a function that returns a model, or a model.
              Modules are searched in the current directory, then on `sys.path`;
            - a reward model, which is returned as it is, or such a class or function itself.

    Raises:
        RewardSpecError: when there is no such reward model, or it fails to load.
    """
    if not isinstance(spec, str):
        return _validated(_instantiate(spec, repr(spec)), repr(spec))
    name, colon, rest = spec.partition(":")
    if name in _BUILTIN:
        return _validated(_load_builtin(spec, name, rest if colon else None), spec)
    if colon:
        return _validated(_instantiate(_attribute(spec, name, rest), spec), spec)
    installed = _entry_points()
    if name in installed:
        return _validated(_instantiate(_call_user_code(installed[name].load, spec), spec), spec)
    raise RewardSpecError(_unknown_name(spec))


def is_registered(spec: str) -> bool:
    """Whether `spec` names a reward model of Toccata or an entry point of an installed package.

    Other specs name Python code of one's own, which is imported when they are loaded.
    """
    name, colon, _ = spec.partition(":")
    return name in _BUILTIN or (not colon and name in _entry_points())


def has_weights(spec: str) -> bool:
    """Whether `spec` is a reward model of Toccata with weights, and so with `save`, `load` and `weights_hash`."""
    name = spec.partition(":")[0]
    return name in _BUILTIN and _BUILTIN[name].has_weights


def _entry_points() -> dict[str, EntryPoint]:
    """Entry points of installed packages by name."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _unknown_name(spec: str) -> str:
    """The message for an unknown name, with the nearest known one."""
    names = reward_names()
    nearest = get_close_matches(spec, names, 1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(names)}"
    return f"reward {spec!r}: no such name; {hint} (write custom rewards as package.module:Attribute)"


def _load_builtin(spec: str, name: str, folder: str | None) -> Any:
    """The model `name` of Toccata, with the weights in `folder` if one is given."""
    builtin = _BUILTIN[name]
    if folder is not None and not builtin.has_weights:
        raise RewardSpecError(f"reward {spec!r}: {name} has no weights to read from {folder!r}")
    if folder is not None and not Path(folder).expanduser().is_dir():
        raise RewardSpecError(f"reward {spec!r}: there is no folder {folder!r}")
    weights = Path(folder).expanduser() if folder is not None else None  # shells do not expand ~ after a colon
    model = getattr(importlib.import_module(f"toccata.reward_models.{builtin.module}"), builtin.attribute)
    try:
        return model.load(weights) if builtin.has_weights else model()
    except (ValueError, OSError) as error:  # these name file and reason
        raise RewardSpecError(f"reward {spec!r}: {' '.join(str(error).split())}") from error


def _attribute(spec: str, module_name: str, path: str) -> Any:
    """The object `module_name:path`; the path may have dots."""
    if not module_name or not path:
        raise RewardSpecError(f"reward {spec!r}: write package.module:Attribute")
    if module_name.endswith(".py") or "/" in module_name or "\\" in module_name:
        dotted = ".".join(Path(module_name.replace("\\", "/")).with_suffix("").parts)
        raise RewardSpecError(f"reward {spec!r}: write the module with dots, as in {dotted}:{path}")
    current = str(Path.cwd())
    if current not in sys.path and "" not in sys.path:
        sys.path.insert(0, current)  # stays there, as with `python -m`: modules may import others later
    importlib.invalidate_caches()
    try:
        with guarded(f"reward {spec!r}: importing {module_name}", RewardSpecError):
            target: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise RewardSpecError(
                f"reward {spec!r}: module {module_name} needs {error.name!r}, which is not installed"
            ) from error
        raise RewardSpecError(
            f"reward {spec!r}: there is no module {error.name!r} in {current} or among the installed packages"
        ) from error
    except RewardSpecError:
        raise
    except Exception as error:  # a user's module may raise anything
        raise RewardSpecError(f"reward {spec!r}: importing {module_name} raised {_type_and_message(error)}") from error
    name = module_name
    for part in path.split("."):
        try:
            target = getattr(target, part)
        except AttributeError:
            nearest = get_close_matches(part, [public for public in dir(target) if not public.startswith("_")], 1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
            raise RewardSpecError(f"reward {spec!r}: {name} has no {part!r}{hint}") from None
        name = f"{name}.{part}"
    return target


def _instantiate(target: Any, spec: str) -> Any:
    """A model as it is; the result of a class or function called without arguments."""
    is_model = callable(getattr(target, "score", None)) and not isinstance(target, type)
    return _call_user_code(target, spec) if callable(target) and not is_model else target


def _call_user_code(function: Callable[[], Any], spec: str) -> Any:
    """The result of `function`; an exception becomes a `RewardSpecError` that names the spec."""
    try:
        with guarded(f"reward {spec!r}: creating it", RewardSpecError):
            return function()
    except RewardSpecError:
        raise
    except Exception as error:  # a user's constructor may raise anything
        raise RewardSpecError(f"reward {spec!r}: creating it raised {_type_and_message(error)}") from error


def _validated(model: Any, spec: str) -> RewardModel:
    """The model, once it has the members of the protocol."""
    kind = type(model).__name__
    if not callable(getattr(model, "score", None)):
        raise RewardSpecError(f"reward {spec!r}: {kind} has no method score(pieces)")
    name = getattr(model, "name", None)
    if not isinstance(name, str) or not name:
        raise RewardSpecError(f"reward {spec!r}: {kind} needs a name, a non-empty string, got {name!r}")
    try:
        check_name(name)
    except RewardModelError as error:
        raise RewardSpecError(f"reward {spec!r}: {error}") from None
    return model


def _type_and_message(error: Exception) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
