"""Baselines for priors: log-probabilities of uniform legal play, and of a Markov chain of the last few actions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from toccata.agents.prior.ngrams import Successors
from toccata.agents.prior.trajectories import Trajectories

ORDER = 3  # actions of context, where no other number is chosen
BATCH_ROWS = 256  # pieces whose masks are unpacked at a time: some 50 MB
MAX_NGRAM = np.iinfo(np.int64).max


def uniform_log_prob(trajectories: Trajectories) -> list[np.ndarray]:
    """Log-probabilities of the actions under uniform legal play: a legal `what`, then a legal `value`.

    Returns:
        (length,) float64 in nats for each piece.
    """
    results = []
    for rows, masks in _batches(trajectories):
        log_probs = -np.log(_legal_pairs(masks, trajectories.nvec[0]))
        results += _split_by_piece(log_probs, trajectories.lengths[rows])
    return results


class Markov:
    """An n-gram model over whole actions, `(what, value)`, renormalised over the legal actions of each step.

    All orders up to the highest are interpolated, and with uniform legal play below them, by Kneser-Ney smoothing with
    one absolute discount an order: Chen & Goodman 1999, "An empirical study of smoothing techniques for language
    modeling". The normalisation is exact. Genre and metre are no inputs.

    Args:
        order: actions of context; with 0 each action has its frequency, whatever came before.

    Attributes:
        nvec: whats and values of the piano; 0 before `fit`.

    Raises:
        ValueError: for a negative order.
    """

    def __init__(self, order: int = ORDER) -> None:
        if order < 0:
            raise ValueError(f"order must be at least 0, got {order}")
        self.order = order
        self._orders: list[Successors] = []
        self.nvec: tuple[int, ...] = (0, 0)

    @property
    def ngrams(self) -> int:
        """Number of n-grams, of all orders together, that have a probability of their own."""
        return sum(len(order.actions) for order in self._orders)

    def fit(self, trajectories: Trajectories) -> Markov:
        """Fit to the actions of these pieces, and discard earlier fits.

        Raises:
            ValueError: for an order too high for the action space: an n-gram must be a number of 63 bits.
        """
        base = _vocabulary_size(trajectories.nvec)
        if base ** (self.order + 1) > MAX_NGRAM:
            most = max(order for order in range(self.order) if base ** (order + 1) <= MAX_NGRAM)
            raise ValueError(f"order must be at most {most} with {base - 1:,} actions, got {self.order}")
        self.nvec = trajectories.nvec
        # An n-gram is a number in this base, its last digit the oldest action. The highest order counts occurrences,
        # a lower one the distinct contexts that an action occurs after.
        ngrams = _ngrams(trajectories, np.arange(len(trajectories)), self.order)
        orders = []
        for order in range(self.order, -1, -1):
            ngrams, counts = np.unique(ngrams, return_counts=True)
            orders.append(Successors.from_counts(ngrams // base**order, ngrams % base**order, counts))
            ngrams = ngrams // base
        self._orders = orders[::-1]
        return self

    def pruned(self, most: int) -> Markov:
        """A smaller chain without the rarest n-grams, whose probability goes to the lower orders (count cutoffs).

        Args:
            most: n-grams with a context that may stay. Those that were counted equally often stay or go together;
                those without a context stay.
        """
        counts = np.sort(np.concatenate([np.empty(0, np.int64), *(order.counts for order in self._orders[1:])]))
        if len(counts) <= most:
            return self
        cutoff = int(counts[-most - 1]) + 1
        smaller = Markov(self.order)
        smaller.nvec = self.nvec
        smaller._orders = [*self._orders[:1], *(order.counted(cutoff) for order in self._orders[1:])]
        return smaller

    def log_prob(self, trajectories: Trajectories) -> list[np.ndarray]:
        """Log-probabilities of the actions: (length,) float64 in nats for each piece.

        Raises:
            ValueError: before `fit`, and for pieces of another piano.
        """
        self._check_fitted()
        if trajectories.nvec != self.nvec:
            raise ValueError(
                f"the Markov chain was fitted to an action space {self.nvec}, the trajectories are of "
                f"{trajectories.nvec}"
            )
        base = _vocabulary_size(self.nvec)
        results = []
        for rows, masks in _batches(trajectories):
            ngrams = _ngrams(trajectories, rows, self.order)
            actions = ngrams // base**self.order
            probs = 1 / _legal_pairs(masks, self.nvec[0])  # (steps,) of the action
            legal_probs = np.ones(len(ngrams))  # (steps,) of all legal actions together
            for number, order in enumerate(self._orders):
                contexts = ngrams // base ** (self.order - number) % base**number
                probs, legal_probs = order.interpolate(actions, contexts, masks, self.nvec, probs, legal_probs)
            results += _split_by_piece(np.log(probs / legal_probs), trajectories.lengths[rows])
        return results

    def next_probs(self, history: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """The distributions over the next action.

        Args:
            history: (rows, order, 2) the last actions, the latest first; -1 before the beginning of a piece.
            masks: (rows, whats + values) bool, the legal actions.

        Returns:
            (rows, whats * values) float64 probabilities, which sum to 1; exactly 0 for an action that is not legal.

        Raises:
            ValueError: before `fit`.
        """
        self._check_fitted()
        whats, values = self.nvec
        base = _vocabulary_size(self.nvec)
        legal = (masks[:, :whats, None] & masks[:, None, whats:]).reshape(len(masks), -1)
        numbers = np.where(history[..., 0] < 0, 0, 1 + history[..., 0] * values + history[..., 1])
        probs = legal / legal.sum(axis=1, keepdims=True)
        contexts = np.zeros(len(history), np.int64)
        for number, order in enumerate(self._orders):
            if number:
                contexts = contexts * base + numbers[:, number - 1]
            order.interpolate_all(contexts, probs)
        probs = np.where(legal, probs, 0.0)
        return probs / probs.sum(axis=1, keepdims=True)

    def arrays(self) -> dict[str, np.ndarray]:
        """All that `from_arrays` needs, by name."""
        named = {
            f"{number}.{name}": each for number, of in enumerate(self._orders) for name, each in of.arrays().items()
        }
        return {"nvec": np.array(self.nvec), **named}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Markov:
        """The chain that `arrays` gave, which has the same probabilities.

        Raises:
            ValueError: for arrays that are of no chain.
        """
        nvec = arrays.get("nvec")
        if nvec is None or nvec.shape != (2,) or nvec.dtype.kind != "i" or (nvec < 1).any():
            raise ValueError("the arrays of a Markov chain must have nvec, its numbers of whats and values")
        whats, values = nvec.tolist()
        orders = {name.partition(".")[0] for name in arrays if name != "nvec"}
        chain = cls(len(orders) - 1)
        chain.nvec = whats, values
        base = _vocabulary_size(chain.nvec)
        if orders != {str(number) for number in range(len(orders))} or base ** len(orders) > MAX_NGRAM:
            raise ValueError(f"the arrays of a Markov chain must be of orders from 0 on, got {sorted(orders)}")
        for number in range(len(orders)):
            prefix = f"{number}."
            of_order = {name.removeprefix(prefix): each for name, each in arrays.items() if name.startswith(prefix)}
            chain._orders.append(Successors.from_arrays(of_order, base - 1, base**number))
        return chain

    def _check_fitted(self) -> None:
        """Raise ValueError before `fit`."""
        if not self._orders:
            raise ValueError("the Markov chain is not fitted yet")


def _vocabulary_size(nvec: tuple[int, ...]) -> int:
    """Numbers of actions: one for each pair, and 0 before the first action of a piece."""
    return nvec[0] * nvec[1] + 1


def _ngrams(trajectories: Trajectories, rows: np.ndarray, order: int) -> np.ndarray:
    """(steps,) int64, each action of the pieces `rows` with its context, the oldest action in the last digit."""
    actions, base = trajectories.actions[rows], _vocabulary_size(trajectories.nvec)
    numbers = 1 + actions[..., 0] * trajectories.nvec[1] + actions[..., 1]
    ngrams = numbers * base**order
    for lag in range(1, order + 1):
        ngrams[:, lag:] += numbers[:, :-lag] * base ** (order - lag)
    return ngrams[_inside(trajectories, rows)]


def _inside(trajectories: Trajectories, rows: np.ndarray) -> np.ndarray:
    """(k, steps) bool, which steps of the pieces `rows` are not padding."""
    return np.arange(trajectories.actions.shape[1]) < trajectories.lengths[rows, None]


def _batches(trajectories: Trajectories) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Consecutive batches: rows (k,), and the masks (steps, whats + values) of all their steps without padding."""
    for start in range(0, len(trajectories), BATCH_ROWS):
        rows = np.arange(start, min(start + BATCH_ROWS, len(trajectories)))
        yield rows, trajectories.unpacked_masks(rows)[_inside(trajectories, rows)]


def _split_by_piece(values: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """Values of consecutive steps, split into pieces of `lengths`."""
    return np.split(values, np.cumsum(lengths)[:-1])


def _legal_pairs(masks: np.ndarray, whats: int) -> np.ndarray:
    """(steps,) number of pairs of a legal `what` and a legal `value`."""
    return masks[:, :whats].sum(axis=1) * masks[:, whats:].sum(axis=1)
