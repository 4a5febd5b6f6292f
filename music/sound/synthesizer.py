"""One FluidSynth piano: keys go down and up, blocks of sound come out."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from os import PathLike
from pathlib import Path
from types import ModuleType

import numpy as np

from toccata.errors import ToccataError

BLOCK = 64  # samples FluidSynth renders at a time; events take effect between blocks
GAIN = 0.6  # ten keys of the default sound font struck at velocity 100 sum to 0.96 of full scale at most
VOICES_PER_NOTE = 4  # a layered sound font takes several for one key; the default one takes one
MAX_VOICES = 2048  # FluidSynth looks through all of them at every note; 16 notes a second on all 88 keys ring as 1,800
SAMPLE_RATES = (8_000, 96_000)  # what FluidSynth accepts, Hz

INSTALL_HINT = (
    "the FluidSynth library is missing: apt-get install libfluidsynth3 (Debian, Ubuntu), "
    "brew install fluid-synth (macOS) or conda install -c conda-forge fluidsynth"
)
_LOG_LEVELS = range(5)  # panic, error, warning, information, debug


class SoundError(ToccataError, RuntimeError):
    """FluidSynth is missing or cannot use a sound font."""


class FluidPiano:
    """Program 0 of a sound font in FluidSynth, reverb and chorus off; a context manager.

    Args:
        sample_rate: samples a second, 8,000 to 96,000.
        soundfont: path of an SF2 file.
        voices: how many may sound at once, released notes that still ring included; at most `MAX_VOICES`.

    Raises:
        SoundError: when libfluidsynth is not installed or cannot read the sound font.
        FileNotFoundError: when there is no such sound font.
        ValueError: for a sample rate out of range.
    """

    def __init__(self, sample_rate: int, soundfont: str | PathLike[str], voices: int) -> None:
        low, high = SAMPLE_RATES
        if not low <= sample_rate <= high:
            raise ValueError(f"sample_rate must be in {low}..{high} samples a second, got {sample_rate}")
        if not Path(soundfont).is_file():
            raise FileNotFoundError(f"no sound font at {soundfont}")
        fluidsynth = _fluidsynth()
        self._write_float = fluidsynth._fl.fluid_synth_write_float
        self._count_voices = fluidsynth.fluid_synth_get_active_voice_count
        self._all_sounds_off = fluidsynth.fluid_synth_all_sounds_off
        voices = min(voices, MAX_VOICES)
        with _silent(fluidsynth):
            self._synth = fluidsynth.Synth(
                gain=GAIN,
                samplerate=float(sample_rate),
                channels=16,
                **{"synth.reverb.active": 0, "synth.chorus.active": 0, "synth.polyphony": voices},
            )
            self.close = weakref.finalize(self, self._synth.delete)  # also at exit, while the library still stands
            font = self._synth.sfload(str(soundfont))
            if font < 0 or self._synth.program_select(0, font, 0, 0) != 0:
                raise SoundError(f"{soundfont}: not a sound font with a program 0 that FluidSynth can read")
        self._warm_up(voices)

    def __enter__(self) -> FluidPiano:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def strike(self, pitch: int, velocity: int) -> None:
        """Press a key; a string that still rings on it is damped."""
        self._synth.noteon(0, pitch, velocity)

    def release(self, pitch: int) -> None:
        """Let a key come up."""
        self._synth.noteoff(0, pitch)

    def hush(self) -> None:
        """Stop every string at once."""
        self._all_sounds_off(self._synth.synth, 0)
        self.write(1)

    def write(self, blocks: int) -> np.ndarray:
        """The next (blocks * BLOCK,) float32 samples, mean of left and right."""
        samples = blocks * BLOCK
        stereo = np.empty((2, samples), np.float32)
        address = stereo.ctypes.data
        self._write_float(self._synth.synth, samples, address, 0, 1, address, samples, 1)
        mono = stereo[0] + stereo[1]
        mono *= 0.5
        return mono

    def record(self, pitch: int, velocity: int, blocks: int, silence: float) -> np.ndarray:
        """One note held for `blocks`, until its ringing stays below `silence`, from a piano at rest."""
        self.strike(pitch, velocity)
        parts = [self.write(blocks)]
        self.release(pitch)
        while self._voices():
            parts.append(self.write(64))
            if np.abs(parts[-1]).max() < silence:  # not asked of the first part: a string may speak late
                break
        self.hush()
        sound = np.concatenate(parts)
        loud = np.flatnonzero(np.abs(sound) >= silence)
        return sound[: loud[-1] + 1] if len(loud) else sound[:0]

    def _warm_up(self, voices: int) -> None:
        """Let every voice play once.

        A voice glides to its filter setting during the first block it ever plays, so that a fresh one sounds
        a little (0.1 % of full scale) different from a used one.
        """
        for _ in range(2 * voices // 128 + 1):  # twice, since some keys may have no string
            for pitch in range(128):
                if self._voices() > voices - VOICES_PER_NOTE:
                    break
                self.strike(pitch, 1)
            self.write(1)
        self.hush()

    def _voices(self) -> int:
        """How many sound now."""
        return self._count_voices(self._synth.synth)


def _fluidsynth() -> ModuleType:
    """The pyfluidsynth module, with the one function it does not declare."""
    try:
        with redirect_stdout(StringIO()):  # where the variable CI is set it prints what it found
            import fluidsynth
    except (ImportError, OSError) as error:  # OSError: the library was found but could not be loaded
        raise SoundError(INSTALL_HINT) from error
    buffer = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    fluidsynth._fl.fluid_synth_write_float.argtypes = [ctypes.c_void_p, ctypes.c_int, *buffer, *buffer]
    return fluidsynth


@contextmanager
def _silent(fluidsynth: ModuleType) -> Iterator[None]:
    """FluidSynth says nothing on stderr (about sound cards that are not needed here) meanwhile."""
    set_log = fluidsynth._fl.fluid_set_log_function
    set_log.argtypes, set_log.restype = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p], ctypes.c_void_p
    before = [set_log(level, None, None) for level in _LOG_LEVELS]
    try:
        yield
    finally:
        for level, function in zip(_LOG_LEVELS, before, strict=True):
            set_log(level, function, None)
