"""Fitting the members of a rating network to what people liked, once their listeners can hear."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from toccata.music.score import Score
from toccata.music.spectrogram import HOP
from toccata.reward_models.listening import random_gains
from toccata.reward_models.preferences import group_folds
from toccata.reward_models.rating_network import RatingMember
from toccata.reward_models.sound_windows import ScoreWindow, mels_of_audio, mels_of_windows, windows_of
from toccata.reward_models.variations import TEMPO_RATIOS, vary

NEGATIVE_RATING = -2.5  # standard deviations; no melody of the Bach Doodle lies below -1.35
NEGATIVE_SHARE = 1 / 16  # beside so many pieces one of them
VALID_FOLDS = 10
LEAST_VALID = 10  # of fewer pieces held out no epoch is chosen by: the last is taken
EDGE_SAMPLES = 7  # windows of each piece that the bins are cut by
BATCH = 128
LEAST_BATCHES = 12  # an epoch; few pieces are dealt several times, each time in other renditions
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.3
DROPOUT = 0.3
HEARD_AT_ONCE = 64  # windows
MOST_WINDOWS = 16  # of a rendition, from its middle: about a minute
PITCH_RATIOS = tuple(2 ** (semitones / 12) for semitones in range(-3, 4))  # of recordings; scores are transposed

Curve = list[dict[str, float]]  # `train_mse` (negatives included) and `valid_mse` of each epoch
Sound = tuple[np.ndarray, np.ndarray]  # (windows, mels, frames) log-mel spectrograms, (windows,) frames before the end


@dataclass(frozen=True)
class Heard:
    """What the listeners made of n pieces, each in the same number of renditions; rendition 0 is the plain one.

    Args:
        melody: (members, windows, STATISTICS), the windows of all renditions of all pieces.
        coarse: (windows, mels, steps) float16, the sound itself.
        valid: (windows,) frames before the end.
        first: (n, renditions) the first window of each.
        count: (n, renditions) how many windows each has.
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

    def rated(self, member: RatingMember, index: int, pieces: np.ndarray) -> np.ndarray:
        """(len(pieces),) float32: what `member`, the `index`-th, says of the plain rendition of each piece."""
        ratings = np.empty(len(pieces), np.float32)
        for start in range(0, len(pieces), HEARD_AT_ONCE):
            some = pieces[start : start + HEARD_AT_ONCE]
            count = self.count[some, 0]
            windows = np.concatenate([np.arange(a, a + n) for a, n in zip(self.first[some, 0], count, strict=True)])
            with torch.no_grad():
                judged = member.eval().taste(*self.windows(index, windows)).numpy()
            borders = np.cumsum(count)[:-1]
            ratings[start : start + len(some)] = [part.mean() for part in np.split(judged, borders)]
        return ratings


def renditions(piece: Score | np.ndarray, copies: int, rng: np.random.Generator) -> list[Sound]:
    """A piece as it is, and `copies` times changed so that a listener would not like it more or less.

    A score is transposed, played at another tempo and in other dynamics, a single line also accompanied, before it is
    rendered. A recording, (samples,) at 16 kHz, is shifted in pitch and stretched in time in its spectrogram. Both
    are played louder or softer.
    """
    sounds = []
    for index in range(copies + 1):
        if isinstance(piece, Score):
            windows = _middle(windows_of(vary(piece, rng) if index else piece))
            sounds.append(mels_of_windows(windows, random_gains(1, rng) if index else 1.0))
        elif index:
            hop = round(HOP * rng.choice(TEMPO_RATIOS))
            mels, valid = mels_of_audio(piece * np.float32(random_gains(1, rng)), hop, rng.choice(PITCH_RATIOS))
            sounds.append((_middle(mels), _middle(valid)))
        else:
            mels, valid = mels_of_audio(piece)
            sounds.append((_middle(mels), _middle(valid)))
    return sounds


_Windows = TypeVar("_Windows", np.ndarray, list[ScoreWindow])


