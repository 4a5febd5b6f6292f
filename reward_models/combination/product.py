"""The product of desirabilities, as its logarithm."""

from __future__ import annotations

import numpy as np

from toccata.reward_models.combination.combination import Combination

MAX_DISTANCE = 1e100  # standard deviations: more would overflow


def desirability(distance: np.ndarray) -> np.ndarray:
    """(n,) float64 in (0, 1): how good a score is beside those of real pieces; 0.5 at their median.

    The distribution function of a Cauchy distribution, 1/2 + atan(distance) / pi: a smooth stand-in for the share of
    real pieces with a lower score, strictly increasing everywhere.

    Args:
        distance: (n,) of scores from the median of real pieces, in their standard deviations.
    """
    return np.arctan2(1.0, -np.clip(distance, -MAX_DISTANCE, MAX_DISTANCE)) / np.pi


class Product(Combination):
    """The logarithm of the product of desirabilities (Derringer & Suich 1980), with the weights as exponents.

    The reward is `sum of weight * log(desirability)`, at most 0, in which the desirability of a score is about the
    share of real pieces with a lower one, see `desirability`. The logarithm orders pieces as the product does; its
    terms add up, and it has a slope where the product is near 0. The tails are those of a Cauchy distribution, so that
    it falls with the logarithm of the distance: a term far outside of real music neither loses its slope nor drowns
    the others.

    Derringer & Suich's desirabilities are powers of ramps between limits that a person sets, "Simultaneous optimization
    of several response variables", Journal of Quality Technology 12; here real music sets them.
    """

    name = "product"

    def weighted(self, scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`contributions` from the result of `scores`: weight times log-desirability, (n,) float32 by term."""
        terms = {}
        for term, values in scores.items():
            found = np.zeros(len(values))
            if term in self.real:
                with np.errstate(over="ignore"):
                    distance = (values.astype(np.float64) - self.real[term].median) / self.real[term].std
                found = self.weights[term] * np.log(desirability(distance))
            terms[term] = found
        return self.as_terms(terms)

    def describe(self) -> str:
        """What is paid, in one line."""
        terms = ", ".join(f"{term} {real.median:.3g} ± {real.std:.3g}" for term, real in self.real.items())
        return f"log-desirabilities, which are log 0.5 at the median of real pieces: {terms}"
