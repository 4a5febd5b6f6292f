"""Beats of a single line of known tempo."""

import numpy as np
import pytest

from toccata.music.pulse import steady_beats


def played(tempo_bpm: float, beats: int, swing: float, keep: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Onsets of a line of quavers with rests and jitter, at a tempo that drifts by 2 %; and the true beats."""
    rng = np.random.default_rng(seed)
    period = 60 / tempo_bpm
    times = np.concatenate(([0], np.cumsum(period * (1 + 0.02 * np.sin(np.arange(beats) / 12))))) + 1.7
    onsets = np.concatenate((times[:-1], times[:-1] + swing * np.diff(times)))
    kept = onsets[rng.random(len(onsets)) < keep]
    return np.sort(kept + rng.normal(0, 0.03 * period, len(kept))), times


@pytest.mark.parametrize("tempo_bpm", [80, 140, 240])
@pytest.mark.parametrize("swing", [0.5, 0.6, 0.67])
def test_beats_are_found(tempo_bpm, swing):
    onsets, times = played(tempo_bpm, 96, swing, 0.7, seed=1)
    found = steady_beats(onsets, tempo_bpm * 1.01)
    nearest = np.abs(found[:, None] - times).min(axis=1)[2:-2] * tempo_bpm / 60
    if swing > 0.5:  # straight quavers alone do not tell the beat from its half
        assert (nearest < 0.12).mean() > 0.9
    gaps = np.diff(found) * tempo_bpm / 60
    assert (np.abs(gaps - 1) < 0.05).all()


def test_beats_surround_the_onsets_and_ascend():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        onsets = np.sort(rng.uniform(0, 20, int(rng.integers(1, 40))))
        beats = steady_beats(onsets, float(rng.uniform(60, 300)))
        assert len(beats) >= 2
        assert (np.diff(beats) > 0).all()
        assert beats[0] <= onsets[0] + 1e-9
        assert beats[-1] >= onsets[-1] - 1e-9


def test_a_later_line_has_later_beats():
    onsets, _ = played(120, 32, 0.6, 0.8, seed=3)
    np.testing.assert_allclose(steady_beats(onsets + 100, 120), steady_beats(onsets, 120) + 100)
