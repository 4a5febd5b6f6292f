"""Random sound conditions: known sounds through them, their ranges, and equal sounds of equal seeds."""

from pathlib import Path

import numpy as np
import pytest

from toccata.music.score import Score
from toccata.music.sound.bank import default_soundfont, note_bank
from toccata.music.sound.spectrogram import SAMPLE_RATE, log_mel
from toccata.reward_models.rating.audio_windows import score_window_mels, score_windows
from toccata.reward_models.rating.fitting import sound_conditions
from toccata.reward_models.rating.fitting.config import FitRatingError
from toccata.reward_models.rating.fitting.sanity_probes import parse_melody
from toccata.reward_models.rating.fitting.sound_conditions import (
    GAIN_DB,
    NOISE_DB,
    REVERB_DB,
    REVERB_SECONDS,
    open_banks,
    random_recording,
    random_window_mels,
)

BANK = note_bank(SAMPLE_RATE)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def tone():
    """(1, samples): half a second of 440 Hz, then half a second of silence."""
    seconds = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    return (0.1 * np.sin(2 * np.pi * 440 * seconds) * (seconds < 0.5))[None].astype(np.float32)


@pytest.fixture
def only(monkeypatch):
    """Switches all conditions but the given ones off: `only(REVERB_SHARE=1)`."""

    def switch(**shares):
        off = {"CLEAN_SHARE": 0, "REVERB_SHARE": 0, "NOISE_SHARE": 0, "LOW_PASS_SHARE": 0, "EQUALISER_DB": 0}
        for name, value in {**off, "GAIN_DB": 0, **shares}.items():
            monkeypatch.setattr(sound_conditions, name, value)

    return switch


def power(sound):
    return float((sound.astype(np.float64) ** 2).sum())


def test_without_conditions_a_sound_stays_as_it_is(tone, only):
    only()
    np.testing.assert_allclose(random_recording(tone, rng()), tone, atol=1e-6)


def test_the_gain_is_within_its_range(tone, only):
    only(GAIN_DB=GAIN_DB, CLEAN_SHARE=1)
    decibels = [10 * np.log10(power(random_recording(tone, rng(seed))) / power(tone)) for seed in range(200)]
    assert -GAIN_DB <= min(decibels) < -0.8 * GAIN_DB and 0.8 * GAIN_DB < max(decibels) <= GAIN_DB


def test_reverb_adds_a_tail_of_the_right_energy(only):
    only(REVERB_SHARE=1)
    click = np.zeros((1, 2 * SAMPLE_RATE), np.float32)
    click[0, 0] = 1
    for seed in range(10):
        tail = random_recording(click, rng(seed))[0]
        decibels = 10 * np.log10(power(tail - click[0]))
        assert REVERB_DB[0] - 0.1 <= decibels <= REVERB_DB[1] + 0.1
        assert power(tail[: SAMPLE_RATE // 10]) > power(tail[SAMPLE_RATE // 10 :])
        assert abs(tail[round(REVERB_SECONDS[1] * SAMPLE_RATE) :]).max() < 1e-5


def test_noise_has_the_right_level(tone, only):
    only(NOISE_SHARE=1)
    loudest = np.sqrt((tone[0, : SAMPLE_RATE // 10] ** 2).mean())
    for seed in range(10):
        noise = random_recording(tone, rng(seed)) - tone
        decibels = 20 * np.log10(np.sqrt((noise**2).mean()) / loudest)
        assert NOISE_DB[0] - 0.5 <= decibels <= NOISE_DB[1] + 3


def test_a_low_pass_takes_high_sounds_only(only):
    only(LOW_PASS_SHARE=1)
    seconds = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    for hz, least, most in ((440, 0.99, 1.01), (7900, 0, 0.7)):
        sine = np.sin(2 * np.pi * hz * seconds)[None].astype(np.float32)
        shares = [power(random_recording(sine, rng(seed))) / power(sine) for seed in range(10)]
        assert least <= min(shares) and max(shares) <= most


def test_silence_stays_silence():
    silence = np.zeros((2, SAMPLE_RATE), np.float32)
    assert not any(random_recording(silence, rng(seed)).any() for seed in range(20))


@pytest.mark.parametrize("samples", [1, 99, 5000])
def test_short_sounds_stay_finite(samples):
    sound = rng().normal(0, 0.1, (2, samples)).astype(np.float32)
    for seed in range(20):
        result = random_recording(sound, rng(seed))
        assert result.shape == sound.shape and result.dtype == np.float32 and np.isfinite(result).all()


def test_equal_seeds_give_equal_sounds(tone):
    windows = score_windows(parse_melody("C4 E4 G4 C5"))
    np.testing.assert_array_equal(random_recording(tone, rng(7)), random_recording(tone, rng(7)))
    mels, valid = random_window_mels(windows, [BANK], rng(7))
    np.testing.assert_array_equal(mels, random_window_mels(windows, [BANK], rng(7))[0])
    assert not np.array_equal(mels, random_window_mels(windows, [BANK], rng(8))[0])
    expected_mels, expected_valid = score_window_mels(windows)
    assert mels.shape == expected_mels.shape and mels.dtype == np.float32
    np.testing.assert_array_equal(valid, expected_valid)


def test_every_bank_is_used_and_detuned_by_few_cents(only, monkeypatch):
    only()
    monkeypatch.setattr(sound_conditions, "DETUNINGS", (0,))

    class Fifth:
        """A bank that plays everything a fifth higher."""

        def render_parts(self, parts, samples):
            higher = [part.copy() for part in parts]
            for part in higher:
                part["pitch"] += 7
            return BANK.render_parts(higher, samples)

    windows = score_windows(Score([(0, 48, 60, 80)]))
    strongest = {int(random_window_mels(windows, [BANK, Fifth()], rng(i))[0][0, :, 10].argmax()) for i in range(20)}
    assert len(strongest) == 2


def test_sound_fonts_are_opened_after_the_default_one():
    banks = open_banks([default_soundfont()])
    assert [bank.soundfont for bank in banks] == [default_soundfont()] * 2
    assert banks[0] is note_bank(SAMPLE_RATE)


@pytest.mark.parametrize("content", [None, b"RIFF nothing"])
def test_a_sound_font_that_cannot_be_used_is_named(tmp_path: Path, content):
    path = tmp_path / "piano.sf2"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FitRatingError, match=f"sound_fonts.*{path}") as error:
        open_banks([path])
    assert "\n" not in str(error.value)


def test_random_recordings_have_other_spectra(tone):
    spectra = {float(log_mel(random_recording(tone, rng(seed))).mean()) for seed in range(10)}
    assert len(spectra) == 10
