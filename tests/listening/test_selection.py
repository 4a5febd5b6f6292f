from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.listening import make_state, piece_row
from toccata.listening.selection import (
    ATTENTION_EVERY,
    BLOCK,
    MOST_LEAD,
    Asked,
    AttentionCheck,
    Selection,
    next_on_radio,
)
from toccata.listening.store import Pair, Store

EVEN, ODD = "0" * 32, "00000001" + "0" * 24  # listeners who begin with "better", and with "person"


def selection(store: Store, each: int = 3, checks: int = 0, seed: int = 0) -> Selection:
    """Of pieces of the sources one, other and people; ids are 0, 1, 2..."""
    pieces = []
    for place, source in enumerate(("one", "other", "people")):
        rows = [piece_row(10 * place + number, source, source == "people") for number in range(each)]
        pieces += [Asked(number, source, source == "people") for number in store.add_pieces(rows)]
    wrong = store.add_pieces(piece_row(1000 + number, "attention check") for number in range(checks))
    people = [piece.id for piece in pieces if piece.by_person]
    pairs = [AttentionCheck(right, other) for right, other in zip(people, wrong, strict=False)]
    for listener in (EVEN, ODD):
        store.add_listener(listener)
    return Selection(store, pieces, pairs, np.random.default_rng(seed))


def answer_all(chosen: Selection, listener: str, choice: str = "first", most: int = 10_000) -> list[Pair]:
    """Answer until nothing is left, and return what was asked."""
    asked = []
    while len(asked) < most and (pair := chosen.next_pair(listener)) is not None:
        chosen.store.vote(listener, pair.id, choice, 1.0)
        chosen.observe(pair, choice)
        asked.append(pair)
    return asked


def test_a_pair_stays_until_it_is_answered(store: Store) -> None:
    chosen = selection(store)
    pair = chosen.next_pair(EVEN)
    assert pair is not None
    assert chosen.next_pair(EVEN) == pair
    assert chosen.next_pair(ODD) != pair, "listeners have pairs of their own"
    store.vote(EVEN, pair.id, "first", 1.0)
    assert chosen.next_pair(EVEN) != pair


def test_every_pair_is_asked_once_and_then_nothing_is_left(store: Store) -> None:
    chosen = selection(store, each=2, checks=1)
    asked = answer_all(chosen, EVEN)
    better = [
        frozenset((pair.first, pair.second)) for pair in asked if pair.question == "better" and not pair.attention
    ]
    person = [frozenset((pair.first, pair.second)) for pair in asked if pair.question == "person"]
    assert len(better) == len(set(better)) == 15, "6 pieces"
    assert len(person) == len(set(person)) == 4, "2 by people, of which one was in the check, 4 by machines"
    assert sum(pair.attention is not None for pair in asked) == 1
    assert chosen.next_pair(EVEN) is None


def test_questions_come_in_blocks_and_listeners_begin_differently(store: Store) -> None:
    chosen = selection(store)
    kinds = {
        listener: [pair.question for pair in answer_all(chosen, listener, most=2 * BLOCK)] for listener in (EVEN, ODD)
    }
    assert kinds[EVEN] == ["better"] * BLOCK + ["person"] * BLOCK
    assert kinds[ODD] == ["person"] * BLOCK + ["better"] * BLOCK


def test_a_person_and_a_machine_are_asked_about(store: Store) -> None:
    chosen = selection(store)
    authors = {piece.id: piece.by_person for piece in chosen.pieces}
    for pair in answer_all(chosen, EVEN):
        if pair.question == "person":
            assert {authors[pair.first], authors[pair.second]} == {True, False}


def test_without_people_nobody_is_asked_who_wrote_it(store: Store) -> None:
    ids = store.add_pieces(piece_row(number) for number in range(4))
    store.add_listener(EVEN)
    chosen = Selection(store, [Asked(each, "a", False) for each in ids], [], np.random.default_rng(0))
    assert {pair.question for pair in answer_all(chosen, EVEN)} == {"better"}


def test_the_first_pair_is_between_sources_and_later_ones_where_least_is_known(store: Store) -> None:
    chosen = selection(store)
    sources = {piece.id: piece.source for piece in chosen.pieces}
    pair = chosen.next_pair(EVEN)
    assert pair is not None
    assert sources[pair.first] != sources[pair.second]
    one, other = (next(p for p in chosen.pieces if sources[p.id] == name) for name in ("one", "other"))
    for _ in range(30):  # everybody agrees on them: they are hardly asked again
        chosen.observe(Pair("", "better", one.id, other.id), "first")
    asked = [pair for pair in answer_all(chosen, ODD) if pair.question == "better"]
    place = [{pair.first, pair.second} for pair in asked].index({one.id, other.id})
    assert place > len(asked) * 2 / 3


def test_order_is_balanced_over_listeners(store: Store) -> None:
    chosen = selection(store)
    orders: Counter[tuple[str, int, int]] = Counter()
    for listener in (f"{number:08x}" + "0" * 24 for number in range(6)):
        store.add_listener(listener)
        orders.update((pair.question, pair.first, pair.second) for pair in answer_all(chosen, listener))
    for question, first, second in orders:
        assert abs(orders[question, first, second] - orders[question, second, first]) <= 1


