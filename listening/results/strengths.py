"""How much pieces and sources are preferred, and which are taken for a person's, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from toccata.listening.results.ballots import Ballots, Survey
from toccata.reward_models.preferences.bradley_terry import bradley_terry
from toccata.stats import percentile_interval, wilson

RESAMPLES = 500
FEWEST_LISTENERS = 10  # that are resampled; of fewer a bootstrap's intervals are too narrow
Z = 1.959964  # of 95 %


def piece_strengths(survey: Survey) -> list[dict[str, Any]]:
    """The Bradley-Terry strength of each piece that was voted on, in the order of `Survey.pieces`.

    Returns:
        of each piece `piece`, its index, `strength` in log-odds (0 is the mean of these pieces), `low` and `high` by
        Laplace's approximation (`bradley_terry`), and `votes`.
    """
    ballots = survey.better
    voted, index = np.unique(np.concatenate([ballots.first, ballots.second]), return_inverse=True)
    strengths, deviations = _fitted(index[: len(ballots)], index[len(ballots) :], ballots.share, len(voted))
    votes = np.bincount(index, minlength=len(voted))
    return [
        {"piece": int(piece), "strength": s, "low": s - Z * d, "high": s + Z * d, "votes": int(count)}
        for piece, s, d, count in zip(voted, strengths.tolist(), deviations.tolist(), votes, strict=True)
    ]


def source_strengths(survey: Survey, seed: int) -> dict[str, Any]:
    """The Bradley-Terry strength of each source, from votes between pieces of two of them.

    Returns:
        `sources`: by name `strength` in log-odds (0 is the mean of the sources), `low`, `high`, `votes`, and `share`,
        that of these votes that it won, with half of the ties; `interval`: how the 95 % intervals were made. From
        `FEWEST_LISTENERS` on, listeners are resampled with all their votes (percentile bootstrap); of fewer it is
        Laplace's approximation, for which votes are independent. Both are about these pieces, not about others that the
        sources could have been represented by.
    """
    source, names = survey.source_of_pieces(), survey.sources
    ballots = survey.better
    first, second = source[ballots.first], source[ballots.second]
    between = first != second
    first, second, ballots = first[between], second[between], ballots[between]
    voted = np.unique(np.concatenate([first, second]))
    first, second = np.searchsorted(voted, first), np.searchsorted(voted, second)
    strengths, deviations = _fitted(first, second, ballots.share, len(voted))
    listeners = np.unique(ballots.listener)
    if len(listeners) >= FEWEST_LISTENERS:
        kind = f"bootstrap over {len(listeners)} listeners"
        resampled = _resampled(first, second, ballots, len(voted), seed)
        intervals = [percentile_interval(s, each) for s, each in zip(strengths, resampled.T, strict=True)]
        bounds = [(each.low, each.high) for each in intervals]
    else:
        few = f"{len(listeners)} listener{' is' if len(listeners) == 1 else 's are'} too few"
        kind = f"Laplace's approximation, since {few} to be resampled"
        bounds = [(s - Z * d, s + Z * d) for s, d in zip(strengths.tolist(), deviations.tolist(), strict=True)]
    won = np.bincount(first, ballots.share, len(voted)) + np.bincount(second, 1 - ballots.share, len(voted))
    votes = np.bincount(first, minlength=len(voted)) + np.bincount(second, minlength=len(voted))
    rows = {
        names[number]: {"strength": float(s), "low": low, "high": high, "votes": int(n), "share": float(w / n)}
        for number, s, (low, high), n, w in zip(voted, strengths, bounds, votes, won, strict=True)
    }
    return {"sources": dict(sorted(rows.items(), key=lambda row: -row[1]["strength"])), "interval": kind}


def taken_for_person(survey: Survey) -> dict[str, Any]:
    """How often a source's pieces were taken for the one of two that a person wrote; by chance 0.5.

    Returns:
        `sources`: by name `share`, `low`, `high` (Wilson's 95 % interval, for which votes are independent) and `votes`;
        `right`: the share of all answers that were right, likewise; None without votes.
    """
    ballots, source = survey.person, survey.source_of_pieces()
    sources = {}
    for number, name in enumerate(survey.sources):
        chosen = np.concatenate(
            [ballots.share[source[ballots.first] == number], 1 - ballots.share[source[ballots.second] == number]]
        )
        if len(chosen):
            sources[name] = _share(float(chosen.sum()), len(chosen))
    person = np.array([piece.by_person is True for piece in survey.pieces], bool)
    first_is_right = person[ballots.first] if len(ballots) else np.empty(0, bool)
    right = np.where(first_is_right, ballots.share, 1 - ballots.share)
    return {"sources": sources, "right": _share(float(right.sum()), len(right)) if len(right) else None}


def _share(count: float, total: int) -> dict[str, Any]:
    share = wilson(count, total)
    return {"share": share.mean, "low": share.low, "high": share.high, "votes": total}


def _fitted(first: np.ndarray, second: np.ndarray, share: np.ndarray, items: int) -> tuple[np.ndarray, np.ndarray]:
    """Strengths (items,) of mean 0, and the standard deviations of their differences from that mean."""
    if not items:
        return np.empty(0), np.empty(0)
    strengths, covariance = bradley_terry(first, second, share, items)
    centred = covariance - covariance.mean(0) - covariance.mean(1)[:, None] + covariance.mean()
    return strengths, np.sqrt(np.diag(centred).clip(min=0))


def _resampled(first: np.ndarray, second: np.ndarray, ballots: Ballots, items: int, seed: int) -> np.ndarray:
    """(RESAMPLES, items) strengths of bootstrap samples of the listeners."""
    _, listener = np.unique(ballots.listener, return_inverse=True)
    count = listener.max() + 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return np.stack([bradley_terry(first, second, ballots.share, items, each[listener])[0] for each in drawn])
