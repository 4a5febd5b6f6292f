"""What is ascended: a change of white noise, of its spectrogram or waveform, as values or as Fourier coefficients."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from toccata.agents.rivals.dreaming.regularisers import modulation_frequencies
from toccata.agents.rivals.dreaming.spectrum import invert_log_mel, log_mel
from toccata.music.sound.spectrogram import FLOOR, HOP, SAMPLE_RATE

NOISE_AMPLITUDE = 0.1  # of the white noise at the start, the standard deviation of its samples
LOUDEST_MEL = 6.0  # log mel power; piano music of 8 bars reaches 5
# Real music has modulations with amplitudes as 1 / f**1.3 (chorales) to 1 / f**1.6 (folk tunes). Slower ones than this,
# in cycles a frame or band, are scaled as this one, else a dream is one event
SLOWEST_MODULATION = 1 / 32
LOWEST_HZ = 20.0  # lower frequencies of a waveform are scaled as this one


class Parameters(NamedTuple):
    """What is ascended, and what it stands for.

    Attributes:
        tensor: leaf with a gradient, at first zero.
        mel: the log-mel spectrograms, (n, N_MELS, frames), with a gradient.
        sound: the sounds, (n, samples) float32 in [-1, 1].
        learning_rate: of Adam.
    """

    tensor: Tensor
    mel: Callable[[], Tensor]
    sound: Callable[[], np.ndarray]
    learning_rate: float


def white_noise(n: int, samples: int, seed: int) -> np.ndarray:
    """(n, samples) float32 Gaussian noise."""
    rng = np.random.default_rng([seed, 0])
    return (NOISE_AMPLITUDE * rng.standard_normal((n, samples))).clip(-1, 1).astype(np.float32)


def mel_parameters(noise: np.ndarray, decorrelated: bool, seed: int) -> Parameters:
    """The change of the log-mel spectrogram of (n, samples) noise; the sound is that of the inverted spectrogram."""
    start = log_mel(torch.from_numpy(noise))
    n, mels, frames = start.shape
    if decorrelated:
        tensor = torch.zeros(n, mels, frames // 2 + 1, 2, requires_grad=True)
        scale = _by_wavelength(modulation_frequencies(mels, frames), SLOWEST_MODULATION)

        def change() -> Tensor:
            return torch.fft.irfft2(torch.view_as_complex(tensor) * scale, (mels, frames), norm="ortho")

    else:
        tensor = torch.zeros_like(start, requires_grad=True)

        def change() -> Tensor:
            return tensor

    def mel() -> Tensor:
        return (start + change()).clamp(np.log(FLOOR), LOUDEST_MEL)

    def sound() -> np.ndarray:
        return at_peak(invert_log_mel(mel().detach().numpy(), seed))

    return Parameters(tensor, mel, sound, 0.05)


def waveform_parameters(noise: np.ndarray, decorrelated: bool) -> Parameters:
    """The change of the samples of (n, samples) noise."""
    start = torch.from_numpy(noise)
    samples = start.shape[1]
    if decorrelated:
        tensor = torch.zeros(len(start), samples // 2 + 1, 2, requires_grad=True)
        scale = _by_wavelength(torch.fft.rfftfreq(samples), LOWEST_HZ / SAMPLE_RATE)

        def change() -> Tensor:
            return torch.fft.irfft(torch.view_as_complex(tensor) * scale, samples, norm="ortho")

    else:
        tensor = torch.zeros_like(start, requires_grad=True)

        def change() -> Tensor:
            return tensor

    def audio() -> Tensor:
        return (start + change()).clamp(-1, 1)

    return Parameters(tensor, lambda: log_mel(audio()), lambda: audio().detach().numpy(), 0.002)


def at_peak(sound: np.ndarray) -> np.ndarray:
    """(n, samples) sounds, those beyond [-1, 1] scaled into it: the rating hears all at one loudness."""
    return sound / np.maximum(np.abs(sound).max(1, keepdims=True, initial=0), 1)


def samples_of(seconds: float) -> int:
    """Samples of a sound of that many seconds at 16 kHz, a whole number of frames."""
    return max(round(seconds * SAMPLE_RATE / HOP), 2) * HOP


def _by_wavelength(frequencies: Tensor, lowest: float) -> Tensor:
    """Scales of Fourier coefficients, one over their frequency (those below `lowest` as there), mean square 1."""
    scale = 1 / frequencies.clamp(min=lowest)
    return scale / scale.square().mean().sqrt()
