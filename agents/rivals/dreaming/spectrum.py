"""Log-mel spectrograms with gradients, and the way back: from a log-mel spectrogram to sound.

The way back is the usual one: the power spectrum that has these mel powers, by non-negative least squares, and a phase
for it by the algorithm of Griffin and Lim. It is written out here because it takes two loops of five lines, while
librosa brings scikit-learn and a downloader with it, and torchaudio has to match the version of torch.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from toccata.music.sound.spectrogram import FLOOR, HOP, N_FFT, mel_filterbank

LEAST_SQUARES_STEPS = 100
GRIFFIN_LIM_STEPS = 48
MOMENTUM = 0.99  # of the fast Griffin-Lim algorithm, the value that its authors recommend
SMALLEST = 1e-12  # divisors are at least that


@lru_cache(maxsize=4)
def _hann(dtype: torch.dtype) -> Tensor:
    """(N_FFT,) periodic Hann window."""
    return torch.from_numpy(np.hanning(N_FFT + 1)[:-1]).to(dtype)


@lru_cache(maxsize=4)
def _filters(dtype: torch.dtype) -> Tensor:
    """(N_MELS, N_FFT // 2 + 1) mel filters."""
    return torch.from_numpy(mel_filterbank().copy()).to(dtype)


def log_mel_of_frames(audio: Tensor) -> Tensor:
    """Log-mel spectrogram of the frames that lie in a sound, without padding.

    Args:
        audio: (n, samples) in [-1, 1] at 16 kHz.

    Returns:
        (n, N_MELS, 1 + (samples - N_FFT) // HOP), equal to those frames of `toccata.music.sound.spectrogram.log_mel`.
    """
    spectrum = torch.fft.rfft(audio.unfold(1, N_FFT, HOP) * _hann(audio.dtype))
    power = spectrum.real.square() + spectrum.imag.square()
    return torch.log(power @ _filters(audio.dtype).T + FLOOR).mT


def log_mel(audio: Tensor) -> Tensor:
    """(n, samples) sound to (n, N_MELS, mel_frames(samples)), as `toccata.music.sound.spectrogram.log_mel`."""
    return log_mel_of_frames(functional.pad(audio, (N_FFT // 2, N_FFT // 2)))


def invert_log_mel(mel: np.ndarray, seed: int = 0) -> np.ndarray:
    """A sound with a given log-mel spectrogram, as nearly as there is one.

    Args:
        mel: (n, N_MELS, frames), as `log_mel` returns it.
        seed: of the phases at the start.

    Returns:
        (n, (frames - 1) * HOP) float32, finite; not clipped.
    """
    powers = (torch.from_numpy(np.asarray(mel, np.float32)).exp() - FLOOR).clamp(min=0)
    return griffin_lim(linear_power(powers).sqrt(), seed).numpy()


def linear_power(mel_power: Tensor) -> Tensor:
    """The power spectrum whose mel powers are nearest to the given ones, by non-negative least squares.

    Multiplicative updates, which keep what is not negative so (Lee & Seung 2001, "Algorithms for non-negative matrix
    factorization", theorem 1, with the filters fixed).

    Args:
        mel_power: (n, N_MELS, frames), not negative.

    Returns:
        (n, N_FFT // 2 + 1, frames), not negative.
    """
    filters = _filters(mel_power.dtype)
    wanted = filters.T @ mel_power
    power = wanted.clone()
    for _ in range(LEAST_SQUARES_STEPS):
        power = power * wanted / (filters.T @ (filters @ power)).clamp(min=SMALLEST)
    return power


def griffin_lim(magnitude: Tensor, seed: int = 0) -> Tensor:
    """A sound whose short-time spectrum has a given magnitude, by the fast Griffin-Lim algorithm.

    Sources: Griffin & Lim 1984, "Signal estimation from modified short-time Fourier transform"; Perraudin, Balazs &
    Sondergaard 2013, "A fast Griffin-Lim algorithm", algorithm 2.

    Args:
        magnitude: (n, N_FFT // 2 + 1, frames).
        seed: of the phases at the start.

    Returns:
        (n, (frames - 1) * HOP).
    """
    window = _hann(magnitude.dtype)

    def sound(spectrum: Tensor) -> Tensor:
        return torch.istft(spectrum, N_FFT, HOP, window=window)

    generator = torch.Generator().manual_seed(seed)
    phase = 2 * torch.pi * torch.rand(magnitude.shape, generator=generator, dtype=magnitude.dtype)
    spectrum = torch.polar(magnitude, phase)
    previous = torch.zeros_like(spectrum)
    for _ in range(GRIFFIN_LIM_STEPS):
        consistent = torch.stft(sound(spectrum), N_FFT, HOP, window=window, pad_mode="constant", return_complex=True)
        ahead = consistent + MOMENTUM * (consistent - previous)
        spectrum = magnitude * ahead / ahead.abs().clamp(min=SMALLEST)
        previous = consistent
    return sound(spectrum)
