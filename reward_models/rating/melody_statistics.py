"""What a piece's melody is like, read from the probabilities that each key is struck and held in each frame.

Everything is a sum or product of probabilities, so it is differentiable, and exact where they are 0 or 1. Intervals
are differences of keys, so transposition changes nothing. Only frames in which the melody strikes are compared with
one another: a tenth of all, in music.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

KEYS = 88
CERTAIN = 1 - 1e-4  # probabilities are kept below it where 1 - p is divided by or taken the logarithm of
NOTHING = 1e-10  # smaller products of probabilities are rounded to 0: the tiniest floats are slow to compute with
CHUNK = 8  # windows whose sound is looked at at once: they stay in the processor's cache
HELD_LATER = 3  # frames; a higher key still held 0.1 s after a strike keeps that strike out of the melody

# Semitones from one melody note to the next, by the lower edges of their classes: octave leaps to unisons and back
INTERVAL_EDGES = (-99, -12, -7, -4, -2, -1, 0, 1, 2, 3, 5, 8, 13)
GAP_EDGES = (0, 3, 6, 10, 14, 18, 27, 40)  # frames of 32 ms between strikes: up to sixteenths, eighths, ... at 120 bpm
RECURRENCE_LAGS = tuple(round(index * 0.25 / 0.032) for index in range(1, 17))  # frames: a quarter second, ... 4 s
MAJOR = (0, 2, 4, 5, 7, 9, 11)

_INTERVALS = len(INTERVAL_EDGES)
_GAPS = len(GAP_EDGES)
STATISTICS = 8 + 3 + _INTERVALS + _INTERVALS**2 + _GAPS + _GAPS**2 + 8 + 4 + len(RECURRENCE_LAGS)


def statistics(keys: Tensor) -> Tensor:
    """Statistics of the melody in each window.

    The melody is what is struck with nothing higher struck or held. Counts are per second or per note.

    The number of melody frames, and with it the order of sums, depends on the other windows. In double precision that
    does not show in the result.

    Args:
        keys: (n, 2 * 88, frames) probabilities, struck then held.

    Returns:
        (n, STATISTICS) finite: how much is struck and held; the melody's intervals, pairs of intervals,
        gaps between strikes, pairs of gaps; rising and falling; pitch classes and range; what recurs after a time.
    """
    n, _, frames = keys.shape
    held = keys[:, KEYS:]
    parts = zip(*[_melody(part) for part in keys.split(CHUNK)], strict=True)
    line, sounding, struck_sum = (torch.cat(part) for part in parts)

    # From here on `now` stands for the melody's frames, in order; windows with fewer than others have silent ones after
    any_struck = line.sum(1) > 0
    frame = any_struck.byte().argsort(dim=1, descending=True, stable=True)[:, : max([1, *any_struck.sum(1).tolist()])]
    now = line.mT[torch.arange(n)[:, None], frame].double()  # (n, melody frames, keys); see the docstring
    strikes = now.sum(2).clamp(max=CERTAIN)  # (n, melody frames)
    notes = strikes.sum(1)

    since = _since(strikes)
    previous = since @ now
    interval = _intervals(now, previous)
    gap = _gaps(frame, strikes, since)
    interval_before, gap_before = (since @ torch.cat([interval, gap], 2)).split([_INTERVALS, _GAPS], 2)
    moves = interval.sum((1, 2)).clamp(min=1)[:, None]
    pairs = interval.mT @ interval_before
    gap_pairs = gap.mT @ gap_before

    held_at_once = held.sum(1)
    level = torch.stack(
        [
            torch.log1p(notes),
            torch.log1p(struck_sum),
            torch.log1p(held_at_once.mean(1)),
            torch.log1p(held_at_once.amax(1)),
            1 - functional.relu(1 - held_at_once).mean(1),
            (strikes * frame).sum(1) / notes.clamp(min=1) / frames,
            (frame * (strikes > 0.5)).amax(1) / frames,
            torch.full((n,), frames * 0.032),
        ],
        1,
    )
    low, middle = INTERVAL_EDGES.index(0), INTERVAL_EDGES.index(0) + 1
    direction = torch.stack(
        [
            pairs[:, middle:, middle:].sum((1, 2)) + pairs[:, :low, :low].sum((1, 2)),
            pairs[:, middle:, :low].sum((1, 2)) + pairs[:, :low, middle:].sum((1, 2)),
            pairs[:, low, low],
        ],
        1,
    )
    pair_sum = pairs.sum((1, 2)).clamp(min=1)[:, None]
    return torch.cat(
        [
            level,
            direction / pair_sum,
            interval.sum(1) / moves,
            pairs.flatten(1) / pair_sum,
            gap.sum(1) / gap.sum((1, 2)).clamp(min=1)[:, None],
            gap_pairs.flatten(1) / gap_pairs.sum((1, 2)).clamp(min=1)[:, None],
            _pitches(now, sounding, notes),
            _travel(now, previous, moves),
            _recurrence(now, frame, _near(line).double()) / notes.clamp(min=1)[:, None],
        ],
        1,
    ).to(keys.dtype)


def _melody(keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(n, keys, frames) the melody's strikes, (n, keys) frames held with nothing above, (n,) sum of strikes."""
    struck, later = keys.clamp(min=0.5).split(KEYS, 1)  # improbable is as good as absent
    struck = torch.where(struck >= _near(struck), struck, 0.5)
    later = functional.pad(later, (0, HELD_LATER), value=0.5)[..., HELD_LATER:]
    free = (2 - 2 * torch.maximum(_near(struck), later)).clamp(min=1 - CERTAIN)
    higher = keys.new_ones(KEYS, KEYS).triu(1)
    nothing_above = functional.hardshrink(torch.exp(higher @ torch.log(free)), NOTHING)
    struck = 2 * struck - 1
    return struck * nothing_above, (keys[:, KEYS:] * nothing_above).sum(2), struck.sum((1, 2))


