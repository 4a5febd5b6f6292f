from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from toccata.agents.prior.markov import ORDER, Markov, uniform_log_prob
from toccata.agents.prior.trajectories import Trajectories, record_trajectories
from toccata.envs.dynamics import Dynamics
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.score import Score

TINY = Piano(lowest=60, highest=65, chords=(), values=(12, 24), max_sounding=2)  # 7 whats, 2 values


def random_play(count: int, seed: int, piano: Piano = TINY, end_tick: int = 192) -> list[Piece]:
    """Pieces of random legal play to the end."""
    rng = np.random.default_rng(seed)
    pieces = []
    for _ in range(count):
        dynamics = Dynamics(1, piano, max_steps=1)
        dynamics.begin([0], ticks_per_bar=96, end_tick=end_tick)
        actions = []
        while dynamics.states["clock"][0] < end_tick:
            actions.append(dynamics.random_legal_actions(rng)[0])
            dynamics.step(actions[-1][None])
        pieces.append(Piece(Score(length_ticks=end_tick), actions=np.array(actions)))
    return pieces


def scale(pitches: list[int]) -> Piece:
    """Quarters, one after the other."""
    return Piece(Score([(24 * i, 24, pitch, 80) for i, pitch in enumerate(pitches)]))


def with_each_last_action(trajectories: Trajectories, row: int) -> tuple[list[tuple[int, int]], Trajectories]:
    """Every legal pair of the last step of a piece, and a copy of the piece with each of them as its last action."""
    step = int(trajectories.lengths[row]) - 1
    mask = trajectories.unpacked_masks([row])[0, step]
    whats, values = trajectories.nvec
    pairs = [(w, v) for w, v in product(range(whats), range(values)) if mask[w] and mask[whats + v]]
    rows = np.full(len(pairs), row)
    actions = trajectories.actions[rows].copy()
    actions[:, step] = pairs
    observations = {key: value[rows] for key, value in trajectories.observations.items()}
    return pairs, replace(
        trajectories,
        observations=observations,
        actions=actions,
        masks=trajectories.masks[rows],
        lengths=trajectories.lengths[rows],
    )


# Uniform legal play


def test_uniform_log_prob_counts_legal_pairs() -> None:
    """At first 7 whats and 2 values are legal; a quarter before the end too; at an eighth only one value."""
    piece = Piece(Score(length_ticks=96), actions=np.array([[0, 1], [0, 1], [0, 1], [0, 0], [0, 0]]))
    (log_probs,) = uniform_log_prob(record_trajectories([piece], TINY))
    assert log_probs == pytest.approx(-np.log([14, 14, 14, 14, 7]))


def test_uniform_log_prob_matches_random_legal_actions() -> None:
    dynamics = Dynamics(20_000, TINY, max_steps=1)
    dynamics.begin(np.arange(20_000), ticks_per_bar=96, end_tick=96)
    dynamics.step(np.full((20_000, 2), [3, 1]))  # key 62 is down: only 63, 64, 65 and a rest are left
    sampled = dynamics.random_legal_actions(np.random.default_rng(0))
    piece = Piece(Score([(0, 24, 62, 80)], length_ticks=96), actions=np.array([[3, 1], [0, 0]]))
    expected = np.exp(uniform_log_prob(record_trajectories([piece], TINY))[0][1])
    assert expected == pytest.approx(1 / 8)
    for what, value in product([0, 4, 5, 6], range(2)):
        assert (sampled == [what, value]).all(axis=1).mean() == pytest.approx(expected, abs=0.01)


# The Markov chain


def test_probabilities_of_legal_actions_add_up_to_one() -> None:
    chain = Markov().fit(record_trajectories(random_play(40, 0), TINY))
    trajectories = record_trajectories(random_play(30, 1), TINY)
    for row in range(len(trajectories)):
        for step in range(1, int(trajectories.lengths[row]) + 1, 3):
            lengths = trajectories.lengths.copy()
            lengths[row] = step  # only as far as this step
            pairs, copies = with_each_last_action(replace(trajectories, lengths=lengths), row)
            probabilities = np.exp([values[-1] for values in chain.log_prob(copies)])
            assert (probabilities > 0).all()
            assert len(pairs) > 1 or probabilities[0] == pytest.approx(1)
            assert probabilities.sum() == pytest.approx(1, abs=1e-12)


