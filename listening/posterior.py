"""What comparisons tell of pieces: a Gaussian posterior of their Bradley-Terry strengths, updated vote by vote.

It says which pair to ask next. What votes say in the end is fitted to all of them at once, by `toccata listen results`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SOURCE_STD = 1.0  # prior standard deviation of the mean strength of a source, in logits
PIECE_STD = 1.0  # and of the pieces about it: the better of two is preferred in about 80 % of the votes
PENDING = 64  # votes that are taken into account before the matrix of all pairs of pieces is written anew
NODES = 15  # of Gauss-Hermite quadrature; the information is exact to 2e-4 bit for the variances of the prior


class Posterior:
    """Mean and covariance of the strengths of pieces.

    A vote between pieces i and j is Bernoulli, with P(i preferred) = 1 / (1 + exp(strength_j - strength_i)) (Bradley &
    Terry 1952, "Rank analysis of incomplete block designs"). The update is that of sequential logistic regression by a
    Gaussian approximation about the present mean (Spiegelhalter & Lauritzen 1990, "Sequential updating of conditional
    probabilities on directed graphical structures"). A tie is half a vote for each.

    Args:
        sources: of each piece, any label. Pieces of one source are correlated in the prior, so that votes on some tell
            of the others.

    Attributes:
        mean: (pieces,) float64, in logits.
    """

    def __init__(self, sources: Sequence[object]) -> None:
        labels = np.unique([str(source) for source in sources], return_inverse=True)[1]
        self.mean = np.zeros(len(sources))
        self._covariance = SOURCE_STD**2 * (labels[:, None] == labels) + PIECE_STD**2 * np.eye(len(sources))
        self._factors = np.zeros((0, len(sources)))  # of the latest votes: covariance = _covariance - F^T F

    @property
    def covariance(self) -> np.ndarray:
        """(pieces, pieces) float64."""
        if len(self._factors):
            self._covariance -= self._factors.T @ self._factors
            self._factors = self._factors[:0]
        return self._covariance

    def update(self, first: int, second: int, first_preferred: float) -> None:
        """Take a vote into account.

        Args:
            first: index of a piece.
            second: index of another one.
            first_preferred: 1 when the first was preferred, 0 the second, 0.5 a tie.
        """
        probability = 1 / (1 + np.exp(self.mean[second] - self.mean[first]))
        factors = self._factors
        column = self._covariance[first] - self._covariance[second]  # rows: it is symmetric
        column = column - (factors[:, first] - factors[:, second]) @ factors
        variance = column[first] - column[second]
        weight = probability * (1 - probability)
        self.mean += column * ((first_preferred - probability) / (1 + weight * variance))
        factor = column * np.sqrt(weight / (1 + weight * variance))
        self._factors = np.concatenate([factors, factor[None]])
        if len(self._factors) >= PENDING:
            _ = self.covariance

    def information(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Expected information of a vote on each pair, in bits.

        It is the mutual information of vote and strengths: the entropy of the vote, less its mean entropy were the
        strengths known (Houlsby et al. 2011, "Bayesian active learning for classification and preference learning",
        section 2), by Gauss-Hermite quadrature over the difference of the two strengths.

        Args:
            first: (pairs,) indices of pieces.
            second: (pairs,) indices of others.

        Returns:
            (pairs,) float64 in [0, 1].
        """
        covariance = self.covariance
        diagonal = np.diag(covariance)
        variance = diagonal[first] + diagonal[second] - 2 * covariance[first, second]
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        weights = weights / weights.sum()
        spread = np.sqrt(np.maximum(variance, 0))
        difference = (self.mean[first] - self.mean[second])[:, None] + spread[:, None] * nodes
        probability = 1 / (1 + np.exp(-difference))
        gained = _entropy(probability @ weights) - _entropy(probability) @ weights
        return np.clip(gained, 0, 1)


def _entropy(probability: np.ndarray) -> np.ndarray:
    """Entropy of a yes-or-no answer in bits."""
    inside = np.clip(probability, 1e-12, 1 - 1e-12)
    return -inside * np.log2(inside) - (1 - inside) * np.log2(1 - inside)