def _middle(windows: _Windows) -> _Windows:
    """At most `MOST_WINDOWS` of the windows, those in the middle."""
    begin = max(0, (len(windows) - MOST_WINDOWS) // 2)
    return windows[begin : begin + MOST_WINDOWS]


def listen(members: Sequence[RatingMember], pieces: Iterable[list[Sound]]) -> Heard:
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
            heard = [member.hear(mels, frames) for member in members]
        melody.append(torch.stack([statistics for statistics, _ in heard]))
        coarse.append(heard[0][1].half())  # the same for all: they share one scale
        valid.append(frames)
        waiting.clear()

    for sounds in pieces:
        counts.append([len(frames) for _, frames in sounds])
        waiting += sounds
        if sum(len(frames) for _, frames in waiting) >= HEARD_AT_ONCE:
            hear()
    if waiting:
        hear()
    count = np.array(counts, np.int64)
    first = (np.cumsum(count) - count.ravel()).reshape(count.shape)
    return Heard(torch.cat(melody, 1), torch.cat(coarse), torch.cat(valid), first, count)


def fit_taster(
    listening: RatingMember,
    index: int,
    heard: Heard,
    negatives: Heard,
    targets: Tensor,
    train: np.ndarray,
    valid: np.ndarray,
    epochs: int,
    seed: int,
) -> tuple[RatingMember, Curve]:
    """One member of the ensemble, fitted by mean squared error with early stopping.

    Args:
        listening: the member, its listener fitted; it is not changed.
        index: which of the members that `heard` knows it is.
        heard: the pieces.
        negatives: what no one wants to hear.
        targets: (n,) standardised p.
        train: indices of the pieces to fit on.
        valid: indices of the pieces that choose the epoch.
        epochs: passes over `train`.
        seed: of the weights and the batches.

    Returns:
        The member as it was after the epoch of its smallest mean squared error on `valid`, or after the last where
        `valid` is too small to tell, and its learning curve.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    member = RatingMember(listening.config, DROPOUT)
    member.load_state_dict(listening.hearing(), strict=False)
    known = heard.melody[index, np.concatenate([heard.sample(train, rng) for _ in range(EDGE_SAMPLES)])].numpy()
    edges = np.quantile(known, np.linspace(0, 1, listening.config.bins + 1), axis=0).T
    member.taster.edges.copy_(torch.from_numpy(edges.astype(np.float32)))
    fitted = [*member.sound.parameters(), *member.taster.parameters()]
    batches = -(-len(train) // BATCH)
    rounds = -(-LEAST_BATCHES // batches)
    batches *= rounds
    optimizer = torch.optim.AdamW(fitted, LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * batches)
    noises = np.arange(len(negatives.first))
    best = member.state_dict()
    curve: Curve = []
    for _ in range(epochs):
        member.train()
        losses = []
        dealt = np.concatenate([rng.permutation(train) for _ in range(rounds)])
        for pieces in np.array_split(dealt, batches):
            worst = rng.choice(noises, max(1, round(NEGATIVE_SHARE * len(pieces))))
            parts = zip(
                heard.windows(index, heard.sample(pieces, rng)),
                negatives.windows(index, negatives.sample(worst, rng)),
                strict=True,
            )
            wanted = torch.cat([targets[pieces], torch.full((len(worst),), NEGATIVE_RATING)])
            loss = functional.mse_loss(member.taste(*(torch.cat(both) for both in parts)), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        valid_mse = float(np.mean((heard.rated(member, index, valid) - targets[valid].numpy()) ** 2))
        if len(valid) < LEAST_VALID or not curve or valid_mse < min(epoch["valid_mse"] for epoch in curve):
            best = {name: value.clone() for name, value in member.state_dict().items()}
        curve.append({"train_mse": float(np.mean(losses)), "valid_mse": valid_mse})
    member.load_state_dict(best)
    return member.eval(), curve


def fit_ensemble(
    listening: Sequence[RatingMember],
    heard: Heard,
    negatives: Heard,
    groups: Sequence[str],
    targets: Tensor,
    train: np.ndarray,
    valid: np.ndarray,
    epochs: int,
    seed: int,
    on_member: Callable[[], None] = lambda: None,
) -> tuple[list[RatingMember], list[Curve]]:
    """The members, each with a seed of its own.

    Where no piece is set aside in `valid`, each leaves out other groups of `train`, a tenth, to choose its epoch by.

    Returns:
        The fitted members and their learning curves, as `fit_taster` gives them.
    """
    train_groups = [groups[index] for index in train]
    folds = min(VALID_FOLDS, len(set(train_groups)))
    fold = group_folds(train_groups, folds, seed)
    members, curves = [], []
    for index, member in enumerate(listening):
        kept, out = train, valid
        if not len(valid):
            kept, out = (train[fold != index % folds], train[fold == index % folds]) if folds > 1 else (train, train)
        fitted, curve = fit_taster(
            member, index, heard, negatives, targets, kept, out, epochs, seed=1000 * seed + index
        )
        members.append(fitted)
        curves.append(curve)
        on_member()
    return members, curves
