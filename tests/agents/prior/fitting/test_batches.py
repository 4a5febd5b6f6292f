from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.rounding import float32_rounding
from helpers.tunes import toy_corpus, tune
from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.sequence_network import NO_GENRE, NetworkConfig, SequenceNetwork
from toccata.agents.prior.fitting.batches import Chunks, bucketed, epoch_batches, load_chunks, packed
from toccata.agents.prior.fitting.dataset import PassageDataset
from toccata.agents.prior.likelihood import Batch, batch_of, log_probs
from toccata.agents.prior.trajectories import Trajectories, record_trajectories
from toccata.envs.instrument import Piano
from toccata.settings.genres import GENRES

WORKS = [(f"{genre}-{i}", genre, tune(12 + 8 * i, seed=i)) for i in range(3) for genre in ("folk", "jazz")]


@pytest.fixture(scope="module")
def dataset() -> PassageDataset:
    return PassageDataset(toy_corpus(*WORKS), max_steps=256)


@pytest.fixture(scope="module")
def trajectories(dataset: PassageDataset) -> Trajectories:
    return record_trajectories(dataset.sample(24, np.random.default_rng(0)))


def chunks_of(dataset: PassageDataset, epoch_notes: int, row_steps: int = 0, genre_dropout: float = 0.0) -> Chunks:
    return Chunks(dataset, GENRES, epoch_notes, 512, genre_dropout, seed=0, row_steps=row_steps)


def tensors(batch: Batch) -> list[torch.Tensor]:
    return [*batch.observations.values(), *batch[1:-1]]


@pytest.mark.parametrize("row_steps", [0, 256])
def test_an_epoch_has_about_epoch_notes_notes(
    dataset: PassageDataset, row_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toccata.agents.prior.fitting.batches.CHUNK_NOTES", 500)
    for epoch_notes, per_epoch in ((1, 1), (150, 1), (1600, 3)):
        chunks = chunks_of(dataset, epoch_notes, row_steps)
        assert chunks.per_epoch == per_epoch
        loaded = load_chunks(chunks, 0, 2 * per_epoch)
        for _ in range(2):
            notes, last = 0, 0.0
            for fraction, batch in epoch_batches(loaded, chunks):
                notes += int((batch.actions[batch.inside][:, 0] > 0).sum())
                assert last < fraction <= 1
                last = fraction
            assert row_steps or last == 1
            assert notes >= (epoch_notes - 512 if row_steps else 0.7 * epoch_notes), "a chord is one action"
            assert notes <= epoch_notes + per_epoch * 256, "passages are whole"
        assert not list(loaded)


@pytest.mark.parametrize("row_steps", [0, 256])
def test_a_chunk_depends_on_its_number_alone(dataset: PassageDataset, row_steps: int) -> None:
    chunks = chunks_of(dataset, 400, row_steps, genre_dropout=0.5)
    loaded = [*load_chunks(chunks, 0, 3)]
    in_processes = [*load_chunks(chunks, 1, 3, workers=1)]
    for one, other in zip(loaded[1:], in_processes, strict=True):
        assert len(one) == len(other)
        for batch, same in zip(one, other, strict=True):
            assert all(torch.equal(*pair) for pair in zip(tensors(batch), tensors(same), strict=True))
    assert not torch.equal(loaded[0][0].actions, loaded[1][0].actions)


def test_genre_dropout(dataset: PassageDataset) -> None:
    for share in (0.0, 0.5, 1.0):
        (batch,) = chunks_of(dataset, 4000, 256, share)[0]
        firsts = batch.episode_starts & batch.inside
        genres = batch.observations["genre"][firsts]
        assert (genres == NO_GENRE).float().mean().item() == pytest.approx(share, abs=0.2 * (share == 0.5))
        assert set(genres.tolist()) - {NO_GENRE} <= {GENRES.index("folk"), GENRES.index("jazz")}


@given(st.lists(st.integers(1, 600), min_size=1, max_size=200), st.integers(1, 3000), st.integers(0, 99))
def test_buckets_are_a_partition_within_batch_steps(lengths: list[int], batch_steps: int, seed: int) -> None:
    batches = list(bucketed(np.array(lengths), batch_steps, np.random.default_rng(seed)))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for rows in batches:
        assert len(rows) * max(lengths[row] for row in rows) <= batch_steps or len(rows) == 1


def test_packed_rows_hold_every_step_once_with_little_padding(trajectories: Trajectories) -> None:
    batch = packed(trajectories, 512, np.random.default_rng(0))
    assert batch.inside.float().mean() > 0.8
    assert int(batch.inside.sum()) == trajectories.lengths.sum()
    found = []
    for row in range(len(batch.actions)):
        begins = batch.episode_starts[row].nonzero()[:, 0].tolist()
        for begin, end in zip(begins, [*begins[1:], 512], strict=True):
            if batch.inside[row, begin]:
                found.append(
                    (batch.actions[row, begin:end].tolist(), batch.observations["top"][row, begin:end].tolist())
                )
            else:
                assert end == begin + 1, "padding attends to itself alone"
    expected = [
        (actions[:length].tolist(), top[:length].tolist())
        for actions, top, length in zip(
            trajectories.actions, trajectories.observations["top"], trajectories.lengths, strict=True
        )
    ]
    assert sorted(found) == sorted(expected)


def test_what_is_longer_than_a_row_is_cut(trajectories: Trajectories) -> None:
    batch = packed(trajectories, 40, np.random.default_rng(0))
    assert int(batch.inside.sum()) == np.minimum(trajectories.lengths, 40).sum()
    starts = batch.episode_starts & batch.inside
    assert int(starts.sum()) == len(trajectories)
    assert (batch.observations["place"][starts][:, 0] == 0).all()


@pytest.mark.parametrize("backbone", ["transformer", "lstm", "wavenet"])
def test_packed_steps_have_the_log_probabilities_of_unpacked_ones(trajectories: Trajectories, backbone: str) -> None:
    torch.manual_seed(0)
    network = SequenceNetwork(Piano(), NetworkConfig(backbone, width=16, layers=2, heads=2))
    torch.nn.init.normal_(network.actor.weight, std=0.2)
    distribution = JointDistribution(Piano())
    sums, gradients = [], []
    for batch in (batch_of(trajectories, np.arange(24)), packed(trajectories, 512, np.random.default_rng(0))):
        network.zero_grad()
        of_steps = torch.where(batch.inside, log_probs(network, distribution, batch), 0.0)
        of_steps.sum().backward()
        sums.append(np.sort(of_steps[batch.inside].detach().numpy()))
        gradients.append([each.grad.clone() for each in network.parameters() if each.grad is not None])
    np.testing.assert_allclose(sums[1], sums[0], rtol=0, atol=float32_rounding(8 * 16, 20.0))
    largest = max(float(each.abs().max()) for each in gradients[0])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(
            one, other, rtol=0, atol=float32_rounding(4 * int(trajectories.lengths.sum()), largest)
        )


def test_packed_batches_all_have_one_shape(dataset: PassageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toccata.agents.prior.fitting.batches.CHUNK_NOTES", 500)
    chunks = chunks_of(dataset, 2000, row_steps=128)
    loaded = load_chunks(chunks, 0, 4)
    shapes = [tuple(batch.actions.shape) for _, batch in epoch_batches(loaded, chunks)]
    assert len(shapes) > 3
    assert set(shapes) == {(4, 128, 2)}
    few = chunks_of(dataset, 1, row_steps=128)
    ((done, batch),) = epoch_batches(load_chunks(few, 0, 1), few)
    assert done == 1
    assert len(batch.actions) < 4, "the only rows are not left out"
