"""What a piece's melody is like, read from the probabilities that each key is struck and held in each frame.

Everything is a sum or product of probabilities, so it is differentiable, and exact where they are 0 or 1. Intervals
are differences of keys, so transposition changes nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

KEYS = 88
CERTAIN = 1 - 1e-4  # probabilities are kept below it where 1 - p is divided by or taken the logarithm of
HELD_LATER = 3  # frames; a higher key still held 0.1 s after a strike keeps that strike out of the melody

# Semitones from one melody note to the next, by the lower edges of their classes: octave leaps to unisons and back
INTERVAL_EDGES = (-99, -12, -7, -4, -2, -1, 0, 1, 2, 3, 5, 8, 13)
GAP_EDGES = (0, 3, 6, 10, 14, 18, 27, 40)  # frames of 32 ms between strikes: up to sixteenths, eighths, ... at 120 bpm
MAJOR = (0, 2, 4, 5, 7, 9, 11)

_INTERVALS = len(INTERVAL_EDGES)
_GAPS = len(GAP_EDGES)
STATISTICS = 8 + 3 + _INTERVALS + _INTERVALS**2 + _GAPS + _GAPS**2 + 8 + 4 + 16


def statistics(keys: Tensor) -> Tensor:
    """Statistics of the melody in each window.

    The melody is what is struck with nothing higher struck or held. Counts are per second or per note.

    Args:
        keys: (n, 2 * 88, frames) probabilities, struck then held.

    Returns:
        (n, STATISTICS) finite: how much is struck and held; the melody's intervals, pairs of successive intervals,
        gaps between strikes, pairs of gaps; rising and falling; pitch classes and range; what recurs after a time.
    """
    struck, held = keys[:, :KEYS], keys[:, KEYS:]
    n, _, frames = keys.shape
    peak = functional.max_pool1d(struck, 3, 1, 1)
    struck = torch.relu(2 * struck - 1) * (struck >= peak)
    near = functional.max_pool1d(struck, 3, 1, 1)
    later = functional.pad(held, (0, HELD_LATER))[..., HELD_LATER:]
    covers = torch.maximum(near, torch.relu(2 * later - 1)).clamp(max=CERTAIN)
    nothing_above = torch.exp(_sum_above(torch.log1p(-covers)))
    line = struck * nothing_above  # (n, keys, frames): what the melody strikes
    strikes = line.sum(1).clamp(max=CERTAIN)  # (n, frames)
    notes = strikes.sum(1)

    rolls = line.transpose(1, 2)  # (n, frames, keys)
    previous = _before(rolls, strikes)
    interval = _intervals(rolls, previous)
    gap = _gaps(strikes)
    interval_before, gap_before = _before(torch.cat([interval, gap], 2), strikes).split([_INTERVALS, _GAPS], 2)
    moves = interval.sum((1, 2)).clamp(min=1)[:, None]
    pairs = interval.transpose(1, 2) @ interval_before
    gap_pairs = gap.transpose(1, 2) @ gap_before

    seconds = frames * 0.032
    level = torch.stack(
        [
            torch.log1p(notes),
            torch.log1p(struck.sum((1, 2))),
            torch.log1p(held.sum((1, 2)) / frames),
            torch.log1p(held.sum(1).amax(1)),
            1 - functional.relu(1 - held.sum(1)).mean(1),
            (strikes * torch.arange(frames)).sum(1) / notes.clamp(min=1) / frames,
            (strikes > 0.5).float().cumsum(1).argmax(1) / frames,
            torch.full((n,), seconds),
        ],
        1,
    )
    low, middle, high = INTERVAL_EDGES.index(0), INTERVAL_EDGES.index(0) + 1, _INTERVALS
    direction = torch.stack(
        [
            pairs[:, middle:high, middle:high].sum((1, 2)) + pairs[:, :low, :low].sum((1, 2)),
            pairs[:, middle:high, :low].sum((1, 2)) + pairs[:, :low, middle:high].sum((1, 2)),
            pairs[:, low, low],
        ],
        1,
    )
    pair_sum = pairs.sum((1, 2)).clamp(min=1)[:, None]
    gap_sum = gap.sum((1, 2)).clamp(min=1)[:, None]
    return torch.cat(
        [
            level,
            direction / pair_sum,
            interval.sum(1) / moves,
            pairs.flatten(1) / pair_sum,
            gap.sum(1) / gap_sum,
            gap_pairs.flatten(1) / gap_pairs.sum((1, 2)).clamp(min=1)[:, None],
            _pitches(line, held * nothing_above, notes),
            _travel(rolls, previous, moves),
            _recurrence(line, notes),
        ],
        1,
    )


def _sum_above(values: Tensor) -> Tensor:
    """Sum over all higher keys, without the key itself, of (n, keys, frames)."""
    return values.flip(1).cumsum(1).flip(1) - values


def _before(values: Tensor, strikes: Tensor) -> Tensor:
    """(n, frames, k): what `values`, (n, frames, k), were at the last of the `strikes` before each frame."""
    kept = (1 - strikes)[..., None].unbind(1)
    last = torch.zeros_like(values[:, 0])
    result = []
    for value, keep in zip(values.unbind(1), kept, strict=True):
        result.append(last)
        last = value + keep * last
    return torch.stack(result, 1)


def _intervals(now: Tensor, previous: Tensor) -> Tensor:
    """(n, frames, classes): the probability of each class of interval to each frame's melody note."""
    most = max(abs(edge) for edge in INTERVAL_EDGES[1:])
    total = previous.cumsum(2)
    reach = torch.cat([functional.pad(total, (most, 0)), total[..., -1:].expand(-1, -1, most)], 2)
    at_least = [now.sum(2) * total[..., -1]]
    at_least += [(now * reach[..., most - edge : most - edge + KEYS]).sum(2) for edge in INTERVAL_EDGES[1:]]
    at_least.append(torch.zeros_like(at_least[0]))
    return -torch.stack(at_least, 2).diff(dim=2)


