"""Loudness against the answers of ITU-R BS.1770-4 and the test signals of EBU Tech 3341."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.music.sound import loudness as loudness_module
from toccata.music.sound.loudness import at_loudness, integrated_loudness, k_weighting, true_peak


def sine(decibels: float, seconds: float, rate: int = 16_000, hz: float = 1_000, phase: float = 0) -> np.ndarray:
    """A sine whose peak is `decibels` of full scale."""
    return 10 ** (decibels / 20) * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate + phase)


def stereo(*parts: tuple[float, float]) -> np.ndarray:
    """Sines of (decibels, seconds) after one another, in both channels."""
    return np.concatenate([sine(*part) for part in parts])[:, None].repeat(2, axis=1)


def test_the_filter_is_the_one_printed_in_the_standard():
    printed = [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585],
        [1, -2, 1, 1, -1.99004745483398, 0.99007225036621],
    ]
    np.testing.assert_allclose(k_weighting(48_000), printed, rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match="at least 4000 samples a second, got 3999"):
        k_weighting(3_999)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_a_full_scale_sine_has_minus_3_lufs_a_channel(rate):
    mono = sine(0, 2, rate, 997)
    assert integrated_loudness(mono, rate) == pytest.approx(-3.01, abs=0.05)
    assert integrated_loudness(mono[:, None].repeat(2, axis=1), rate) == pytest.approx(0, abs=0.05)
    assert true_peak(mono, rate) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("sound", "lufs"),
    [
        pytest.param(stereo((-23, 20)), -23, id="1"),
        pytest.param(stereo((-33, 20)), -33, id="2"),
        pytest.param(stereo((-36, 10), (-23, 60), (-36, 10)), -23, id="3"),
        pytest.param(stereo((-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)), -23, id="4"),
        pytest.param(stereo((-26, 20), (-20, 20.1), (-26, 20)), -23, id="5"),
        pytest.param(np.stack([sine(level, 20) for level in (-28, -28, -24, -30, -30)], axis=1), -23, id="6"),
    ],
)
def test_test_signals_of_ebu_tech_3341(sound, lufs):
    assert integrated_loudness(sound, 16_000) == pytest.approx(lufs, abs=0.1)


@pytest.mark.parametrize(("divisor", "degrees"), [(4, 0), (4, 45), (6, 60), (8, 67.5)])
@pytest.mark.parametrize("rate", [16_000, 48_000, 96_000])
def test_true_peaks_of_ebu_tech_3341(divisor, degrees, rate):
    """Test signals 15 to 18; the peak of the samples of the second is 3 dB below the true one."""
    peak = 20 * math.log10(0.5)
    sound = sine(peak, 1, rate, rate / divisor, math.radians(degrees))
    fade = np.minimum(1, np.minimum(np.arange(rate), np.arange(rate)[::-1]) / (rate / 10))
    assert peak - 0.4 < true_peak(sound * fade, rate) < peak + 0.2


def test_a_long_sound_is_measured_in_chunks(monkeypatch):
    sound = stereo((-20, 3), (-30, 3), (-10, 3)) + np.random.default_rng(0).normal(0, 0.01, (9 * 16_000, 2))
    expected = integrated_loudness(sound, 16_000), true_peak(sound, 16_000)
    monkeypatch.setattr(loudness_module, "CHUNK_HOPS", 7)
    monkeypatch.setattr(loudness_module, "PEAK_CHUNK", 1_001)
    assert (integrated_loudness(sound, 16_000), true_peak(sound, 16_000)) == pytest.approx(expected, abs=1e-9)


def test_silence_and_short_sounds():
    for sound in (np.zeros(0), np.zeros(50_000), np.full(100, 1e-6)):
        assert integrated_loudness(sound, 16_000) == -math.inf
        np.testing.assert_array_equal(at_loudness(sound, 16_000, -18), sound.astype(np.float32))
    assert true_peak(np.zeros(0), 16_000) == true_peak(np.zeros(9), 16_000) == -math.inf
    tenth = sine(-20, 0.1)  # a quarter of a block: 6 dB less
    assert integrated_loudness(tenth, 16_000) == pytest.approx(integrated_loudness(sine(-20, 1), 16_000) - 6, abs=0.2)
    assert integrated_loudness(np.ones(1), 16_000) < -30


def test_other_shapes_and_values_are_errors():
    with pytest.raises(ValueError, match=r"1 to 5 channels\), got shape \(10, 6\)"):
        integrated_loudness(np.zeros((10, 6)), 16_000)
    with pytest.raises(ValueError, match="must be finite, got 1 values"):
        true_peak(np.array([0, np.nan]), 16_000)


def test_a_gain_to_a_loudness_within_the_true_peak():
    quiet = sine(-40, 2)
    assert integrated_loudness(at_loudness(quiet, 16_000, -18), 16_000) == pytest.approx(-18, abs=0.01)
    np.testing.assert_array_equal(at_loudness(quiet, 16_000, None), quiet.astype(np.float32))
    assert true_peak(at_loudness(quiet, 16_000, 0), 16_000) == pytest.approx(-1, abs=0.01)  # would be 3.01 dBTP
    assert true_peak(at_loudness(sine(20, 2), 16_000, None), 16_000) == pytest.approx(-1, abs=0.01)


def test_a_gain_that_moves_parts_across_the_absolute_gate_reaches_the_loudness():
    soft_part = np.concatenate([sine(-59, 2), sine(-68, 2)])  # the second is below the gate until the gain is applied
    assert integrated_loudness(at_loudness(soft_part, 16_000, -18), 16_000) == pytest.approx(-18, abs=0.01)
    loud = np.concatenate([sine(-20, 2), sine(-29, 2)])  # and the other way round
    assert integrated_loudness(at_loudness(loud, 16_000, -62), 16_000) == pytest.approx(-62, abs=0.01)


@settings(max_examples=25, deadline=None)
@given(
    samples=st.lists(st.floats(-100, 100, width=32), max_size=60),
    repeat=st.integers(1, 300),
    channels=st.integers(1, 2),
    rate=st.sampled_from([8_000, 11_025, 44_100]),
    wanted=st.floats(-60, 0),
)
def test_any_sound_stays_below_the_true_peak_and_is_never_too_loud(samples, repeat, channels, rate, wanted):
    sound = np.tile(np.array(samples, np.float32), repeat)
    sound = sound if channels == 1 else sound[:, None].repeat(2, axis=1)
    made = at_loudness(sound, rate, wanted)
    assert made.shape == sound.shape and made.dtype == np.float32 and np.isfinite(made).all()
    assert true_peak(made, rate) <= -1 + 1e-3
    if np.isfinite(integrated_loudness(sound, rate)):
        assert integrated_loudness(made, rate) <= wanted + 1e-3
