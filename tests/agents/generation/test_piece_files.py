"""The files of a piece, and how its WAV file is rendered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from toccata.agents.evaluation.config import EvaluateConfig
from toccata.agents.generation.piece_files import SAMPLE_RATE, piece_sound, write_piece
from toccata.agents.generation.sound_options import SoundOptions
from toccata.agents.runs.compose_config import ComposeConfig
from toccata.envs.pieces import Piece
from toccata.music.expression import expressive
from toccata.music.score import Score
from toccata.music.sound.listening import render_for_listening
from toccata.music.sound.loudness import integrated_loudness, true_peak
from toccata.settings.options import ConfigError

FLAT = Piece(Score([(12 * i, 24, 60 + i * 5 % 12, 80) for i in range(16)]))


def test_the_wav_file_is_at_listening_level_and_the_others_are_as_composed(tmp_path: Path) -> None:
    write_piece(FLAT, tmp_path, "tune")
    assert {path.suffix for path in tmp_path.iterdir()} == {".mid", ".wav", ".png", ".musicxml"}
    assert Score.from_midi(tmp_path / "tune.mid") == FLAT.score
    with soundfile.SoundFile(tmp_path / "tune.wav") as file:
        assert (file.samplerate, file.channels, file.subtype) == (SAMPLE_RATE, 1, "PCM_16")
        sound = file.read()
    assert true_peak(sound, SAMPLE_RATE) < -0.99
    assert -20 < integrated_loudness(sound, SAMPLE_RATE) < -17.99
    np.testing.assert_allclose(sound, piece_sound(FLAT), rtol=0, atol=1 / 2**15)


def test_options_of_the_sound(tmp_path: Path) -> None:
    quiet = piece_sound(FLAT, SoundOptions(loudness=-30))
    assert integrated_loudness(quiet, SAMPLE_RATE) == pytest.approx(-30, abs=0.01)
    plain = SoundOptions(loudness=None, reverb=False, expression=False)
    expected = render_for_listening(FLAT.score, SAMPLE_RATE, reverb=False)
    np.testing.assert_array_equal(piece_sound(FLAT, plain), expected)
    played = render_for_listening(expressive(FLAT.score), SAMPLE_RATE, reverb=False)
    np.testing.assert_array_equal(piece_sound(FLAT, SoundOptions(loudness=None, reverb=False)), played)
    write_piece(FLAT, tmp_path, "tune", SoundOptions(stereo=True))
    assert soundfile.info(tmp_path / "tune.wav").channels == 2


def test_the_dynamics_of_a_primer_are_kept() -> None:
    notes = [(0, 48, 60, 30), (48, 48, 62, 120), *FLAT.score.transpose(3).notes.tolist()[8:]]
    continued = Piece(Score(notes), start_tick=96)
    played = render_for_listening(expressive(continued.score, 96), SAMPLE_RATE)
    np.testing.assert_array_equal(piece_sound(continued, SoundOptions(loudness=None)), played)


@pytest.mark.parametrize("loudness", [-61, 0.5, float("nan"), "loud"])
def test_a_loudness_out_of_range_is_an_error(loudness: float) -> None:
    with pytest.raises(ConfigError, match="loudness must be a number, at least -60 and at most 0"):
        SoundOptions(loudness=loudness)


def test_configurations_take_sound_options_only() -> None:
    for made in (lambda sound: EvaluateConfig(Path("runs"), sound=sound), lambda sound: ComposeConfig(sound=sound)):
        assert made(SoundOptions(stereo=True)).sound.stereo
        with pytest.raises(ConfigError, match="sound must be SoundOptions, got 'loud'"):
            made("loud")


def test_options_in_words() -> None:
    assert SoundOptions().describe() == "dynamics by rules, not composed, mono, reverb, -18 LUFS"
    other = SoundOptions(None, Path("fonts/Steinway.sf2"), stereo=True, reverb=False, expression=False)
    expected = "velocities as composed, stereo, no reverb, loudness of the sound font, Steinway.sf2"
    assert other.describe() == expected
