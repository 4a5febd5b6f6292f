"""Features of augmented pieces, computed once by the frozen transcribers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from toccata.music.score import Score
from toccata.music.sound.spectrogram import HOP
from toccata.reward_models.rating.audio_windows import ScoreWindow, audio_window_mels, score_window_mels, score_windows
from toccata.reward_models.rating.fitting.augmentation import TEMPO_RATIOS, augment
from toccata.reward_models.rating.fitting.transcription import random_gains
from toccata.reward_models.rating.network import RatingMember

WINDOWS_PER_PASS = 64  # windows
MOST_WINDOWS = 16  # of a rendition, from its middle: about a minute
PITCH_RATIOS = tuple(2 ** (semitones / 12) for semitones in range(-3, 4))  # of recordings; scores are transposed
Sound = tuple[np.ndarray, np.ndarray]  # (windows, mels, frames) log-mel spectrograms, (windows,) frames before the end


@dataclass(frozen=True)
class PieceFeatures:
    """What the transcribers made of n pieces, each in the same number of augmented_mels; rendition 0 is the plain one.

    Args:
        melody: (members, windows, STATISTICS), the windows of all augmented_mels of all pieces.
        coarse: (windows, mels, steps) float16, the sound itself.
        valid: (windows,) frames before the end.
        first: (n, augmented_mels) the first window of each.
        count: (n, augmented_mels) how many windows each has.
    """

    melody: Tensor
    coarse: Tensor
    valid: Tensor
    first: np.ndarray
    count: np.ndarray

    def windows(self, member: int, index: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """What `RatingMember.taste` takes, of the windows `index`."""
        return self.melody[member, index], self.coarse[index].float(), self.valid[index]

    def sample(self, pieces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(len(pieces),) a random window of a random rendition of each."""
        rendition = rng.integers(0, self.first.shape[1], len(pieces))
        offset = (rng.random(len(pieces)) * self.count[pieces, rendition]).astype(np.int64)
        return self.first[pieces, rendition] + offset

    def piece_ratings(self, member: RatingMember, index: int, pieces: np.ndarray) -> np.ndarray:
        """(len(pieces),) float32: what `member`, the `index`-th, says of the plain rendition of each piece."""
        ratings = np.empty(len(pieces), np.float32)
        for start in range(0, len(pieces), WINDOWS_PER_PASS):
            some = pieces[start : start + WINDOWS_PER_PASS]
            count = self.count[some, 0]
            windows = np.concatenate([np.arange(a, a + n) for a, n in zip(self.first[some, 0], count, strict=True)])
            with torch.no_grad():
                judged = member.eval().predict(*self.windows(index, windows)).numpy()
            borders = np.cumsum(count)[:-1]
            ratings[start : start + len(some)] = [part.mean() for part in np.split(judged, borders)]
        return ratings


def augmented_mels(piece: Score | np.ndarray, copies: int, rng: np.random.Generator) -> list[Sound]:
    """A piece as it is, and `copies` times changed so that a transcriber would not like it more or less.

    A score is transposed, played at another tempo and in other dynamics, a single line also accompanied, before it is
    rendered. A recording, (samples,) at 16 kHz, is shifted in pitch and stretched in time in its spectrogram. Both
    are played louder or softer.
    """
    sounds = []
    for index in range(copies + 1):
        if isinstance(piece, Score):
            windows = _middle(score_windows(augment(piece, rng) if index else piece))
            sounds.append(score_window_mels(windows, random_gains(1, rng) if index else 1.0))
        elif index:
            hop = round(HOP * rng.choice(TEMPO_RATIOS))
            mels, valid = audio_window_mels(piece * np.float32(random_gains(1, rng)), hop, rng.choice(PITCH_RATIOS))
            sounds.append((_middle(mels), _middle(valid)))
        else:
            mels, valid = audio_window_mels(piece)
            sounds.append((_middle(mels), _middle(valid)))
    return sounds


_Windows = TypeVar("_Windows", np.ndarray, list[ScoreWindow])


def _middle(windows: _Windows) -> _Windows:
    """At most `MOST_WINDOWS` of the windows, those in the middle."""
    begin = max(0, (len(windows) - MOST_WINDOWS) // 2)
    return windows[begin : begin + MOST_WINDOWS]


def extract_features(members: Sequence[RatingMember], pieces: Iterable[list[Sound]]) -> PieceFeatures:
    """Let the members hear every rendition of every piece."""
    melody: list[Tensor] = []
    coarse: list[Tensor] = []
    valid: list[Tensor] = []
    counts: list[list[int]] = []
    waiting: list[Sound] = []

    def hear() -> None:
        mels = torch.from_numpy(np.concatenate([mel for mel, _ in waiting]))
        frames = torch.from_numpy(np.concatenate([frame for _, frame in waiting]))
        with torch.no_grad():
            heard = [member.extract(mels, frames) for member in members]
        melody.append(torch.stack([statistics for statistics, _ in heard]))
        coarse.append(heard[0][1].half())  # the same for all: they share one scale
        valid.append(frames)
        waiting.clear()

    for sounds in pieces:
        counts.append([len(frames) for _, frames in sounds])
        waiting += sounds
        if sum(len(frames) for _, frames in waiting) >= WINDOWS_PER_PASS:
            hear()
    if waiting:
        hear()
    count = np.array(counts, np.int64)
    first = (np.cumsum(count) - count.ravel()).reshape(count.shape)
    return PieceFeatures(torch.cat(melody, 1), torch.cat(coarse), torch.cat(valid), first, count)