def _near(values: Tensor) -> Tensor:
    """The largest of each frame and its neighbours, of (n, keys, frames)."""
    return functional.max_pool1d(values, 3, 1, 1)


def _since(strikes: Tensor) -> Tensor:
    """(n, t, s): the probability that nothing is struck between melody frames s and t; 0 unless s is before t."""
    after = torch.ones(2 * strikes.shape[1:], dtype=torch.bool).tril(-1)
    silent = torch.where(after, 1 - strikes[..., None], 1).cumprod(1)
    return functional.hardshrink(silent.roll(1, 1).tril(-1), NOTHING)


def _intervals(now: Tensor, previous: Tensor) -> Tensor:
    """(n, melody frames, classes): the probability of each class of interval to each frame's melody note."""
    n, melody_frames, _ = now.shape
    widest = INTERVAL_EDGES[-1]
    up_to = functional.pad(previous, (widest, widest)).cumsum(2)
    by_lag = functional.conv1d(up_to.view(1, -1, KEYS + 2 * widest), now.reshape(-1, 1, KEYS), groups=n * melody_frames)
    at_least = by_lag.view(n, melody_frames, -1)[..., [widest - edge for edge in INTERVAL_EDGES[1:]]]
    any_interval = (now.sum(2) * previous.sum(2))[..., None]
    return -torch.cat([any_interval, at_least, torch.zeros_like(any_interval)], 2).diff(dim=2)


def _gaps(frame: Tensor, strikes: Tensor, since: Tensor) -> Tensor:
    """(n, melody frames, classes): the probability that a note is struck, the last so long before."""
    gaps = (frame[:, :, None] - frame[:, None]).abs().clamp(max=GAP_EDGES[-1])
    class_of_gap = torch.bucketize(torch.arange(GAP_EDGES[-1] + 1), torch.tensor(GAP_EDGES[1:]), right=True)
    both = strikes[:, :, None] * since * strikes[:, None]
    return both.new_zeros(*strikes.shape, _GAPS).scatter_add(2, class_of_gap[gaps], both)


def _pitches(now: Tensor, sounding: Tensor, notes: Tensor) -> Tensor:
    """(n, 8): scale fits, entropy of pitch classes, range, and how many notes are new pitches."""
    octaves = functional.pad(sounding + 0.5 * now.sum(1), (0, -KEYS % 12))
    classes = octaves.unflatten(1, (-1, 12)).sum(1)
    classes = classes / classes.sum(1, keepdim=True).clamp(min=1e-3)
    fits = classes[:, [[(step + key) % 12 for step in MAJOR] for key in range(12)]].sum(2)
    entropy = -(classes * torch.log(classes + 1e-6)).sum(1)
    missing = torch.log1p(-now.clamp(max=CERTAIN)).sum(1)  # (n, keys): log probability that a key is never played
    used = (1 - torch.exp(missing)).sum(1)
    from_below = 1 - torch.exp(missing.cumsum(1))
    from_above = 1 - torch.exp(missing.flip(1).cumsum(1).flip(1))
    span = (from_below * from_above).sum(1)
    best = fits.topk(3, 1).values.unbind(1)
    return torch.stack([*best, entropy, classes.amax(1), span, used, used / notes.clamp(min=1)], 1)


def _travel(now: Tensor, previous: Tensor, moves: Tensor) -> Tensor:
    """(n, 4): mean size and mean of the intervals in semitones, root mean square size, and the net rise."""
    key = torch.arange(KEYS, dtype=now.dtype)
    rise = key[:, None] - key
    moved = now.mT @ previous  # (n, key, key before): how often the melody goes from one to the other
    net = (moved * rise).sum((1, 2))[:, None]  # not a product of matrices, which would round more where it cancels out
    apart, squares = (moved.flatten(1) @ torch.stack([rise.abs(), rise**2], 2).view(-1, 2)).split(1, 1)
    return torch.cat([apart / moves, net / moves, torch.sqrt(squares / moves + 1e-6), net], 1)


def _recurrence(now: Tensor, frame: Tensor, near: Tensor) -> Tensor:
    """(n, lags): how many of the melody's notes were struck so long before, (n, keys, frames) `near` enough."""
    furthest = RECURRENCE_LAGS[-1]
    alike = functional.pad(now @ near, (furthest, 0))  # (n, melody frames, furthest + frames)
    return alike.gather(2, frame[..., None] + furthest - torch.tensor(RECURRENCE_LAGS)).sum(1)
