"""Melody statistics: known values, invariances, finiteness, and gradients."""

import math

import numpy as np
import pytest
import torch

from helpers.rounding import float32_rounding
from toccata.music.score import Score
from toccata.reward_models.rating.melody_statistics import (
    CHUNK,
    GAP_EDGES,
    INTERVAL_EDGES,
    KEYS,
    N_GAPS,
    N_INTERVALS,
    N_STATISTICS,
    melody_statistics,
)

# Of sums over keys of logarithms, and of what those over frames are rounded to; statistics are below 100 in noise
ROUNDING = {"rtol": float32_rounding(KEYS), "atol": float32_rounding(KEYS, 10.0)}
LOWEST = 21  # MIDI number of the first key
INTERVALS = slice(11, 11 + N_INTERVALS)
GAPS = slice(INTERVALS.stop + N_INTERVALS**2, INTERVALS.stop + N_INTERVALS**2 + N_GAPS)
RANGE, MEAN_SIZE, MEAN_SQUARE, NET, RECURRENCE = -23, -20, -18, -17, slice(-16, None)


def quarters(*pitches):
    return Score([(24 * beat, 24, pitch, 80) for beat, pitch in enumerate(pitches)])


def exact_keys(score, frames=160):
    keys = torch.zeros(1, 2 * KEYS, frames)
    for onset, duration, pitch, _ in score.notes.tolist():
        first, last = round(onset * 15.625 / 24), round((onset + duration) * 15.625 / 24)
        keys[0, pitch - LOWEST, first] = 1
        keys[0, KEYS + pitch - LOWEST, first:last] = 1
    return keys


def noise(n, frames, seed=0):
    """Random probabilities whose density falls with the index of the window: melodies of many lengths."""
    keys = torch.rand(n, 2 * KEYS, frames, generator=torch.Generator().manual_seed(seed))
    return keys ** torch.linspace(1, 300, n)[:, None, None]


def one_key(*frames):
    """One key with onsets in these frames."""
    keys = torch.zeros(1, 2 * KEYS, 160)
    keys[0, 40, list(frames)] = 1
    return keys


def test_counts_of_melody_notes_and_of_all_notes():
    tune = quarters(72, 74, 72, 79, 81, 81, 79, 76)
    melody = melody_statistics(exact_keys(tune))
    assert float(melody[0, 0]) == pytest.approx(math.log(9), abs=1e-2)
    chord = [(0, 96, 48, 80), (0, 96, 52, 80), (100, 92, 47, 80)]
    accompanied = melody_statistics(exact_keys(Score([*tune.notes.tolist(), *chord])))
    assert float(accompanied[0, 0]) == pytest.approx(math.log(9), abs=1e-2)
    assert float(accompanied[0, 1]) == pytest.approx(math.log(12), abs=1e-2)


def test_intervals_of_a_known_tune():
    """Rises 2, 2 and 7, falls 1 and 12, repeats once: classes, mean size, root mean square, net rise and range."""
    result = melody_statistics(exact_keys(quarters(60, 62, 64, 71, 70, 70, 58)))[0]
    classes = np.zeros(N_INTERVALS)
    for rise in (2, 2, 7, -1, 0, -12):
        classes[np.searchsorted(INTERVAL_EDGES, rise, side="right") - 1] += 1 / 6
    np.testing.assert_allclose(result[INTERVALS], classes, atol=2e-3)
    assert float(result[MEAN_SIZE]) == pytest.approx(24 / 6, abs=1e-2)
    assert float(result[MEAN_SQUARE]) == pytest.approx(math.sqrt(202 / 6), abs=1e-2)
    assert float(result[NET]) == pytest.approx(-2, abs=1e-2)
    assert float(result[RANGE]) == pytest.approx(14, abs=2e-2)