def test_order_is_balanced_for_a_listener_and_cannot_be_foreseen(store: Store) -> None:
    chosen = selection(store, each=8)
    people = {piece.id for piece in chosen.pieces if piece.by_person}
    order = [pair.first in people for pair in answer_all(chosen, EVEN, most=200) if pair.question == "person"]
    lead = np.cumsum([1 if first else -1 for first in order])
    assert np.abs(lead).max() == MOST_LEAD
    repeats = np.mean([one == other for one, other in pairwise(order)])
    assert 0.3 < repeats < 0.7


def test_attention_checks_have_their_place_and_a_balanced_answer(store: Store) -> None:
    chosen = selection(store, each=8, checks=6)
    asked = answer_all(chosen, EVEN)
    places = [number for number, pair in enumerate(asked) if pair.attention]
    assert len(places) == 6
    assert {place % ATTENTION_EVERY for place in places} == {2}
    answers = Counter(pair.attention for pair in asked if pair.attention)
    assert min(answers["first"], answers["second"]) >= 2
    right = {check.right for check in chosen.checks}
    for pair in asked:
        if pair.attention:
            assert {"first": pair.first, "second": pair.second}[pair.attention] in right
            assert pair.question == "better"


def test_checks_tell_nothing_of_the_pieces(store: Store) -> None:
    chosen = selection(store, checks=1)
    before = chosen._posteriors["better"].mean.copy()
    pair = store.ask(EVEN, "better", chosen.checks[0].right, chosen.checks[0].wrong, "first")
    chosen.observe(pair, "first")
    assert (chosen._posteriors["better"].mean == before).all()


def test_votes_are_read_again_after_a_restart(store: Store) -> None:
    chosen = selection(store)
    answer_all(chosen, EVEN, most=20)
    again = selection(store)
    for question in ("better", "person"):
        np.testing.assert_allclose(again._posteriors[question].mean, chosen._posteriors[question].mean, atol=1e-9)
    assert again._orders == chosen._orders


def test_pairs_of_pieces_that_are_gone_are_dropped(store: Store) -> None:
    chosen = selection(store)
    pair = chosen.next_pair(EVEN)
    assert pair is not None
    left = [piece for piece in chosen.pieces if piece.id != pair.first]
    smaller = Selection(store, left, [], np.random.default_rng(0))
    new = smaller.next_pair(EVEN)
    assert new is not None
    assert pair.first not in (new.first, new.second)
    assert store.open_pairs(EVEN) == [new]


def test_what_was_in_a_check_is_known_to_be_by_a_person(store: Store) -> None:
    chosen = selection(store, each=8, checks=8)
    known: set[int] = set()
    for pair in answer_all(chosen, ODD):
        if pair.attention:
            known |= {pair.first, pair.second}
        assert pair.question == "better" or not known & {pair.first, pair.second}
    assert len(known) == 16


def test_a_question_whose_answer_has_changed_is_dropped(store: Store) -> None:
    chosen = selection(store)
    pair = chosen.next_pair(ODD)
    assert pair is not None
    assert pair.question == "person"
    machines = [Asked(piece.id, piece.source, False) for piece in chosen.pieces]  # without --people the next time
    new = Selection(store, machines, [], np.random.default_rng(0)).next_pair(ODD)
    assert new is not None
    assert new.question == "better"
    assert store.open_pairs(ODD) == [new]


def test_many_pieces_are_sampled(store: Store) -> None:
    chosen = selection(store, each=60)  # 16,110 pairs of which 4,096 are looked at
    first = answer_all(chosen, EVEN, most=12)
    assert len({frozenset((pair.first, pair.second)) for pair in first}) == 12
    for one, other in pairwise(first):
        assert not {one.first, one.second} & {other.first, other.second}, "nothing is heard twice in a row"


def test_the_radio_begins_with_what_was_heard_least() -> None:
    rng = np.random.default_rng(0)
    assert next_on_radio([1, 2, 3], {1: 1, 2: 0, 3: 1}, {}, None, rng) == 2
    assert next_on_radio([1, 2, 3], {}, {1: 4, 2: 3, 3: 4}, None, rng) == 2
    assert next_on_radio([1, 2, 3], {1: 1, 3: 2}, {}, 2, rng) == 1, "never the last one"
    assert next_on_radio([7], {7: 3}, {}, 7, rng) == 7, "there is no other"


@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_the_radio_plays_all_before_it_repeats_one(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    heard: Counter[int] = Counter()
    last = None
    for number in range(4 * count):
        piece = next_on_radio(range(count), heard, {}, last, rng)
        assert piece != last
        heard[piece] += 1
        last = piece
        assert max(heard.values()) - min(heard[each] for each in range(count)) <= 1, number


def test_the_radio_of_a_room_remembers_what_was_skipped(tmp_path: Path, store: Store) -> None:
    state = make_state(tmp_path, store, each=2)
    store.add_listener(EVEN)
    assert len({state.next_on_radio(EVEN) for _ in range(6)}) == 6
    assert len(state.asked_about) == 6, "no attention checks"


def test_who_withdraws_is_forgotten_by_the_selection(tmp_path: Path, store: Store) -> None:
    state = make_state(tmp_path, store)
    store.add_listener(EVEN)
    pair = state.next_pair(EVEN)
    assert pair is not None
    state.vote(EVEN, pair.id, "first", 1.0)
    assert np.abs(state._selection._posteriors[pair.question].mean).max() > 0
    state.withdraw(EVEN)
    assert np.abs(state._selection._posteriors[pair.question].mean).max() == 0
    with pytest.raises(Exception, match="not asked"):
        state.vote(EVEN, pair.id, "first", 1.0)
