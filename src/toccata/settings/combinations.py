"""How the rewards of a run are combined: the names, and which weights each takes. No numpy here, as in all settings."""

from __future__ import annotations

from collections.abc import Sequence

COMBINATIONS = ("sum", "product", "gate", "lagrangian")
CONSTRAINED = ("gate", "lagrangian")  # the first reward is the objective, the others are constraints


def why_not(combine: str, weighted: Sequence[tuple[str, float]]) -> str | None:
    """Why rewards cannot be combined in this way; None where they can.

    Args:
        combine: one of `COMBINATIONS`.
        weighted: names and weights of the rewards, of which there is at least one.
    """
    if combine == "sum":
        return None
    for name, weight in weighted:
        if weight < 0:
            return f"{combine}: the weight of {name} must be at least 0, got {weight:g}; only a sum has negative ones"
    if combine == "product":
        some = any(weight for _, weight in weighted)
        return None if some else "product: at least one reward needs a weight greater than 0"
    (objective, its_weight), *constraints = weighted
    if not its_weight:
        return f"{combine}: the first reward, {objective}, is the objective; its weight must be greater than 0, got 0"
    if not any(weight for _, weight in constraints):
        return (
            f"{combine}: needs a second reward with a weight greater than 0, which is the constraint on the first, "
            f"{objective}; as in: rating 1.0 realism 1.0"
        )
    return None
