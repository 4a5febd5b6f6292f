"""What the server holds while it runs: the pieces, the database, and who has heard what."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock

import numpy as np

from toccata.listening.selection import Asked, AttentionCheck, Selection, next_on_radio
from toccata.listening.store import Pair, Store

MOST_REMEMBERED = 10_000  # listeners whose radio is remembered


@dataclass(frozen=True)
class Served:
    """A piece as it is served."""

    id: int  # in the database, and in addresses
    source: str
    by_person: bool
    seconds: float
    sound: Path
    roll: Path
    check: bool = False  # only in attention checks


@dataclass
class _Radio:
    """What the radio has given a listener."""

    served: Counter[int] = field(default_factory=Counter)
    last: int | None = None


class ServerState:
    """Pieces, database and the choice of what is asked and played; its methods may be called from several threads.

    Args:
        store: the database.
        pieces: all that is served.
        checks: attention checks, of pieces among them.
        consent_text: that listeners agree to.
        seed: of what is left to chance.
    """

    def __init__(
        self,
        store: Store,
        pieces: Sequence[Served],
        checks: Sequence[AttentionCheck] = (),
        consent_text: str = "",
        seed: int = 0,
    ) -> None:
        self.store, self.consent_text = store, consent_text
        self.served = {piece.id: piece for piece in pieces}
        self.asked_about = [piece for piece in pieces if not piece.check]
        self._rng = np.random.default_rng(seed)
        asked = [Asked(piece.id, piece.source, piece.by_person) for piece in self.asked_about]
        self._selection = Selection(store, asked, checks, self._rng)
        self._radios: OrderedDict[str, _Radio] = OrderedDict()
        self._lock = RLock()  # of the selection and the radios: one question at a time

    def next_pair(self, listener: str) -> Pair | None:
        """What the listener is asked, the same until it is answered; None when nothing is left."""
        with self._lock:
            return self._selection.next_pair(listener)

    def vote(self, listener: str, pair: str, choice: str, seconds: float) -> int:
        """Keep an answer, and return how many the listener has given; see `Store.vote`.

        Raises:
            RefusedError: as there.
        """
        with self._lock:
            new = self.store.vote(listener, pair, choice, seconds)
            if new is not None:
                self._selection.observe(new, choice)
            return self.store.votes(listener)

    def next_on_radio(self, listener: str) -> int:
        """Id of the piece that the listener hears next."""
        with self._lock:
            radio = self._radios.setdefault(listener, _Radio())
            self._radios.move_to_end(listener)
            while len(self._radios) > MOST_REMEMBERED:
                self._radios.popitem(last=False)
            mine = Counter(self.store.plays(listener))
            pieces = [piece.id for piece in self.asked_about]
            piece = next_on_radio(pieces, mine | radio.served, self.store.plays(), radio.last, self._rng)
            radio.served[piece] = mine[piece] + 1
            radio.last = piece
            return piece

    def withdraw(self, listener: str) -> None:
        """Delete a listener and all that is of it."""
        with self._lock:
            was_asked = bool(self.store.asked(listener))
            self.store.withdraw(listener)
            self._radios.pop(listener, None)
            if was_asked:  # all votes are read again then, seconds of many pieces and votes
                self._selection.reset()
