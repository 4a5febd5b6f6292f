"""Teaching a member of the rating network to hear, before it learns what people like.

A transcriber is fitted on made-up music: melodies made by chance and accompanied, random notes, noise. From the sound it
must tell which keys are struck and held in each frame. It never sees a popularity, nor music that was rated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor
from torch.nn import functional

from toccata.music.score import Score
from toccata.music.sound.spectrogram import HOP
from toccata.music.sound.synthesizer import BLOCK
from toccata.reward_models.rating.audio_windows import (
    WINDOW_FRAMES,
    ScoreWindow,
    audio_window_mels,
    score_window_mels,
    score_windows,
)
from toccata.reward_models.rating.fitting.augmentation import augment
from toccata.reward_models.rating.fitting.synthetic import negative, noise_sound, random_melody
from toccata.reward_models.rating.melody_statistics import KEYS
from toccata.reward_models.rating.network import RatingConfig, RatingMember, frame_mask

LOWEST = 21  # MIDI number of the first key
NEGATIVE_SHARE = 0.2  # of the made-up pieces; the others are melodies
NOISE_SHARE = 0.03  # of the sounds: they are not music at all, so no key is struck
GAIN_DB = 6.0  # loudness is varied by as much either way
STRUCK_WEIGHT, HELD_WEIGHT = 3.0, 2.0  # of what sounds against what does not: most keys are silent, and missed easily
BATCH = 16
RENDERED = 64  # windows whose sound is made at once
SCALED_BY = 2000  # windows that the scale of the spectrograms is taken from
SOUNDING = slice(3, 40)  # frames of a note of two seconds in which its key is heard best
FRESH_PIECES = 100
LEARNING_RATE = 2e-3


def random_gains(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) factors of loudness, `GAIN_DB` up or down at most."""
    return 10 ** (rng.uniform(-GAIN_DB, GAIN_DB, count) / 20)


def key_targets(windows: Sequence[ScoreWindow]) -> np.ndarray:
    """(n, 2 * 88, WINDOW_FRAMES) float32: 1 where a key is struck, then where it is held."""
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
    """Pieces that no one wrote: melodies by chance, many of them accompanied, and what nobody would want to hear."""
    return [negative(rng) if rng.random() < NEGATIVE_SHARE else augment(random_melody(rng), rng) for _ in range(count)]


def fit_transcribers(
    config: RatingConfig, pieces: int, epochs: int, seed: int, progress: Progress
) -> tuple[list[RatingMember], list[dict[str, float]]]:
    """Members that can hear and know nothing of popularity, each fitted on made-up music of its own.

    Args:
        config: shape of the network.
        pieces: made-up pieces that each member hears.
        epochs: how often each is heard.
        seed: of the pieces and of the fits.
        progress: where a bar is shown.

    Returns:
        The members, and of each `struck_f1` and `held_f1` over all keys and frames of fresh made-up melodies.
    """
    members = []
    bar = progress.add_task("hearing", total=config.members)
    scales = None
    for index in range(config.members):
        rng = np.random.default_rng([seed, index])
        torch.manual_seed(1000 * seed + index)
        member = RatingMember(config)
        mels, valid, keys = _synthetic_sounds(pieces, rng)
        scales = scales or _scales(mels)  # one for all members, so that one description of the sound serves all
        member.mel_mean.copy_(scales[0])
        member.mel_scale.copy_(scales[1])
        _tune(member)
        _fit_transcriber(member, mels, valid, keys, epochs, rng, lambda share: progress.advance(bar, share))
        members.append(member.eval())
    rng = np.random.default_rng([seed, config.members])
    fresh = [window for _ in range(FRESH_PIECES) for window in score_windows(augment(random_melody(rng), rng))]
    return members, [transcription_f1(member, fresh) for member in members]


