"""Random sound: which piano plays a copy of a piece, in which room, and what a recording makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from toccata.music.sound.bank import NoteBank, note_bank
from toccata.music.sound.spectrogram import HOP, SAMPLE_RATE, log_mel
from toccata.music.sound.synthesizer import SoundError
from toccata.reward_models.rating.audio_windows import WINDOW_FRAMES, ScoreWindow
from toccata.reward_models.rating.fitting.config import FitRatingError

GAIN_DB = 20.0  # largest change of the gain in either direction
DETUNINGS = (-20, -10, 0, 10, 20)  # cents; few, because the filters of each are cached
EQUALISER_HZ = (50, 150, 400, 1000, 2500, 6000)  # control points of a curve, linear between them in log frequency
EQUALISER_DB = 4.0  # standard deviation of each
REVERB_SHARE, NOISE_SHARE, LOW_PASS_SHARE = 0.5, 0.5, 0.3  # of the sounds that are not clean
CLEAN_SHARE = 0.35  # of all sounds: only the gain is changed
REVERB_SECONDS = (0.2, 1.2)  # until it has decayed by 60 dB
REVERB_DB = (-20.0, -6.0)  # energy of the reverb against that of the direct sound
NOISE_DB = (-60.0, -25.0)  # level of the noise against the loudest tenth of a second
LOW_PASS_HZ = (3000.0, 7500.0)  # where a codec of few bits a second ends
TENTH = SAMPLE_RATE // 10


def open_banks(sound_fonts: Sequence[Path]) -> list[NoteBank]:
    """The bank of the default sound font, then one of each of `sound_fonts`.

    Raises:
        FitRatingError: naming a sound font that is missing or that FluidSynth cannot read.
    """
    try:
        return [note_bank(SAMPLE_RATE), *(NoteBank(SAMPLE_RATE, path) for path in sound_fonts)]
    except (FileNotFoundError, SoundError) as error:
        raise FitRatingError(f"sound_fonts: {error}") from error


def random_window_mels(
    windows: Sequence[ScoreWindow], banks: Sequence[NoteBank], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """`score_window_mels` of the n windows of one piece, played by a random bank and distorted by `random_recording`.

    Returns:
        (n, N_MELS, WINDOW_FRAMES) float32 log-mel spectrograms, and (n,) frames of each before the padding.
    """
    bank = banks[int(rng.integers(len(banks)))]
    audio = bank.render_parts([window.notes for window in windows], (WINDOW_FRAMES + 1) * HOP)
    detuning = float(2 ** (rng.choice(DETUNINGS) / 1200))
    mels = log_mel(random_recording(audio, rng), pitch_ratio=detuning)[:, :, 1:-1]
    return mels, np.array([window.frames for window in windows], np.int64)


def random_recording(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sounds as a random recording has them: equaliser, reverb, low-pass, noise and gain, the same for all of them.

    Args:
        audio: (n, samples) float32 at `SAMPLE_RATE`.
        rng: of the conditions and of the noise.

    Returns:
        (n, samples) float32; silence stays silence.
    """
    from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

    gain = np.float32(10 ** (rng.uniform(-GAIN_DB, GAIN_DB) / 20))
    if rng.random() < CLEAN_SHARE:
        return audio * gain
    samples = audio.shape[1]
    size = next_fast_len(samples + round(REVERB_SECONDS[1] * SAMPLE_RATE), real=True)
    hz = rfftfreq(size, 1 / SAMPLE_RATE).astype(np.float32)
    decibels = np.interp(np.log(hz.clip(1)), np.log(EQUALISER_HZ), rng.normal(0, EQUALISER_DB, len(EQUALISER_HZ)))
    response = (10 ** (decibels / 20)).astype(np.complex64)
    if rng.random() < REVERB_SHARE:
        response *= 1 + rfft(_reverb(rng), size)
    if rng.random() < LOW_PASS_SHARE:
        response /= 1 + (hz / np.float32(rng.uniform(*LOW_PASS_HZ))) ** 16
    sound = irfft(rfft(audio, size) * response, size)[:, :samples]
    if rng.random() < NOISE_SHARE:
        block = min(TENTH, samples)
        blocks = sound[:, : samples // block * block].reshape(len(sound), samples // block, block)
        loudest = np.sqrt((blocks**2).mean(2).max(initial=0))
        noise = rng.standard_normal(sound.shape, np.float32)
        if rng.random() < 0.5:  # brown below 500 Hz, as in a room; else white, as of a tape
            noise = irfft(rfft(noise, size) / (1 + hz / 500), size)[:, :samples] * 4
        sound += np.float32(loudest * 10 ** (rng.uniform(*NOISE_DB) / 20)) * noise
    return (gain * sound).astype(np.float32, copy=False)


def _reverb(rng: np.random.Generator) -> np.ndarray:
    """(samples,) float32 impulse response of a room without the direct sound: noise that decays exponentially."""
    decay = rng.uniform(*REVERB_SECONDS)
    seconds = np.arange(round(decay * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    response = rng.standard_normal(len(seconds), np.float32) * np.exp(-np.log(1000) / decay * seconds)
    response *= np.sqrt(10 ** (rng.uniform(*REVERB_DB) / 10) / (response**2).sum())
    return response.astype(np.float32)
