"""Sanity probes: pieces whose order by rating is known, and transformations that should not change a rating."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from toccata.envs.core import PianoCore
from toccata.envs.pieces import Pieces
from toccata.music.score import TICKS_PER_BEAT, Score
from toccata.music.sound.spectrogram import SAMPLE_RATE
from toccata.reward_models.rating.audio_windows import WINDOW_FRAMES, score_window_mels, score_windows
from toccata.reward_models.rating.fitting.augmentation import change_tempo, delay, repeat, transpose_into_range
from toccata.reward_models.rating.model import RatingModel

BARS = 8
TRANSPOSITIONS = (*range(-6, 0), *range(1, 7))  # semitones
SIX_DB = 10 ** (6 / 20)

_TWINKLE = "C4 C4 G4 G4 A4 A4 G4:2 F4 F4 E4 E4 D4 D4 C4:2"
_ODE = "E4 E4 F4 G4 G4 F4 E4 D4 C4 C4 D4 E4 E4:1.5 D4:0.5 D4:2"
_CHORALE = {  # a cadence in four parts
    "soprano": "G4 A4 B4 C5 D5 C5 B4:2 C5 B4 A4 G4 A4 A4 G4:2",
    "alto": "D4 F#4 G4 G4 A4 F#4 G4:2 E4 G4 F#4 D4 E4 F#4 D4:2",
    "tenor": "B3 D4 D4 E4 F#4 A3 D4:2 A3 D4 D4 B3 C4 C4 B3:2",
    "bass": "G3 D3 G3 C3 D3 D3 G3:2 A2 B2 D3 G3 C3 D3 G2:2",
}
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def parse_melody(text: str) -> Score:
    """A single line from note names with octave and, after a colon, beats (default 1): `"C4 F#4:0.5 G4:2"`."""
    onset, notes = 0, []
    for word in text.split():
        name, _, beats = word.partition(":")
        pitch = 12 * (int(name[-1]) + 1) + _SEMITONES[name[0]] + name.count("#")
        duration = int(float(beats or 1) * TICKS_PER_BEAT)
        notes.append((onset, duration, pitch, 80))
        onset += duration
    return Score(notes)


def superpose(*parts: Score) -> Score:
    """One score of simultaneous parts."""
    return Score(np.concatenate([part.notes for part in parts]), length_ticks=max(p.length_ticks for p in parts))


def sanity_probes() -> dict[str, Score | np.ndarray]:
    """Named pieces of eight bars: well-known music, a scale, random legal actions, and degenerate pieces.

    White noise is a recording, (samples,) at 16 kHz; the others are scores.
    """
    rng = np.random.default_rng(0)
    length = BARS * 4 * TICKS_PER_BEAT
    sixteenth = TICKS_PER_BEAT // 4

    def random_keys(count: int) -> Score:
        onset = rng.integers(0, length // sixteenth, count) * sixteenth
        duration = np.minimum(rng.choice([6, 12, 24, 48], count), length - onset)
        return Score(zip(onset, duration, rng.integers(21, 109, count), [80] * count, strict=True), length_ticks=length)

    cluster = [(onset, 48, pitch, 80) for onset in range(0, length, 48) for pitch in range(21, 109)]
    return {
        "Twinkle Twinkle, melody": repeat(parse_melody(_TWINKLE), 2),
        "Ode to Joy, melody": repeat(parse_melody(_ODE), 2),
        "chorale in four parts": repeat(superpose(*(parse_melody(part) for part in _CHORALE.values())), 2),
        "C major scale": repeat(parse_melody("C4 D4 E4 F4 G4 A4 B4 C5"), 4),
        "random legal actions": random_legal_piece(rng),
        "random keys, 64 notes": random_keys(64),
        "random keys, 400 notes": random_keys(400),
        "random keys, 2000 notes": random_keys(2000),
        "cluster of all 88 keys": Score(cluster, length_ticks=length),
        "one key, repeated": Score([(t, 24, 60, 80) for t in range(0, length, 24)], length_ticks=length),
        "one note": Score([(0, 24, 60, 80)], length_ticks=length),
        "silence": Score(length_ticks=length),
        "white noise": (0.3 * rng.normal(size=16 * SAMPLE_RATE)).clip(-1, 1).astype(np.float32),
    }


def random_legal_piece(rng: np.random.Generator) -> Score:
    """Eight bars of the uniform policy over legal actions."""
    core = PianoCore(bars=BARS, observation="actions")
    core.reset([0], [rng])
    while True:
        step = core.step(core.dynamics.random_legal_actions(rng))
        if step.terminated[0] or step.truncated[0]:
            return step.pieces[0].score


def score_probes(model: RatingModel, probes: Sequence[Score | np.ndarray]) -> np.ndarray:
    """(n,) scores of n scores and recordings."""
    return np.array(
        [
            model.score_audio(probe) if isinstance(probe, np.ndarray) else model.score(Pieces([probe]))[0]
            for probe in probes
        ]
    )


def invariance_errors(model: RatingModel, scores: Sequence[Score]) -> dict[str, float]:
    """Mean absolute change of the score, in standard deviations, by transformation.

    Transpositions are followed by octave shifts into the range of the piano.
    """
    unchanged = model.score(Pieces(scores))

    def transformed(transform: Callable[[Score], Score]) -> np.ndarray:
        return model.score(Pieces([transform(score) for score in scores]))

    def rendered(gain: float = 1.0, padding: int = 0) -> np.ndarray:
        return np.array([_rendered_score(model, score, gain, padding) for score in scores])

    changed = {
        **{f"transposed by {n:+d}": transformed(partial(transpose_into_range, semitones=n)) for n in TRANSPOSITIONS},
        "tempo +10 %": transformed(partial(change_tempo, ratio=1.1)),
        "tempo -10 %": transformed(partial(change_tempo, ratio=0.9)),
        "gain +6 dB": rendered(gain=SIX_DB),
        "gain -6 dB": rendered(gain=1 / SIX_DB),
        "half a second of silence before": transformed(lambda score: delay(score, 0.5 * score.tempo_bpm / 60)),
        "padding of the length of a window": rendered(padding=WINDOW_FRAMES),
    }
    return {name: float(np.abs(values - unchanged).mean()) for name, values in changed.items()}


def _rendered_score(model: RatingModel, score: Score, gain: float, padding: int) -> float:
    """The score of a piece at another gain, with frames of constant value 1 as padding after each window."""
    mels, valid = score_window_mels(score_windows(score), gain)
    mels = np.pad(mels, ((0, 0), (0, 0), (0, padding)), constant_values=1.0)
    ratings = model.rate_windows(mels, valid, range(model.config.reward_members))
    return float(model.pessimistic(ratings.mean(0, keepdims=True))[0])
