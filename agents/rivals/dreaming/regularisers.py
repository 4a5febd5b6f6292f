"""The regularisers of feature visualisation, for spectrograms.

Source: Olah, Mordvintsev & Schubert 2017, "Feature Visualization", Distill: frequency penalisation, robustness to
transformations, and preconditioning by a decorrelated parametrisation. Without them gradient ascent ends in patterns of
high frequency to which a network responds by accident.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

GAUSSIAN_REACH = 3.0  # standard deviations after which a Gaussian is cut off


@dataclass(frozen=True)
class Regularisers:
    """How an ascent is regularised; a value of 0 (False) leaves a regulariser out.

    Attributes:
        jitter_frames: greatest random shift in time at each step, in frames of 32 ms, with which the rating hears it.
        jitter_bands: greatest random shift in pitch at each step, in mel bands.
        total_variation: weight of the mean absolute difference of neighbours in the spectrogram.
        frequency_penalty: weight of the power of the modulations of the spectrogram above half of the highest.
        blur: standard deviation of the Gaussian by which the gradient on the spectrogram is blurred, in frames and
            bands.
        decorrelated: whether the Fourier coefficients are ascended, each scaled by its wavelength, not the values.
    """

    jitter_frames: int = 8
    jitter_bands: int = 1
    total_variation: float = 0.1
    frequency_penalty: float = 0.1
    blur: float = 1.0
    decorrelated: bool = True

    def shifted(self, mel: Tensor, rng: np.random.Generator) -> Tensor:
        """A spectrogram (n, mels, frames) shifted at random; what is moved out at one end comes in at the other."""
        frames = int(rng.integers(-self.jitter_frames, self.jitter_frames + 1))
        bands = int(rng.integers(-self.jitter_bands, self.jitter_bands + 1))
        return mel.roll((bands, frames), (1, 2)) if frames or bands else mel

    def penalty(self, mel: Tensor) -> Tensor:
        """(n,) what is subtracted from the objective."""
        penalty = mel.new_zeros(len(mel))
        if self.total_variation:
            penalty = penalty + self.total_variation * total_variation(mel)
        if self.frequency_penalty:
            penalty = penalty + self.frequency_penalty * fast_modulation(mel)
        return penalty


NONE = Regularisers(0, 0, 0.0, 0.0, 0.0, False)


def total_variation(mel: Tensor) -> Tensor:
    """(n,) mean absolute difference of neighbours in time and in pitch, of (n, mels, frames)."""
    return mel.diff(dim=2).abs().mean((1, 2)) + mel.diff(dim=1).abs().mean((1, 2))


def fast_modulation(mel: Tensor) -> Tensor:
    """(n,) mean power of the modulations faster than half of the highest, of (n, mels, frames).

    The modulations are the two-dimensional Fourier transform of the spectrogram; of white noise of variance 1 it is the
    share of the transform that is counted, 0.80.
    """
    power = torch.fft.rfft2(mel, norm="ortho").abs().square()
    return (power * (modulation_frequencies(*mel.shape[1:]) > 0.25)).mean((1, 2))


def modulation_frequencies(mels: int, frames: int) -> Tensor:
    """(mels, frames // 2 + 1) cycles a band and a frame of each coefficient of `torch.fft.rfft2`, as one length."""
    return torch.hypot(torch.fft.fftfreq(mels)[:, None], torch.fft.rfftfreq(frames))


def blurred(gradient: Tensor, deviation: float) -> Tensor:
    """(n, mels, frames) blurred by a Gaussian of this standard deviation, in bands and frames; its mean stays."""
    reach = int(np.ceil(GAUSSIAN_REACH * deviation))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=gradient.dtype) / deviation).square())
    kernel = kernel / kernel.sum()
    padded = functional.pad(gradient[:, None], (reach, reach, reach, reach), mode="replicate")
    rows = functional.conv2d(padded, kernel.view(1, 1, 1, -1))
    return functional.conv2d(rows, kernel.view(1, 1, -1, 1))[:, 0]
