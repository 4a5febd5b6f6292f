"""The protocol of reward models, and the check of what they return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from toccata.envs.pieces import Pieces
from toccata.errors import ToccataError


@runtime_checkable
class RewardModel(Protocol):
    """Anything that has a name and scores pieces: (n,) float32, higher is better, finite.

    A model that is a sum of others may also have `contributions(pieces) -> dict[str, np.ndarray]`, the (n,) terms
    that add up to its score; they are then paid and logged one by one.
    """

    name: str

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32, finite, higher is better."""
        ...


class RewardModelError(ToccataError, RuntimeError):
    """A reward model failed, or answered with something that cannot be a reward."""


def checked(model: RewardModel, pieces: Pieces) -> np.ndarray:
    """The model's scores, (n,) float32.

    Raises:
        RewardModelError: naming the model, when it raises or its scores are not (n,) finite numbers.
    """
    return _as_scores(model, _ask(model, model.score, pieces), pieces)


def contributions(model: RewardModel, pieces: Pieces) -> dict[str, np.ndarray]:
    """The named terms, (n,) float32 each, that add up to what `model` pays for each piece.

    Raises:
        RewardModelError: as `checked`.
    """
    split = getattr(model, "contributions", None)
    if split is None:
        return {model.name: checked(model, pieces)}
    terms = _ask(model, split, pieces)
    if not isinstance(terms, Mapping):
        raise RewardModelError(
            f"contributions of reward model {model.name!r} must return a dict, got {type(terms).__name__}"
        )
    return {str(name): _as_scores(model, term, pieces, f", term {name!r},") for name, term in terms.items()}


def _ask(model: RewardModel, method: Callable[[Pieces], Any], pieces: Pieces) -> Any:
    try:
        return method(pieces)
    except RewardModelError:
        raise  # a model made of others: the message names the guilty one
    except Exception as error:  # whatever a user's model raises, the message must say whose it was
        raise RewardModelError(f"reward model {model.name!r} raised {type(error).__name__}: {error}") from error


def _as_scores(model: RewardModel, answer: Any, pieces: Pieces, term: str = "") -> np.ndarray:
    who = f"reward model {model.name!r}{term}"
    try:
        scores = np.asarray(answer, dtype=np.float32)
    except Exception as error:  # an answer may bring its own conversion, which may fail in its own way
        raise RewardModelError(
            f"{who} must return {len(pieces)} numbers, got {type(answer).__name__}: {error}"
        ) from error
    if scores.shape != (len(pieces),):
        raise RewardModelError(f"{who} must return shape ({len(pieces)},), one score a piece, got {scores.shape}")
    if not np.isfinite(scores).all():
        first = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise RewardModelError(f"{who} must return finite scores, got {scores[first]} for piece {first}")
    return scores
