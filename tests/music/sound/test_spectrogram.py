"""Log-mel spectrograms and their filters."""

import numpy as np
import pytest

from helpers.rounding import float32_rounding
from toccata.music.sound import spectrogram
from toccata.music.sound.spectrogram import (
    F_MAX,
    F_MIN,
    FLOOR,
    HOP,
    N_FFT,
    N_MELS,
    SAMPLE_RATE,
    log_mel,
    mel_filterbank,
    mel_frames,
)

# Of the power of a noise, a sum over the samples of a frame, and of its logarithm
ROUNDING = {"rtol": 0.0, "atol": float32_rounding(N_FFT)}


def tone(hz: float, seconds: float = 1.0, peak: float = 0.1) -> np.ndarray:
    return (peak * np.sin(2 * np.pi * hz * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(np.float32)


def centres() -> np.ndarray:
    return mel_filterbank().argmax(1) * SAMPLE_RATE / N_FFT


def test_silence_is_the_floor():
    mel = log_mel(np.zeros((2, 5_000)))
    assert (mel == mel[0, 0, 0]).all()
    assert mel[0, 0, 0] == pytest.approx(np.log(FLOOR), abs=float32_rounding(8, -np.log(FLOOR)))


@pytest.mark.parametrize("samples", [0, 1, HOP - 1, HOP, N_FFT, 17 * SAMPLE_RATE])
def test_shape(samples):
    mel = log_mel(np.full((1, samples), 0.5, np.float32))
    assert mel.shape == (1, N_MELS, mel_frames(samples)) and mel.dtype == np.float32
    assert np.isfinite(mel).all()


def test_no_pieces():
    assert log_mel(np.zeros((0, 1_000))).shape == (0, N_MELS, mel_frames(1_000))


def test_frames_start_at_the_first_sample():
    assert [mel_frames(samples) for samples in (0, HOP - 1, HOP, 272_000)] == [1, 1, 2, 532]


@pytest.mark.parametrize("hz", [110.0, 440.0, 1_000.0, 4_186.0])
def test_a_tone_has_its_maximum_in_the_filter_of_its_frequency(hz):
    mel = log_mel(tone(hz)[None])[0, :, 3:-3]
    loudest = mel.mean(1).argmax()
    spacing = np.gradient(centres())[loudest]
    assert abs(centres()[loudest] - hz) <= spacing


def test_a_tone_has_its_known_power():
    # A sine of peak a on a bin: |X| = a/2 * sum(window) there, half of that on both neighbours (Hann window).
    bin_number = 64
    mel = np.exp(log_mel(tone(bin_number * SAMPLE_RATE / N_FFT)[None])[0, :, 10]) - FLOOR
    magnitudes = np.zeros(N_FFT // 2 + 1)
    magnitudes[[bin_number - 1, bin_number, bin_number + 1]] = 0.1 / 2 * N_FFT / 2 * np.array([0.5, 1, 0.5])
    np.testing.assert_allclose(mel, mel_filterbank() @ magnitudes**2, rtol=1e-3, atol=1e-6)


def test_twice_the_amplitude_is_four_times_the_power():
    loud, soft = log_mel(np.stack([tone(440, peak=0.2), tone(440, peak=0.1)]))
    audible = soft > np.log(100 * FLOOR)
    np.testing.assert_allclose((loud - soft)[audible], np.log(4), atol=0.02)


def test_a_click_is_in_the_frames_around_it():
    audio = np.zeros((1, 40 * HOP), np.float32)
    audio[0, 20 * HOP] = 1
    frames = np.flatnonzero((log_mel(audio)[0] > np.log(2 * FLOOR)).any(0))
    assert 20 in frames and frames.min() >= 19 and frames.max() <= 21


def test_the_result_does_not_depend_on_batches_and_chunks(monkeypatch):
    audio = np.random.default_rng(0).normal(0, 0.1, (3, 30_001)).astype(np.float32)
    together = log_mel(audio)
    monkeypatch.setattr(spectrogram, "CHUNK_FRAMES", 7)
    for piece, mel in zip(audio, together, strict=True):
        np.testing.assert_allclose(log_mel(piece[None])[0], mel, **ROUNDING)


def test_padding_adds_frames_and_changes_none():
    audio = np.random.default_rng(0).normal(0, 0.1, (1, 10 * HOP)).astype(np.float32)
    padded = np.pad(audio, ((0, 0), (0, 9 * HOP)))
    np.testing.assert_allclose(log_mel(padded)[..., :11], log_mel(audio), **ROUNDING)


@pytest.mark.parametrize("value", [1.0, 32_767.0, 1e30, 3e38])
def test_finite_for_any_finite_sound(value):
    audio = np.full((1, 3_000), value, np.float32)
    audio[:, ::2] *= -1
    assert np.isfinite(log_mel(audio)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_sound_that_is_not_finite_is_an_error(value):
    audio = np.zeros((2, 3_000), np.float32)
    audio[1, 7] = value
    with pytest.raises(ValueError, match="finite"):
        log_mel(audio)


def test_one_dimension_is_an_error():
    with pytest.raises(ValueError, match=r"\(n, samples\)"):
        log_mel(np.zeros(3_000))


# Faster, slower, higher, lower


@pytest.mark.parametrize("hop", [HOP // 2, 435, 589, 2 * HOP])
@pytest.mark.parametrize("samples", [0, 1, 500, 16_000])
def test_a_stretched_sound_has_the_frames_expected(hop, samples):
    audio = np.full((1, samples), 0.5, np.float32)
    assert log_mel(audio, hop).shape == (1, N_MELS, 1 + samples // hop) == (1, N_MELS, mel_frames(samples, hop))


def test_twice_the_hop_is_every_other_frame():
    audio = np.random.default_rng(0).normal(0, 0.1, (1, 20_000)).astype(np.float32)
    np.testing.assert_allclose(log_mel(audio, 2 * HOP), log_mel(audio)[:, :, ::2], **ROUNDING)


def test_a_stretched_sound_is_complete():
    audio = np.zeros((1, 40 * HOP), np.float32)
    audio[0, 39 * HOP] = 1
    for hop in (HOP // 2, HOP, 3 * HOP):
        frames = np.flatnonzero((log_mel(audio, hop)[0] > np.log(2 * FLOOR)).any(0))
        assert 39 * HOP // hop in frames


@pytest.mark.parametrize(("hz", "pitch_ratio"), [(440.0, 2.0), (440.0, 0.5), (1_000.0, 2 ** (3 / 12)), (300.0, 1.0)])
def test_the_pitch_ratio_moves_a_tone_to_the_filter_of_the_higher_tone(hz, pitch_ratio):
    mel = log_mel(tone(hz)[None], pitch_ratio=pitch_ratio)[0, :, 3:-3].mean(1)
    expected = log_mel(tone(hz * pitch_ratio)[None])[0, :, 3:-3].mean(1)
    assert abs(int(mel.argmax()) - int(expected.argmax())) <= 1
    assert np.exp(mel.max()) > 100 * FLOOR


def test_a_pitch_ratio_of_one_changes_nothing():
    audio = np.random.default_rng(0).normal(0, 0.1, (1, 5_000)).astype(np.float32)
    np.testing.assert_array_equal(log_mel(audio, HOP, 1.0), log_mel(audio))


@pytest.mark.parametrize("pitch_ratio", [0.01, 0.84, 1.19, 100.0])
def test_any_pitch_ratio_is_finite(pitch_ratio):
    audio = np.random.default_rng(0).normal(0, 0.1, (1, 5_000)).astype(np.float32)
    assert np.isfinite(log_mel(audio, pitch_ratio=pitch_ratio)).all()


@pytest.mark.parametrize("hop", [0, -HOP])
def test_a_hop_below_one_sample_is_an_error(hop):
    with pytest.raises(ValueError, match="hop"):
        log_mel(np.zeros((1, 1_000)), hop)


@pytest.mark.parametrize("pitch_ratio", [0.0, -1.0, np.nan])
def test_invalid_pitch_ratios_are_errors(pitch_ratio):
    with pytest.raises(ValueError, match="pitch_ratio"):
        log_mel(np.zeros((1, 1_000)), pitch_ratio=pitch_ratio)


# Filters


def test_filters_are_triangles_of_equal_area():
    filters = mel_filterbank(n_fft=2**14)
    np.testing.assert_allclose(filters.sum(1) * SAMPLE_RATE / 2**14, 1, atol=1e-2)
    assert (mel_filterbank().sum(1) > 0).all() and (mel_filterbank() >= 0).all()
    fine = filters.argmax(1) * SAMPLE_RATE / 2**14
    widths = np.diff(fine)
    assert (
        np.ptp(widths[fine[1:] < 1_000]) <= 2 and widths[fine[1:] < 1_000].max() <= widths[fine[:-1] > 1_000].min() + 1
    )


@pytest.mark.parametrize("bad", [{"f_min": -1.0}, {"f_max": 9_000.0}, {"f_min": 8_000.0}, {"n_mels": 0}])
def test_invalid_filters_are_errors(bad):
    with pytest.raises(ValueError, match="f_min < f_max"):
        mel_filterbank(**bad)


@pytest.mark.slow  # compiles librosa
def test_equal_to_librosa():
    librosa = pytest.importorskip("librosa")
    settings = {"sr": SAMPLE_RATE, "n_fft": N_FFT, "n_mels": N_MELS, "fmin": F_MIN, "fmax": F_MAX}
    np.testing.assert_allclose(mel_filterbank(), librosa.filters.mel(**settings), atol=1e-6)
    audio = np.stack([tone(440), tone(60) + np.random.default_rng(0).normal(0, 0.01, SAMPLE_RATE)]).astype(np.float32)
    theirs = librosa.feature.melspectrogram(y=audio, hop_length=HOP, pad_mode="constant", **settings)
    # Next to a tone the power is the rounding of that of the tone, and as large as the floor
    rounding = float32_rounding(N_FFT, -np.log(FLOOR))
    np.testing.assert_allclose(log_mel(audio), np.log(theirs + FLOOR), rtol=0, atol=rounding)
