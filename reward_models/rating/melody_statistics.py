"""Differentiable statistics of a melody, from the probabilities of onsets and held keys in each frame.

Every operation is a sum or product of probabilities, exact where they are 0 or 1. Intervals are differences of keys, so
the statistics do not depend on transposition. Pairs are compared among the frames with a melody onset only, about a
tenth of all frames in music.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

KEYS = 88
MAX_PROBABILITY = 1 - 1e-4  # upper bound where 1 - p is a divisor or in a logarithm
MIN_PRODUCT = 1e-10  # smaller products of probabilities are rounded to 0, because denormal floats are slow
CHUNK = 8  # windows processed together on a CPU, so that they fit into its cache
HELD_LOOKAHEAD = 3  # frames; an onset is no melody note if a higher key is still held 0.1 s after it

# Classes of the interval from one melody note to the next by their lower edges, in semitones
INTERVAL_EDGES = (-99, -12, -7, -4, -2, -1, 0, 1, 2, 3, 5, 8, 13)
GAP_EDGES = (0, 3, 6, 10, 14, 18, 27, 40)  # frames of 32 ms between onsets: up to sixteenths, eighths, ... at 120 bpm
RECURRENCE_LAGS = tuple(round(index * 0.25 / 0.032) for index in range(1, 17))  # frames: 0.25 s, 0.5 s, ... 4 s
MAJOR = (0, 2, 4, 5, 7, 9, 11)

N_INTERVALS = len(INTERVAL_EDGES)
N_GAPS = len(GAP_EDGES)
N_STATISTICS = 8 + 3 + N_INTERVALS + N_INTERVALS**2 + N_GAPS + N_GAPS**2 + 8 + 4 + len(RECURRENCE_LAGS)


def melody_statistics(keys: Tensor) -> Tensor:
    """Statistics of the melody in each window.

    The melody is every onset with no higher onset or held key at the same time. Counts are per second or per note.

    The number of melody frames, and with it the order of the sums, depends on the other windows of the batch. The sums
    are therefore taken in double precision, where this does not change the rounded result.

    Args:
        keys: (n, 2 * 88, frames) probabilities, onsets then held keys.

    Returns:
        (n, N_STATISTICS) finite: density; direction of the melody; histograms of its intervals, pairs of intervals,
        gaps between onsets and pairs of gaps; pitch classes and range; sizes of intervals; recurrence of pitches by
        lag.
    """
    n, _, frames = keys.shape
    held = keys[:, KEYS:]
    chunk_size = CHUNK if keys.device.type == "cpu" else max(n, 1)
    chunks = zip(*[_melody_onsets(chunk) for chunk in keys.split(chunk_size)], strict=True)
    onsets, held_melody, onset_sum = (torch.cat(chunk) for chunk in chunks)

    # Melody frames only from here on, in order; windows with fewer of them than others are padded with silent frames
    has_onset = onsets.sum(1) > 0
    most = int(has_onset.sum(1).amax()) if n else 0
    frame = has_onset.byte().argsort(dim=1, descending=True, stable=True)[:, : max(most, 1)]
    now = onsets.mT[torch.arange(n, device=keys.device)[:, None], frame].double()  # (n, melody frames, keys)
    any_onset = now.sum(2).clamp(max=MAX_PROBABILITY)  # (n, melody frames)
    notes = any_onset.sum(1)

    silent = _silent_between(any_onset)
    previous = silent @ now
    interval = _interval_classes(now, previous)
    gap = _gap_classes(frame, any_onset, silent)
    interval_before, gap_before = (silent @ torch.cat([interval, gap], 2)).split([N_INTERVALS, N_GAPS], 2)
    moves = interval.sum((1, 2)).clamp(min=1)[:, None]
    interval_pairs = interval.mT @ interval_before
    gap_pairs = gap.mT @ gap_before

    polyphony = held.sum(1)
    density = torch.stack(
        [
            torch.log1p(notes),
            torch.log1p(onset_sum),
            torch.log1p(polyphony.mean(1)),
            torch.log1p(polyphony.amax(1)),
            1 - functional.relu(1 - polyphony).mean(1),
            (any_onset * frame).sum(1) / notes.clamp(min=1) / frames,
            (frame * (any_onset > 0.5)).amax(1) / frames,
            torch.full((n,), frames * 0.032, device=keys.device),
        ],
        1,
    )
    unison, rising = INTERVAL_EDGES.index(0), INTERVAL_EDGES.index(0) + 1
    direction = torch.stack(
        [
            interval_pairs[:, rising:, rising:].sum((1, 2)) + interval_pairs[:, :unison, :unison].sum((1, 2)),
            interval_pairs[:, rising:, :unison].sum((1, 2)) + interval_pairs[:, :unison, rising:].sum((1, 2)),
            interval_pairs[:, unison, unison],
        ],
        1,
    )
    pair_sum = interval_pairs.sum((1, 2)).clamp(min=1)[:, None]
    return torch.cat(
        [
            density,
            direction / pair_sum,
            interval.sum(1) / moves,
            interval_pairs.flatten(1) / pair_sum,
            gap.sum(1) / gap.sum((1, 2)).clamp(min=1)[:, None],
            gap_pairs.flatten(1) / gap_pairs.sum((1, 2)).clamp(min=1)[:, None],
            _pitch_statistics(now, held_melody, notes),
            _interval_sizes(now, previous, moves),
            _recurrence(now, frame, _neighbour_max(onsets).double()) / notes.clamp(min=1)[:, None],
        ],
        1,
    ).to(keys.dtype)


def _melody_onsets(keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(n, keys, frames) melody onsets, (n, keys) frames held with no higher key, (n,) sum of all onsets."""
    onsets, held_later = keys.clamp(min=0.5).split(KEYS, 1)  # below 0.5 counts as 0.5, which is scaled to 0
    onsets = torch.where(onsets >= _neighbour_max(onsets), onsets, 0.5)
    held_later = functional.pad(held_later, (0, HELD_LOOKAHEAD), value=0.5)[..., HELD_LOOKAHEAD:]
    free = (2 - 2 * torch.maximum(_neighbour_max(onsets), held_later)).clamp(min=1 - MAX_PROBABILITY)
    higher = keys.new_ones(KEYS, KEYS).triu(1)
    none_higher = functional.hardshrink(torch.exp(higher @ torch.log(free)), MIN_PRODUCT)
    onsets = 2 * onsets - 1
    return onsets * none_higher, (keys[:, KEYS:] * none_higher).sum(2), onsets.sum((1, 2))


