"""Synthetic music: random melodies to fit transcribers to, and negatives to fit a low rating to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from toccata.music.score import TICKS_PER_BEAT, Score
from toccata.music.sound.spectrogram import SAMPLE_RATE
from toccata.reward_models.rating.fitting.augmentation import HIGHEST, LOWEST, MAJOR, VELOCITIES, repeat

TWO_BARS = 8 * TICKS_PER_BEAT
STEP = TICKS_PER_BEAT // 4  # a sixteenth
TEMPI_BPM = (102.0, 111.0, 120.0, 129.0, 138.0)


def random_melody(rng: np.random.Generator, bars: int = 2) -> Score:
    """A random walk in a random scale, in a rhythm of random density; 30 % repeat a motif of 1, 2 or 4 beats."""
    steps = bars * 16
    values = np.array([1, 2, 3, 4, 6, 8])
    rhythm = rng.dirichlet([0.5, 0.8, 0.3, 0.4, 0.1, 0.15])
    rest_share = rng.choice([0, 0, 0, 0.05, 0.2])
    legato = rng.random() < 0.7
    intervals = np.arange(-12, 13)
    weights = np.exp(-np.abs(intervals) / rng.uniform(0.7, 8)) * rng.gamma(0.7, 1, len(intervals))
    weights[12] *= rng.choice([0.1, 1, 4])
    weights /= weights.sum()
    scale = (MAJOR + rng.integers(12)) % 12 if rng.random() < 0.7 else np.arange(12)
    low = int(rng.integers(40, 66))
    high = low + int(rng.integers(8, 40))
    pitch, step, notes = int(rng.integers(low, high)), 0, []
    while step < steps:
        value = int(min(rng.choice(values, p=rhythm), steps - step))
        if rng.random() >= rest_share:
            duration = value if legato else int(rng.integers(1, value + 1))
            notes.append((step * STEP, duration * STEP, pitch))
            interval = int(rng.choice(intervals, p=weights))
            pitch = int(np.clip(pitch + (interval if low <= pitch + interval <= high else -interval), low, high))
            if pitch % 12 not in scale:
                pitch += 1 if (pitch + 1) % 12 in scale else -1
        step += value
    if rng.random() < 0.3:
        period = int(rng.choice([4, 8, 16])) * STEP
        motif = [(onset, min(duration, period - onset), pitch) for onset, duration, pitch in notes if onset < period]
        notes = [
            (onset + start, duration, pitch)
            for start in range(0, steps * STEP, period)
            for onset, duration, pitch in motif
        ]
    return Score([(*note, 80) for note in notes], length_ticks=steps * STEP)


def random_texture(rng: np.random.Generator) -> Score:
    """Two bars of 4 to 300 random notes, similar to the pieces of an untrained agent."""
    count = int(np.exp(rng.uniform(np.log(4), np.log(300))))
    return _random_notes(rng, count, int(rng.choice([21, 36, 48])), int(rng.choice([72, 84, 109])))


def _random_notes(rng: np.random.Generator, count: int, low: int, high: int) -> Score:
    """Two bars of `count` uniformly random notes with pitches in low..high-1."""
    onset = rng.integers(0, 32, count) * STEP
    duration = np.minimum(rng.choice([1, 1, 2, 3, 4, 8, 16], count) * STEP, TWO_BARS - onset)
    notes = zip(onset, duration, rng.integers(low, high, count), rng.choice(VELOCITIES, count), strict=True)
    return Score(notes, length_ticks=TWO_BARS)


def _silence(_rng: np.random.Generator) -> Score:
    return Score(length_ticks=TWO_BARS)


def _one_key(rng: np.random.Generator) -> Score:
    """One key, once or at a constant period."""
    period = int(rng.choice([1, 2, 3, 4, 6, 8, 16, 32])) * STEP
    pitch = int(rng.integers(LOWEST, HIGHEST + 1))
    onsets = range(0, TWO_BARS, period)
    return Score([(onset, min(period, TWO_BARS - onset), pitch, 80) for onset in onsets], length_ticks=TWO_BARS)


def _cluster(rng: np.random.Generator) -> Score:
    """A cluster of 12 to 88 keys, once or at a constant period."""
    period = int(rng.choice([2, 4, 8, 16, 32])) * STEP
    low = int(rng.choice([21, 36, 48]))
    keys = range(low, int(rng.choice([72, 84, 109])), int(rng.choice([1, 1, 2])))
    onsets = range(0, TWO_BARS, period)
    return Score([(o, period, pitch, 80) for o in onsets for pitch in keys], length_ticks=TWO_BARS)


def _dense_random_notes(rng: np.random.Generator) -> Score:
    """60 to 600 random notes on all keys."""
    return _random_notes(rng, int(rng.integers(60, 600)), LOWEST, HIGHEST + 1)


def _repeated_chord(rng: np.random.Generator) -> Score:
    """The same two to eight random keys at a constant period."""
    period = int(rng.choice([1, 2, 4, 8, 16])) * STEP
    keys = rng.choice(np.arange(30, 90), int(rng.integers(2, 9)), replace=False)
    onsets = range(0, TWO_BARS, period)
    return Score([(o, period, int(pitch), 80) for o in onsets for pitch in keys], length_ticks=TWO_BARS)


NEGATIVES: tuple[Callable[[np.random.Generator], Score], ...] = (
    _silence,
    _one_key,
    _one_key,
    _one_key,
    _one_key,  # four times, because it is the easiest policy and the most similar to many rated melodies
    _cluster,
    _dense_random_notes,
    _repeated_chord,
    random_texture,
)


def synthetic_negative(rng: np.random.Generator) -> Score:
    """Two or four bars of a random one of `NEGATIVES` at a random tempo."""
    score = NEGATIVES[rng.integers(len(NEGATIVES))](rng)
    if rng.random() < 0.5:
        score = repeat(score, 2)
    return replace(score, tempo_bpm=rng.choice(TEMPI_BPM))


def noise_audio(rng: np.random.Generator) -> np.ndarray:
    """(samples,) float32 at 16 kHz, 5 s of coloured noise, hum, clicks or a siren, at a peak of -40 to 0 dB."""
    samples = 5 * SAMPLE_RATE
    seconds = np.arange(samples) / SAMPLE_RATE
    kind = rng.integers(4)
    if kind == 0:
        spectrum = np.fft.rfft(rng.normal(size=samples))
        sound = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1) ** rng.uniform(0, 1), samples)
    elif kind == 1:
        sound = sum(np.sin(2 * np.pi * hz * seconds) for hz in rng.uniform(40, 4_000, rng.integers(1, 8)))
    elif kind == 2:
        sound = (rng.random(samples) < 10 ** rng.uniform(-5, -2)) * rng.normal(size=samples)
    else:
        sweep = rng.uniform(200, 2_000) * (1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.2, 4) * seconds))
        sound = np.sin(2 * np.pi * np.cumsum(sweep) / SAMPLE_RATE)
    peak = max(float(np.abs(sound).max()), 1e-9)
    return (sound / peak * 10 ** rng.uniform(-2, 0)).astype(np.float32)
