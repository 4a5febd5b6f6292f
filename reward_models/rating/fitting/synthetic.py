"""Music that nobody wrote: melodies by chance, and what nobody would want to hear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from toccata.music.score import TICKS_PER_BEAT, Score
from toccata.music.sound.spectrogram import SAMPLE_RATE
from toccata.reward_models.rating.fitting.augmentation import HIGHEST, LOWEST, MAJOR, VELOCITIES, repeated

TWO_BARS = 8 * TICKS_PER_BEAT
STEP = TICKS_PER_BEAT // 4  # a sixteenth
TEMPI_BPM = (102.0, 111.0, 120.0, 129.0, 138.0)


def random_melody(rng: np.random.Generator, bars: int = 2) -> Score:
    """A melody made by chance: random walk in a scale, rhythm of random density, at times with a repeated motif."""
    steps = bars * 16
    values = np.array([1, 2, 3, 4, 6, 8])
    rhythm = rng.dirichlet([0.5, 0.8, 0.3, 0.4, 0.1, 0.15])
    rest_share = rng.choice([0, 0, 0, 0.05, 0.2])
    legato = rng.random() < 0.7
    jumps = np.arange(-12, 13)
    taste = np.exp(-np.abs(jumps) / rng.uniform(0.7, 8)) * rng.gamma(0.7, 1, len(jumps))
    taste[12] *= rng.choice([0.1, 1, 4])
    taste /= taste.sum()
    scale = (MAJOR + rng.integers(12)) % 12 if rng.random() < 0.7 else np.arange(12)
    low = int(rng.integers(40, 66))
    high = low + int(rng.integers(8, 40))
    pitch, step, notes = int(rng.integers(low, high)), 0, []
    while step < steps:
        value = int(min(rng.choice(values, p=rhythm), steps - step))
        if rng.random() >= rest_share:
            sounding = value if legato else int(rng.integers(1, value + 1))
            notes.append((step * STEP, sounding * STEP, pitch))
            move = int(rng.choice(jumps, p=taste))
            aim = int(np.clip(pitch + (move if low <= pitch + move <= high else -move), low, high))
            pitch = aim if aim % 12 in scale else aim + (1 if (aim + 1) % 12 in scale else -1)
        step += value
    if rng.random() < 0.3:  # a motif, repeated to the end
        period = int(rng.choice([4, 8, 16])) * STEP
        motif = [(onset, min(duration, period - onset), pitch) for onset, duration, pitch in notes if onset < period]
        notes = [
            (onset + start, duration, pitch)
            for start in range(0, steps * STEP, period)
            for onset, duration, pitch in motif
        ]
    return Score([(*note, 80) for note in notes], length_ticks=steps * STEP)


def random_texture(rng: np.random.Generator) -> Score:
    """Two bars of random notes, from a few to several hundred: what an untrained agent plays."""
    count = int(np.exp(rng.uniform(np.log(4), np.log(300))))
    return _scatter(rng, count, int(rng.choice([21, 36, 48])), int(rng.choice([72, 84, 109])))


def _scatter(rng: np.random.Generator, count: int, low: int, high: int) -> Score:
    onset = rng.integers(0, 32, count) * STEP
    duration = np.minimum(rng.choice([1, 1, 2, 3, 4, 8, 16], count) * STEP, TWO_BARS - onset)
    notes = zip(onset, duration, rng.integers(low, high, count), rng.choice(VELOCITIES, count), strict=True)
    return Score(notes, length_ticks=TWO_BARS)


def _silence(_rng: np.random.Generator) -> Score:
    return Score(length_ticks=TWO_BARS)


def _one_note(rng: np.random.Generator) -> Score:
    """One key, once or over and over."""
    period = int(rng.choice([1, 2, 3, 4, 6, 8, 16, 32])) * STEP
    pitch = int(rng.integers(LOWEST, HIGHEST + 1))
    onsets = range(0, TWO_BARS, period)
    return Score([(onset, min(period, TWO_BARS - onset), pitch, 80) for onset in onsets], length_ticks=TWO_BARS)


def _wall(rng: np.random.Generator) -> Score:
    """Very many keys at once, struck once or over and over."""
    period = int(rng.choice([2, 4, 8, 16, 32])) * STEP
    low = int(rng.choice([21, 36, 48]))
    keys = range(low, int(rng.choice([72, 84, 109])), int(rng.choice([1, 1, 2])))
    onsets = range(0, TWO_BARS, period)
    return Score([(o, period, pitch, 80) for o in onsets for pitch in keys], length_ticks=TWO_BARS)


def _clusters(rng: np.random.Generator) -> Score:
    """White noise on keys: dense random notes."""
    return _scatter(rng, int(rng.integers(60, 600)), LOWEST, HIGHEST + 1)


def _repeated_chord(rng: np.random.Generator) -> Score:
    """The same few random keys, over and over."""
    period = int(rng.choice([1, 2, 4, 8, 16])) * STEP
    keys = rng.choice(np.arange(30, 90), int(rng.integers(2, 9)), replace=False)
    onsets = range(0, TWO_BARS, period)
    return Score([(o, period, int(pitch), 80) for o in onsets for pitch in keys], length_ticks=TWO_BARS)


NEGATIVES: tuple[Callable[[np.random.Generator], Score], ...] = (
    _silence,
    _one_note,
    _one_note,
    _one_note,
    _one_note,  # so often: it is the easiest to fall into, and many melodies that people typed come close
    _wall,
    _clusters,
    _repeated_chord,
    random_texture,
)


def negative(rng: np.random.Generator) -> Score:
    """Two bars that nobody would ask to hear again: silence, one note, a wall of keys, noise, random play."""
    score = NEGATIVES[rng.integers(len(NEGATIVES))](rng)
    if rng.random() < 0.5:
        score = repeated(score, 2)
    return replace(score, tempo_bpm=rng.choice(TEMPI_BPM))


def noise_sound(rng: np.random.Generator) -> np.ndarray:
    """(samples,) float32 at 16 kHz, 5 s of no music: coloured noise, hum, clicks or a siren, loud or soft."""
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