def transcription_f1(member: RatingMember, windows: Sequence[ScoreWindow]) -> dict[str, float]:
    """`struck_f1` and `held_f1`: agreement, in [0, 1], of the keys heard in each frame with the score."""
    mels, valid = score_window_mels(windows)
    with torch.no_grad():
        mask = frame_mask(WINDOW_FRAMES, torch.from_numpy(valid))
        heard = (member.transcriber(member.standardised(torch.from_numpy(mels), mask), mask) > 0) * mask
    keys = torch.from_numpy(key_targets(windows))
    hits, told, real = (x.view(len(windows), 2, -1).sum((0, 2)) for x in (heard * keys, heard, keys))
    struck, held = (2 * hits / (told + real).clamp(min=1)).tolist()
    return {"struck_f1": round(struck, 3), "held_f1": round(held, 3)}


def _synthetic_sounds(pieces: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[ScoreWindow]]:
    """Windows of made-up sounds: float16 spectrograms, their frames, and the notes that are to be heard in them."""
    windows = [window for piece in synthetic_pieces(pieces, rng) for window in score_windows(piece)]
    silence = windows[0].notes[:0]
    mels, valid = [], []
    for start in range(0, len(windows), RENDERED):
        part = windows[start : start + RENDERED]
        some, frames = score_window_mels(part, random_gains(len(part), rng))
        mels.append(some.astype(np.float16))
        valid.append(frames)
    for _ in range(round(NOISE_SHARE * pieces)):
        some, frames = audio_window_mels(noise_sound(rng))
        mels.append(some.astype(np.float16))
        valid.append(frames)
        windows += [ScoreWindow(silence, int(frame)) for frame in frames]
    return np.concatenate(mels), np.concatenate(valid), windows


def _scales(mels: np.ndarray) -> tuple[Tensor, Tensor]:
    """(mels, 1) mean and inverse standard deviation of each band."""
    sample = mels[:SCALED_BY].astype(np.float32)
    mean, spread = sample.mean((0, 2)), sample.std((0, 2)).clip(1e-3)
    return torch.from_numpy(mean)[:, None], torch.from_numpy(1 / spread)[:, None]


def _tune(member: RatingMember) -> None:
    """Let the transcriber begin with a channel for each key that answers to its sound; from noise some stay half deaf."""
    mels, _ = score_window_mels([score_windows(Score([(0, 96, LOWEST + key, 80)]))[0] for key in range(KEYS)])
    with torch.no_grad():
        sound = (torch.from_numpy(mels) - member.mel_mean) * member.mel_scale
        sounding = sound[:, :, SOUNDING].mean(2)
        templates = functional.normalize(sounding - sounding.mean(0))
        first, keys = member.transcriber.first.weight, member.transcriber.keys.weight
        key = torch.arange(min(KEYS, len(first)))  # a transcriber with few channels has none for the highest keys
        first[key, :, first.shape[2] // 2] += templates[key]
        now = keys.shape[2] // 2
        keys[KEYS + key, key, now] += 1  # held: its channel is on
        keys[key, key, now] += 1  # struck: its channel is on, and was off a frame before
        keys[key, key, now - 1] -= 1


def _fit_transcriber(
    member: RatingMember,
    mels: np.ndarray,
    valid: np.ndarray,
    windows: Sequence[ScoreWindow],
    epochs: int,
    rng: np.random.Generator,
    on_batch: Callable[[float], None],
) -> None:
    """Fit the transcriber by binary cross-entropy of every key in every frame."""
    batches = -(-len(mels) // BATCH)
    optimizer = torch.optim.AdamW(member.transcriber.parameters(), LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * batches)
    weight = torch.tensor([STRUCK_WEIGHT, HELD_WEIGHT]).repeat_interleave(KEYS)[:, None]
    for _ in range(epochs):
        for batch in np.array_split(rng.permutation(len(mels)), batches):
            mask = frame_mask(WINDOW_FRAMES, torch.from_numpy(valid[batch]))
            sound = member.standardised(torch.from_numpy(mels[batch].astype(np.float32)), mask)
            keys = torch.from_numpy(key_targets([windows[index] for index in batch]))
            loss = functional.binary_cross_entropy_with_logits(
                member.transcriber(sound, mask), keys, weight=mask, pos_weight=weight
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            on_batch(len(batch) / len(mels) / epochs)
