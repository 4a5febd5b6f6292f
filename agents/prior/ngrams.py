"""Successors of the contexts of one length, of which n-gram models are made: Kneser-Ney smoothing with one discount."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from toccata.compiled import jit

MIN_DISCOUNT, MAX_DISCOUNT = 0.1, 0.9  # so that unseen actions keep probability, and seen ones keep most of theirs


@dataclass(frozen=True)
class Successors:
    """Counts of the successors of each context of one length, in compressed sparse rows.

    An action has a number from 1 on, a context the digits of its actions in a number; see `Markov`.
    """

    contexts: np.ndarray  # (contexts,) int64, ascending
    offsets: np.ndarray  # (contexts + 1,) int64, index of the first successor of each context
    totals: np.ndarray  # (contexts,) int64, counts of all successors of each context, of those left out as well
    actions: np.ndarray  # (successors,) int64, ascending in each context
    counts: np.ndarray  # (successors,) int64, at least 1
    discount: np.ndarray  # (1,) float64, which is subtracted from every count

    @classmethod
    def from_counts(cls, actions: np.ndarray, contexts: np.ndarray, counts: np.ndarray) -> Successors:
        """From the distinct pairs of an action and its context, and the count of each; all (n,)."""
        order = np.lexsort((actions, contexts))
        actions, contexts, counts = actions[order], contexts[order], counts[order]
        once, twice = (counts == 1).sum(), (counts == 2).sum()
        discount = np.clip(once / max(once + 2 * twice, 1), MIN_DISCOUNT, MAX_DISCOUNT)
        distinct, first = np.unique(contexts, return_index=True)
        totals = np.add.reduceat(counts, first)
        return cls(distinct, np.append(first, len(counts)), totals, actions, counts, np.array([discount]))

    @cached_property
    def probs(self) -> np.ndarray:
        """(successors,) float64, discounted."""
        return (self.counts - self.discount) / np.repeat(self.totals, np.diff(self.offsets))

    @cached_property
    def backoff(self) -> np.ndarray:
        """(contexts,) float64, weight of the lower order: 1 - the sum of the context's `probs`, always above 0."""
        kept = np.add.reduceat(self.counts, self.offsets[:-1]) if len(self.contexts) else self.totals
        return (self.totals - kept + self.discount * np.diff(self.offsets)) / self.totals

    def counted(self, cutoff: int) -> Successors:
        """Those that were counted at least `cutoff` times; contexts without any are left out."""
        kept = self.counts >= cutoff
        sizes = np.add.reduceat(kept.astype(np.int64), self.offsets[:-1]) if len(self.contexts) else np.empty(0, int)
        some = sizes > 0
        return replace(
            self,
            contexts=self.contexts[some],
            offsets=np.append(0, sizes[some].cumsum()),
            totals=self.totals[some],
            actions=self.actions[kept],
            counts=self.counts[kept],
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Every array, by the name of its field; integers in the smallest type that holds them."""
        return {field.name: _small(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], actions: int, contexts: int) -> Successors:
        """The inverse of `arrays`.

        Args:
            arrays: by the name of their field.
            actions: number of actions there are.
            contexts: number of contexts there are.

        Raises:
            ValueError: for arrays that are not those of successors.
        """
        wide = {name: each.astype(float if name == "discount" else np.int64) for name, each in arrays.items()}
        if set(wide) != {field.name for field in fields(cls)} or any(each.ndim != 1 for each in wide.values()):
            raise ValueError("the arrays of an order must be contexts, offsets, totals, actions, counts, discount")
        self = cls(**wide)
        sizes = np.diff(self.offsets)
        fits = len(self.totals) == len(self.contexts) == len(sizes) and len(self.actions) == len(self.counts)
        fits = fits and self.offsets[0] == 0 and self.offsets[-1] == len(self.actions) and bool((sizes > 0).all())
        fits = fits and _inside(self.contexts, 0, contexts - 1) and bool((np.diff(self.contexts) > 0).all())
        fits = fits and _inside(self.actions, 1, actions) and _inside(self.counts, 1, 2**53)
        fits = fits and len(self.discount) == 1 and 0 < self.discount[0] < 1
        if not fits or (len(sizes) and (np.add.reduceat(self.counts, self.offsets[:-1]) > self.totals).any()):
            raise ValueError("the arrays of an order do not belong together")
        return self

    def find(self, contexts: np.ndarray) -> np.ndarray:
        """(n,) int64, index of each of the contexts (n,); -1 for an unseen one."""
        if not len(self.contexts):
            return np.full(len(contexts), -1)
        index = np.searchsorted(self.contexts, contexts)
        index[index == len(self.contexts)] = 0
        index[self.contexts[index] != contexts] = -1
        return index

    def interpolate(
        self,
        actions: np.ndarray,
        contexts: np.ndarray,
        masks: np.ndarray,
        nvec: tuple[int, ...],
        lower_probs: np.ndarray,
        lower_legal_probs: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Interpolate the probabilities of given actions with the next lower order.

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
        index = self.find(contexts)
        probs, legal_probs = np.zeros(len(actions)), np.zeros(len(actions))
        _add_probs(index, actions, self.offsets, self.actions, self.probs, masks, *nvec, probs, legal_probs)
        backoff = self._backoff_of(index)
        return probs + backoff * lower_probs, legal_probs + backoff * lower_legal_probs

    def interpolate_all(self, contexts: np.ndarray, probs: np.ndarray) -> None:
        """Interpolate `probs` (rows, actions), those of the lower order after `contexts` (rows,), in place."""
        index = self.find(contexts)
        probs *= self._backoff_of(index)[:, None]
        rows = np.flatnonzero(index >= 0)
        first, last = self.offsets[index[rows]], self.offsets[index[rows] + 1]
        sizes = last - first
        within = np.arange(sizes.sum()) - np.repeat(sizes.cumsum() - sizes, sizes)
        places = np.repeat(first, sizes) + within
        probs[np.repeat(rows, sizes), self.actions[places] - 1] += self.probs[places]

    def _backoff_of(self, index: np.ndarray) -> np.ndarray:
        """(n,) weights of the lower order at the contexts of `index`; 1 for an unseen one."""
        return np.where(index < 0, 1.0, np.append(self.backoff, 1.0)[index])


def _small(array: np.ndarray) -> np.ndarray:
    """The array, integers in the smallest of 16, 32 and 64 bits that hold all of them."""
    if array.dtype.kind != "i":
        return array
    largest = int(array.max(initial=0))
    return array.astype(next(kind for kind in (np.int16, np.int32, np.int64) if largest <= np.iinfo(kind).max))


def _inside(array: np.ndarray, low: int, high: int) -> bool:
    """Whether all numbers are in low..high."""
    return bool(((array >= low) & (array <= high)).all())


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
