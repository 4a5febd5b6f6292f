from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from toccata.agents.prior.markov import ORDER, Markov, uniform_log_prob
from toccata.agents.prior.trajectories import Trajectories, trajectories_of
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


def of_last_action(sequences: Trajectories, row: int) -> tuple[list[tuple[int, int]], Trajectories]:
    """Every legal pair of the last step of a piece, and that piece once with each of them played there."""
    step = int(sequences.lengths[row]) - 1
    mask = sequences.mask_of([row])[0, step]
    whats, values = sequences.nvec
    pairs = [(w, v) for w, v in product(range(whats), range(values)) if mask[w] and mask[whats + v]]
    rows = np.full(len(pairs), row)
    actions = sequences.actions[rows].copy()
    actions[:, step] = pairs
    observations = {key: value[rows] for key, value in sequences.observations.items()}
    return pairs, replace(
        sequences,
        observations=observations,
        actions=actions,
        masks=sequences.masks[rows],
        lengths=sequences.lengths[rows],
    )


# Random legal play


def test_uniform_of_an_empty_piano() -> None:
    """At first 7 whats and 2 values are legal; a quarter before the end too; at an eighth only one value."""
    piece = Piece(Score(length_ticks=96), actions=np.array([[0, 1], [0, 1], [0, 1], [0, 0], [0, 0]]))
    (found,) = uniform_log_prob(trajectories_of([piece], TINY))
    assert found == pytest.approx(-np.log([14, 14, 14, 14, 7]))


def test_uniform_is_what_random_legal_actions_draw() -> None:
    dynamics = Dynamics(20_000, TINY, max_steps=1)
    dynamics.begin(np.arange(20_000), ticks_per_bar=96, end_tick=96)
    dynamics.step(np.full((20_000, 2), [3, 1]))  # key 62 is down: only 63, 64, 65 and waiting are left
    drawn = dynamics.random_legal_actions(np.random.default_rng(0))
    piece = Piece(Score([(0, 24, 62, 80)], length_ticks=96), actions=np.array([[3, 1], [0, 0]]))
    expected = np.exp(uniform_log_prob(trajectories_of([piece], TINY))[0][1])
    assert expected == pytest.approx(1 / 8)
    for what, value in product([0, 4, 5, 6], range(2)):
        assert (drawn == [what, value]).all(axis=1).mean() == pytest.approx(expected, abs=0.01)


# The chain


def test_probabilities_of_legal_actions_add_up_to_one() -> None:
    chain = Markov().fit(trajectories_of(random_play(40, 0), TINY))
    sequences = trajectories_of(random_play(30, 1), TINY)
    for row in range(len(sequences)):
        for step in range(1, int(sequences.lengths[row]) + 1, 3):
            lengths = sequences.lengths.copy()
            lengths[row] = step  # only as far as this step
            pairs, every = of_last_action(replace(sequences, lengths=lengths), row)
            probabilities = np.exp([values[-1] for values in chain.log_prob(every)])
            assert (probabilities > 0).all()
            assert len(pairs) > 1 or probabilities[0] == pytest.approx(1)
            assert probabilities.sum() == pytest.approx(1, abs=1e-12)


def test_what_always_followed_is_nearly_certain_and_what_never_did_is_possible() -> None:
    tune = [60, 62, 64, 60, 62, 64, 60, 62]
    chain = Markov().fit(trajectories_of([scale(tune)] * 50, TINY))
    (known,) = chain.log_prob(trajectories_of([scale(tune)], TINY))
    (unknown,) = chain.log_prob(trajectories_of([scale([60, 62, 64, 63, 61, 65, 65, 61])], TINY))
    assert np.exp(known[:-1]).min() > 0.85
    assert np.isfinite(unknown).all()
    assert np.exp(unknown[6]) < 0.1, "63 never followed"


@pytest.mark.parametrize(("period", "nats"), [(3, 0.0), (4, np.log(2))])
def test_the_chain_remembers_three_actions(period: int, nats: float) -> None:
    """Waits of two lengths that repeat after three are foreseen; those that repeat after four are not at all."""
    assert ORDER == 3
    pieces = []
    for pattern in list(product(range(2), repeat=period)) * 10:
        actions = np.array([[0, pattern[i % period]] for i in range(24)])
        pieces.append(Piece(Score(length_ticks=960), actions=actions))
    sequences = trajectories_of(pieces, TINY)
    later = np.concatenate([values[period:] for values in Markov().fit(sequences).log_prob(sequences)])
    assert -later.mean() == pytest.approx(nats, abs=0.03)


def test_music_is_foreseen_better_than_by_chance() -> None:
    rng = np.random.default_rng(0)
    tunes = [scale([60 + int(rng.choice([0, 2, 4])) for _ in range(8)]) for _ in range(60)]
    chain = Markov().fit(trajectories_of(tunes[:50], TINY))
    held_out = trajectories_of(tunes[50:], TINY)
    chance, found = np.concatenate(uniform_log_prob(held_out)).mean(), np.concatenate(chain.log_prob(held_out)).mean()
    assert found == pytest.approx(-np.log(3) / 2, abs=0.1), "every other action is one of three notes"
    assert chance < found - 1


def test_each_piece_has_its_own_values_whatever_stands_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = random_play(7, 2)
    chain = Markov().fit(trajectories_of(random_play(20, 3), TINY))
    together = chain.log_prob(trajectories_of(pieces, TINY))
    assert [len(values) for values in together] == [len(piece.actions) for piece in pieces if piece.actions is not None]
    monkeypatch.setattr("toccata.agents.prior.markov.ROWS", 2)
    for values, again, piece in zip(together, chain.log_prob(trajectories_of(pieces, TINY)), pieces, strict=True):
        assert (values == again).all()
        assert values == pytest.approx(chain.log_prob(trajectories_of([piece], TINY))[0], abs=1e-12)


def test_pieces_shorter_than_the_memory() -> None:
    short = Piece(Score(length_ticks=48), actions=np.array([[0, 1], [0, 1]]))
    (found,) = Markov().fit(trajectories_of([short], TINY)).log_prob(trajectories_of([short], TINY))
    assert found.shape == (2,)
    assert (found <= 0).all()


def test_wrong_use_is_told() -> None:
    sequences = trajectories_of(random_play(2, 0), TINY)
    with pytest.raises(ValueError, match="not fitted"):
        Markov().log_prob(sequences)
    other = trajectories_of([scale([60, 62])], Piano(chords=()))
    with pytest.raises(ValueError, match=r"fitted to actions of \(7, 2\), got some of \(89, 13\)"):
        Markov().fit(sequences).log_prob(other)
