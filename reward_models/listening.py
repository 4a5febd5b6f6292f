"""Teaching the rating network to hear, before it learns what people like.

The listener is fitted on made-up music: halves of different melodies joined and changed, melodies made by chance,
noise. From the sound it must tell which keys are struck and held in each frame. It never sees a popularity.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor
from torch.nn import functional

from toccata.music.score import Score
from toccata.music.sound import audio_samples, note_bank
from toccata.music.spectrogram import HOP, SAMPLE_RATE, log_mel, mel_frames
from toccata.reward_models.melodies import negative, random_melody, recombined, vary
from toccata.reward_models.melody_line import KEYS
from toccata.reward_models.rating import LOWEST, Listener, RatingConfig, frame_mask

NEGATIVE_SHARE = 0.2  # of the made-up pieces; the others are melodies
BY_CHANCE_SHARE = 0.2  # of the made-up melodies; the others are recombined from real ones
LEAST_NOTES = 6  # of the melodies recombined
GAIN_DB = 6.0  # loudness is varied by as much either way
STRUCK_WEIGHT = 3.0  # a strike lasts one frame of many
FRESH_PIECES = 100
BATCH = 16
LEARNING_RATE = 3e-3


def spectrograms(scores: Sequence[Score], rng: np.random.Generator | None = None) -> list[np.ndarray]:
    """(mels, frames) float16 of each score, at random gains when `rng` is given."""
    spectra: list[np.ndarray] = [np.empty(0)] * len(scores)
    order = np.argsort([score.length_seconds for score in scores], kind="stable")
    for chunk in np.array_split(order, -(-len(order) // 64)) if len(order) else ():
        batch = [scores[index] for index in chunk]
        audio = note_bank(SAMPLE_RATE).render(batch)
        if rng is not None:
            audio *= (10 ** (rng.uniform(-GAIN_DB, GAIN_DB, (len(batch), 1)) / 20)).astype(np.float32)
        for index, score, mel in zip(chunk, batch, log_mel(audio), strict=True):
            spectra[index] = mel[:, : mel_frames(audio_samples(score, SAMPLE_RATE))].astype(np.float16)
    return spectra


def padded(spectra: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """(n, mels, frames) float32, padded with zeros, and (n,) valid frames."""
    valid = np.array([mel.shape[1] for mel in spectra])
    batch = np.zeros((len(spectra), spectra[0].shape[0], valid.max()), np.float32)
    for row, mel in zip(batch, spectra, strict=True):
        row[:, : mel.shape[1]] = mel
    return torch.from_numpy(batch), torch.from_numpy(valid)


def batches(lengths: np.ndarray, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Indices of all items in random batches, similar lengths together so that little padding is computed."""
    order = rng.permutation(len(lengths))
    groups = []
    for start in range(0, len(order), 8 * size):
        near = order[start : start + 8 * size]
        near = near[np.argsort(lengths[near], kind="stable")]
        groups += [near[i : i + size] for i in range(0, len(near), size)]
    for index in rng.permutation(len(groups)):
        yield groups[index]


def key_targets(scores: Sequence[Score], frames: int) -> np.ndarray:
    """(n, 2 * 88, frames) float32: 1 where a key is struck, then where it is held."""
    targets = np.zeros((len(scores), 2 * KEYS, frames), np.float32)
    for target, score in zip(targets, scores, strict=True):
        frames_per_tick = SAMPLE_RATE / HOP * score.seconds_per_tick
        for onset, duration, pitch, _velocity in score.notes.tolist():
            key = pitch - LOWEST
            if 0 <= key < KEYS:
                first = round(onset * frames_per_tick)
                target[key, first] = 1
                target[KEYS + key, first : max(first + 1, round((onset + duration) * frames_per_tick))] = 1
    return targets


def made_up_pieces(melodies: Sequence[Score], count: int, rng: np.random.Generator) -> list[Score]:
    """Pieces that no one wrote: halves of different melodies joined and changed, melodies by chance, noise."""
    sources = [score for score in melodies if len(score) >= LEAST_NOTES] or list(melodies)
    scores = []
    for _ in range(count):
        if rng.random() < NEGATIVE_SHARE:
            scores.append(negative(rng))
        elif rng.random() < BY_CHANCE_SHARE:
            scores.append(vary(random_melody(rng), rng))
        else:
            first, second = rng.integers(len(sources), size=2)
            scores.append(vary(recombined(sources[first], sources[second], rng), rng))
    return scores


