"""Dreams of sound: gradient ascent from white noise on the frozen rating, with or without an adversarial loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from toccata.agents.rivals.dreaming.mel_discriminator import MelCritic
from toccata.agents.rivals.dreaming.objective import (
    pessimistic,
    rate_mel,
    scores_of_mel,
    windows_of_mel,
)
from toccata.agents.rivals.dreaming.parametrisation import (
    mel_parameters,
    samples_of,
    waveform_parameters,
    white_noise,
)
from toccata.agents.rivals.dreaming.regularisers import Regularisers, blurred
from toccata.agents.rivals.dreaming.spectrum import log_mel
from toccata.music.sound.spectrogram import N_FFT
from toccata.reward_models.rating.model import RatingModel

SNAPSHOTS = 6  # spectrograms that are kept, the first and the last included
MEASUREMENTS = 11  # of the ratings, along the way


@dataclass(frozen=True)
class SoundDreams:
    """Dreams, and how they came about.

    Attributes:
        sounds: (n, samples) float32 in [-1, 1] at 16 kHz.
        steps: that were done.
        snapshots: steps and spectrograms (n, mels, frames) at some of them.
        history: at some steps: `step`; `ascended`, what is maximised; `score`, `popularity`, `support` and `sibling` of
            the spectrogram; `score of the sound` and `sibling of the sound`, of the sound that it is inverted to; with
            a discriminator `realism`, the mean log-probability of being real, and its `accuracy`. Means over the
            dreams.
        final: (n,) of each dream at the end, `sound` and `spectrogram` by the names above.
        interrupted: whether the ascent was stopped before its last step.
    """

    sounds: np.ndarray
    steps: int
    snapshots: dict[int, np.ndarray]
    history: list[dict[str, float]]
    final: dict[str, dict[str, list[float]]]
    interrupted: bool


def dream_sounds(
    rating: RatingModel,
    regularisers: Regularisers,
    *,
    seconds: float = 8.0,
    domain: Literal["mel", "waveform"] = "mel",
    steps: int = 300,
    pieces: int = 2,
    seed: int = 0,
    critic: MelCritic | None = None,
    realism_weight: float = 4.0,
    on_step: Callable[[int], object] = lambda step: None,
) -> SoundDreams:
    """Ascend the rating from white noise.

    What is ascended is the pessimistic mean of the reward members, of popularity less the shortfall of support (see
    `WindowRatings.ascended`), less the penalties of the regularisers, plus `realism_weight` times the realism.

    Args:
        rating: frozen, on the CPU.
        regularisers: of the ascent.
        seconds: length.
        domain: what is ascended.
        steps: of Adam.
        pieces: dreams, each from other noise.
        seed: of everything that is random.
        critic: discriminator that is trained along; None for none.
        realism_weight: of the realism.
        on_step: is told each step that is done.

    Returns:
        the dreams; when `on_step` or a signal raises KeyboardInterrupt, those that were reached.
    """
    rng = np.random.default_rng([seed, 2])
    noise = white_noise(pieces, samples_of(seconds), seed)
    if domain == "mel":
        parameters = mel_parameters(noise, regularisers.decorrelated, seed)
    else:
        parameters = waveform_parameters(noise, regularisers.decorrelated)
    optimizer = torch.optim.Adam([parameters.tensor], parameters.learning_rate)
    shown = set(np.linspace(0, steps, SNAPSHOTS, dtype=int)[:-1].tolist())
    measured = set(np.linspace(0, steps, MEASUREMENTS, dtype=int)[:-1].tolist())
    snapshots: dict[int, np.ndarray] = {}
    history: list[dict[str, float]] = []
    figures: dict[str, float] = {}  # of the last step

    def measure(step: int) -> None:
        with torch.no_grad():
            scores = scores_of_mel(rating, parameters.mel())
        of_sound = scores_of_mel(rating, log_mel(torch.from_numpy(parameters.sound())))
        scores |= {f"{name} of the sound": values for name, values in of_sound.items()}
        history.append({"step": step, **figures, **{name: float(np.mean(each)) for name, each in scores.items()}})

    done, interrupted = 0, False
    try:
        for step in range(steps):
            if step in shown:
                snapshots[step] = parameters.mel().detach().numpy()
            if step in measured:
                measure(step)
            mel = parameters.mel()
            if regularisers.blur:
                mel.register_hook(lambda gradient: blurred(gradient, regularisers.blur))
            objective, figures = _objective(rating, regularisers.shifted(mel, rng), critic, realism_weight)
            optimizer.zero_grad()
            (regularisers.penalty(mel) - objective).sum().backward()
            optimizer.step()
            done = step + 1
            on_step(done)
    except KeyboardInterrupt:
        interrupted = True
    measure(done)
    snapshots[done] = parameters.mel().detach().numpy()
    sounds = parameters.sound()
    final = {
        "spectrogram": scores_of_mel(rating, torch.from_numpy(snapshots[done])),
        "sound": scores_of_mel(rating, log_mel(torch.from_numpy(sounds))),
    }
    return SoundDreams(sounds, done, snapshots, history, final, interrupted)


def _objective(
    rating: RatingModel, mel: Tensor, critic: MelCritic | None, realism_weight: float
) -> tuple[Tensor, dict[str, float]]:
    """(n,) what is ascended, without penalties, and figures of it; the critic is trained on the way."""
    said = rate_mel(rating, mel, range(rating.config.reward_members))
    objective = pessimistic(rating, said.ascended().mean(1))
    figures = {"ascended": float(objective.mean().detach())}
    if critic is not None:
        windows, valid = windows_of_mel(mel)
        figures |= critic.train(windows, valid)
        realism = critic.realism(windows, valid).unflatten(0, (len(mel), -1)).mean(1)
        figures["realism"] = float(realism.mean().detach())
        objective = objective + realism_weight * realism
    return objective, figures


def spectral_flatness(sound: np.ndarray) -> float:
    """Geometric over arithmetic mean of the power spectrum, the mean over frames with sound, in [0, 1].

    White noise has 0.56 (of the exponential distribution, exp(-0.577)), a tone nearly 0, silence 0. Source: Johnston
    1988, "Transform coding of audio signals using perceptual noise criteria", section III.

    Args:
        sound: (samples,), at least `N_FFT` of them.
    """
    frames = np.lib.stride_tricks.sliding_window_view(sound.astype(np.float64), N_FFT)[:: N_FFT // 2]
    power = np.abs(np.fft.rfft(frames * np.hanning(N_FFT), axis=1))[:, 1:-1] ** 2
    loud = power[power.mean(1) > 1e-4 * power.mean(1).max(initial=0)]
    if not len(loud) or not loud.max():
        return 0.0
    return float((np.exp(np.log(loud + 1e-12 * loud.max()).mean(1)) / loud.mean(1)).mean())
