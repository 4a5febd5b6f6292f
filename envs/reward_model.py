"""The protocol of reward models, and checks of their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, Protocol, runtime_checkable

import numpy as np

from toccata.envs.pieces import Pieces
from toccata.errors import ToccataError
from toccata.settings.options import shown
from toccata.user_code import guarded, type_and_message


@runtime_checkable
class RewardModel(Protocol):
    """An object with a name that scores pieces: (n,) float32, finite, higher is better.

    A model that is a sum of others may also have `contributions(pieces) -> dict[str, np.ndarray]`, (n,) terms whose sum
    is its score; they are then rewarded and logged one by one. For reward vectors see `reward_vector`.
    """

    name: str

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32, finite, higher is better."""
        ...


class RewardModelError(ToccataError, RuntimeError):
    """A reward model raised an error, or returned something that cannot be a reward."""


class RewardSpecError(RewardModelError, ValueError):
    """A spec that does not give a reward model; the message is one line with the spec and the reason."""


RESERVED_NAMES = ("total", "pieces", "kl", "illegal")  # logged next to the terms as reward/NAME
LONGEST_NAME = 100
LONGEST_NAME_BYTES = 200  # a folder's name has at most 255, and a second of one name is NAME-2


def check_name(name: Any, what: str = "a reward model's name") -> None:
    """Raise RewardModelError for a name that cannot be that of a term: it is a column, a tag and a folder of a run."""
    if not isinstance(name, str) or not name.strip():
        raise RewardModelError(f"{what} must be a non-empty string, got {name!r}")
    if len(name) > LONGEST_NAME or not name.isprintable() or name.strip() != name or set(name) & set("/\\"):
        raise RewardModelError(
            f"{what} must have at most {LONGEST_NAME} printable characters without slashes, got {name[:200]!r}"
        )
    if len(name.encode("utf-8", "surrogatepass")) > LONGEST_NAME_BYTES:
        raise RewardModelError(f"{what} must have at most {LONGEST_NAME_BYTES} bytes, got {name[:200]!r}")
    if name in (*RESERVED_NAMES, ".", "..", "rewards.json"):
        raise RewardModelError(f"{what} must not be {', '.join(RESERVED_NAMES)}, which are logged too, got {name!r}")


def check_model(model: Any) -> None:
    """Raise TypeError for what is no reward model, and RewardModelError for a name that cannot be that of its term."""
    if (
        isinstance(model, type)
        or not callable(getattr(model, "score", None))
        or not isinstance(getattr(model, "name", None), str)
    ):
        raise TypeError(
            f"reward must be a reward model, with a name and a score(pieces) method, got {model!r}; "
            "toccata.reward_models.load_reward makes one from a name"
        )
    if not hasattr(model, "contributions"):  # whose name is that of its term
        check_name(model.name)


def checked(model: RewardModel, pieces: Pieces) -> np.ndarray:
    """The model's scores, (n,) float32.

    Raises:
        RewardModelError: naming the model, when it raises or its scores are not (n,) finite real numbers.
    """
    return _as_scores(model, _call(f"reward model {model.name!r}", model.score, pieces), pieces)


def contributions(model: RewardModel, pieces: Pieces) -> dict[str, np.ndarray]:
    """The named terms, (n,) float32 each, whose sum is the model's score of each piece.

    Raises:
        RewardModelError: as `checked`, and for a name that cannot be a term's.
    """
    split = getattr(model, "contributions", None)
    if split is None:
        check_name(model.name)
        return {model.name: checked(model, pieces)}
    return checked_terms(model, split, pieces, "contributions")


def checked_terms(
    model: RewardModel, method: Callable[[Pieces], Any], pieces: Pieces, what: str
) -> dict[str, np.ndarray]:
    """What a method of the model that splits its score returns, (n,) float32 by term.

    Raises:
        RewardModelError: as `contributions`; `what` names the method.
    """
    who = f"reward model {model.name!r}"
    terms = _call(who, method, pieces)
    if not isinstance(terms, Mapping):
        raise RewardModelError(f"{what} of {who} must return a dict, got {type(terms).__name__}")
    if not terms:
        raise RewardModelError(f"{what} of {who} must return at least one term")
    for name in terms:
        check_name(name, f"the name of a term of {who}")
    return {name: _as_scores(model, term, pieces, f", term {name!r},") for name, term in terms.items()}


def total(terms: Mapping[str, np.ndarray]) -> np.ndarray:
    """The sum of at least one term (n,), in their own precision, (n,).

    Raises:
        RewardModelError: naming the terms, when a sum is not finite in float32, in which agents keep rewards.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        sums = reduce(np.add, terms.values())
    outside = ~(np.abs(sums) <= np.finfo(np.float32).max)
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        addends = ", ".join(f"{name} {float(term[first]):g}" for name, term in terms.items())
        raise RewardModelError(f"the terms of a reward add up to no finite float32: {addends}")
    return sums


def _call(who: str, method: Callable[[Pieces], Any], pieces: Pieces) -> Any:
    """The result of a method of a model; its errors as `RewardModelError`."""
    try:
        with guarded(who, RewardModelError):
            return method(pieces)
    except RewardModelError:
        raise  # also from a model inside this one, which the message names
    except Exception as error:  # a user's model may raise anything, and the message must name the model
        raise RewardModelError(f"{who} raised {type_and_message(error)}") from error


def _as_scores(model: RewardModel, result: Any, pieces: Pieces, term: str = "") -> np.ndarray:
    """The result of a model, or its term, as (n,) float32."""
    who = f"reward model {model.name!r}{term}"
    try:
        numbers = np.asarray(result)
        with np.errstate(over="ignore"):
            scores = numbers.astype(np.float32) if numbers.dtype.kind in "biuf" else None
    except Exception as error:  # the conversion of a custom type may raise anything
        raise RewardModelError(
            f"{who} must return {len(pieces)} numbers, got {type(result).__name__}: {error}"
        ) from error
    if scores is None:
        raise RewardModelError(f"{who} must return {len(pieces)} numbers, got {type(result).__name__} {shown(result)}")
    if scores.shape != (len(pieces),):
        raise RewardModelError(f"{who} must return shape ({len(pieces)},), one score a piece, got {scores.shape}")
    if np.ma.is_masked(result):
        raise RewardModelError(f"{who} must return finite scores, got masked ones")
    if not np.isfinite(scores).all():
        first = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise RewardModelError(f"{who} must return finite scores, got {numbers[first]} for piece {first}")
    return scores
