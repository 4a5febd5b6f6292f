"""Statistics of the melody: known answers, what must change nothing, and gradients."""

import math

import numpy as np
import pytest
import torch

from toccata.music.score import Score
from toccata.reward_models.rating.melody_statistics import (
    _GAPS,
    _INTERVALS,
    CHUNK,
    GAP_EDGES,
    INTERVAL_EDGES,
    KEYS,
    STATISTICS,
    statistics,
)

LOWEST = 21  # MIDI number of the first key
INTERVALS = slice(11, 11 + _INTERVALS)
GAPS = slice(INTERVALS.stop + _INTERVALS**2, INTERVALS.stop + _INTERVALS**2 + _GAPS)
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
    """Dense noise, its windows less and less so: melodies of many lengths."""
    keys = torch.rand(n, 2 * KEYS, frames, generator=torch.Generator().manual_seed(seed))
    return keys ** torch.linspace(1, 300, n)[:, None, None]


def struck_at(*frames):
    """A repeated note that is struck in these frames."""
    keys = torch.zeros(1, 2 * KEYS, 160)
    keys[0, 40, list(frames)] = 1
    return keys


def test_the_notes_of_the_melody_alone_are_counted():
    tune = quarters(72, 74, 72, 79, 81, 81, 79, 76)
    alone = statistics(exact_keys(tune))
    assert float(alone[0, 0]) == pytest.approx(math.log(9), abs=1e-2)
    chord = [(0, 96, 48, 80), (0, 96, 52, 80), (100, 92, 47, 80)]
    accompanied = statistics(exact_keys(Score([*tune.notes.tolist(), *chord])))
    assert float(accompanied[0, 0]) == pytest.approx(math.log(9), abs=1e-2)
    assert float(accompanied[0, 1]) == pytest.approx(math.log(12), abs=1e-2)


def test_intervals_and_travel_of_a_known_tune():
    """Rises 2, 2 and 7, falls 1 and 12, repeats once: classes, mean size, root mean square, net rise and range."""
    found = statistics(exact_keys(quarters(60, 62, 64, 71, 70, 70, 58)))[0]
    classes = np.zeros(_INTERVALS)
    for rise in (2, 2, 7, -1, 0, -12):
        classes[np.searchsorted(INTERVAL_EDGES, rise, side="right") - 1] += 1 / 6
    np.testing.assert_allclose(found[INTERVALS], classes, atol=2e-3)
    assert float(found[MEAN_SIZE]) == pytest.approx(24 / 6, abs=1e-2)
    assert float(found[MEAN_SQUARE]) == pytest.approx(math.sqrt(202 / 6), abs=1e-2)
    assert float(found[NET]) == pytest.approx(-2, abs=1e-2)
    assert float(found[RANGE]) == pytest.approx(14, abs=2e-2)


@pytest.mark.parametrize("gap", [2, 3, 5, 6, 17, 18, 39, 40, 41, 150])
def test_gaps_fall_into_their_classes(gap):
    found = statistics(struck_at(4, 4 + gap))[0, GAPS]
    assert int(found.argmax()) == np.searchsorted(GAP_EDGES, gap, side="right") - 1
    assert float(found.sum()) == pytest.approx(1, abs=1e-3)


def test_what_recurs_is_found_at_its_time():
    found = statistics(struck_at(10, 41, 72, 103))[0, RECURRENCE]  # 31 frames are four quarter seconds
    expected = np.zeros(16)
    expected[[3, 7, 11]] = 3 / 4, 2 / 4, 1 / 4
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_strike_that_may_not_be_counts_by_its_probability():
    """Half a strike between two certain ones: half the time one gap of 40, half the time two of 20."""
    keys = struck_at(10, 30, 50)
    keys[0, 40, 30] = 0.75  # which is half-way from doubt to certainty
    found = statistics(keys)[0, GAPS]
    np.testing.assert_allclose(found, [0, 0, 0, 0, 0, 2 / 3, 0, 1 / 3], atol=2e-3)


def test_transposition_changes_nothing():
    tune = quarters(60, 62, 60, 67, 69, 69, 67, 64)
    np.testing.assert_allclose(statistics(exact_keys(tune)), statistics(exact_keys(tune.transpose(5))), atol=1e-4)


def test_windows_do_not_touch_each_other():
    """Each window alone is as in a batch, though melodies of other lengths and chunks of windows are beside it."""
    keys = noise(CHUNK + 3, 100)
    together = statistics(keys)
    assert together.shape == (CHUNK + 3, STATISTICS)
    np.testing.assert_allclose(together, torch.cat([statistics(one[None]) for one in keys]), atol=1e-4)


def test_rounding_is_small():
    keys = noise(4, 160)
    np.testing.assert_allclose(statistics(keys), statistics(keys.double()), atol=1e-4)


@pytest.mark.parametrize("frames", [*range(1, 45), 160, 400])
def test_statistics_are_finite_for_any_length(frames):
    assert torch.isfinite(statistics(noise(2, frames))).all()


@pytest.mark.parametrize("level", [0.0, 0.3, 0.5, 1.0])
def test_statistics_are_finite_for_anything(level):
    assert torch.isfinite(statistics(torch.full((2, 2 * KEYS, 160), level))).all()
    assert torch.isfinite(statistics(torch.full((2, 2 * KEYS, 3), level))).all()


def test_silence_has_no_melody():
    silent = statistics(torch.zeros(1, 2 * KEYS, 160))[0]
    assert not silent[:4].any()
    assert not silent[INTERVALS].any()
    assert not silent[RECURRENCE].any()


@pytest.mark.parametrize("keys", [noise(2, 60), struck_at(4, 5, 9), torch.ones(1, 2 * KEYS, 20)])
def test_gradients_are_finite(keys):
    keys = keys.clone().requires_grad_()
    statistics(keys).sum().backward()
    assert torch.isfinite(keys.grad).all()
    assert keys.grad.abs().max() > 0


def test_gradients_are_those_of_the_statistics():
    """Along a random direction, against a finite difference in double precision."""
    keys = noise(1, 30).double().requires_grad_()
    along = torch.randn(keys.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weights = torch.linspace(-1, 1, STATISTICS, dtype=torch.float64)
    (statistics(keys) @ weights).sum().backward()
    with torch.no_grad():
        ahead, behind = (float((statistics(keys + step * along) @ weights).sum()) for step in (1e-7, -1e-7))
    assert float((keys.grad * along).sum()) == pytest.approx((ahead - behind) / 2e-7, rel=1e-3)
