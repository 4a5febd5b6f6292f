"""Reading of every audio format as mono, errors for damaged files, and writing of WAV files."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.rounding import float32_rounding
from toccata.music import AudioError, Score, read_audio
from toccata.music.sound import audio_files
from toccata.music.sound.audio_files import write_wav

FORMATS = ("wav", "flac", "ogg", "mp3")


def tone(seconds, rate, hertz=440.0):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def loudest_hertz(mono, rate):
    spectrum = np.abs(np.fft.rfft(mono * np.hanning(len(mono)), 8 * len(mono)))
    return spectrum.argmax() * rate / (8 * len(mono))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_a_tone_keeps_its_pitch_length_and_loudness(tmp_path, suffix, channels, rate):
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, np.stack([tone(1.5, rate)] * channels, 1), rate)
    mono = read_audio(path)
    assert mono.dtype == np.float32
    assert mono.shape == (24_000,)
    assert loudest_hertz(mono, 16_000) == pytest.approx(440, abs=1)
    assert np.sqrt((mono[4_000:20_000] ** 2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)


@pytest.mark.parametrize("suffix", FORMATS)
def test_only_the_middle_is_read(tmp_path, suffix):
    path = tmp_path / f"three.{suffix}"
    parts = [tone(1, 44_100, hertz) for hertz in (200, 440, 1000)]
    soundfile.write(path, np.concatenate(parts), 44_100)
    middle = read_audio(path, seconds=0.8)
    assert middle.shape == (12_800,)
    assert loudest_hertz(middle, 16_000) == pytest.approx(440, abs=1)
    assert read_audio(path, seconds=100).shape == (48_000,)


def test_samples_at_the_rate_of_the_file_are_unchanged(tmp_path):
    samples = np.random.default_rng(0).uniform(-1, 1, (999, 2)).astype(np.float32)
    soundfile.write(tmp_path / "noise.wav", samples, 22_050, subtype="FLOAT")
    audio = read_audio(tmp_path / "noise.wav", 22_050)
    np.testing.assert_allclose(audio, samples.mean(1), rtol=0, atol=float32_rounding(16))


def test_opposite_channels_cancel(tmp_path):
    left = tone(0.1, 16_000)
    soundfile.write(tmp_path / "cancel.wav", np.stack([left, -left], 1), 16_000, subtype="FLOAT")
    assert not read_audio(tmp_path / "cancel.wav").any()


@settings(max_examples=25)  # the filter from 44,101 to 16,000 is long
@given(st.integers(1, 3_000), st.sampled_from([8_000, 11_025, 16_000, 44_100, 44_101]), st.floats(1e-6, 1))
def test_the_length_is_right_at_any_rate(tmp_path_factory, samples, rate, seconds):
    path = tmp_path_factory.mktemp("audio") / "any.wav"
    soundfile.write(path, np.full(samples, 0.25, np.float32), rate)
    assert abs(len(read_audio(path)) - samples * 16_000 / rate) < 1 + 1e-9
    assert 1 <= len(read_audio(path, seconds=seconds)) <= max(1, round(seconds * 16_000))


def assert_read_or_clear_error(path, seconds):
    try:
        mono = read_audio(path, seconds=seconds)
    except AudioError as error:
        assert str(error).startswith(f"{path}: ")
        assert "does not exist" not in str(error)
    else:
        assert mono.dtype == np.float32
        assert mono.ndim == 1
        assert len(mono)
        assert np.isfinite(mono).all()


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_damaged_file_is_one_clear_error_or_a_shorter_sound(tmp_path, suffix, capfd):
    path, rng = tmp_path / f"whole.{suffix}", np.random.default_rng(0)
    soundfile.write(path, tone(1, 16_000), 16_000)
    whole = path.read_bytes()
    damaged = [whole[:cut] for cut in (1, 3, 20, 44, 100, len(whole) // 2, len(whole) - 1)]
    for _ in range(20):
        flipped = bytearray(whole)
        for position in rng.integers(0, len(whole), 8).tolist() + rng.integers(0, 64, 2).tolist():
            flipped[position] = int(rng.integers(256))
        damaged.append(bytes(flipped))
    for data in damaged:
        path.write_bytes(data)
        assert_read_or_clear_error(path, None)
        assert_read_or_clear_error(path, 0.2)
    capfd.readouterr()  # libmpg123 prints warnings


@pytest.mark.parametrize("suffix", [*FORMATS, "raw", "txt", ""])
def test_garbage_is_one_clear_error(tmp_path, suffix, capfd):
    path = tmp_path / f"garbage.{suffix}"
    path.write_bytes(np.random.default_rng(1).bytes(3_000))
    with pytest.raises(AudioError, match="garbage"):
        read_audio(path)
    capfd.readouterr()


@pytest.mark.parametrize("samples", [[0, np.nan, 0], [np.inf, 0], [1e30, 1e30], [3e38, -3e38]])
def test_samples_that_are_not_finite_or_too_large_are_errors(tmp_path, samples):
    soundfile.write(tmp_path / "odd.wav", np.stack([samples] * 2, 1).astype(np.float32), 8_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"odd\.wav: holds samples"):
        read_audio(tmp_path / "odd.wav")


def test_files_without_sound_are_errors(tmp_path):
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16_000)
    with pytest.raises(AudioError, match="holds no sound"):
        read_audio(tmp_path / "none.wav")
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioError, match="is empty"):
        read_audio(tmp_path / "empty.wav")
    with pytest.raises(AudioError, match="is a folder"):
        read_audio(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_audio(tmp_path / "nowhere.wav")
    soundfile.write(tmp_path / "slow.wav", np.zeros(9), 10)
    with pytest.raises(AudioError, match="10 samples a second"):
        read_audio(tmp_path / "slow.wav")


@pytest.mark.parametrize(("rate", "seconds"), [(0, None), (10**6, None), (16_000, 0), (16_000, float("nan"))])
def test_arguments_out_of_range_are_errors(tmp_path, rate, seconds):
    with pytest.raises(ValueError, match="must be"):
        read_audio(tmp_path / "x.wav", rate, seconds)


def test_written_wav_files_are_read_back(tmp_path):
    audio = Score([(0, 24, 60, 80), (24, 24, 64, 80), (48, 48, 67, 80)]).audio()
    write_wav(tmp_path / "melody.wav", audio, 16_000)
    read, sample_rate = soundfile.read(tmp_path / "melody.wav", dtype="float32")
    assert sample_rate == 16_000
    np.testing.assert_allclose(read, audio, atol=1 / 32_000)
    write_wav(tmp_path / "stereo.wav", np.stack([audio, -audio], axis=1), 16_000)
    np.testing.assert_allclose(soundfile.read(tmp_path / "stereo.wav")[0], np.stack([read, -read], 1), atol=1 / 32_000)
    for wrong in (np.full(10, np.nan), np.zeros((10, 3)), np.zeros((2, 2, 2))):
        with pytest.raises(ValueError, match=r"\(samples, 2\) finite"):
            write_wav(tmp_path / "nan.wav", wrong, 16_000)
    assert not (tmp_path / "nan.wav").exists()


def test_names_that_are_not_utf_8(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    write_wav(path, tone(1, 16_000))
    assert read_audio(path).shape == (16_000,)
    path.write_bytes(b"no sound")
    with pytest.raises(AudioError, match=r"caf\\xe9\.wav"):
        read_audio(path)


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MAX_SAMPLES", 32_000, "longer than 16,000 samples a channel"),
        ("MAX_FRAMES", 20_000, "longer than 20,000 samples a channel"),
        ("MAX_CHANNELS", 1, "has 2 channels, at most 1 are read"),
    ],
)
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_every_bound_is_named(tmp_path, monkeypatch, limit, value, message, suffix):
    path = tmp_path / f"long.{suffix}"
    soundfile.write(path, np.zeros((48_000, 2), np.float32), 16_000)
    assert len(read_audio(path)) == 48_000
    monkeypatch.setattr(audio_files, limit, value)
    with pytest.raises(AudioError, match=rf"long\.{suffix}: .*{message}"):
        read_audio(path)
    if limit != "MAX_CHANNELS":
        assert len(read_audio(path, seconds=1)) == 16_000
        with pytest.raises(AudioError, match=message):
            read_audio(path, seconds=2)


def test_the_result_is_bounded_at_its_own_rate(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "slow.wav", np.zeros(2_000), 1_000)
    monkeypatch.setattr(audio_files, "MAX_FRAMES", 200_000)
    assert len(read_audio(tmp_path / "slow.wav", 100_000)) == 200_000
    with pytest.raises(AudioError, match="longer than 1,041 samples"):
        read_audio(tmp_path / "slow.wav", 192_000)
