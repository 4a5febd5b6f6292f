from __future__ import annotations

import numpy as np
import pytest
import torch

from toccata.agents.rivals.dreaming.spectrum import griffin_lim, invert_log_mel, linear_power, log_mel
from toccata.music.score import Score
from toccata.music.sound import spectrogram
from toccata.music.sound.bank import note_bank
from toccata.music.sound.spectrogram import HOP, N_FFT, SAMPLE_RATE, mel_filterbank


@pytest.fixture(scope="module")
def piano() -> np.ndarray:
    """(1, samples) three bars of chords."""
    notes = [(24 * beat, 24, pitch, 80) for beat in range(8) for pitch in (48, 60 + beat, 67)]
    return note_bank(SAMPLE_RATE).render([Score(notes)])


def test_is_the_spectrogram_that_networks_hear(piano: np.ndarray) -> None:
    np.testing.assert_allclose(log_mel(torch.from_numpy(piano)), spectrogram.log_mel(piano), atol=1e-3)


def test_has_the_gradient_of_finite_differences() -> None:
    audio = torch.randn(1, 3 * HOP, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) / 10
    assert torch.autograd.gradcheck(log_mel, audio.requires_grad_(), fast_mode=True)


def test_power_spectrum_has_the_mel_powers_that_are_wanted() -> None:
    power = torch.rand(1, N_FFT // 2 + 1, 4, generator=torch.Generator().manual_seed(0))
    wanted = torch.from_numpy(mel_filterbank().copy()) @ power
    found = linear_power(wanted)
    assert float(found.min()) >= 0
    # Low bands have narrow filters of one bin each, which share bins with their neighbours
    error = (torch.from_numpy(mel_filterbank().copy()) @ found - wanted).abs().sum() / wanted.sum()
    assert float(error) < 0.02


def test_a_spectrogram_becomes_a_sound_with_that_spectrogram(piano: np.ndarray) -> None:
    mel = spectrogram.log_mel(piano)
    sound = invert_log_mel(mel)
    assert sound.shape == (1, (mel.shape[2] - 1) * HOP)
    loud = mel > mel.max() - 7
    assert np.abs(spectrogram.log_mel(sound) - mel)[loud].mean() < 0.3  # log power, 1.3 dB


def test_phases_are_those_of_a_sound() -> None:
    tone = torch.sin(torch.arange(16 * HOP) * 0.3)[None]

    def magnitude(sound: torch.Tensor) -> torch.Tensor:
        window = torch.hann_window(N_FFT)
        return torch.stft(sound, N_FFT, HOP, window=window, pad_mode="constant", return_complex=True).abs()

    wanted = magnitude(tone)
    found = magnitude(griffin_lim(wanted, seed=1))
    assert float((found - wanted).norm() / wanted.norm()) < 0.3  # of random phases it is 0.7
    assert torch.equal(griffin_lim(wanted, seed=1), griffin_lim(wanted, seed=1))


def test_silence_stays_silent() -> None:
    sound = invert_log_mel(spectrogram.log_mel(np.zeros((1, 8 * HOP), np.float32)))
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() < 1e-3