def test_frequent_successors_are_nearly_certain_and_unseen_ones_possible() -> None:
    tune = [60, 62, 64, 60, 62, 64, 60, 62]
    chain = Markov().fit(record_trajectories([scale(tune)] * 50, TINY))
    (seen,) = chain.log_prob(record_trajectories([scale(tune)], TINY))
    (unseen,) = chain.log_prob(record_trajectories([scale([60, 62, 64, 63, 61, 65, 65, 61])], TINY))
    assert np.exp(seen[:-1]).min() > 0.85
    assert np.isfinite(unseen).all()
    assert np.exp(unseen[6]) < 0.1, "no 63 in the training pieces"


@pytest.mark.parametrize(
    ("order", "period", "nats"),
    [(3, 3, 0.0), (3, 4, np.log(2)), (4, 4, 0.0), (1, 1, 0.0), (1, 2, np.log(2)), (0, 1, np.log(2))],
)
def test_the_context_has_as_many_actions_as_the_order(order: int, period: int, nats: float) -> None:
    """Rests of two lengths with a period of `order` actions are predicted; those with a longer one are not."""
    assert Markov().order == ORDER == 3
    pieces = []
    for pattern in list(product(range(2), repeat=period)) * 10:
        actions = np.array([[0, pattern[i % period]] for i in range(24)])
        pieces.append(Piece(Score(length_ticks=960), actions=actions))
    trajectories = record_trajectories(pieces, TINY)
    later = np.concatenate([values[period:] for values in Markov(order).fit(trajectories).log_prob(trajectories)])
    assert -later.mean() == pytest.approx(nats, abs=0.03)


def test_the_chain_predicts_better_than_uniform_play() -> None:
    rng = np.random.default_rng(0)
    tunes = [scale([60 + int(rng.choice([0, 2, 4])) for _ in range(8)]) for _ in range(60)]
    chain = Markov().fit(record_trajectories(tunes[:50], TINY))
    held_out = record_trajectories(tunes[50:], TINY)
    uniform = np.concatenate(uniform_log_prob(held_out)).mean()
    markov = np.concatenate(chain.log_prob(held_out)).mean()
    assert markov == pytest.approx(-np.log(3) / 2, abs=0.1), "every other action is one of three notes"
    assert uniform < markov - 1


def test_log_probs_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = random_play(7, 2)
    chain = Markov().fit(record_trajectories(random_play(20, 3), TINY))
    together = chain.log_prob(record_trajectories(pieces, TINY))
    assert [len(values) for values in together] == [len(piece.actions) for piece in pieces if piece.actions is not None]
    monkeypatch.setattr("toccata.agents.prior.markov.BATCH_ROWS", 2)
    for values, again, piece in zip(together, chain.log_prob(record_trajectories(pieces, TINY)), pieces, strict=True):
        assert (values == again).all()
        assert values == pytest.approx(chain.log_prob(record_trajectories([piece], TINY))[0], abs=1e-12)


def test_pieces_shorter_than_the_context() -> None:
    short = Piece(Score(length_ticks=48), actions=np.array([[0, 1], [0, 1]]))
    (log_probs,) = Markov().fit(record_trajectories([short], TINY)).log_prob(record_trajectories([short], TINY))
    assert log_probs.shape == (2,)
    assert (log_probs <= 0).all()


def test_unfitted_chains_and_other_pianos_are_errors() -> None:
    trajectories = record_trajectories(random_play(2, 0), TINY)
    with pytest.raises(ValueError, match="not fitted"):
        Markov().log_prob(trajectories)
    other = record_trajectories([scale([60, 62])], Piano(chords=()))
    with pytest.raises(ValueError, match=r"fitted to an action space \(7, 2\), the trajectories are of \(89, 13\)"):
        Markov().fit(trajectories).log_prob(other)


def history_of(actions: np.ndarray, step: int, order: int) -> np.ndarray:
    """(1, order, 2) the actions before `step`, the latest first."""
    before = np.concatenate([np.full((order, 2), -1), actions[:step]])
    return before[::-1][:order][None]


