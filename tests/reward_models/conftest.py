from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from toccata.reward_models.rating.melody_statistics import STATISTICS
from toccata.reward_models.rating.model import RatingModel
from toccata.reward_models.rating.network import RatingConfig, RatingMember

SMALL = {"bins": 4, "channels": 8, "sound_channels": 4, "hidden": 8}


def awake_member(config: RatingConfig) -> RatingMember:
    """A member with weights by chance that hears many strikes and whose head listens to every statistic."""
    member = RatingMember(config).eval()
    with torch.no_grad():
        member.mel_mean.fill_(-8)
        member.mel_scale.fill_(1 / 3)
        member.transcriber.keys.weight.mul_(6)
        member.transcriber.keys.bias.fill_(-3)  # type: ignore[union-attr]
        member.head.edges.copy_(torch.linspace(-0.1, 1.1, config.bins + 1).repeat(STATISTICS, 1))
    return member


@pytest.fixture
def small_member() -> Callable[..., RatingMember]:
    """Makes members by chance: `small_member(seed, **config)`."""

    def make(seed: int = 0, **config: float) -> RatingMember:
        torch.manual_seed(seed)
        return awake_member(RatingConfig(**{**SMALL, **config}))  # type: ignore[arg-type]

    return make


@pytest.fixture
def small_rating() -> Callable[..., RatingModel]:
    """Makes rating models by chance, quick and of no taste: `small_rating(seed, **config)`."""

    def make(seed: int = 0, **config: float) -> RatingModel:
        torch.manual_seed(seed)
        shape = RatingConfig(**{**SMALL, **config})  # type: ignore[arg-type]
        return RatingModel(nn.ModuleList(awake_member(shape) for _ in range(shape.members)), shape)

    return make