def _gaps(strikes: Tensor) -> Tensor:
    """(n, frames, classes): the probability that a note is struck, the last so long before."""
    frames = strikes.shape[1]
    silence = functional.pad(torch.cumsum(torch.log1p(-strikes), 1), (1, 0))[:, :-1]  # log P(none before frame t)
    at_least = []
    for edge in GAP_EDGES:
        lag = max(edge, 1) - 1
        since = functional.pad(silence[:, lag:] - silence[:, : frames - lag], (min(lag, frames), 0))
        ever = torch.arange(frames) >= lag
        at_least.append((torch.exp(since) - torch.exp(silence)) * ever)
    at_least.append(torch.zeros_like(strikes))
    return -torch.stack(at_least, 2).diff(dim=2) * strikes[..., None]


def _pitches(line: Tensor, sounding: Tensor, notes: Tensor) -> Tensor:
    """(n, 8): scale fits, entropy of pitch classes, range, and how many notes are new pitches."""
    octaves = functional.pad(sounding.sum(2) + 0.5 * line.sum(2), (0, -KEYS % 12))
    classes = octaves.view(len(line), -1, 12).sum(1)
    classes = classes / classes.sum(1, keepdim=True).clamp(min=1e-3)
    fits = torch.stack([classes[:, [(step + key) % 12 for step in MAJOR]].sum(1) for key in range(12)], 1)
    best = fits.topk(3, 1).values
    entropy = -(classes * torch.log(classes + 1e-6)).sum(1)
    missing = torch.log1p(-line.clamp(max=CERTAIN)).sum(2)  # (n, keys): log probability that a key is never played
    used = 1 - torch.exp(missing)
    from_below = 1 - torch.exp(missing.cumsum(1))
    from_above = 1 - torch.exp(missing.flip(1).cumsum(1).flip(1))
    span = (from_below * from_above).sum(1)
    return torch.stack(
        [
            *best.unbind(1),
            entropy,
            classes.amax(1),
            span,
            used.sum(1),
            used.sum(1) / notes.clamp(min=1),
        ],
        1,
    )


def _travel(now: Tensor, previous: Tensor, moves: Tensor) -> Tensor:
    """(n, 4): mean size and mean of the intervals in semitones, mean square size, and the net rise."""
    key = torch.arange(KEYS, dtype=now.dtype) - KEYS / 2
    mass, mass_before = now.sum(2), previous.sum(2)
    mean, mean_before = now @ key, previous @ key
    net = (mean * mass_before - mass * mean_before).sum(1)
    squares = (now @ key**2) * mass_before - 2 * mean * mean_before + mass * (previous @ key**2)
    under, under_before = now.cumsum(2), previous.cumsum(2)
    apart = under * (mass_before[..., None] - under_before) + under_before * (mass[..., None] - under)
    moves = moves[:, 0]
    square = torch.sqrt(torch.relu(squares.sum(1)) / moves + 1e-6)
    return torch.stack([apart.sum((1, 2)) / moves, net / moves, square, net], 1)


def _recurrence(line: Tensor, notes: Tensor) -> Tensor:
    """(n, 16): share of the melody's notes that were struck a quarter second, two quarters, ... 4 s before."""
    blurred = functional.max_pool1d(line, 3, 1, 1)
    shares = []
    for index in range(1, 17):
        lag = round(index * 0.25 / 0.032)
        again = (line[..., lag:] * blurred[..., :-lag]).sum((1, 2)) if lag < line.shape[2] else 0 * notes
        shares.append(again / notes.clamp(min=1))
    return torch.stack(shares, 1)