@pytest.mark.parametrize("order", range(5))
@pytest.mark.parametrize("most", [None, 40, 0])
def test_next_probs_are_those_of_log_prob(order: int, most: int | None) -> None:
    """Over all legal actions they sum to one, of a pruned chain as well, and actions that are not legal have none."""
    chain = Markov(order).fit(record_trajectories(random_play(40, 0), TINY))
    chain = chain if most is None else chain.pruned(most)
    pieces = random_play(8, 1)
    trajectories = record_trajectories(pieces, TINY)
    masks = trajectories.unpacked_masks(slice(None))
    whats, values = TINY.nvec
    for row, log_probs in enumerate(chain.log_prob(trajectories)):
        actions = trajectories.actions[row]
        for step, expected in enumerate(log_probs):
            probs = chain.next_probs(history_of(actions, step, order), masks[row, step][None])[0]
            what, value = actions[step]
            assert probs[what * values + value] == pytest.approx(np.exp(expected), rel=1e-9)
            assert probs.sum() == pytest.approx(1, abs=1e-12)
            legal = np.outer(masks[row, step, :whats], masks[row, step, whats:]).ravel()
            assert ((probs > 0) == legal).all()


def test_a_unigram_chain_has_the_discounted_frequencies() -> None:
    """Three rests of an eighth and one of a quarter: the discount is 1 / (1 + 0), at most 0.9, spread over 14 pairs."""
    piece = Piece(Score(length_ticks=60), actions=np.array([[0, 0], [0, 0], [0, 0], [0, 1]]))
    chain = Markov(0).fit(record_trajectories([piece], TINY))
    probs = chain.next_probs(np.empty((1, 0, 2), int), np.ones((1, 9), bool))[0]
    assert probs[:2] == pytest.approx([(3 - 0.9) / 4 + 0.45 / 14, (1 - 0.9) / 4 + 0.45 / 14])
    assert probs[2:] == pytest.approx(0.45 / 14)


def test_pruning_leaves_out_what_was_counted_least() -> None:
    trajectories = record_trajectories(random_play(200, 4), TINY)
    chain = Markov().fit(trajectories)
    unigrams = chain.pruned(0).ngrams
    sizes = [chain.pruned(most).ngrams - unigrams for most in (1000, 300, 50)]
    assert chain.ngrams - unigrams > 1000 >= sizes[0] > 300 >= sizes[1] > sizes[2] > 0
    assert chain.pruned(chain.ngrams) is chain
    means = [np.concatenate(each.log_prob(trajectories)).mean() for each in (chain, *map(chain.pruned, (1000, 50)))]
    assert means == sorted(means, reverse=True)


def test_arrays_give_an_equal_chain() -> None:
    chain = Markov(2).fit(record_trajectories(random_play(30, 5), TINY))
    again = Markov.from_arrays(chain.arrays())
    assert (again.order, again.ngrams, again.nvec) == (2, chain.ngrams, TINY.nvec)
    held_out = record_trajectories(random_play(5, 6), TINY)
    for values, same in zip(chain.log_prob(held_out), again.log_prob(held_out), strict=True):
        assert (values == same).all()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("nvec", lambda array: array[:1]),
        ("nvec", lambda array: array - 1),
        ("0.actions", lambda array: array * 0),
        ("1.contexts", lambda array: array[::-1]),
        ("1.counts", lambda array: array[1:]),
        ("2.offsets", lambda array: array + 1),
        ("2.totals", lambda array: array * 0),
        ("2.discount", lambda array: array + 1),
        ("1.actions", None),
    ],
)
def test_arrays_that_do_not_belong_together_are_errors(name: str, change: Any) -> None:
    arrays = Markov(2).fit(record_trajectories(random_play(30, 5), TINY)).arrays()
    broken = {**arrays, name: change(arrays[name])} if change else {k: v for k, v in arrays.items() if k != name}
    with pytest.raises(ValueError, match="the arrays of"):
        Markov.from_arrays(broken)


def test_orders_out_of_range_are_errors() -> None:
    with pytest.raises(ValueError, match="order must be at least 0, got -1"):
        Markov(-1)
    trajectories = record_trajectories([scale([60, 62])])
    assert Markov(4).fit(trajectories).ngrams > 4, "the default piano has 4,589 actions: five of them are 61 bits"
    with pytest.raises(ValueError, match="order must be at most 4 with 4,589 actions, got 5"):
        Markov(5).fit(trajectories)
