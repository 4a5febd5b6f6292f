"""Combinations of rewards by name."""

from __future__ import annotations

from difflib import get_close_matches

from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardSpecError, checked
from toccata.reward_models.combination.combination import Combination
from toccata.reward_models.combination.gate import Gate
from toccata.reward_models.combination.lagrangian import Lagrangian
from toccata.reward_models.combination.product import Product
from toccata.reward_models.combination.real_scores import RealScores
from toccata.reward_models.combination.weighted_sum import WeightedSum
from toccata.settings.combinations import COMBINATIONS, why_not
from toccata.settings.options import shown

_CLASSES: dict[str, type[Combination]] = {each.name: each for each in (Product, Gate, Lagrangian)}


def combination_class(combine: str) -> type[Combination]:
    """The class of a combination other than a sum.

    Raises:
        RewardSpecError: for another name.
    """
    if combine in _CLASSES:
        return _CLASSES[combine]
    near = get_close_matches(str(combine), COMBINATIONS, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise RewardSpecError(f"rewards are combined by {', '.join(COMBINATIONS)}, got {shown(combine)}{hint}")


def combined(combine: str, rewards: WeightedSum, real: Pieces) -> WeightedSum:
    """The reward models of a weighted sum in another combination.

    Args:
        combine: `sum`, `product`, `gate` or `lagrangian`.
        rewards: the models and their weights; of a gate and a Lagrangian the first is the objective.
        real: real pieces, as long as those that are scored, which thresholds and scales are taken from.

    Raises:
        RewardSpecError: for another name, for weights that it does not take, and for a model that tells nothing of real
            pieces.
        RewardModelError: for a model that fails to score them.
    """
    if combine == "sum":
        return WeightedSum((model, rewards.weights[term]) for term, model in rewards.models.items())
    made = combination_class(combine)
    if (why := why_not(combine, list(rewards.weights.items()))) is not None:  # before anything is scored
        raise RewardSpecError(why)
    if not len(real):
        raise RewardSpecError(f"{combine}: takes its thresholds from real pieces, of which there are none")
    models = [(model, rewards.weights[term]) for term, model in rewards.models.items()]
    compared = made.compared_terms(rewards.weights)
    return made(models, {term: RealScores.of(checked(rewards.models[term], real)) for term in compared})
