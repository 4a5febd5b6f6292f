import io
import subprocess
import wave
from collections.abc import Iterator

import numpy as np
import pytest

from helpers.songs import song
from toccata.music.songs import sketch
from toccata.music.songs.sketch import RATE, SketchError, check_espeak, has_espeak, sung_sketch

needs_espeak = pytest.mark.skipif(not has_espeak(), reason="the program espeak-ng is not installed")


def spoken(seconds: float) -> bytes:
    """A WAV file of a vowel: pulses of 110 Hz through a resonance."""
    samples = np.zeros(round(seconds * RATE))
    samples[:: RATE // 110] = 1
    decay = np.exp(-np.arange(200) / 60) * np.sin(2 * np.pi * 700 / RATE * np.arange(200))
    data = np.convolve(samples, decay)[: len(samples)] * 0.5
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((data * 2**15).astype("<i2").tobytes())
    return buffer.getvalue()


@pytest.fixture
def vowels(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """A speech synthesizer that says "a" to everything; the commands that it got."""
    got: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess:
        got.append(command)
        return subprocess.CompletedProcess(command, 0, spoken(0.3), b"")

    monkeypatch.setattr(sketch.subprocess, "run", run)
    sketch._speech.cache_clear()
    yield got
    sketch._speech.cache_clear()


def share_at_harmonics(sound: np.ndarray, hertz: float) -> float:
    """The share of the energy up to 3 kHz within 15 Hz of a multiple of a frequency."""
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
    low = frequency < 3000
    near = np.abs(frequency - hertz * np.round(frequency / hertz)) < 15
    return float(power[low & near].sum() / power[low].sum())


@pytest.mark.usefixtures("vowels")
def test_each_syllable_has_the_pitch_and_the_length_of_its_notes() -> None:
    score, underlay = song("a b_ / c", [60, 64, 67, 72], [2, 2, 2, 2], rest_after=[2])
    sound = sung_sketch(score, underlay)
    assert len(sound) == round(score.length_seconds * RATE) + RATE // 2
    assert np.abs(sound).max() == pytest.approx(0.5)
    for onset, ticks, pitch in zip(underlay.onset_ticks, underlay.duration_ticks, underlay.pitches, strict=True):
        start, end = (round(float(tick) * score.seconds_per_tick * RATE) for tick in (onset, onset + ticks))
        note = sound[start + 2000 : end - 1000]
        own, other = (share_at_harmonics(note, 440 * 2 ** ((p - 69) / 12)) for p in (pitch, pitch + 5))
        assert own > 0.8 > other
    rest = round(150 * score.seconds_per_tick * RATE)
    assert not sound[rest : rest + 1000].any()


def test_words_are_spoken_whole_in_their_language(vowels: list[list[str]]) -> None:
    score, underlay = song("Lit-tle lamb", [60, 62, 64], [1, 1, 1])
    sung_sketch(score, underlay)
    assert len(vowels) == 2
    assert vowels[0][:3] == ["espeak-ng", "-v", "en"]


def test_a_program_that_is_missing_or_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    score, underlay = song("a", [60], [1])
    sketch._speech.cache_clear()
    monkeypatch.setattr(sketch, "PROGRAM", "no-such-program")
    for call in (lambda: sung_sketch(score, underlay), check_espeak):
        with pytest.raises(SketchError, match="needs the program espeak-ng"):
            call()
    monkeypatch.setattr(sketch, "PROGRAM", "false")
    with pytest.raises(SketchError, match="false cannot say 'a'"):
        sung_sketch(score, underlay)


@needs_espeak
def test_the_real_program_speaks() -> None:
    sketch._speech.cache_clear()
    score, underlay = song("Lit-tle lamb", [60, 62, 64], [1, 1, 2])
    sound = sung_sketch(score, underlay)
    assert np.abs(sound).max() == pytest.approx(0.5)
    sketch._speech.cache_clear()
    np.testing.assert_array_equal(sound, sung_sketch(score, underlay))
