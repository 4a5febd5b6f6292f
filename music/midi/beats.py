"""Beats of a recorded performance, found by dynamic programming."""

from __future__ import annotations

import numpy as np

FRAMES_PER_SECOND = 100
PERIODS = np.unique(np.round(np.geomspace(25, 160, 48)).astype(int))  # frames from beat to beat, 37 to 240 a minute
COMMON_PERIOD = 0.6  # seconds
TEMPO_WEIGHT = 1.0  # of the squared octaves from the common period, in nats a beat
CHANGE_WEIGHT = 150.0  # of the squared natural logarithm of the ratio of two neighbouring periods, in nats
MAX_CHANGE = 3  # steps of `PERIODS` from one beat to the next, about 12 %
ON_BEAT, ON_HALF, ON_QUARTER, ON_THIRD = 0.85, 0.5, 0.2, 0.1  # probability of an onset
ELSEWHERE = 4.0  # nats, the cost of an onset at no such place of a beat
SALIENCE = 1.0  # nats, that of one twice as salient at the beat
SAME_ONSET = 0.04  # seconds: the notes of a chord are spread as far
BLUR = 0.025  # seconds, the standard deviation of an onset's place
NEAR_BEAT = 0.07  # seconds: a beat is at the onset that is so near


def track_beats(onsets: np.ndarray, ends: np.ndarray, pitches: np.ndarray) -> np.ndarray:
    """The times of the beats of a performance.

    Maximises the mean over time of the salience at the beats, less the squared distance of their period from a common
    one and its squared changes. Source: Ellis 2007, "Beat tracking by dynamic programming"; here the period is a part
    of the state, so that it may drift, and the salience is that of notes: chords, low notes and those before a long
    time without onset are more often on the beat (Dixon 2001, "Automatic extraction of tempo and beat from expressive
    performances", section 3).

    Args:
        onsets: (notes,) seconds, ascending.
        ends: (notes,) seconds.
        pitches: (notes,) MIDI numbers.

    Returns:
        (beats,) ascending seconds: at most one beat before the first onset and one after the last. Empty for fewer than
        two different onsets.
    """
    times, weights = _saliences(onsets, ends, pitches)
    if len(times) < 2:
        return np.empty(0)
    beats = _best_path(_log_likelihoods(times - times[0], weights)) / FRAMES_PER_SECOND + times[0]
    nearest = np.clip(np.searchsorted(times, beats), 1, len(times) - 1)
    nearest -= beats - times[nearest - 1] < times[nearest] - beats
    near = np.abs(times[nearest] - beats) <= NEAR_BEAT
    beats = np.where(near, times[nearest], beats)
    return beats[np.concatenate(([True], np.diff(beats) > 0))]


