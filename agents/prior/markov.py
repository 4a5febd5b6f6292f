"""Baselines for priors: log-probabilities of uniform legal play, and of a Markov chain of the last three actions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from toccata.agents.prior.trajectories import Trajectories
from toccata.compiled import jit

ORDER = 3  # actions of context
BATCH_ROWS = 256  # pieces whose masks are unpacked at a time: some 50 MB
MIN_DISCOUNT, MAX_DISCOUNT = 0.1, 0.9  # so that unseen actions keep probability, and seen ones keep most of theirs


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

    Orders 0 to 3 are interpolated, and with uniform legal play below them, by Kneser-Ney smoothing with one absolute
    discount an order: Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling". The
    normalisation is exact. Genre and metre are no inputs.
    """

    def __init__(self) -> None:
        self._orders: list[_Order] = []
        self._nvec: tuple[int, ...] = (0, 0)

    def fit(self, trajectories: Trajectories) -> Markov:
        """Fit to these pieces, and discard earlier fits."""
        self._nvec = trajectories.nvec
        base = _vocabulary_size(trajectories.nvec)
        # An n-gram is a number in this base, its last digit the oldest action. The highest order counts occurrences,
        # a lower one the distinct contexts that an action occurs after.
        ngrams = _ngrams(trajectories, np.arange(len(trajectories)))
        orders = []
        for order in range(ORDER, -1, -1):
            ngrams, counts = np.unique(ngrams, return_counts=True)
            orders.append(_Order.from_counts(ngrams // base**order, ngrams % base**order, counts))
            ngrams = ngrams // base
        self._orders = orders[::-1]
        return self

    def log_prob(self, trajectories: Trajectories) -> list[np.ndarray]:
        """Log-probabilities of the actions: (length,) float64 in nats for each piece.

        Raises:
            ValueError: before `fit`, and for pieces of another piano.
        """
        if not self._orders:
            raise ValueError("the Markov chain is not fitted yet")
        if trajectories.nvec != self._nvec:
            raise ValueError(
                f"the Markov chain was fitted to an action space {self._nvec}, the trajectories are of "
                f"{trajectories.nvec}"
            )
        base = _vocabulary_size(self._nvec)
        results = []
        for rows, masks in _batches(trajectories):
            ngrams = _ngrams(trajectories, rows)
            actions = ngrams // base**ORDER
            probs = 1 / _legal_pairs(masks, self._nvec[0])  # (steps,) of the action
            legal_probs = np.ones(len(ngrams))  # (steps,) of all legal actions together
            for number, order in enumerate(self._orders):
                contexts = ngrams // base ** (ORDER - number) % base**number
                probs, legal_probs = order.interpolate(actions, contexts, masks, self._nvec, probs, legal_probs)
            results += _split_by_piece(np.log(probs / legal_probs), trajectories.lengths[rows])
        return results


@dataclass(frozen=True)
class _Order:
    """Discounted probabilities of the successors of each context of one length, in compressed sparse rows."""

    contexts: np.ndarray  # (contexts,) int64, ascending
    offsets: np.ndarray  # (contexts + 1,) int64, index of the first successor of each context
    successors: np.ndarray  # (successors,) int64, actions, ascending in each context
    probs: np.ndarray  # (successors,) float64, discounted
    backoff: np.ndarray  # (contexts,) float64, weight of the lower order: 1 - the sum of the context's `probs`

    @classmethod
    def from_counts(cls, actions: np.ndarray, contexts: np.ndarray, counts: np.ndarray) -> _Order:
        """From the distinct pairs of an action and its context, and the count of each; all (n,)."""
        order = np.lexsort((actions, contexts))
        actions, contexts, counts = actions[order], contexts[order], counts[order]
        once, twice = (counts == 1).sum(), (counts == 2).sum()
        discount = np.clip(once / max(once + 2 * twice, 1), MIN_DISCOUNT, MAX_DISCOUNT)
        distinct, first, sizes = np.unique(contexts, return_index=True, return_counts=True)
        totals = np.add.reduceat(counts, first)
        probs = (counts - discount) / np.repeat(totals, sizes)
        return cls(distinct, np.append(first, len(counts)), actions, probs, discount * sizes / totals)

    def interpolate(
        self,
        actions: np.ndarray,
        contexts: np.ndarray,
        masks: np.ndarray,
        nvec: tuple[int, ...],
        lower_probs: np.ndarray,
        lower_legal_probs: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Interpolate with the next lower order.

        Args:
            actions: (steps,) numbers of the actions.
            contexts: (steps,) numbers of their contexts in this order.
            masks: (steps, whats + values) bool, the legal actions.
            nvec: whats and values of the piano.
            lower_probs: (steps,) probability of each action in the lower order.
            lower_legal_probs: (steps,) sum of the probabilities of all legal actions in the lower order.

        Returns:
            the last two in this order.
        """
        index = np.searchsorted(self.contexts, contexts)
        index[index == len(self.contexts)] = 0
        index[self.contexts[index] != contexts] = -1
        probs, legal_probs = np.zeros(len(actions)), np.zeros(len(actions))
        _add_probs(index, actions, self.offsets, self.successors, self.probs, masks, *nvec, probs, legal_probs)
        backoff = np.where(index < 0, 1.0, self.backoff[index])
        return probs + backoff * lower_probs, legal_probs + backoff * lower_legal_probs


@jit
def _add_probs(
    index: np.ndarray,
    actions: np.ndarray,
    offsets: np.ndarray,
    successors: np.ndarray,
    successor_probs: np.ndarray,
    masks: np.ndarray,
    whats: int,
    values: int,
    probs: np.ndarray,
    legal_probs: np.ndarray,
) -> None:
    """Set `probs` (steps,) to the probability of each action, add those of all legal successors to `legal_probs`.

    `index` (steps,) is that of each step's context, -1 for an unseen one.
    """
    for i in range(len(index)):
        if index[i] < 0:
            continue
        for k in range(offsets[index[i]], offsets[index[i] + 1]):
            action = successors[k] - 1
            if masks[i, action // values] and masks[i, whats + action % values]:
                legal_probs[i] += successor_probs[k]
            if successors[k] == actions[i]:
                probs[i] = successor_probs[k]


def _vocabulary_size(nvec: tuple[int, ...]) -> int:
    """Numbers of actions: one for each pair, and 0 before the first action of a piece."""
    return nvec[0] * nvec[1] + 1


def _ngrams(trajectories: Trajectories, rows: np.ndarray) -> np.ndarray:
    """(steps,) int64, each action of the pieces `rows` with its context, the oldest action in the last digit."""
    actions, base = trajectories.actions[rows], _vocabulary_size(trajectories.nvec)
    numbers = 1 + actions[..., 0] * trajectories.nvec[1] + actions[..., 1]
    ngrams = numbers * base**ORDER
    for lag in range(1, ORDER + 1):
        ngrams[:, lag:] += numbers[:, :-lag] * base ** (ORDER - lag)
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
