"""What simple models know of music, in nats a step: play at random, and a Markov chain of the last three actions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numba
import numpy as np

from toccata.agents.prior.trajectories import Trajectories

ORDER = 3  # actions that the chain remembers
ROWS = 256  # pieces whose masks are unpacked at a time: some 50 MB
LEAST_DISCOUNT, MOST_DISCOUNT = 0.1, 0.9  # so that what was never played keeps a chance, and what was counts


def uniform_log_prob(sequences: Trajectories) -> list[np.ndarray]:
    """Log-probabilities of random legal play: a legal `what`, then a legal `value`, uniform over each.

    Returns:
        (length,) float64 in nats for each piece.
    """
    answer = []
    for rows, masks in _chunks(sequences):
        answer += _by_piece(-np.log(_legal_pairs(masks, sequences.nvec[0])), sequences.lengths[rows])
    return answer


class Markov:
    """A chain over whole actions, `(what, value)`, renormalised over what is legal at each step.

    It interpolates between orders, down to random legal play, with Kneser and Ney's smoothing, one absolute discount
    an order: Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling". What is illegal
    has probability 0 and the rest is divided by its sum, exactly. It is told no genre and no metre.
    """

    def __init__(self) -> None:
        self._orders: list[_Order] = []
        self._nvec = (0, 0)

    def fit(self, sequences: Trajectories) -> Markov:
        """Forget everything, and learn from these pieces."""
        self._nvec = sequences.nvec
        base = _base(sequences.nvec)
        # An action with those before it is a number in this base, its last digit the oldest. Of the highest order
        # count how often each was played; of a lower one how many different actions it was played after.
        grams = _grams(sequences, np.arange(len(sequences)))
        orders = []
        for order in range(ORDER, -1, -1):
            grams, counts = np.unique(grams, return_counts=True)
            orders.append(_Order.of(grams // base**order, grams % base**order, counts))
            grams = grams // base
        self._orders = orders[::-1]
        return self

    def log_prob(self, sequences: Trajectories) -> list[np.ndarray]:
        """Log-probabilities of what was played: (length,) float64 in nats for each piece.

        Raises:
            ValueError: before `fit`, and for pieces of another piano.
        """
        if not self._orders:
            raise ValueError("the Markov chain is not fitted yet")
        if sequences.nvec != self._nvec:
            raise ValueError(f"the Markov chain was fitted to actions of {self._nvec}, got some of {sequences.nvec}")
        base = _base(self._nvec)
        answer = []
        for rows, masks in _chunks(sequences):
            grams = _grams(sequences, rows)
            played = grams // base**ORDER
            probability = 1 / _legal_pairs(masks, self._nvec[0])  # of what was played
            legal = np.ones(len(grams))  # of all that is legal together
            for order, known in enumerate(self._orders):
                context = grams // base ** (ORDER - order) % base**order
                probability, legal = known.mix(played, context, masks, self._nvec, probability, legal)
            answer += _by_piece(np.log(probability / legal), sequences.lengths[rows])
        return answer


@dataclass(frozen=True)
class _Order:
    """What followed each context of so many actions, discounted; the rest of its probability goes to lower orders."""

    contexts: np.ndarray  # (contexts,) int64, rising
    first: np.ndarray  # (contexts + 1,) int64, where the followers of each begin
    followers: np.ndarray  # (followers,) int64, actions, rising in each context
    weights: np.ndarray  # (followers,) float64
    rest: np.ndarray  # (contexts,) float64: with the weights of a context it adds up to 1

    @classmethod
    def of(cls, actions: np.ndarray, contexts: np.ndarray, counts: np.ndarray) -> _Order:
        """From how often each action followed each context."""
        order = np.lexsort((actions, contexts))
        actions, contexts, counts = actions[order], contexts[order], counts[order]
        once, twice = (counts == 1).sum(), (counts == 2).sum()
        discount = np.clip(once / max(once + 2 * twice, 1), LEAST_DISCOUNT, MOST_DISCOUNT)
        known, first, sizes = np.unique(contexts, return_index=True, return_counts=True)
        totals = np.add.reduceat(counts, first)
        weights = (counts - discount) / np.repeat(totals, sizes)
        return cls(known, np.append(first, len(counts)), actions, weights, discount * sizes / totals)

    def mix(
        self,
        played: np.ndarray,
        context: np.ndarray,
        masks: np.ndarray,
        nvec: tuple[int, int],
        probability: np.ndarray,
        legal: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The lower order's (steps,) probabilities, of what was played and of all that is legal, mixed with ours."""
        place = np.searchsorted(self.contexts, context)
        place[place == len(self.contexts)] = 0
        place[self.contexts[place] != context] = -1
        own, own_legal = np.zeros(len(played)), np.zeros(len(played))
        _add_weights(place, played, self.first, self.followers, self.weights, masks, *nvec, own, own_legal)
        rest = np.where(place < 0, 1.0, self.rest[place])
        return own + rest * probability, own_legal + rest * legal


@numba.njit(cache=True)
def _add_weights(
    place: np.ndarray,
    played: np.ndarray,
    first: np.ndarray,
    followers: np.ndarray,
    weights: np.ndarray,
    masks: np.ndarray,
    whats: int,
    values: int,
    own: np.ndarray,
    own_legal: np.ndarray,
) -> None:
    """Add the weight of what was played, and those of all legal followers, of the context `place` of each step."""
    for i in range(len(place)):
        if place[i] < 0:
            continue
        for k in range(first[place[i]], first[place[i] + 1]):
            action = followers[k] - 1
            if masks[i, action // values] and masks[i, whats + action % values]:
                own_legal[i] += weights[k]
            if followers[k] == played[i]:
                own[i] = weights[k]


def _base(nvec: tuple[int, int]) -> int:
    """Numbers that an action can have: one for each pair, and 0 before the first."""
    return nvec[0] * nvec[1] + 1


def _grams(sequences: Trajectories, rows: np.ndarray) -> np.ndarray:
    """(steps,) int64, each action of the pieces `rows` with those before it, the oldest in the last digit."""
    actions, base = sequences.actions[rows], _base(sequences.nvec)
    codes = 1 + actions[..., 0] * sequences.nvec[1] + actions[..., 1]
    grams = codes * base**ORDER
    for back in range(1, ORDER + 1):
        grams[:, back:] += codes[:, :-back] * base ** (ORDER - back)
    return grams[_inside(sequences, rows)]


def _inside(sequences: Trajectories, rows: np.ndarray) -> np.ndarray:
    """(k, steps) bool, which steps belong to the pieces `rows`."""
    return np.arange(sequences.actions.shape[1]) < sequences.lengths[rows, None]


def _chunks(sequences: Trajectories) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some rows after others, and the masks (steps, whats + values) of their pieces' steps."""
    for start in range(0, len(sequences), ROWS):
        rows = np.arange(start, min(start + ROWS, len(sequences)))
        yield rows, sequences.mask_of(rows)[_inside(sequences, rows)]


def _by_piece(values: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """Values of steps one after the other, split into pieces."""
    return np.split(values, np.cumsum(lengths)[:-1])


def _legal_pairs(masks: np.ndarray, whats: int) -> np.ndarray:
    """(steps,) how many pairs of a legal `what` and a legal `value` there are."""
    return masks[:, :whats].sum(axis=1) * masks[:, whats:].sum(axis=1)
