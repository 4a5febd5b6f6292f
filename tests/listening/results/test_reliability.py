"""Agreement of listeners."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.listening.results.ballots import Ballots
from toccata.listening.results.reliability import agreement_of_listeners, krippendorff_alpha

# Krippendorff 2011, section C: four observers, twelve units, missing values
A = [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None]
B = [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3]
C = [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None]
D = [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None]


def test_alpha_is_that_of_the_paper():
    units = [np.array([value for value in column if value is not None]) for column in zip(A, B, C, D, strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(0.849, abs=5e-4)


def ballots_of(rows):
    """Ballots of (first, second, share), each by a listener of its own."""
    first, second, share = (np.array(each) for each in zip(*rows, strict=True))
    return Ballots(first, second, share.astype(float), np.arange(len(rows)))


def test_listeners_who_always_agree():
    found = agreement_of_listeners(ballots_of([(i, i + 1, 1.0) for i in range(12)] * 3), 0)
    assert (found["pairs"], found["agreeing"], found["alpha"], found["low"], found["high"]) == (12, 1, 1, 1, 1)
    assert found["chance"] == 0.5


def test_listeners_who_choose_at_random():
    rng = np.random.default_rng(0)
    rows = [(i % 300, i % 300 + 1, float(rng.integers(2))) for i in range(600)]
    found = agreement_of_listeners(ballots_of(rows), 0)
    assert found["low"] < 0 < found["high"]
    assert found["agreeing"] == pytest.approx(0.5, abs=0.1)


def test_few_repeated_pairs_say_nothing():
    found = agreement_of_listeners(ballots_of([(i, i + 1, 1.0) for i in range(9)] * 2 + [(20, 21, 0.0)]), 0)
    assert found == {"pairs": 9} | dict.fromkeys(("agreeing", "chance", "alpha", "low", "high"))
    nobody = Ballots(*(np.empty(0, int),) * 2, np.empty(0), np.empty(0, int))
    assert agreement_of_listeners(nobody, 0)["pairs"] == 0


votes_on_twelve_pairs = st.lists(
    st.tuples(st.integers(0, 11), st.sampled_from([0.0, 0.5, 1.0]), st.booleans()), min_size=1, max_size=40
)


@given(votes_on_twelve_pairs)
def test_the_order_in_which_pieces_are_heard_changes_nothing(rows):
    rows = [*((pair, share, False) for pair in range(12) for share in (1.0, 0.0)), *rows]
    there = ballots_of([(pair, pair + 20, share) for pair, share, _ in rows])
    turned = [(pair + 20, pair, 1 - share) if flip else (pair, pair + 20, share) for pair, share, flip in rows]
    assert agreement_of_listeners(there, 0) == agreement_of_listeners(ballots_of(turned), 0)