@pytest.mark.parametrize("gap", [2, 3, 5, 6, 17, 18, 39, 40, 41, 150])
def test_classes_of_gaps(gap):
    result = melody_statistics(one_key(4, 4 + gap))[0, GAPS]
    assert int(result.argmax()) == np.searchsorted(GAP_EDGES, gap, side="right") - 1
    assert float(result.sum()) == pytest.approx(1, abs=1e-3)


def test_recurrence_by_lag():
    result = melody_statistics(one_key(10, 41, 72, 103))[0, RECURRENCE]  # 31 frames are four quarter seconds
    expected = np.zeros(16)
    expected[[3, 7, 11]] = 3 / 4, 2 / 4, 1 / 4
    np.testing.assert_allclose(result, expected, atol=2e-3)


def test_an_uncertain_onset_is_weighted_by_its_probability():
    """An onset of probability 0.5 between two of 1: one gap of 40 or two gaps of 20, each with probability 0.5."""
    keys = one_key(10, 30, 50)
    keys[0, 40, 30] = 0.75  # 0.5..1 is scaled to 0..1
    result = melody_statistics(keys)[0, GAPS]
    np.testing.assert_allclose(result, [0, 0, 0, 0, 0, 2 / 3, 0, 1 / 3], atol=2e-3)


def test_transposition_changes_nothing():
    tune = quarters(60, 62, 60, 67, 69, 69, 67, 64)
    np.testing.assert_allclose(
        melody_statistics(exact_keys(tune)), melody_statistics(exact_keys(tune.transpose(5))), **ROUNDING
    )


def test_statistics_do_not_depend_on_the_batch():
    """The other windows have melodies of other lengths, and some are in another chunk."""
    keys = noise(CHUNK + 3, 100)
    batch = melody_statistics(keys)
    assert batch.shape == (CHUNK + 3, N_STATISTICS)
    np.testing.assert_allclose(batch, torch.cat([melody_statistics(one[None]) for one in keys]), **ROUNDING)


def test_single_precision_agrees_with_double_precision():
    keys = noise(4, 160)
    np.testing.assert_allclose(melody_statistics(keys), melody_statistics(keys.double()), **ROUNDING)


@pytest.mark.parametrize("frames", [*range(1, 45), 160, 400])
def test_statistics_are_finite_for_any_length(frames):
    assert torch.isfinite(melody_statistics(noise(2, frames))).all()


@pytest.mark.parametrize("level", [0.0, 0.3, 0.5, 1.0])
def test_statistics_are_finite_for_any_probability(level):
    assert torch.isfinite(melody_statistics(torch.full((2, 2 * KEYS, 160), level))).all()
    assert torch.isfinite(melody_statistics(torch.full((2, 2 * KEYS, 3), level))).all()


def test_silence_has_no_melody():
    silent = melody_statistics(torch.zeros(1, 2 * KEYS, 160))[0]
    assert not silent[:4].any()
    assert not silent[INTERVALS].any()
    assert not silent[RECURRENCE].any()


@pytest.mark.parametrize("keys", [noise(2, 60), one_key(4, 5, 9), torch.ones(1, 2 * KEYS, 20)])
def test_gradients_are_finite(keys):
    keys = keys.clone().requires_grad_()
    melody_statistics(keys).sum().backward()
    assert torch.isfinite(keys.grad).all()
    assert keys.grad.abs().max() > 0


def test_gradients_agree_with_finite_differences():
    """Along a random direction, in double precision."""
    keys = noise(1, 30).double().requires_grad_()
    direction = torch.randn(keys.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weights = torch.linspace(-1, 1, N_STATISTICS, dtype=torch.float64)
    (melody_statistics(keys) @ weights).sum().backward()
    with torch.no_grad():
        plus, minus = (float((melody_statistics(keys + step * direction) @ weights).sum()) for step in (1e-7, -1e-7))
    assert float((keys.grad * direction).sum()) == pytest.approx((plus - minus) / 2e-7, rel=1e-3)
