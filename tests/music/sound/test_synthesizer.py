"""FluidSynth and its errors."""

import os
import subprocess
import sys

import pytest

from toccata.music import Score
from toccata.music.sound.bank import NoteBank, render_fluidsynth
from toccata.music.sound.synthesizer import SoundError

MELODY = Score([(0, 24, 60, 80), (24, 24, 64, 80), (48, 48, 67, 80)])


def test_rendering_prints_nothing_and_imports_are_lazy():
    code = (
        "import sys, toccata.music\n"
        "import toccata.music.sound.bank, toccata.music.sound.spectrogram\n"
        "assert not {'fluidsynth', 'numba', 'scipy', 'pretty_midi', 'soundfile'} & set(sys.modules)\n"
        "toccata.music.Score([(0, 4, 60, 80)]).audio()\n"
    )
    environment = {**os.environ, "CI": "true"}  # with it pyfluidsynth prints the path of the library
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_the_library_the_error_has_an_install_hint(monkeypatch):
    monkeypatch.setitem(sys.modules, "fluidsynth", None)
    with pytest.raises(SoundError, match="apt-get install libfluidsynth3"):
        NoteBank()


def test_missing_and_invalid_sound_fonts_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no sound font at .*nowhere\.sf2"):
        render_fluidsynth(MELODY, soundfont=tmp_path / "nowhere.sf2")
    text = tmp_path / "text.sf2"
    text.write_text("no sound font")
    with pytest.raises(SoundError, match=r"text\.sf2"):
        NoteBank(soundfont=text)


@pytest.mark.parametrize("sample_rate", [0, 4_000, 192_000])
def test_sample_rates_out_of_range_are_errors(sample_rate):
    with pytest.raises(ValueError, match=r"8000\.\.96000"):
        MELODY.audio(sample_rate)
