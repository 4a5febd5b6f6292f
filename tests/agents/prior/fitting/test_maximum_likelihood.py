from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.devices import DEVICES
from helpers.rounding import float32_rounding
from helpers.tunes import works
from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.sequence_network import NetworkConfig, SequenceNetwork
from toccata.agents.prior.fitting import maximum_likelihood
from toccata.agents.prior.fitting.batches import Chunks
from toccata.agents.prior.fitting.dataset import PassageDataset
from toccata.agents.prior.fitting.maximum_likelihood import FitResult, fit_network, mean_nats
from toccata.agents.prior.likelihood import log_prob
from toccata.agents.prior.markov import uniform_log_prob
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


@pytest.mark.parametrize("backbone", ["transformer", "lstm", "wavenet"])
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
        seed=0,
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
        seed=0,
        patience=2,
        on_epoch=lambda state: states.append({name: each.clone() for name, each in network.state_dict().items()}),
    )
    assert (result.valid_losses, result.best_epoch) == ([3, 2, 5, 2], 1)
    assert len(result.train_losses) == 4
    kept = network.state_dict()
    assert all(torch.equal(kept[name], each) for name, each in states[1].items())
    assert not all(torch.equal(kept[name], each) for name, each in states[3].items())


def test_without_validation_data_the_last_epoch_is_kept(dataset: PassageDataset) -> None:
    result = fit_network(build_network(), dataset, None, epochs=3, epoch_notes=20, seed=0, patience=1)
    assert (len(result.train_losses), result.valid_losses, result.best_epoch) == (3, [], 2)


def test_one_seed_gives_one_network(dataset: PassageDataset) -> None:
    def fitted(seed: int) -> tuple[dict[str, torch.Tensor], FitResult]:
        network = build_network()
        result = fit_network(network, dataset, None, epochs=2, epoch_notes=60, seed=seed, genre_dropout=0.2)
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
    fit_network(network, dataset, None, epochs=1, epoch_notes=200, seed=0, genre_dropout=dropout)
    after = network.state_dict()
    changed = (after["genre.weight"] != before["genre.weight"]).any(dim=1).tolist()
    assert {genre for genre, each in zip((*GENRES, None), changed, strict=True) if each} == fitted
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("critic"))


def test_a_loss_that_is_not_finite_is_an_error(dataset: PassageDataset) -> None:
    network = build_network()
    with torch.no_grad():
        network.actor.weight[0, 0] = torch.nan
    with pytest.raises(ConfigError, match="the loss is not finite in epoch 1; lower the learning rate"):
        fit_network(network, dataset, None, epochs=1, epoch_notes=20, seed=0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("backbone", ["transformer", "lstm", "wavenet"])
def test_a_fit_to_packed_passages(backbone: str, device: str, dataset: PassageDataset) -> None:
    """As on a GPU; how many processes record the passages changes nothing."""
    held_out = record_trajectories(dataset.sample(16, make_rng(99)), SMALL)

    def fitted(workers: int, row_steps: int) -> FitResult:
        network = build_network(backbone).to(device)
        return fit_network(
            network,
            dataset,
            held_out,
            epochs=3,
            epoch_notes=400,
            seed=0,
            learning_rate=1e-2,
            batch_steps=256,
            row_steps=row_steps,
            workers=workers,
            patience=9,
        )

    result = fitted(0, 128)
    assert len(result.train_losses) == 3
    assert result.valid_losses[2] < 0.8 * result.valid_losses[0]
    assert result.valid_losses[2] == pytest.approx(fitted(0, 0).valid_losses[2], rel=0.3), "and in rows of one each"
    if device == "cpu":
        assert fitted(1, 128) == result


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_a_compiled_loss_equals_the_plain_one(device: str, dataset: PassageDataset) -> None:
    """In one graph, without breaks; on a GPU it is really compiled."""
    (batch,) = Chunks(dataset, GENRES, 400, 256, 0.0, 0, row_steps=128)[0]
    batch = batch.to(torch.device(device))
    compiled = torch.compile(mean_nats, fullgraph=True, backend="inductor" if device == "cuda" else "eager")
    losses, gradients = [], []
    for loss_of in (mean_nats, compiled):
        network = build_network().to(device)
        loss = loss_of(network, JointDistribution(SMALL), batch)
        loss.backward()
        losses.append(loss.item())
        gradients.append([each.grad for each in network.parameters() if each.grad is not None])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    largest = max(float(each.abs().max()) for each in gradients[0])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4 * largest)
