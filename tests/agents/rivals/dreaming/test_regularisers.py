from __future__ import annotations

import numpy as np
import pytest
import torch

from toccata.agents.rivals.dreaming.parametrisation import mel_parameters, waveform_parameters, white_noise
from toccata.agents.rivals.dreaming.regularisers import NONE, Regularisers, blurred, fast_modulation, total_variation
from toccata.agents.rivals.dreaming.spectrum import log_mel
from toccata.music.sound.spectrogram import HOP


def test_total_variation_of_a_ramp_is_its_slope() -> None:
    ramp = torch.arange(10.0).expand(1, 6, 10)
    assert total_variation(ramp).tolist() == [1.0]
    assert total_variation(ramp.mT).tolist() == [1.0]


def test_modulations_are_fast_above_half_of_the_highest() -> None:
    frames = torch.arange(32)
    slow, fast = (torch.cos(torch.pi * share * frames).expand(1, 8, 32) for share in (0.25, 0.75))
    assert float(fast_modulation(slow)) == pytest.approx(0, abs=1e-6)
    assert float(fast_modulation(fast)) > 0.4  # all of its power, half of it in the half transform
    noise = torch.randn(4, 64, 64, generator=torch.Generator().manual_seed(0))
    assert fast_modulation(noise).tolist() == pytest.approx([0.80] * 4, abs=0.05)


def test_blur_spreads_an_impulse_and_keeps_the_sum() -> None:
    impulse = torch.zeros(1, 21, 21)
    impulse[0, 10, 10] = 1
    spread = blurred(impulse, 1.0)[0]
    assert float(spread.sum()) == pytest.approx(1)
    assert float(spread[10, 10]) == pytest.approx(1 / (2 * np.pi), rel=0.02)
    torch.testing.assert_close(spread, spread.T)


def test_jitter_only_moves() -> None:
    mel = torch.rand(2, 8, 20)
    shifted = Regularisers(jitter_frames=3, jitter_bands=2).shifted(mel, np.random.default_rng(0))
    assert not torch.equal(shifted, mel)
    torch.testing.assert_close(shifted.flatten(1).sort().values, mel.flatten(1).sort().values)
    assert torch.equal(NONE.shifted(mel, np.random.default_rng(1)), mel)
    assert not NONE.penalty(mel).any()


@pytest.mark.parametrize("decorrelated", [False, True])
@pytest.mark.parametrize("domain", ["mel", "waveform"])
def test_an_ascent_begins_at_white_noise_and_can_reach_every_value(domain: str, decorrelated: bool) -> None:
    noise = white_noise(1, 20 * HOP, seed=3)
    parameters = mel_parameters(noise, decorrelated, 3) if domain == "mel" else waveform_parameters(noise, decorrelated)
    mel = parameters.mel()
    torch.testing.assert_close(mel.detach(), log_mel(torch.from_numpy(noise)), atol=1e-4, rtol=0)
    (gradient,) = torch.autograd.grad(mel.sum(), parameters.tensor)
    assert torch.isfinite(gradient).all()
    assert gradient.any()
    sound = parameters.sound()
    assert sound.shape == noise.shape
    assert np.abs(sound).max() <= 1
