from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from toccata.reward_models.rating.melody_statistics import N_STATISTICS
from toccata.reward_models.rating.model import RatingModel
from toccata.reward_models.rating.network import RatingConfig, RatingMember

SMALL = {"bins": 4, "channels": 8, "sound_channels": 4, "hidden": 8}


def sensitive_member(config: RatingConfig) -> RatingMember:
    """A randomly initialised member that predicts many onsets and whose head depends on every statistic."""
    member = RatingMember(config).eval()
    with torch.no_grad():
        member.mel_mean.fill_(-8)
        member.mel_scale.fill_(1 / 3)
        member.transcriber.keys.weight.mul_(6)
        member.transcriber.keys.bias.fill_(-3)  # type: ignore[union-attr]  # it is not None
        member.head.edges.copy_(torch.linspace(-0.1, 1.1, config.bins + 1).repeat(N_STATISTICS, 1))
    return member


@pytest.fixture
def small_member() -> Callable[..., RatingMember]:
    """Makes randomly initialised members: `small_member(seed, **config)`."""

    def make(seed: int = 0, **config: float) -> RatingMember:
        torch.manual_seed(seed)
        return sensitive_member(RatingConfig(**{**SMALL, **config}))  # type: ignore[arg-type]  # int or float by name

    return make


@pytest.fixture
def small_rating() -> Callable[..., RatingModel]:
    """Makes randomly initialised rating models: `small_rating(seed, **config)`."""

    def make(seed: int = 0, **options: float) -> RatingModel:
        torch.manual_seed(seed)
        config = RatingConfig(**{**SMALL, **options})  # type: ignore[arg-type]  # int or float by name
        return RatingModel(nn.ModuleList(sensitive_member(config) for _ in range(config.members)), config)

    return make
