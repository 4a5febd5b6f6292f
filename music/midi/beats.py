"""Beats of a recorded performance, found by dynamic programming."""

from __future__ import annotations

import numpy as np

FRAMES_PER_SECOND = 100
PERIODS = np.unique(np.round(np.geomspace(25, 160, 48)).astype(int))  # frames from beat to beat, 37 to 240 a minute
MAX_CHANGE = 3  # steps of `PERIODS` from one beat to the next, about 12 %
SAME_ONSET = 0.04  # seconds: the notes of a chord are spread as far
NEAR_BEAT = 0.07  # seconds: a beat is at the onset that is so near
CHUNK = 4096  # frames that are computed at once, for memory
# Chosen by search on 60 piano works, played with tempo curves and jitter; docs/music.md has the results on others.
COMMON_PERIOD = 0.6  # seconds
TEMPO_WEIGHT = 1.2  # of the squared octaves from the common period, in nats a beat
CHANGE_WEIGHT = 80.0  # of the squared natural logarithm of the ratio of two neighbouring periods, in nats
ON_BEAT, ON_HALF, ON_QUARTER, ON_THIRD = 0.65, 0.55, 0.3, 0.15  # probability of an onset at these parts of a beat
ELSEWHERE = 3.7  # nats, the cost of an onset at no such part
SALIENCE = 1.2  # nats, that of one twice as salient at the beat
BLUR = 0.035  # seconds, the standard deviation of an onset's place
EDGE = 4  # frames: an onset so near a beat is of that beat


def track_beats(onsets: np.ndarray, ends: np.ndarray, pitches: np.ndarray) -> np.ndarray:
    """The times of the beats of a performance.

    The most likely beats, where an onset is likely at a beat and less likely at its half, quarters and thirds, beats
    have a common period that changes little, and salient onsets are on the beat: chords, low notes, and those before a
    long time without onset. Beats twice or half as fast are a common error. Source: dynamic programming as Ellis 2007,
    "Beat tracking by dynamic programming", with the period as a part of the state, so that it may drift; salience as
    Dixon 2001, "Automatic extraction of tempo and beat from expressive performances", section 3.

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
    beats = _best_path(*_log_likelihoods(times - times[0], weights)) / FRAMES_PER_SECOND + times[0]
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
    return times, np.maximum(weights / weights.mean(), 0.1)


def _curve(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(frames,) the value of the nearest onset, times how near it is."""
    curve = np.zeros(int(times[-1] * FRAMES_PER_SECOND) + int(PERIODS[-1]) + 2)
    at = np.round(times * FRAMES_PER_SECOND).astype(int)
    for shift in range(-int(3 * BLUR * FRAMES_PER_SECOND), int(3 * BLUR * FRAMES_PER_SECOND) + 1):
        near = np.exp(-0.5 * (shift / (BLUR * FRAMES_PER_SECOND)) ** 2)
        np.maximum.at(curve, np.clip(at + shift, 0, len(curve) - 1), values * near)
    return curve


def _log_likelihoods(times: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nats of what is heard: before each frame, after the beat before and up to it, and after it.

    Returns:
        (frames,) up to a first beat, (frames, periods) float32 up to another one, (frames,) after the last.
    """
    onset = _curve(times, np.ones(len(times)))
    salience = _curve(times, np.log2(weights) + 4) - 4 * onset  # the weights are at least 0.1
    counts = np.cumsum(np.bincount(np.round(times * FRAMES_PER_SECOND).astype(int), minlength=len(onset)))
    silence = np.zeros(int(PERIODS[-1]))
    onset, counts = np.concatenate((silence, onset)), np.concatenate((silence, counts))
    tempo = -TEMPO_WEIGHT * np.log2(PERIODS / FRAMES_PER_SECOND / COMMON_PERIOD) ** 2
    nats = np.empty((len(salience), len(PERIODS)), np.float32)
    for start in range(0, len(salience), CHUNK):
        now = np.arange(start, min(start + CHUNK, len(salience)))
        nats[now] = _heard(onset, counts, now[:, None] + len(silence)) + SALIENCE * salience[now, None] + tempo
    frame = np.arange(len(salience)) + len(silence)
    at_beat = SALIENCE * salience + np.log(ON_BEAT) * onset[frame]
    before = at_beat - ELSEWHERE * counts[frame - EDGE - 1]
    after = -ELSEWHERE * (counts[-1] - counts[np.minimum(frame + EDGE, len(counts) - 1)])
    return before, nats, after


def _heard(onset: np.ndarray, counts: np.ndarray, now: np.ndarray) -> np.ndarray:
    """(frames, periods) nats of the onsets after the beat before and up to a beat at the frames `now`.

    Args:
        onset: nearness of an onset to each frame, in [0, 1].
        counts: onsets up to each frame.
        now: (frames, 1).
    """

    def at(part: float) -> np.ndarray:
        """Nearness of an onset to that part of the time between the beats."""
        return onset[now - np.round(PERIODS * (1 - part)).astype(int)]

    def nats(nearness: np.ndarray, probability: float) -> np.ndarray:
        return nearness * np.log(probability) + (1 - nearness) * np.log(1 - probability)

    beat = at(1)
    heard = counts[np.minimum(now + EDGE, len(counts) - 1)] - counts[now + EDGE - PERIODS] - beat

    def divided(parts: tuple[float, ...], probabilities: tuple[float, ...]) -> np.ndarray:
        near = [at(part) for part in parts]
        expected = sum(nats(*each) for each in zip(near, probabilities, strict=True))
        return expected - ELSEWHERE * np.maximum(heard - sum(near), 0)

    duple = divided((0.5, 0.25, 0.75), (ON_HALF, ON_QUARTER, ON_QUARTER))
    triple = divided((1 / 3, 2 / 3), (ON_THIRD, ON_THIRD))
    return nats(beat, ON_BEAT) + np.maximum(duple, triple)


def _best_path(before_first: np.ndarray, likelihoods: np.ndarray, after_last: np.ndarray) -> np.ndarray:
    """(beats,) frames of the best sequence of beats; the first and the last are at most the longest period from an end.

    Args:
        before_first: (frames,) nats up to a first beat.
        likelihoods: (frames, periods) nats from one beat to the next.
        after_last: (frames,) nats after the last beat.
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
        value += likelihoods[now]
        alone = np.where(now < longest, before_first[now], -1e18)[:, None]
        begins = alone > value
        value = np.maximum(value, alone)
        best[now + longest] = value
        back[now] = np.where(begins, -1, choice)
    tail = best[frames:] + after_last[frames - longest :, None]
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