def _neighbour_max(values: Tensor) -> Tensor:
    """Maximum over each frame and its two neighbours, of (n, keys, frames)."""
    return functional.max_pool1d(values, 3, 1, 1)


def _silent_between(any_onset: Tensor) -> Tensor:
    """(n, t, s): probability of no onset between melody frames s and t, 0 unless s < t; of (n, melody frames)."""
    after = torch.ones(2 * any_onset.shape[1:], dtype=torch.bool, device=any_onset.device).tril(-1)
    silent = torch.where(after, 1 - any_onset[..., None], 1).cumprod(1)
    return functional.hardshrink(silent.roll(1, 1).tril(-1), MIN_PRODUCT)


def _interval_classes(now: Tensor, previous: Tensor) -> Tensor:
    """(n, melody frames, N_INTERVALS): probability of each class of interval that ends at each frame."""
    widest = INTERVAL_EDGES[-1]
    up_to = functional.pad(previous, (widest, widest)).cumsum(2)
    lags = torch.tensor([widest - edge for edge in INTERVAL_EDGES[1:]], device=now.device)
    at_least = (up_to.unfold(2, KEYS, 1)[:, :, lags] @ now[..., None]).squeeze(3)
    any_interval = (now.sum(2) * previous.sum(2))[..., None]
    return -torch.cat([any_interval, at_least, torch.zeros_like(any_interval)], 2).diff(dim=2)


def _gap_classes(frame: Tensor, any_onset: Tensor, silent: Tensor) -> Tensor:
    """(n, melody frames, N_GAPS): probability of each class of gap between the previous onset and one in each frame."""
    gaps = (frame[:, :, None] - frame[:, None]).abs().clamp(max=GAP_EDGES[-1])
    longest = torch.arange(GAP_EDGES[-1] + 1, device=gaps.device)
    class_of_gap = torch.bucketize(longest, torch.tensor(GAP_EDGES[1:], device=gaps.device), right=True)
    both = any_onset[:, :, None] * silent * any_onset[:, None]
    return both.new_zeros(*any_onset.shape, N_GAPS).scatter_add(2, class_of_gap[gaps], both)


def _pitch_statistics(now: Tensor, held_melody: Tensor, notes: Tensor) -> Tensor:
    """(n, 8): best three scale fits, entropy and maximum of pitch classes, range, distinct keys, those per note."""
    octaves = functional.pad(held_melody + 0.5 * now.sum(1), (0, -KEYS % 12))
    classes = octaves.unflatten(1, (-1, 12)).sum(1)
    classes = classes / classes.sum(1, keepdim=True).clamp(min=1e-3)
    fits = classes[:, [[(step + key) % 12 for step in MAJOR] for key in range(12)]].sum(2)
    entropy = -(classes * torch.log(classes + 1e-6)).sum(1)
    log_unused = torch.log1p(-now.clamp(max=MAX_PROBABILITY)).sum(1)  # (n, keys): log probability of no onset
    distinct = (1 - torch.exp(log_unused)).sum(1)
    from_below = 1 - torch.exp(log_unused.cumsum(1))
    from_above = 1 - torch.exp(log_unused.flip(1).cumsum(1).flip(1))
    span = (from_below * from_above).sum(1)
    best = fits.topk(3, 1).values.unbind(1)
    return torch.stack([*best, entropy, classes.amax(1), span, distinct, distinct / notes.clamp(min=1)], 1)


def _interval_sizes(now: Tensor, previous: Tensor, moves: Tensor) -> Tensor:
    """(n, 4) in semitones: mean absolute interval, mean interval, root mean square interval, and sum of intervals."""
    key = torch.arange(KEYS, dtype=now.dtype, device=now.device)
    rise = key[:, None] - key
    transitions = now.mT @ previous  # (n, key, previous key): expected number of transitions
    net = (transitions * rise).sum((1, 2))[:, None]  # no matrix product: its rounding is larger where terms cancel
    sizes, squares = (transitions.flatten(1) @ torch.stack([rise.abs(), rise**2], 2).view(-1, 2)).split(1, 1)
    return torch.cat([sizes / moves, net / moves, torch.sqrt(squares / moves + 1e-6), net], 1)


def _recurrence(now: Tensor, frame: Tensor, onsets: Tensor) -> Tensor:
    """(n, lags): expected number of melody notes whose key has an onset a lag earlier, of (n, keys, frames) onsets."""
    longest = RECURRENCE_LAGS[-1]
    same_key = functional.pad(now @ onsets, (longest, 0))  # (n, melody frames, longest + frames)
    lags = torch.tensor(RECURRENCE_LAGS, device=frame.device)
    return same_key.gather(2, frame[..., None] + longest - lags).sum(1)
