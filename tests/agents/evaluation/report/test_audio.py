from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

from toccata.agents.evaluation.report.audio import data_uri, opus_of_wav
from toccata.music.sound.audio_files import write_wav


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_a_tone_keeps_pitch_and_length(tmp_path: Path, rate: int) -> None:
    write_wav(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate), rate)
    data = opus_of_wav(tmp_path / "a.wav", 10)
    sound, sample_rate = soundfile.read(BytesIO(data))
    assert sample_rate == 48_000
    assert len(sound) == pytest.approx(2 * 48_000, abs=960)
    spectrum = np.abs(np.fft.rfft(sound[24_000:72_000]))
    assert np.argmax(spectrum) == pytest.approx(440, abs=2)  # a second: a bin a hertz
    assert len(data) < 2 * 15_000


@pytest.mark.parametrize("samples", [0, 1, 100, 48_000])
def test_silence_and_little_sound(tmp_path: Path, samples: int) -> None:
    write_wav(tmp_path / "a.wav", np.zeros(samples), 44_100)
    sound, _ = soundfile.read(BytesIO(opus_of_wav(tmp_path / "a.wav", 10)))
    assert np.isfinite(sound).all()


def test_only_the_beginning_is_taken(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.zeros(44_100 * 3), 44_100)
    sound, _ = soundfile.read(BytesIO(opus_of_wav(tmp_path / "a.wav", 1)))
    assert len(sound) == pytest.approx(48_000, abs=960)


def test_a_uri_holds_the_bytes() -> None:
    assert data_uri(b"abc", "audio/midi") == "data:audio/midi;base64,YWJj"
