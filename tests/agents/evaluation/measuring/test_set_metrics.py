"""Embeddings, genres and distances of sets of pieces."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.rounding import float32_rounding
from helpers.tunes import encoded, tune
from toccata.agents.evaluation.measuring.embedding import CLASSIFIED_ACTIONS, embeddings, genre_probabilities
from toccata.agents.evaluation.measuring.set_metrics import set_metrics
from toccata.agents.policies.sequence_network import NetworkConfig, SequenceNetwork
from toccata.agents.prior.prior import Prior, frozen
from toccata.agents.prior.trajectories import record_trajectories
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece, Pieces
from toccata.music.score import Score
from toccata.reward_models.judges.typicality import Typicality
from toccata.reward_models.typicality.action_model import ActionModel

GENRES = ("classical", "folk")
NOTHING = Piece(Score(), actions=np.empty((0, 2), np.int16))


@pytest.fixture(scope="module")
def judge() -> Typicality:
    torch.manual_seed(0)
    return Typicality(ActionModel(Piano(), width=16, layers=1))


@pytest.fixture(scope="module")
def prior() -> Prior:
    torch.manual_seed(0)
    network = SequenceNetwork(Piano(), NetworkConfig(width=24, layers=1, heads=2, genres=GENRES))
    return Prior(frozen(network), Piano(), {})


@pytest.fixture
def small_prior(prior: Prior, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Prior, "load", lambda: prior)


def test_an_embedding_is_the_mean_of_hidden_states(judge: Typicality) -> None:
    pieces = [encoded(tune(bars, seed=bars)) for bars in (2, 1, 3)]
    batch = embeddings(Pieces([*pieces, NOTHING]), judge)
    assert batch.shape == (4, 16)
    assert batch.dtype == np.float64
    assert not batch[3].any()
    # One at a time, without padding, in the order in which they were given; sums of float32 differ by rounding
    alone = [embeddings(Pieces([piece]), judge)[0] for piece in pieces]
    np.testing.assert_allclose(batch[:3], alone, atol=float32_rounding(300, 4.0))
    assert embeddings(Pieces([]), judge).shape == (0, 16)


def test_genres_are_estimated_by_bayes_theorem(prior: Prior) -> None:
    pieces = [encoded(tune(1, seed=seed), genre="folk") for seed in range(3)]
    probabilities = genre_probabilities([*pieces, NOTHING], prior)
    nats = np.stack(
        [
            [
                each.sum()
                for each in prior.log_prob(
                    record_trajectories([Piece(p.score, genre, actions=p.actions) for p in pieces], genres=GENRES)
                )
            ]
            for genre in GENRES
        ],
        axis=1,
    )
    odds = np.exp(nats[:, 0] - nats[:, 1])
    np.testing.assert_allclose(probabilities[:3, 0], odds / (1 + odds), atol=float32_rounding(100, 10.0))
    assert probabilities[3].tolist() == [0.5, 0.5]
    assert probabilities.sum(axis=1) == pytest.approx(1)


def test_genres_are_those_of_the_first_actions_of_a_long_piece(prior: Prior) -> None:
    start = tune(4, seed=1)
    actions = np.concatenate([encoded(start).actions, np.zeros((2 * CLASSIFIED_ACTIONS, 2), np.int64)])
    score = Score(start.notes, length_ticks=96 * 1000)
    whole, first = (Piece(score, actions=each) for each in (actions, actions[:CLASSIFIED_ACTIONS]))
    np.testing.assert_array_equal(genre_probabilities([whole], prior), genre_probabilities([first], prior))


def test_genres_of_a_piece_with_a_primer_that_no_agent_wrote_are_those_of_its_score(prior: Prior) -> None:
    score = tune(4, seed=1)
    after_primer, whole = Piece(score, start_tick=96), Piece(score)
    np.testing.assert_array_equal(genre_probabilities([after_primer], prior), genre_probabilities([whole], prior))


def test_genres_that_make_no_difference_are_equally_probable() -> None:
    network = SequenceNetwork(Piano(), NetworkConfig(width=24, layers=1, heads=2, genres=GENRES))
    with torch.no_grad():
        network.genre.weight.zero_()
    probabilities = genre_probabilities([encoded(tune(1))], Prior(frozen(network), Piano(), {}))
    assert probabilities.tolist() == [[0.5, 0.5]]


@pytest.mark.usefixtures("small_prior")
def test_sets_are_compared_with_real_music(judge: Typicality) -> None:
    real = ExcerptDataset([tune(4, seed=seed) for seed in range(20)], 2)
    same = [encoded(tune(2, seed=seed)) for seed in range(100, 124)]
    other = [encoded(Score([(48 * i, 48, 90, 80) for i in range(4)])) for _ in range(24)]
    results = set_metrics({"agent": same, "random": other, "real": same}, real, judge, seed=0)
    assert list(results) == ["agent", "random", "real"]
    assert all(np.isfinite(list(each.values())).all() for each in results.values())
    for name in ("frechet_distance", "different_bins", "kl_divergence"):
        assert results["random"][name] > results["agent"][name], name
    assert results["random"]["overlapping_area"] < results["agent"]["overlapping_area"]
    assert results["random"]["self_bleu"] == pytest.approx(1), "all pieces are equal"
    assert results["real"] != results["agent"], "another draw of real excerpts"
    assert set_metrics({"agent": same, "random": other}, real, judge, seed=0) == results, "one seed, one result"


@pytest.mark.usefixtures("small_prior")
@pytest.mark.parametrize("piece", [NOTHING, encoded(Score(length_ticks=96)), encoded(Score([(0, 24, 60, 80)]))])
def test_degenerate_sets_are_finite(judge: Typicality, piece: Piece) -> None:
    real = ExcerptDataset([tune(4)], 2)
    for count in (1, 3):
        for metrics in set_metrics({"agent": [piece] * count}, real, judge, seed=0).values():
            assert all(type(value) is float and np.isfinite(value) for value in metrics.values())
