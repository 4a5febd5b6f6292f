"""Which pair of pieces a listener is asked next, and which piece of the radio is next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from toccata.listening.posterior import Posterior
from toccata.listening.store import Pair, Store

BLOCK = 6  # questions of one kind in a row: who is asked another thing every time mixes them up
ATTENTION_EVERY = 12  # questions from one attention check to the next
MOST_LEAD = 3  # times that a listener hears something oftener in one place than in the other
CANDIDATES = 4096  # pairs whose information is computed for a question: some milliseconds
CHOICES = {"first": 1.0, "tie": 0.5, "second": 0.0}  # share of a vote that is for the first piece
QUESTIONS = ("better", "person")


@dataclass(frozen=True)
class Asked:
    """A piece as questions need it."""

    id: int  # in the database
    source: str
    by_person: bool


@dataclass(frozen=True)
class AttentionCheck:
    """A pair whose better piece is known."""

    right: int  # ids in the database
    wrong: int


class Selection:
    """Chooses pairs by expected information, with balanced order and attention checks.

    It holds what all votes so far say of the pieces, and must see each new vote once (`observe`). Not thread-safe.

    Args:
        store: holds the votes.
        pieces: that are asked about.
        checks: attention checks; each listener gets each at most once.
        rng: of all that is left to chance.
    """

    def __init__(
        self, store: Store, pieces: Sequence[Asked], checks: Sequence[AttentionCheck], rng: np.random.Generator
    ) -> None:
        self.store, self.pieces, self.checks, self.rng = store, list(pieces), list(checks), rng
        self._index = {piece.id: index for index, piece in enumerate(pieces)}
        people = np.array([piece.by_person for piece in pieces], bool)
        self._people, self._machines = np.flatnonzero(people), np.flatnonzero(~people)
        self._served = set(self._index) | {each for check in checks for each in (check.right, check.wrong)}
        self.reset()

    def reset(self) -> None:
        """Forget all votes, and read them from the database."""
        self._posteriors = {
            question: Posterior([(piece.source, piece.by_person) for piece in self.pieces]) for question in QUESTIONS
        }
        self._orders: Counter[tuple[str, int, int]] = Counter()  # times that a pair was asked in this order
        query = (
            "SELECT question, first, second, choice FROM pairs LEFT JOIN votes ON pair = pairs.id "
            "WHERE attention IS NULL ORDER BY votes.rowid"
        )
        for question, first, second, choice in self.store.rows(query):
            self._orders[question, first, second] += 1
            if choice is not None:
                self.observe(Pair("", question, first, second), choice)

    def observe(self, pair: Pair, choice: str) -> None:
        """Take a vote into account; those of attention checks and of pieces that are not here tell nothing."""
        first, second = self._index.get(pair.first), self._index.get(pair.second)
        if pair.attention is None and first is not None and second is not None:
            self._posteriors[pair.question].update(first, second, CHOICES[choice])

    def next_pair(self, listener: str) -> Pair | None:
        """What the listener is asked: the pair that is still open, else a new one; None when nothing is left."""
        open_pair = None
        for pair in self.store.open_pairs(listener):
            if open_pair is None and self._can_be_asked(pair):
                open_pair = pair
            else:  # its pieces are not here this time, or are said to be by somebody else
                self.store.drop(pair)
        return open_pair or self._new_pair(listener)

    def _can_be_asked(self, pair: Pair) -> bool:
        """Whether both pieces are here, and one of them by a person where that is the question."""
        if pair.question == "better":
            return {pair.first, pair.second} <= self._served
        pieces = [self.pieces[index] for index in self._indices({pair.first, pair.second})]
        return sorted(piece.by_person for piece in pieces) == [False, True]

    def _new_pair(self, listener: str) -> Pair | None:
        asked = self.store.asked(listener)
        number = len(asked)
        seed = int(listener[:8], 16)  # listeners begin with different questions, and have checks at different places
        if number % ATTENTION_EVERY == 2 + seed % (ATTENTION_EVERY - 2) and (pair := self._attention(listener, asked)):
            return pair
        turn = (seed + number // BLOCK) % 2
        for question in (QUESTIONS[turn], QUESTIONS[1 - turn]):
            chosen = self._most_informative(question, asked)
            if chosen is not None:
                first, second = self._ordered(question, *chosen, asked)
                self._orders[question, first, second] += 1
                return self.store.ask(listener, question, first, second)
        return None

    def _attention(self, listener: str, asked: Sequence[Pair]) -> Pair | None:
        """An attention check that the listener has not had; None without one."""
        had = {frozenset((pair.first, pair.second)) for pair in asked}
        left = [check for check in self.checks if frozenset((check.right, check.wrong)) not in had]
        if not left:
            return None
        check = left[self.rng.integers(len(left))]
        answers = Counter(pair.attention for pair in asked)
        right_first = self._balanced_coin(answers["first"] - answers["second"])
        pair = (check.right, check.wrong) if right_first else (check.wrong, check.right)
        return self.store.ask(listener, "better", *pair, "first" if right_first else "second")

    def _most_informative(self, question: str, asked: Sequence[Pair]) -> tuple[int, int] | None:
        """Indices of the pair that tells most of those which the listener was not asked; None when none is left."""
        had = {
            frozenset((self._index[pair.first], self._index[pair.second]))
            for pair in asked
            if pair.question == question and pair.first in self._index and pair.second in self._index
        }
        checked = {each for pair in asked if pair.attention for each in (pair.first, pair.second)}
        # What was heard in a check was written by a person, as who knows how checks are made knows
        known = self._indices(checked) if question == "person" else []
        last = {asked[-1].first, asked[-1].second} if asked else set()
        for most in (CANDIDATES, None):
            first, second = self._candidates(question, most)
            pairs = zip(first.tolist(), second.tolist(), strict=True)
            new = np.array([frozenset(pair) not in had for pair in pairs], bool) & ~np.isin(first, known)
            first, second = first[new], second[new]
            if len(first):
                break
        else:
            return None
        information = self._posteriors[question].information(first, second)
        # The same piece twice in a row tires; equal pairs are drawn by lot
        just_heard = np.isin(first, self._indices(last)) | np.isin(second, self._indices(last))
        best = int(np.argmax(information - 2.0 * just_heard + 1e-9 * self.rng.random(len(first))))
        return int(first[best]), int(second[best])

    def _candidates(self, question: str, most: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the pieces of all pairs for a question; of `most` drawn at random when there are more."""
        count = len(self.pieces)
        if question == "person":
            if most is None or len(self._people) * len(self._machines) <= most:
                return np.repeat(self._people, len(self._machines)), np.tile(self._machines, len(self._people))
            return self.rng.choice(self._people, most), self.rng.choice(self._machines, most)
        if most is None or count * (count - 1) // 2 <= most:
            first, second = np.triu_indices(count, 1)
            return first, second
        first = self.rng.integers(count, size=most)
        return first, (first + self.rng.integers(1, count, size=most)) % count

    def _ordered(self, question: str, one: int, other: int, asked: Sequence[Pair]) -> tuple[int, int]:
        """Ids of two pieces in the order in which they are heard.

        The rarer order of this pair over all listeners. Where both are as frequent, by lot, but so that sources (or
        people and machines) are about as often first as second for this listener.
        """
        pieces = self.pieces[one], self.pieces[other]
        ids = pieces[0].id, pieces[1].id
        lead = self._orders[question, ids[0], ids[1]] - self._orders[question, ids[1], ids[0]]
        if lead == 0:
            balance: Counter[object] = Counter()  # times first less times second
            for pair in asked:
                if pair.question == question and pair.first in self._index and pair.second in self._index:
                    balance[_side(question, self.pieces[self._index[pair.first]])] += 1
                    balance[_side(question, self.pieces[self._index[pair.second]])] -= 1
            leads = [balance[_side(question, piece)] for piece in pieces]
            place = int(abs(leads[1]) > abs(leads[0]))  # of the piece whose side is further from balance
            lead = -1 if self._balanced_coin(leads[place]) == (place == 0) else 1
        return ids if lead < 0 else (ids[1], ids[0])

    def _balanced_coin(self, lead: int) -> bool:
        """Whether something comes first that was `lead` times oftener first than second.

        Fair unless that would exceed `MOST_LEAD` (the big stick design of Soares & Wu 1983, "Some restricted
        randomization rules in sequential designs"): an order that only ever restored the balance could be foreseen.
        """
        return lead <= -MOST_LEAD if abs(lead) >= MOST_LEAD else bool(self.rng.integers(2))

    def _indices(self, ids: set[int]) -> list[int]:
        return [self._index[each] for each in ids if each in self._index]


def _side(question: str, piece: Asked) -> object:
    """What a listener could learn to expect in one place."""
    return piece.by_person if question == "person" else piece.source


def next_on_radio(
    pieces: Sequence[int],
    mine: Mapping[int, int],
    everyone: Mapping[int, int],
    last: int | None,
    rng: np.random.Generator,
) -> int:
    """The piece that the radio plays next.

    Args:
        pieces: ids, at least one.
        mine: plays by this listener, by piece; pieces that were begun count too.
        everyone: plays by all.
        last: the piece before, which does not come again unless there is no other.
        rng: decides among equals.

    Returns:
        the piece that this listener has heard least often; of those the one that all have.
    """
    left = [piece for piece in pieces if piece != last] or list(pieces)
    least = min((mine.get(piece, 0), everyone.get(piece, 0)) for piece in left)
    equal = [piece for piece in left if (mine.get(piece, 0), everyone.get(piece, 0)) == least]
    return equal[int(rng.integers(len(equal)))]
