"""The rating as something to ascend: what `RatingModel` says of sound, with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from toccata.music.sound.bank import RING_SECONDS
from toccata.music.sound.spectrogram import HOP, SAMPLE_RATE
from toccata.reward_models.rating.audio_windows import WINDOW_FRAMES, window_start_frames
from toccata.reward_models.rating.model import ALWAYS_ABSTAINED, NEVER_ABSTAINED, RATING_LIMIT, RatingModel
from toccata.reward_models.rating.network import NOISE_RATING, RatingMember, Support

SHORTFALL_WEIGHT = 1.0  # of the shortfall of support; near full support the rating itself has about as steep a slope


class WindowRatings(NamedTuple):
    """What members say of windows, (..., windows, members) each.

    Attributes:
        popularity: in standard deviations, not clipped.
        support: in [0, 1].
        shortfall: 0 where the support is 1, else how far it is from that; without the flat part of the support below 0.
    """

    popularity: Tensor
    support: Tensor
    shortfall: Tensor

    def abstaining(self) -> Tensor:
        """Ratings, as `toccata.reward_models.rating.model.abstaining` gives them."""
        return self.popularity - (1 - self.support) * (self.popularity - NOISE_RATING).clamp(min=0)

    def ascended(self) -> Tensor:
        """What is ascended: popularity less the shortfall of support.

        Where a member abstains in full, its rating is constant, so that there is nothing to ascend. The shortfall has a
        gradient everywhere; where nobody abstains this is the rating.
        """
        return self.popularity - SHORTFALL_WEIGHT * self.shortfall


def windows_of_mel(mel: Tensor) -> tuple[Tensor, Tensor]:
    """The windows by which a spectrogram is rated.

    Args:
        mel: (n, mels, frames) log-mel spectrograms.

    Returns:
        (n * windows, mels, WINDOW_FRAMES), those of a spectrogram one after the other; and (n * windows,) frames of
        each before the padding.
    """
    frames = mel.shape[2]
    starts = window_start_frames(frames)
    windows = [mel[:, :, start : start + WINDOW_FRAMES] for start in starts]
    valid = torch.tensor([each.shape[2] for each in windows]).repeat(len(mel))
    padded = [functional.pad(each, (0, WINDOW_FRAMES - each.shape[2])) for each in windows]
    return torch.stack(padded, 1).flatten(0, 1), valid


def rate_windows(
    rating: RatingModel, log_mel: Tensor, valid: Tensor, members: Sequence[int], strength: float = 1.0
) -> WindowRatings:
    """What members say of windows.

    Args:
        rating: the model.
        log_mel: (windows, mels, WINDOW_FRAMES).
        valid: (windows,) frames before the padding.
        members: indices of members.
        strength: in [0, 1], how far the members abstain, which depends on the length of the piece.
    """
    said = [_member_ratings(rating.network[index], log_mel, valid) for index in members]  # type: ignore[arg-type]  # of a list of modules, all of them members
    popularity, support, shortfall = (torch.stack(each, 1) for each in zip(*said, strict=True))
    return WindowRatings(popularity, 1 - strength * (1 - support), strength * shortfall)


def rate_mel(rating: RatingModel, mel: Tensor, members: Sequence[int]) -> WindowRatings:
    """What members say of the windows of whole spectrograms, (n, mels, frames): (n, windows, members) each."""
    windows, valid = windows_of_mel(mel)
    seconds = (mel.shape[2] - 1) * HOP / SAMPLE_RATE - RING_SECONDS
    said = rate_windows(rating, windows, valid, members, abstention_strength(seconds))
    return WindowRatings(*(each.unflatten(0, (len(mel), -1)) for each in said))


def pessimistic(rating: RatingModel, values: Tensor) -> Tensor:
    """(n,) mean less the pessimism of the model times the standard deviation, of (n, members); not clipped."""
    return values.mean(1) - rating.config.pessimism * values.std(1, correction=0)


def scores_of_mel(rating: RatingModel, mel: Tensor) -> dict[str, list[float]]:
    """What the model says of spectrograms, (n, mels, frames), each (n,).

    Returns:
        `score`, equal to that of `RatingModel.score_audio` for the spectrogram of a sound; `popularity`, the same if
        no member abstained; `support` of the reward members, in [0, 1]; and `sibling`, the rating by the member that
        was held out of the reward, where there is one.
    """
    reward_members = rating.config.reward_members
    with torch.no_grad():
        said = rate_mel(rating, mel, range(rating.config.members))
    ratings, popularity = said.abstaining().mean(1), said.popularity.mean(1)
    values = {
        "score": pessimistic(rating, ratings[:, :reward_members]).clamp(-RATING_LIMIT, RATING_LIMIT),
        "popularity": pessimistic(rating, popularity[:, :reward_members]),
        "support": said.support.mean(1)[:, :reward_members].mean(1),
    }
    if reward_members < rating.config.members:
        values["sibling"] = ratings[:, reward_members:].mean(1).clamp(-RATING_LIMIT, RATING_LIMIT)
    return {name: each.tolist() for name, each in values.items()}


def abstention_strength(seconds: float) -> float:
    """How far members abstain from a piece of that length, without the release of its last notes, in [0, 1]."""
    return min(max((seconds - NEVER_ABSTAINED) / (ALWAYS_ABSTAINED - NEVER_ABSTAINED), 0.0), 1.0)


def _member_ratings(member: RatingMember, log_mel: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(windows,) popularity, support, and shortfall of support."""
    melody, pooled = member.extract(log_mel, valid)
    popularity = member.predict(melody, pooled, valid)
    if member.support is None:
        return popularity, torch.ones_like(popularity), torch.zeros_like(popularity)
    return popularity, member.support(melody), _shortfall(member.support, melody)


def _shortfall(support: Support, melody: Tensor) -> Tensor:
    """(windows,) distance from a support of 1: missing log-odds of music, and distance beyond the limit."""
    standardised = support.standardise(melody)
    return functional.relu(-support.logits(standardised)) + functional.relu(
        support.distances(standardised) / support.limit - 1
    )
