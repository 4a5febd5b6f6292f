"""Strengths from votes on pairs."""

import choix
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.reward_models.preferences.bradley_terry import PRIOR_SD, bradley_terry


def fitted(votes, items):
    """Strengths of (first, second, share) votes."""
    first, second, share = (np.array(each) for each in zip(*votes, strict=True))
    return bradley_terry(first, second, share.astype(float), items)


def test_many_votes_give_the_log_odds_of_winning():
    votes = [(0, 1, 1)] * 3000 + [(0, 1, 0)] * 1000
    strengths, covariance = fitted(votes, 2)
    assert strengths[0] - strengths[1] == pytest.approx(np.log(3), abs=0.01)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert variance == pytest.approx(1 / (4000 * 0.75 * 0.25), rel=0.01)  # of a log-odds of a binomial share


def test_one_vote_is_finite_and_known():
    strengths, _ = fitted([(0, 1, 1)], 2)
    gap = strengths[0] - strengths[1]
    assert gap / (2 * PRIOR_SD**2) == pytest.approx(1 / (1 + np.exp(gap)))  # where the gradient is 0
    assert 0 < gap < 4


def test_no_vote_leaves_the_prior():
    strengths, covariance = bradley_terry(np.empty(0, int), np.empty(0, int), np.empty(0), 3)
    assert (strengths == 0).all()
    assert np.allclose(covariance, PRIOR_SD**2 * np.eye(3))


def test_the_strengths_are_those_of_choix():
    rng = np.random.default_rng(0)
    wins = [tuple(rng.choice(6, 2, replace=False).tolist()) for _ in range(80)]
    theirs = choix.opt_pairwise(6, wins, alpha=0.5 / PRIOR_SD**2)  # it penalises alpha times the sum of squares
    ours, _ = fitted([(winner, loser, 1) for winner, loser in wins], 6)
    assert np.allclose(ours, theirs - theirs.mean(), atol=1e-4)


def test_weights_count_votes_several_times():
    votes = [(0, 1, 1), (1, 2, 0.5), (2, 0, 0)]
    first, second, share = (np.array(each) for each in zip(*votes, strict=True))
    weighted, _ = bradley_terry(first, second, share, 3, np.array([3, 0, 2]))
    repeated, _ = fitted([votes[0]] * 3 + [votes[2]] * 2, 3)
    assert np.allclose(weighted, repeated)


votes_of_four = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 3), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=30
).map(lambda rows: [(first, (first + gap) % 4, share) for first, gap, share in rows])


@given(votes_of_four)
def test_the_order_of_two_pieces_changes_nothing(votes):
    there, _ = fitted(votes, 4)
    back, _ = fitted([(second, first, 1 - share) for first, second, share in votes], 4)
    assert np.allclose(there, back, atol=1e-6)
    assert there.sum() == pytest.approx(0, abs=1e-9)


@given(votes_of_four)
def test_a_tie_is_half_a_win_of_each(votes):
    doubled = [row for first, second, share in votes for row in _halves(first, second, share)]
    first, second, share = (np.array(each) for each in zip(*doubled, strict=True))
    halves, _ = bradley_terry(first, second, share, 4, np.full(len(share), 0.5))
    assert np.allclose(fitted(votes, 4)[0], halves, atol=1e-6)


def _halves(first, second, share):
    if share == 0.5:
        return [(first, second, 1.0), (first, second, 0.0)]
    return [(first, second, share)] * 2
