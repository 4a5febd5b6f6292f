"""Combinations of reward models: a sum, a product, a gate, and a Lagrangian."""

from toccata.reward_models.combination.combination import Combination
from toccata.reward_models.combination.gate import Gate
from toccata.reward_models.combination.lagrangian import Lagrangian
from toccata.reward_models.combination.product import Product
from toccata.reward_models.combination.real_scores import RealScores
from toccata.reward_models.combination.registry import combination_class, combined
from toccata.reward_models.combination.weighted_sum import WeightedSum

__all__ = [
    "Combination",
    "Gate",
    "Lagrangian",
    "Product",
    "RealScores",
    "WeightedSum",
    "combination_class",
    "combined",
]
