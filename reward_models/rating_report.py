"""How good a rating network is: held-out figures next to simple baselines, and a table of extremes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from toccata.envs.rewards import Pieces
from toccata.music.score import TICKS_PER_BEAT, Score
from toccata.reward_models.melodies import repeated
from toccata.reward_models.rating import RatingModel

RIDGE_PENALTY = 10.0  # on standardised features; anything in 1..100 gives the same third digit
RESAMPLES = 500


@dataclass(frozen=True)
class Agreement:
    """How well predictions agree with what is known, both (n,), in standard deviations of log-popularity.

    Args:
        rank_correlation: Spearman's, in [-1, 1]; 0 for constant predictions.
        interval: its 95 % bootstrap interval over contours.
        correlation: Pearson's, in [-1, 1]; 0 for constant predictions.
        mean_squared_error: in variances of the log-popularity.
        melodies: how many were predicted.
    """

    rank_correlation: float
    interval: tuple[float, float]
    correlation: float
    mean_squared_error: float
    melodies: int

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"rank correlation {self.rank_correlation:.3f} [{low:.3f}, {high:.3f}], Pearson {self.correlation:.3f}, "
            f"MSE {self.mean_squared_error:.3f}, {self.melodies} melodies"
        )


def agreement(predicted: np.ndarray, known: np.ndarray, groups: np.ndarray, seed: int = 0) -> Agreement:
    """Compare (n,) predictions with (n,) known values; `groups`, (n,), are resampled whole for the interval."""
    rng = np.random.default_rng(seed)
    _, group = np.unique(groups, return_inverse=True)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    resampled = []
    for _ in range(RESAMPLES):
        index = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        resampled.append(rank_correlation(predicted[index], known[index]))
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Agreement(
        rank_correlation(predicted, known),
        (float(low), float(high)),
        _pearson(predicted, known),
        float(np.mean((predicted - known) ** 2)),
        len(known),
    )


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of two (n,) arrays, ties sharing their mean rank; 0 where one is constant."""
    from scipy.stats import rankdata

    return _pearson(rankdata(a), rankdata(b))


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 1e-9 else 0.0


def ridge(features: np.ndarray, targets: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Ridge regression of (n,) targets on (n, k) standardised features, predicted for (m, k) `unseen`."""
    mean, scale = features.mean(0), features.std(0).clip(1e-9)
    x, offset = (features - mean) / scale, targets.mean()
    weights = np.linalg.solve(x.T @ x + RIDGE_PENALTY * np.eye(x.shape[1]), x.T @ (targets - offset))
    return offset + (unseen - mean) / scale @ weights


# Extremes

_TWINKLE = "C4 C4 G4 G4 A4 A4 G4:2 F4 F4 E4 E4 D4 D4 C4:2"
_ODE = "E4 E4 F4 G4 G4 F4 E4 D4 C4 C4 D4 E4 E4:1.5 D4:0.5 D4:2"
_CHORALE = {  # a harmonised cadence in four parts, soprano to bass
    "soprano": "G4 A4 B4 C5 D5 C5 B4:2 C5 B4 A4 G4 A4 A4 G4:2",
    "alto": "D4 F#4 G4 G4 A4 F#4 G4:2 E4 G4 F#4 D4 E4 F#4 D4:2",
    "tenor": "B3 D4 D4 E4 F#4 A3 D4:2 A3 D4 D4 B3 C4 C4 B3:2",
    "bass": "G3 D3 G3 C3 D3 D3 G3:2 A2 B2 D3 G3 C3 D3 G2:2",
}
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def melody(text: str) -> Score:
    """A score from names with octave and, after a colon, beats: `"C4 F#4:0.5 G4:2"`."""
    onset, notes = 0, []
    for word in text.split():
        name, _, beats = word.partition(":")
        pitch = 12 * (int(name[-1]) + 1) + _SEMITONES[name[0]] + name.count("#")
        duration = int(float(beats or 1) * TICKS_PER_BEAT)
        notes.append((onset, duration, pitch, 80))
        onset += duration
    return Score(notes)


def together(*parts: Score) -> Score:
    """Scores played at once."""
    return Score(np.concatenate([part.notes for part in parts]), length_ticks=max(p.length_ticks for p in parts))


def extremes() -> dict[str, Score]:
    """Named eight-bar pieces on which any rating should be seen: well-known music, a scale, and what is none."""
    rng = np.random.default_rng(0)
    length = 32 * TICKS_PER_BEAT
    sixteenth = TICKS_PER_BEAT // 4

    def noise(count: int) -> Score:
        onset = rng.integers(0, 128, count) * sixteenth
        duration = np.minimum(rng.choice([6, 12, 24, 48], count), length - onset)
        return Score(zip(onset, duration, rng.integers(21, 109, count), [80] * count, strict=True), length_ticks=length)

    scale = melody("C4 D4 E4 F4 G4 A4 B4 C5")
    wall = [(onset, 48, pitch, 80) for onset in range(0, length, 48) for pitch in range(21, 109)]
    return {
        "Twinkle Twinkle, melody": repeated(melody(_TWINKLE), 2),
        "Ode to Joy, melody": repeated(melody(_ODE), 2),
        "chorale in four parts": repeated(together(*(melody(part) for part in _CHORALE.values())), 2),
        "C major scale": repeated(scale, 4),
        "random keys, 64 notes": noise(64),
        "random keys, 400 notes": noise(400),
        "random keys, 2000 notes (noise)": noise(2000),
        "wall of all 88 keys": Score(wall, length_ticks=length),
        "one note, repeated": Score([(t, 24, 60, 80) for t in range(0, length, 24)], length_ticks=length),
        "one note": Score([(0, 24, 60, 80)], length_ticks=length),
        "silence": Score(length_ticks=length),
    }


def extremes_table(model: RatingModel) -> str:
    """Markdown: the score, mean and standard deviation of the members for each of `extremes`."""
    pieces = extremes()
    batch = Pieces(pieces.values())
    terms, scores = model.terms(batch), model.score(batch)
    rows = ["| piece | score | mean | std |", "|---|---|---|---|"]
    for name, score, mean, std in zip(pieces, scores, terms["mean"], terms["std"], strict=True):
        rows.append(f"| {name} | {score:.2f} | {mean:.2f} | {std:.2f} |")
    return "\n".join(rows)


def invariances(model: RatingModel, scores: list[Score]) -> dict[str, float]:
    """Mean absolute change of the score, in standard deviations, under changes that a listener would not mind."""
    plain = model.score(Pieces(scores))
    changed = {
        "transposed up 3 semitones": [score.transpose(3) for score in scores],
        "transposed down 5 semitones": [score.transpose(-5) for score in scores],
        "tempo +10 %": [replace(score, tempo_bpm=score.tempo_bpm * 1.1) for score in scores],
        "tempo -10 %": [replace(score, tempo_bpm=score.tempo_bpm * 0.9) for score in scores],
    }
    return {
        name: round(float(np.abs(model.score(Pieces(others)) - plain).mean()), 3) for name, others in changed.items()
    }
