"""Precision of reward models on a device, and which models are put on one."""

import pytest
import torch

from toccata.reward_models import Silence, load_reward, parse_rewards
from toccata.reward_models.devices import full_precision


def test_full_precision_is_restored() -> None:
    torch.set_float32_matmul_precision("high")
    try:
        with pytest.raises(KeyError), full_precision():
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32
            assert not torch.is_grad_enabled()
            raise KeyError
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.allow_tf32
        assert torch.is_grad_enabled()
    finally:
        torch.set_float32_matmul_precision("highest")


class OfMyOwn:
    """A model with a method `to` that must not be called."""

    name = "mine"
    to = None

    def score(self, pieces):
        return [0.0] * len(pieces)


def test_models_with_weights_are_put_on_the_device_and_no_others() -> None:
    specs = [("rating", 1.0), ("realism", 1.0), ("silence", 1.0), (OfMyOwn(), 1.0), ([["realism", 1.0]], 1.0)]
    models = parse_rewards(specs, torch.device("meta")).models
    assert {parameter.device.type for parameter in models["rating"].network.parameters()} == {"meta"}
    assert models["realism"].device.type == models["sum"].models["realism"].device.type == "meta"
    assert isinstance(models["silence"], Silence)
    assert load_reward("realism").device.type == "cpu"
    assert not load_reward("realism").large_batches and models["realism"].large_batches
