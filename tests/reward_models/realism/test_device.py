"""Realism in large batches on a device against realism on a CPU, and its training there."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers.devices import DEVICES
from toccata.envs.pieces import Pieces
from toccata.music.score import Score
from toccata.reward_models.realism import model as model_module
from toccata.reward_models.realism.model import Realism

TOLERANCE = 1e-4


@pytest.mark.parametrize("device", DEVICES)
def test_scores_equal_those_of_the_cpu(device: str, random_piece: Callable, stepwise_piece: Callable) -> None:
    rng = np.random.default_rng(0)
    fine = Score([(480 * i, 250, 60 + i, 80) for i in range(20)], ticks_per_beat=480)
    pieces = Pieces([Score(), fine, *[random_piece(rng, bars) for bars in (1, 4, 9)], stepwise_piece(rng)])
    realism = Realism.load()
    logits, scores = realism.logits(pieces), realism.score(pieces)
    realism.to(device, large_batches=True)
    np.testing.assert_allclose(realism.logits(pieces), logits, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(realism.score(pieces), scores, rtol=0, atol=TOLERANCE)
    assert realism.score(Pieces([])).shape == (0,)
    assert realism.weights_hash() == Realism.load().weights_hash()


@pytest.mark.parametrize("device", DEVICES)
def test_training_on_a_device_equals_that_on_the_cpu_and_is_resumed(
    device: str, tmp_path: Path, random_realism: Callable, random_piece: Callable, stepwise_piece: Callable
) -> None:
    rng = np.random.default_rng(0)
    own, real = [random_piece(rng, 2) for _ in range(20)], [stepwise_piece(rng, 2) for _ in range(20)]
    ours, theirs = random_realism(), random_realism().to(device, large_batches=True)
    first = [realism.update(own, real, np.random.default_rng(1)) for realism in (ours, theirs)]
    assert first[1] == pytest.approx(first[0], abs=1e-3)
    assert first[0]["updated"] == 1
    theirs.save(tmp_path)
    resumed = Realism.load(tmp_path).to(device, large_batches=True)  # moments and replay buffer too
    second = [realism.update(own, real, np.random.default_rng(2)) for realism in (theirs, resumed)]
    assert second[1] == pytest.approx(second[0], abs=1e-5)
    np.testing.assert_allclose(theirs.logits(Pieces(own)), resumed.logits(Pieces(own)), rtol=0, atol=1e-4)
    for parameter in theirs.discriminator.parameters():
        assert parameter.device.type == device
        moments = theirs.optimizer.state[parameter]
        assert moments["exp_avg"].device.type == device


def test_windows_are_scored_in_few_passes(random_piece: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = Pieces([random_piece(np.random.default_rng(seed), 4) for seed in range(5)])
    realism = Realism.load()
    passes: list[int] = []
    realism.discriminator.register_forward_pre_hook(lambda _, inputs: passes.append(len(inputs[0])))
    monkeypatch.setattr(model_module, "WINDOWS_PER_PASS", 2)
    small = realism.logits(pieces)
    assert passes == [2, 2, 1]
    np.testing.assert_allclose(realism.to("cpu", large_batches=True).logits(pieces), small, rtol=0, atol=TOLERANCE)
    assert passes == [2, 2, 1, 5]
