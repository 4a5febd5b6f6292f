"""Pre-training of the members of a rating network: transcription of synthetic music.

Transcribers are fitted to random melodies with accompaniment, synthetic negatives and noise, never to rated pieces or
their popularity. Targets are, as in Hawthorne et al. 2018, "Onsets and Frames", onsets and held keys in each frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor
from torch.nn import functional

from toccata.music.score import Score
from toccata.music.sound.bank import NoteBank
from toccata.music.sound.spectrogram import FLOOR, HOP
from toccata.music.sound.synthesizer import BLOCK
from toccata.reward_models.rating.audio_windows import (
    WINDOW_FRAMES,
    ScoreWindow,
    audio_window_mels,
    score_window_mels,
    score_windows,
)
from toccata.reward_models.rating.fitting.augmentation import augment
from toccata.reward_models.rating.fitting.sound_conditions import random_window_mels
from toccata.reward_models.rating.fitting.synthetic import noise_audio, random_melody, synthetic_negative
from toccata.reward_models.rating.melody_statistics import KEYS
from toccata.reward_models.rating.network import RatingConfig, RatingMember, equal_loudness, frame_mask

LOWEST = 21  # MIDI number of the first key
NEGATIVE_SHARE = 0.2  # of the synthetic pieces; the others are melodies
NOISE_SHARE = 0.03  # recordings of noise per synthetic piece
ONSET_WEIGHT, HELD_WEIGHT = 3.0, 2.0  # of the positive class, because most keys are silent in most frames
BATCH = 16
SCALE_WINDOWS = 2000  # windows whose mean and standard deviation are the scale of the mel bands
MIN_SPREAD = 1.0  # of a band; narrower ones, which hold nearly no music, would make other sound there loud
TEMPLATE_FRAMES = slice(3, 40)  # of a note of two seconds, after its attack
TEST_PIECES = 100
LEARNING_RATE = 2e-3
EQUALISER_POINTS = 12  # of the random curve over the mel bands of each window, new in every epoch
EQUALISER_SPREAD = 1.0  # standard deviation of the logarithm of the power, 4 dB


def key_targets(windows: Sequence[ScoreWindow]) -> np.ndarray:
    """(n, 2 * 88, WINDOW_FRAMES) float32: 1 in the frame of an onset, then 1 in the frames in which a key is held."""
    targets = np.zeros((len(windows), 2 * KEYS, WINDOW_FRAMES), np.float32)
    for target, window in zip(targets, windows, strict=True):
        for on_block, off_block, pitch, _velocity in window.notes.tolist():
            key = pitch - LOWEST
            first, last = ((2 * block * BLOCK + HOP) // (2 * HOP) - 1 for block in (on_block, off_block))
            if 0 <= key < KEYS:
                if 0 <= first < WINDOW_FRAMES:
                    target[key, first] = 1
                target[KEYS + key, max(first, 0) : max(first + 1, last, 0)] = 1
    return targets


def synthetic_pieces(count: int, rng: np.random.Generator) -> list[Score]:
    """Random augmented melodies and, with probability `NEGATIVE_SHARE`, synthetic negatives."""
    return [
        synthetic_negative(rng) if rng.random() < NEGATIVE_SHARE else augment(random_melody(rng), rng)
        for _ in range(count)
    ]


def fit_transcribers(
    config: RatingConfig, pieces: int, epochs: int, seed: int, banks: Sequence[NoteBank], progress: Progress
) -> tuple[list[RatingMember], list[dict[str, float]]]:
    """Members with fitted transcribers and randomly initialised heads, each fitted with another seed.

    Args:
        config: of the network.
        pieces: synthetic pieces.
        epochs: passes over them.
        seed: of the pieces and of the fits.
        banks: pianos that play them.
        progress: shows a bar.

    Returns:
        The members, and of each its `transcription_f1` on new synthetic melodies.
    """
    members = []
    bar = progress.add_task("fitting transcribers", total=config.members)
    mels, valid, windows = _synthetic_windows(pieces, banks, np.random.default_rng([seed, config.members + 1]))
    mean, scale = _band_scale(mels)  # one for all members: `extract_features` keeps one spectrogram for all
    for index in range(config.members):
        rng = np.random.default_rng([seed, index])
        torch.manual_seed(1000 * seed + index)
        member = RatingMember(config)
        member.mel_mean.copy_(mean)
        member.mel_scale.copy_(scale)
        _add_key_templates(member)
        _fit_transcriber(member, mels, valid, windows, epochs, rng, lambda share: progress.advance(bar, share))
        members.append(member.eval())
    rng = np.random.default_rng([seed, config.members])
    test = [window for _ in range(TEST_PIECES) for window in score_windows(augment(random_melody(rng), rng))]
    return members, [transcription_f1(member, test) for member in members]


def transcription_f1(member: RatingMember, windows: Sequence[ScoreWindow]) -> dict[str, float]:
    """Frame-wise F1, in [0, 1], over all keys: of the `onset` and of the `held` predictions."""
    mels, valid = score_window_mels(windows)
    with torch.no_grad():
        mask = frame_mask(WINDOW_FRAMES, torch.from_numpy(valid))
        standardised = member.standardise(equal_loudness(torch.from_numpy(mels), mask), mask)
        predictions = (member.transcriber(standardised, mask) > 0) * mask
    targets = torch.from_numpy(key_targets(windows))
    true_positives, predicted, actual = (
        x.view(len(windows), 2, -1).sum((0, 2)) for x in (predictions * targets, predictions, targets)
    )
    onset, held = (2 * true_positives / (predicted + actual).clamp(min=1)).tolist()
    return {"onset": round(onset, 3), "held": round(held, 3)}


def _synthetic_windows(
    pieces: int, banks: Sequence[NoteBank], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, list[ScoreWindow]]:
    """Training windows: float16 spectrograms at equal loudness, valid frames, and the windows of the scores.

    The windows of noise are empty.
    """
    windows: list[ScoreWindow] = []
    mels, valid = [], []

    def add(of_piece: list[ScoreWindow], log_mel: np.ndarray, frames: np.ndarray) -> None:
        windows.extend(of_piece)
        mels.append(_at_equal_loudness(log_mel, frames).numpy().astype(np.float16))
        valid.append(frames)

    for piece in synthetic_pieces(pieces, rng):
        of_piece = score_windows(piece)
        add(of_piece, *random_window_mels(of_piece, banks, rng))
    no_notes = windows[0].notes[:0]
    for _ in range(round(NOISE_SHARE * pieces)):
        log_mel, frames = audio_window_mels(noise_audio(rng))
        add([ScoreWindow(no_notes, int(frame)) for frame in frames], log_mel, frames)
    return np.concatenate(mels), np.concatenate(valid), windows


def _at_equal_loudness(log_mel: np.ndarray, valid: np.ndarray) -> Tensor:
    """(n, mels, WINDOW_FRAMES) of spectrograms of that shape and their (n,) frames before the padding."""
    return equal_loudness(torch.from_numpy(log_mel), frame_mask(WINDOW_FRAMES, torch.from_numpy(valid)))


def _band_scale(mels: np.ndarray) -> tuple[Tensor, Tensor]:
    """(mels, 1) mean and inverse standard deviation of each band."""
    sample = mels[:SCALE_WINDOWS].astype(np.float32)
    mean, spread = sample.mean((0, 2)), sample.std((0, 2)).clip(MIN_SPREAD)
    return torch.from_numpy(mean)[:, None], torch.from_numpy(1 / spread)[:, None]


def _add_key_templates(member: RatingMember) -> None:
    """Add to the random initialisation a channel for each key, with its spectrum as filter.

    From a random initialisation alone, some transcribers do not learn all keys.
    """
    mels, valid = score_window_mels([score_windows(Score([(0, 96, LOWEST + key, 80)]))[0] for key in range(KEYS)])
    with torch.no_grad():
        standardised = (_at_equal_loudness(mels, valid) - member.mel_mean) * member.mel_scale
        spectra = standardised[:, :, TEMPLATE_FRAMES].mean(2)
        templates = functional.normalize(spectra - spectra.mean(0))
        first, keys = member.transcriber.first.weight, member.transcriber.keys.weight
        key = torch.arange(min(KEYS, len(first)))  # a transcriber with few channels has none for the highest keys
        first[key, :, first.shape[2] // 2] += templates[key]
        center = keys.shape[2] // 2
        keys[KEYS + key, key, center] += 1  # held: the activation of the channel
        keys[key, key, center] += 1  # onset: its increase over the frame before
        keys[key, key, center - 1] -= 1


def _equalised(log_mel: Tensor) -> Tensor:
    """(n, mels, frames) with the power of the bands of each window multiplied by a smooth random curve."""
    points = EQUALISER_SPREAD * torch.randn(len(log_mel), 1, EQUALISER_POINTS)
    curve = functional.interpolate(points, log_mel.shape[1], mode="linear", align_corners=True)
    return (log_mel + curve.mT).clamp(min=math.log(FLOOR))


def _fit_transcriber(
    member: RatingMember,
    mels: np.ndarray,
    valid: np.ndarray,
    windows: Sequence[ScoreWindow],
    epochs: int,
    rng: np.random.Generator,
    on_batch: Callable[[float], None],
) -> None:
    """Fit by binary cross-entropy over all keys and frames; `on_batch` gets the share of the fit in each batch."""
    batches = -(-len(mels) // BATCH)
    optimizer = torch.optim.AdamW(member.transcriber.parameters(), LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * batches)
    pos_weight = torch.tensor([ONSET_WEIGHT, HELD_WEIGHT]).repeat_interleave(KEYS)[:, None]
    for _ in range(epochs):
        for batch in np.array_split(rng.permutation(len(mels)), batches):
            mask = frame_mask(WINDOW_FRAMES, torch.from_numpy(valid[batch]))
            equalised = _equalised(torch.from_numpy(mels[batch].astype(np.float32)))
            log_mel = member.standardise(equalised, mask)
            targets = torch.from_numpy(key_targets([windows[index] for index in batch]))
            loss = functional.binary_cross_entropy_with_logits(
                member.transcriber(log_mel, mask), targets, weight=mask, pos_weight=pos_weight
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            on_batch(len(batch) / len(mels) / epochs)