def _saliences(onsets: np.ndarray, ends: np.ndarray, pitches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times and weights of the onsets, those closer than `SAME_ONSET` to the first of a group as one."""
    groups: list[list[int]] = []
    for index, time in enumerate(onsets.tolist()):
        if groups and time - onsets[groups[-1][0]] < SAME_ONSET:
            groups[-1].append(index)
        else:
            groups.append([index])
    times = np.array([onsets[group].mean() for group in groups])
    if len(times) < 2:
        return times, np.ones(len(times))
    gaps = np.diff(times, append=times[-1] + np.median(np.diff(times)))
    lengths = np.array([(ends[group] - onsets[group]).max() for group in groups])
    lowest = np.array([pitches[group].min() for group in groups])
    counts = np.array([len(group) for group in groups])
    weights = (
        1
        + 0.3 * np.log2(counts)
        + 0.4 * np.clip(np.log2(gaps / np.median(gaps)), -1, 2)
        + 0.2 * np.clip(np.log2(np.maximum(lengths, 1e-3) / np.median(np.maximum(lengths, 1e-3))), -1, 2)
        + 0.3 * np.clip((60 - lowest) / 12, -1, 1.5)
    )
    weights = np.maximum(weights, 0.1)
    return times, weights / weights.mean()


def _curve(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(frames,) the value of the nearest onset, times how near it is."""
    curve = np.zeros(int(times[-1] * FRAMES_PER_SECOND) + int(PERIODS[-1]) + 2)
    at = np.round(times * FRAMES_PER_SECOND).astype(int)
    for shift in range(-int(3 * BLUR * FRAMES_PER_SECOND), int(3 * BLUR * FRAMES_PER_SECOND) + 1):
        near = np.exp(-0.5 * (shift / (BLUR * FRAMES_PER_SECOND)) ** 2)
        np.maximum.at(curve, np.clip(at + shift, 0, len(curve) - 1), values * near)
    return curve


def _log_likelihoods(times: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(frames, periods) nats of what is heard after the beat before and up to a beat at this frame."""
    onset = _curve(times, np.ones(len(times)))
    salience = _curve(times, np.log2(weights))
    frames = len(onset)
    counts = np.cumsum(np.bincount(np.round(times * FRAMES_PER_SECOND).astype(int), minlength=frames)[:frames])
    longest = int(PERIODS[-1])
    padded = np.concatenate((np.zeros(longest), onset))
    padded_counts = np.concatenate((np.zeros(longest), counts))
    now = np.arange(frames)[:, None] + longest

    def heard(share: float) -> np.ndarray:
        """(frames, periods) nearness of an onset at that share of the beat before this one."""
        return padded[now - np.round(PERIODS * (1 - share)).astype(int)]

    def nats(nearness: np.ndarray, probability: float) -> np.ndarray:
        return nearness * np.log(probability) + (1 - nearness) * np.log(1 - probability)

    beat, half = heard(1), heard(0.5)
    quarters, thirds = (heard(0.25), heard(0.75)), (heard(1 / 3), heard(2 / 3))
    edge = 1 + round(BLUR * FRAMES_PER_SECOND)  # an onset so near the beat before is of that beat
    heard_all = padded_counts[np.minimum(now + edge, len(padded) - 1)] - padded_counts[now + edge - PERIODS]

    def total(places: list[tuple[np.ndarray, float]]) -> np.ndarray:
        elsewhere = np.maximum(heard_all - beat - sum(nearness for nearness, _ in places), 0)
        return sum(nats(*place) for place in places) - ELSEWHERE * elsewhere

    duple = total([(half, ON_HALF), *((each, ON_QUARTER) for each in quarters)])
    triple = total([(each, ON_THIRD) for each in thirds])
    tempo = -TEMPO_WEIGHT * np.log2(PERIODS / FRAMES_PER_SECOND / COMMON_PERIOD) ** 2
    return nats(beat, ON_BEAT) + SALIENCE * salience[:, None] + np.maximum(duple, triple) + tempo


def _best_path(likelihoods: np.ndarray) -> np.ndarray:
    """(beats,) frames of the best sequence of beats; the first and the last are at most the longest period from an end.

    Args:
        likelihoods: (frames, periods).
    """
    shortest, longest, count = int(PERIODS[0]), int(PERIODS[-1]), len(PERIODS)
    logs = np.log(PERIODS)
    before = np.clip(np.arange(count)[:, None] + np.arange(-MAX_CHANGE, MAX_CHANGE + 1), 0, count - 1)
    change = -CHANGE_WEIGHT * (logs[:, None] - logs[before]) ** 2  # (periods, changes), as `before`: earlier periods
    frames = len(likelihoods)
    best = np.full((frames + longest, count), -1e18)  # the first `longest` rows are before the beginning
    back = np.zeros((frames, count), np.int8)
    for start in range(0, frames, shortest):  # a beat depends on none of the same `shortest` frames
        now = np.arange(start, min(start + shortest, frames))
        earlier = best[(now[:, None] + longest - PERIODS)[:, :, None], before]  # (frames, periods, changes)
        earlier += change
        choice = earlier.argmax(2)
        value = np.take_along_axis(earlier, choice[:, :, None], 2)[:, :, 0]
        begins = (now[:, None] < longest) & (value < -1e17)  # no beat before it
        value[begins] = 0
        best[now + longest] = value + likelihoods[now]
        back[now] = np.where(begins, -1, choice)
    tail = best[frames:]
    at, period = (int(index) for index in np.unravel_index(tail.argmax(), tail.shape))
    frame = at + frames - longest
    path = []
    while True:
        path.append(frame)
        choice_at = int(back[frame, period])
        if choice_at < 0:
            return np.array(path[::-1], float)
        frame -= int(PERIODS[period])
        period = int(before[period, choice_at])
