"""Features of pieces and their augmented copies, computed once by the frozen transcribers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from toccata.music.score import Score
from toccata.music.sound.bank import NoteBank
from toccata.music.sound.spectrogram import HOP
from toccata.reward_models.rating.audio_windows import ScoreWindow, audio_window_mels, score_window_mels, score_windows
from toccata.reward_models.rating.fitting.augmentation import TEMPO_RATIOS, augment
from toccata.reward_models.rating.fitting.sound_conditions import random_recording, random_window_mels
from toccata.reward_models.rating.network import RatingMember

WINDOWS_PER_PASS = 64
MAX_WINDOWS = 16  # of a piece, from its middle: about a minute
PITCH_RATIOS = tuple(2 ** (semitones / 12) for semitones in range(-3, 4))  # of recordings; scores are transposed
WindowMels = tuple[np.ndarray, np.ndarray]  # (windows, mels, frames) log-mel spectrograms, (windows,) valid frames


@dataclass(frozen=True)
class PieceFeatures:
    """Outputs of `RatingMember.extract` for n pieces, each in the same number of copies; copy 0 is not augmented.

    Args:
        melody: (members, windows, N_STATISTICS), the windows of all copies of all pieces.
        pooled: (windows, mels, steps) float16 spectrograms.
        valid: (windows,) frames before the padding.
        first: (n, copies) index of the first window of each copy.
        count: (n, copies) number of windows of each copy.
    """

    melody: Tensor
    pooled: Tensor
    valid: Tensor
    first: np.ndarray
    count: np.ndarray

    def windows(self, member: int, index: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Arguments of `RatingMember.predict` for the windows `index`."""
        return self.melody[member, index], self.pooled[index].float(), self.valid[index]

    def sample(self, pieces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(len(pieces),) index of a random window of a random copy of each piece."""
        copy = rng.integers(0, self.first.shape[1], len(pieces))
        offset = (rng.random(len(pieces)) * self.count[pieces, copy]).astype(np.int64)
        return self.first[pieces, copy] + offset

    def piece_ratings(self, member: RatingMember, index: int, pieces: np.ndarray) -> np.ndarray:
        """(len(pieces),) float32 ratings of the pieces, not augmented, by `member`, the `index`-th of the ensemble."""
        ratings = np.empty(len(pieces), np.float32)
        for start in range(0, len(pieces), WINDOWS_PER_PASS):
            batch = pieces[start : start + WINDOWS_PER_PASS]
            count = self.count[batch, 0]
            windows = np.concatenate([np.arange(a, a + n) for a, n in zip(self.first[batch, 0], count, strict=True)])
            with torch.no_grad():
                window_ratings = member.eval().predict(*self.windows(index, windows)).numpy()
            borders = np.cumsum(count)[:-1]
            ratings[start : start + len(batch)] = [part.mean() for part in np.split(window_ratings, borders)]
        return ratings


def augmented_mels(
    piece: Score | np.ndarray, copies: int, banks: Sequence[NoteBank], rng: np.random.Generator
) -> list[WindowMels]:
    """Spectrograms of a piece, followed by those of `copies` augmented copies with the same popularity.

    A score is transposed, played at another tempo and in other dynamics, a single line also accompanied, before it is
    rendered by one of `banks`. A recording, (samples,) at 16 kHz, is shifted in pitch and stretched in time in its
    spectrogram. Both get the conditions of a `random_recording`.
    """
    mels: list[WindowMels] = []
    for index in range(copies + 1):
        if isinstance(piece, Score):
            windows = _middle(score_windows(augment(piece, rng) if index else piece))
            mels.append(random_window_mels(windows, banks, rng) if index else score_window_mels(windows))
        elif index:
            hop = round(HOP * rng.choice(TEMPO_RATIOS))
            log_mel, valid = audio_window_mels(random_recording(piece[None], rng)[0], hop, rng.choice(PITCH_RATIOS))
            mels.append((_middle(log_mel), _middle(valid)))
        else:
            log_mel, valid = audio_window_mels(piece)
            mels.append((_middle(log_mel), _middle(valid)))
    return mels


_Windows = TypeVar("_Windows", np.ndarray, list[ScoreWindow])


def _middle(windows: _Windows) -> _Windows:
    """At most `MAX_WINDOWS` of the windows, those in the middle."""
    start = max(0, (len(windows) - MAX_WINDOWS) // 2)
    return windows[start : start + MAX_WINDOWS]


def extract_features(members: Sequence[RatingMember], pieces: Iterable[list[WindowMels]]) -> PieceFeatures:
    """Features of pieces, each a list of copies as `augmented_mels` returns it."""
    melody: list[Tensor] = []
    pooled: list[Tensor] = []
    valid: list[Tensor] = []
    counts: list[list[int]] = []
    batch: list[WindowMels] = []

    def extract_batch() -> None:
        mels = torch.from_numpy(np.concatenate([mel for mel, _ in batch]))
        frames = torch.from_numpy(np.concatenate([frame for _, frame in batch]))
        with torch.no_grad():
            features = [member.extract(mels, frames) for member in members]
        melody.append(torch.stack([statistics for statistics, _ in features]))
        pooled.append(features[0][1].half())  # equal for all members, whose mel scales are equal
        valid.append(frames)
        batch.clear()

    for copies in pieces:
        counts.append([len(frames) for _, frames in copies])
        batch += copies
        if sum(len(frames) for _, frames in batch) >= WINDOWS_PER_PASS:
            extract_batch()
    if batch:
        extract_batch()
    count = np.array(counts, np.int64)
    first = (np.cumsum(count) - count.ravel()).reshape(count.shape)
    return PieceFeatures(torch.cat(melody, 1), torch.cat(pooled), torch.cat(valid), first, count)
