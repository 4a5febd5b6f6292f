from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.rounding import float32_rounding
from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.sequence_network import NetworkConfig, SequenceNetwork
from toccata.agents.prior.likelihood import batch_of, distributions, kl_per_piece, log_prob, unpacked
from toccata.agents.prior.prior import frozen
from toccata.agents.prior.trajectories import Trajectories, record_trajectories
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.score import Score

SMALL = Piano(lowest=48, highest=72, chords=("maj",), values=(6, 12, 24))


def build_network(seed: int = 0) -> SequenceNetwork:
    torch.manual_seed(seed)
    network = SequenceNetwork(SMALL, NetworkConfig(width=16, layers=1, heads=2))
    torch.nn.init.normal_(network.actor.weight, std=0.5)
    return frozen(network)


@pytest.fixture(scope="module")
def trajectories() -> Trajectories:
    tune = [(12 * i, 12, 60 + step, 80) for i, step in enumerate((0, 4, 7, 12, 11, 7, 5, 2))]
    scores = [Score(tune, length_ticks=96), Score(tune[:3], length_ticks=96), Score(tune, length_ticks=192)]
    pieces = [Piece(score, genre) for score, genre in zip(scores, ("folk", None, "jazz"), strict=True)]
    return record_trajectories(pieces, SMALL)


def single(trajectories: Trajectories, row: int) -> Trajectories:
    """One trajectory without padding."""
    end = int(trajectories.lengths[row])
    return Trajectories(
        {key: each[row : row + 1, :end] for key, each in trajectories.observations.items()},
        trajectories.actions[row : row + 1, :end],
        trajectories.masks[row : row + 1, :end],
        trajectories.lengths[row : row + 1],
        trajectories.nvec,
    )


def test_log_probs_do_not_depend_on_the_batch(trajectories: Trajectories) -> None:
    network = build_network()
    together = log_prob(network, SMALL, trajectories)
    assert [len(values) for values in together] == trajectories.lengths.tolist()
    for row, values in enumerate(together):
        alone = log_prob(network, SMALL, single(trajectories, row))[0]
        np.testing.assert_allclose(alone, values, rtol=0, atol=float32_rounding(4 * 16, 10.0))
        assert (values < 0).all()


def test_kl_is_summed_over_the_steps_of_a_piece(trajectories: Trajectories) -> None:
    network, other = build_network(0), build_network(1)
    kl = kl_per_piece(network, other, trajectories, SMALL)
    assert kl.shape == (3,)
    assert (kl > 0).all()
    assert kl_per_piece(network, network, trajectories, SMALL).tolist() == [0, 0, 0]
    for row in range(3):
        alone = batch_of(single(trajectories, row), np.array([0]))
        ours = distributions(network, JointDistribution(SMALL), alone)
        theirs = distributions(other, JointDistribution(SMALL), alone)
        assert float(ours.kl(theirs).sum()) == pytest.approx(kl[row], rel=float32_rounding(4 * 16, 10.0))


def test_unpacked_is_the_inverse_of_packbits() -> None:
    legal = np.random.default_rng(0).random((3, 4, 21)) < 0.5
    bits = torch.from_numpy(np.packbits(legal, axis=-1))
    assert np.array_equal(unpacked(bits, 21), legal)
