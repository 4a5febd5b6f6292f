from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.rounding import float32_rounding
from helpers.tunes import works
from toccata.agents.policies.sequence_network import NetworkConfig, SequenceNetwork
from toccata.agents.prior import maximum_likelihood
from toccata.agents.prior.dataset import PassageDataset
from toccata.agents.prior.likelihood import log_prob
from toccata.agents.prior.markov import uniform_log_prob
from toccata.agents.prior.maximum_likelihood import FitResult, bucketed_batches, fit_network
from toccata.agents.prior.trajectories import record_trajectories
from toccata.envs.core import GENRES
from toccata.envs.instrument import Piano
from toccata.music.corpus import Corpus
from toccata.settings.options import ConfigError

SMALL = Piano(lowest=48, highest=84, chords=(), values=(12, 24, 96))


@pytest.fixture(scope="module")
def dataset() -> PassageDataset:
    return PassageDataset(Corpus("toy", works(8) + works(4, "jazz")), 4, SMALL)


def build_network(backbone: str = "transformer") -> SequenceNetwork:
    torch.manual_seed(0)
    return SequenceNetwork(SMALL, NetworkConfig(backbone, width=32, layers=1, heads=2))


def make_rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("backbone", ["transformer", "lstm"])
def test_a_fit_is_better_than_unigram_frequencies(backbone: str, dataset: PassageDataset) -> None:
    held_out = record_trajectories(dataset.sample(16, make_rng(99)), SMALL)
    network = build_network(backbone)
    progress: list[float] = []
    result = fit_network(
        network,
        dataset,
        held_out,
        epochs=4,
        epoch_notes=400,
        rng=make_rng(),
        learning_rate=1e-2,
        batch_steps=256,
        patience=9,
        on_batch=lambda done, loss, steps: progress.append(done),
    )
    assert progress == sorted(progress)
    assert 0 < progress[0] < 0.3
    assert progress[-1] == 1
    actions = np.concatenate([row[:length] for row, length in zip(held_out.actions, held_out.lengths, strict=True)])
    _, counts = np.unique(actions, axis=0, return_counts=True)
    shares = counts / counts.sum()
    loss = result.valid_losses[result.best_epoch]
    assert loss < 0.8 * -(shares * np.log(shares)).sum(), "less than the entropy of the same held-out actions"
    assert loss < -0.5 * np.concatenate(uniform_log_prob(held_out)).mean()
    log_probs = np.concatenate(log_prob(network, SMALL, held_out))
    rounding = float32_rounding(32, 4.0)  # of log-probabilities, sums over the width of the network
    assert -log_probs.mean() == pytest.approx(loss, abs=rounding), "the network is that of the best epoch"
    assert not network.training


def test_the_best_epoch_is_kept(dataset: PassageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([3.0, 2.0, 5.0, 2.0, 1.0])
    monkeypatch.setattr(maximum_likelihood, "log_prob", lambda *arguments: [np.array([-next(losses)])])
    network, states = build_network(), []
    result = fit_network(
        network,
        dataset,
        record_trajectories(dataset.first_passages(), SMALL),
        epochs=5,
        epoch_notes=20,
        rng=make_rng(),
        patience=2,
        on_epoch=lambda state: states.append({name: each.clone() for name, each in network.state_dict().items()}),
    )
    assert (result.valid_losses, result.best_epoch) == ([3, 2, 5, 2], 1)
    assert len(result.train_losses) == 4
    kept = network.state_dict()
    assert all(torch.equal(kept[name], each) for name, each in states[1].items())
    assert not all(torch.equal(kept[name], each) for name, each in states[3].items())


def test_without_validation_data_the_last_epoch_is_kept(dataset: PassageDataset) -> None:
    result = fit_network(build_network(), dataset, None, epochs=3, epoch_notes=20, rng=make_rng(), patience=1)
    assert (len(result.train_losses), result.valid_losses, result.best_epoch) == (3, [], 2)


def test_one_seed_gives_one_network(dataset: PassageDataset) -> None:
    def fitted(seed: int) -> tuple[dict[str, torch.Tensor], FitResult]:
        network = build_network()
        result = fit_network(network, dataset, None, epochs=2, epoch_notes=60, rng=make_rng(seed), genre_dropout=0.2)
        return network.state_dict(), result

    (one, result), (same, again), (other, _) = fitted(3), fitted(3), fitted(4)
    assert result == again
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("dropout", "fitted"), [(0.0, {"classical", "jazz"}), (1.0, {None}), (0.5, {"classical", "jazz", None})]
)
def test_genre_dropout(dataset: PassageDataset, dropout: float, fitted: set[str | None]) -> None:
    network = build_network()
    before = {name: each.clone() for name, each in network.state_dict().items()}
    fit_network(network, dataset, None, epochs=1, epoch_notes=200, rng=make_rng(), genre_dropout=dropout)
    after = network.state_dict()
    changed = (after["genre.weight"] != before["genre.weight"]).any(dim=1).tolist()
    assert {genre for genre, each in zip((*GENRES, None), changed, strict=True) if each} == fitted
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("critic"))


def test_a_loss_that_is_not_finite_is_an_error(dataset: PassageDataset) -> None:
    network = build_network()
    with torch.no_grad():
        network.actor.weight[0, 0] = torch.nan
    with pytest.raises(ConfigError, match="the loss is not finite in epoch 1; lower the learning rate"):
        fit_network(network, dataset, None, epochs=1, epoch_notes=20, rng=make_rng())


def test_an_epoch_has_epoch_notes_notes(dataset: PassageDataset) -> None:
    for epoch_notes in (1, 150, 1000):
        notes, last = 0, 0.0
        for fraction, trajectories, rows in maximum_likelihood._epoch_batches(
            dataset, GENRES, epoch_notes, 512, make_rng()
        ):
            notes += int((trajectories.actions[rows, :, 0] > 0).sum())
            assert last < fraction <= 1
            last = fraction
        assert last == 1
        assert epoch_notes <= notes <= epoch_notes + 20, "the last passage is not cut"


@given(st.lists(st.integers(1, 600), min_size=1, max_size=200), st.integers(1, 3000), st.integers(0, 99))
def test_batches_are_a_partition_within_batch_steps(lengths: list[int], batch_steps: int, seed: int) -> None:
    batches = list(bucketed_batches(np.array(lengths), batch_steps, make_rng(seed)))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for rows in batches:
        assert len(rows) * max(lengths[row] for row in rows) <= batch_steps or len(rows) == 1
