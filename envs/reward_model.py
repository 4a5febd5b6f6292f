"""The protocol of reward models, and checks of their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from toccata.envs.pieces import Pieces
from toccata.errors import ToccataError


@runtime_checkable
class RewardModel(Protocol):
    """An object with a name that scores pieces: (n,) float32, finite, higher is better.

    A model that is a sum of others may also have `contributions(pieces) -> dict[str, np.ndarray]`, (n,) terms whose sum
    is its score; they are then rewarded and logged one by one.
    """

    name: str

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32, finite, higher is better."""
        ...


class RewardModelError(ToccataError, RuntimeError):
    """A reward model raised an error, or returned something that cannot be a reward."""


def checked(model: RewardModel, pieces: Pieces) -> np.ndarray:
    """The model's scores, (n,) float32.

    Raises:
        RewardModelError: naming the model, when it raises or its scores are not (n,) finite numbers.
    """
    return _as_scores(model, _call(model, model.score, pieces), pieces)


def contributions(model: RewardModel, pieces: Pieces) -> dict[str, np.ndarray]:
    """The named terms, (n,) float32 each, whose sum is the model's score of each piece.

    Raises:
        RewardModelError: as `checked`.
    """
    split = getattr(model, "contributions", None)
    if split is None:
        return {model.name: checked(model, pieces)}
    terms = _call(model, split, pieces)
    if not isinstance(terms, Mapping):
        raise RewardModelError(
            f"contributions of reward model {model.name!r} must return a dict, got {type(terms).__name__}"
        )
    return {str(name): _as_scores(model, term, pieces, f", term {name!r},") for name, term in terms.items()}


def _call(model: RewardModel, method: Callable[[Pieces], Any], pieces: Pieces) -> Any:
    """The result of a method of the model; its errors as `RewardModelError`."""
    try:
        return method(pieces)
    except RewardModelError:
        raise  # from a model inside this one, which the message names
    except Exception as error:  # a user's model may raise anything, and the message must name the model
        raise RewardModelError(f"reward model {model.name!r} raised {type(error).__name__}: {error}") from error


def _as_scores(model: RewardModel, result: Any, pieces: Pieces, term: str = "") -> np.ndarray:
    """The result of a model, or its term, as (n,) float32."""
    who = f"reward model {model.name!r}{term}"
    try:
        scores = np.asarray(result, dtype=np.float32)
    except Exception as error:  # the conversion of a custom type may raise anything
        raise RewardModelError(
            f"{who} must return {len(pieces)} numbers, got {type(result).__name__}: {error}"
        ) from error
    if scores.shape != (len(pieces),):
        raise RewardModelError(f"{who} must return shape ({len(pieces)},), one score a piece, got {scores.shape}")
    if not np.isfinite(scores).all():
        first = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise RewardModelError(f"{who} must return finite scores, got {scores[first]} for piece {first}")
    return scores
