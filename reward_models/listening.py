"""Teaching the rating network to hear, before it learns what people like.

The listener is fitted on made-up music: halves of different melodies joined and changed, melodies made by chance,
noise. From the sound it must tell which keys are struck and held in each frame, and the melody's note features.
It never sees a popularity.
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
from toccata.reward_models.melodies import negative, note_features, random_melody, recombined, vary
from toccata.reward_models.rating import KEYS, LOWEST, Listener, RatingConfig, mean_by_owner

NEGATIVE_SHARE = 0.2  # of the made-up pieces; the others are melodies
BY_CHANCE_SHARE = 0.2  # of the made-up melodies; the others are recombined from real ones
LEAST_NOTES = 6  # of the melodies recombined
FEATURE_LIMIT = 4.0  # standard deviations of real melodies; noise lies beyond, where exactness is of no use
GAIN_DB = 6.0  # loudness is varied by as much either way
STRUCK_WEIGHT = 3.0  # a strike lasts one frame of many
KEY_LOSS_WEIGHT = 20.0  # brings the mean over 176 mostly silent keys to the size of the feature loss
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


def made_up_pieces(melodies: Sequence[Score], count: int, rng: np.random.Generator) -> tuple[list[Score], np.ndarray]:
    """Made-up pieces, and (count, features) float64 of what they are made of, before any accompaniment."""
    sources = [score for score in melodies if len(score) >= LEAST_NOTES] or list(melodies)
    scores, features = [], []
    for _ in range(count):
        if rng.random() < NEGATIVE_SHARE:
            plain = score = negative(rng)
        else:
            if rng.random() < BY_CHANCE_SHARE:
                plain = random_melody(rng)
            else:
                first, second = rng.integers(len(sources), size=2)
                plain = recombined(sources[first], sources[second], rng)
            score = vary(plain, rng)
        scores.append(score)
        features.append(note_features(plain))
    return scores, np.array(features)


def fit_listener(
    config: RatingConfig, melodies: Sequence[Score], pieces: int, epochs: int, seed: int, progress: Progress
) -> tuple[Listener, dict[str, float]]:
    """A listener fitted on made-up music.

    Args:
        config: shape of the network.
        melodies: what is recombined; their spread also sets the scale of the features.
        pieces: made-up pieces to hear; a twentieth of them is held out.
        epochs: how often each is heard.
        seed: of the pieces and of the fit.
        progress: where a bar is shown.

    Returns:
        The frozen listener, and on the pieces held out: `struck_f1`, `held_f1` of the keys over all frames, and
        `feature_error`, the mean squared error of the features in variances of real melodies.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    bar = progress.add_task("rendering", total=None)
    scores, features = made_up_pieces(melodies, pieces, rng)
    spectra = spectrograms(scores, rng)
    held_out = max(pieces // 20, 1)
    lengths = np.array([mel.shape[1] for mel in spectra])
    listener = Listener(config)
    _set_scales(listener, spectra[held_out:])
    real = np.array([note_features(melody) for melody in melodies])
    scaled = (features - real.mean(0)) / np.maximum(real.std(0), 1e-3)
    targets = torch.from_numpy(np.clip(scaled, -FEATURE_LIMIT, FEATURE_LIMIT).astype(np.float32))
    steps = epochs * -(-(pieces - held_out) // BATCH)
    optimizer = torch.optim.AdamW(listener.parameters(), LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    progress.update(bar, description="hearing", total=steps)
    for _ in range(epochs):
        for batch in batches(lengths[held_out:], BATCH, rng):
            key_loss, feature_loss, _ = _hear(listener, spectra, scores, targets, batch + held_out)
            optimizer.zero_grad()
            (KEY_LOSS_WEIGHT * key_loss + feature_loss.mean()).backward()
            torch.nn.utils.clip_grad_norm_(listener.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            progress.advance(bar)
    listener.eval().requires_grad_(False)
    return listener, _hearing(listener, spectra, scores, targets, np.arange(held_out))


def describe(listener: Listener, spectra: Sequence[np.ndarray]) -> tuple[Tensor, np.ndarray]:
    """(windows, hidden) descriptions of all pieces in order, and (n + 1,) where each piece's windows begin."""
    order = np.argsort([mel.shape[1] for mel in spectra], kind="stable")
    described: list[Tensor] = [torch.empty(0)] * len(spectra)
    with torch.no_grad():
        for chunk in np.array_split(order, -(-len(order) // 64)):
            _, description, owner = listener(*padded([spectra[index] for index in chunk]))
            for place, index in enumerate(chunk):
                described[index] = description[owner == place]
    return torch.cat(described), np.cumsum([0] + [len(windows) for windows in described])


def _set_scales(listener: Listener, spectra: Sequence[np.ndarray]) -> None:
    """Standardise the input, and start where most keys are silent and the few that sound are heard."""
    sample = np.concatenate(spectra[:2000], 1).astype(np.float32)
    listener.mel_mean.copy_(torch.from_numpy(sample.mean(1, keepdims=True)))
    listener.mel_scale.copy_(torch.from_numpy(1 / sample.std(1, keepdims=True).clip(1e-3)))
    with torch.no_grad():
        listener.keys.bias.fill_(-4.0)
        listener.line.weight.mul_(8.0)


def _hear(
    listener: Listener, spectra: list[np.ndarray], scores: list[Score], targets: Tensor, index: np.ndarray
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss of the keys, loss of each feature, and (3, 2) counts: hits, heard and real, of struck and held keys."""
    log_mels, valid = padded([spectra[i] for i in index])
    logits, description, owner = listener(log_mels, valid)
    mask = (torch.arange(log_mels.shape[2]) < valid[:, None])[:, None].float()
    keys = torch.from_numpy(key_targets([scores[i] for i in index], log_mels.shape[2]))
    weight = torch.ones(2 * KEYS, 1)
    weight[:KEYS] = STRUCK_WEIGHT
    loss = functional.binary_cross_entropy_with_logits(logits, keys, pos_weight=weight, reduction="none")
    key_loss = (loss * mask).sum() / (mask.sum() * 2 * KEYS)
    named = mean_by_owner(listener.name(description), owner, len(index))
    with torch.no_grad():
        heard = (logits > 0) * mask
        counts = [x.view(len(index), 2, -1).sum((0, 2)) for x in (heard * keys, heard, keys)]
    return key_loss, ((named - targets[index]) ** 2).mean(0), torch.stack(counts)


def _hearing(
    listener: Listener, spectra: list[np.ndarray], scores: list[Score], targets: Tensor, index: np.ndarray
) -> dict[str, float]:
    counts, errors = torch.zeros(3, 2), []
    with torch.no_grad():
        for chunk in np.array_split(index, -(-len(index) // 50)):
            _, feature_loss, counted = _hear(listener, spectra, scores, targets, chunk)
            counts += counted
            errors.append(feature_loss * len(chunk))
    hits, heard, real = counts
    f1 = (2 * hits / (heard + real).clamp(min=1)).tolist()
    error = float(torch.stack(errors).sum(0).mean()) / len(index)
    return {"struck_f1": round(f1[0], 3), "held_f1": round(f1[1], 3), "feature_error": round(error, 3)}