def fit_listener(
    config: RatingConfig, melodies: Sequence[Score], pieces: int, epochs: int, seed: int, progress: Progress
) -> tuple[Listener, dict[str, float]]:
    """A listener fitted on made-up music, by binary cross-entropy of every key in every frame.

    Args:
        config: shape of the network.
        melodies: what is recombined.
        pieces: made-up pieces to hear.
        epochs: how often each is heard.
        seed: of the pieces and of the fit.
        progress: where a bar is shown.

    Returns:
        The frozen listener, and `struck_f1`, `held_f1` over all keys and frames of fresh pieces that are no noise.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    bar = progress.add_task("rendering", total=None)
    scores = made_up_pieces(melodies, pieces, rng)
    spectra = spectrograms(scores, rng)
    lengths = np.array([mel.shape[1] for mel in spectra])
    listener = Listener(config)
    _set_scales(listener, spectra)
    steps = epochs * -(-pieces // BATCH)
    optimizer = torch.optim.AdamW(listener.parameters(), LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    weight = torch.ones(2 * KEYS, 1)
    weight[:KEYS] = STRUCK_WEIGHT
    progress.update(bar, description="hearing", total=steps)
    for _ in range(epochs):
        for batch in batches(lengths, BATCH, rng):
            log_mels, valid = padded([spectra[i] for i in batch])
            keys = torch.from_numpy(key_targets([scores[i] for i in batch], log_mels.shape[2]))
            mask = frame_mask(log_mels, valid)
            loss = functional.binary_cross_entropy_with_logits(
                listener(log_mels, valid), keys, weight=mask, pos_weight=weight
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            progress.advance(bar)
    listener.eval().requires_grad_(False)
    fresh = [vary(random_melody(rng), rng) for _ in range(FRESH_PIECES)]
    return listener, hearing(listener, fresh)


def hearing(listener: Listener, scores: Sequence[Score]) -> dict[str, float]:
    """`struck_f1` and `held_f1`: agreement, in [0, 1], of the keys heard in each frame with the score."""
    log_mels, valid = padded(spectrograms(scores))
    with torch.no_grad():
        heard = (listener(log_mels, valid) > 0) * frame_mask(log_mels, valid)
    keys = torch.from_numpy(key_targets(scores, log_mels.shape[2]))
    hits, told, real = (x.view(len(scores), 2, -1).sum((0, 2)) for x in (heard * keys, heard, keys))
    struck, held = (2 * hits / (told + real).clamp(min=1)).tolist()
    return {"struck_f1": round(struck, 3), "held_f1": round(held, 3)}


def describe(listener: Listener, spectra: Sequence[np.ndarray]) -> tuple[Tensor, np.ndarray]:
    """(windows, STATISTICS) of all pieces in order, and (n + 1,) where each piece's windows begin."""
    described: list[Tensor] = [torch.empty(0)] * len(spectra)
    order = np.argsort([mel.shape[1] for mel in spectra], kind="stable")
    with torch.no_grad():
        for chunk in np.array_split(order, -(-len(order) // 64)):
            windows, owner = listener.describe(*padded([spectra[index] for index in chunk]))
            for place, index in enumerate(chunk):
                described[index] = windows[owner == place]
    return torch.cat(described), np.cumsum([0] + [len(windows) for windows in described])


def _set_scales(listener: Listener, spectra: Sequence[np.ndarray]) -> None:
    """Standardise the input, and start with silent keys."""
    sample = np.concatenate(spectra[:2000], 1).astype(np.float32)
    listener.mel_mean.copy_(torch.from_numpy(sample.mean(1, keepdims=True)))
    listener.mel_scale.copy_(torch.from_numpy(1 / sample.std(1, keepdims=True).clip(1e-3)))
    with torch.no_grad():
        torch.nn.init.constant_(listener.keys.bias, -4.0)  # type: ignore[arg-type]  # it has one
