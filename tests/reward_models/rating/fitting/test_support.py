from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.tunes import tune
from toccata.music.sound.bank import note_bank
from toccata.music.sound.spectrogram import SAMPLE_RATE
from toccata.reward_models.negatives.pools import Pools
from toccata.reward_models.negatives.rules import rule_pieces
from toccata.reward_models.rating.fitting import support as support_module
from toccata.reward_models.rating.fitting.support import fit_support, fit_supports, pool_statistics, unsupported
from toccata.reward_models.rating.network import N_STATISTICS, RatingConfig, RatingMember, Support


def statistics(center: float, count: int, seed: int) -> torch.Tensor:
    return center + torch.from_numpy(np.random.default_rng(seed).normal(size=(count, N_STATISTICS))).float()


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support_module, "STEPS", 100)
    monkeypatch.setattr(support_module, "NOISE_PIECES", 3)


def test_music_is_supported_and_negatives_and_what_is_far_from_both_are_not() -> None:
    support = fit_support([statistics(0.0, 300, 0), statistics(0.2, 100, 1)], [statistics(1.0, 200, 2)], 0)
    with torch.no_grad():
        assert support(statistics(0.1, 100, 3)).mean() > 0.9
        assert support(statistics(1.0, 100, 4)).mean() < 0.3
        far = statistics(-4.0, 100, 5)  # on the other side of music than the negatives, where the MLP says music
        assert (support.logits(support.standardise(far)) > 0).all()
        assert support(far).max() < 0.1
        assert torch.isfinite(support(torch.full((1, N_STATISTICS), 1e30))).all()


def test_a_fit_is_reproducible_and_members_differ_in_their_seed() -> None:
    music, others = [statistics(0.0, 50, 0)], [statistics(1.0, 50, 1)]
    one, same, other = (fit_support(music, others, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["layers.0.weight"], other["layers.0.weight"])


def test_fewer_windows_than_axes_are_enough() -> None:
    support = fit_support([statistics(0.0, 5, 0)], [statistics(3.0, 5, 1)], 0)
    assert all(torch.isfinite(tensor).all() for tensor in support.state_dict().values())


def test_statistics_of_pools() -> None:
    config = RatingConfig(bins=4, channels=8, sound_channels=4, hidden=8, members=2)
    members = [RatingMember(config).eval() for _ in range(2)]
    rng = np.random.default_rng(0)
    fakes = {
        "rules": {name: rule_pieces(name, 2, 4, rng) for name in ("ostinato", "scale_runs")},
        "attacks": {"search": [tune(4)], "best of 8": [tune(4, seed=2)]},
    }
    music, others = pool_statistics(
        members, Pools({"mine": [tune(4), tune(4, seed=1)]}, fakes), [note_bank(SAMPLE_RATE)], rng
    )
    assert set(music) == {"mine", "mine, skyline"}
    assert set(others) == {"ostinato", "attacks", "noise"}  # a scale is a tune
    assert all(each.shape == (2, len(each[0]), N_STATISTICS) for each in (*music.values(), *others.values()))
    assert [(kind, len(pieces)) for kind, pieces in unsupported(fakes)] == [("ostinato", 2), ("attacks", 2)]
    fit_supports(members, music, others, 0)
    assert all(isinstance(member.support, Support) for member in members)
