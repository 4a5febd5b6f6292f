"""A piano in FluidSynth, rendered block by block."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from os import PathLike
from pathlib import Path
from types import MappingProxyType, ModuleType

import numpy as np

from toccata.errors import ToccataError

BLOCK = 64  # samples that FluidSynth renders at a time; events take effect between blocks
GAIN = 0.6  # ten keys of the default sound font at velocity 100 sum to at most 0.96 of full scale
VOICES_PER_NOTE = 4  # a layered sound font needs several for one key, the default one needs one
MAX_VOICES = 2048  # FluidSynth searches all of them at every note; 16 notes a second on all 88 keys need 1,800
SAMPLE_RATES = (8_000, 96_000)  # lowest and highest of FluidSynth, Hz

INSTALL_HINT = (
    "the FluidSynth library is missing: apt-get install libfluidsynth3 (Debian, Ubuntu), "
    "brew install fluid-synth (macOS) or conda install -c conda-forge fluidsynth"
)
_LOG_LEVELS = range(5)  # panic, error, warning, information, debug


class SoundError(ToccataError, RuntimeError):
    """FluidSynth is missing or cannot use a sound font."""


class FluidPiano:
    """Program 0 of a sound font in FluidSynth, by default with reverb and chorus off; a context manager.

    Args:
        sample_rate: samples a second, 8,000 to 96,000.
        soundfont: path of an SF2 file, or of an SF3 file where FluidSynth was built with libsndfile.
        voices: greatest number of notes that sound at once, released ones included; at most `MAX_VOICES`.
        settings: further ones of FluidSynth by name. With a reverb the first note of each voice differs slightly from
            later ones.

    Raises:
        SoundError: when libfluidsynth is not installed or cannot read the sound font.
        FileNotFoundError: when there is no such sound font.
        ValueError: for a sample rate out of range.
    """

    def __init__(
        self,
        sample_rate: int,
        soundfont: str | PathLike[str],
        voices: int,
        settings: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        low, high = SAMPLE_RATES
        if not low <= sample_rate <= high:
            raise ValueError(f"sample_rate must be in {low}..{high} samples a second, got {sample_rate}")
        if not Path(soundfont).is_file():
            raise FileNotFoundError(f"no sound font at {soundfont}")
        with Path(soundfont).open("rb") as file:
            head = file.read(12)
        whole = int.from_bytes(head[4:8], "little") == Path(soundfont).stat().st_size - 8
        unreadable = f"{soundfont}: not a sound font with a program 0 that FluidSynth can read"
        if head[:4] != b"RIFF" or head[8:] != b"sfbk" or not whole:  # FluidSynth would try it as DLS, and log that
            raise SoundError(unreadable)
        fluidsynth = _load_fluidsynth()
        self._write_float = fluidsynth._fl.fluid_synth_write_float
        self._get_voice_count = fluidsynth.fluid_synth_get_active_voice_count
        self._all_sounds_off = fluidsynth.fluid_synth_all_sounds_off
        voices = min(voices, MAX_VOICES)
        with _without_log(fluidsynth):
            self._synth = fluidsynth.Synth(
                gain=GAIN,
                samplerate=float(sample_rate),
                channels=16,
                **{"synth.reverb.active": 0, "synth.chorus.active": 0, "synth.polyphony": voices, **settings},
            )
            self.close = weakref.finalize(self, self._synth.delete)  # also at exit, before the library is unloaded
            font = self._synth.sfload(str(soundfont))
            if font < 0 or self._synth.program_select(0, font, 0, 0) != 0:
                raise SoundError(unreadable)
        if not settings.get("synth.reverb.active"):  # which would sound on after it
            self._warm_up(voices)

    def __enter__(self) -> FluidPiano:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send_to_reverb(self, amount: int) -> None:
        """Set the share of the sound that the reverb is given, 0-127; controller 91 of MIDI."""
        self._synth.cc(0, 91, amount)

    def press(self, pitch: int, velocity: int) -> None:
        """Press a key; an earlier note of the key is damped."""
        self._synth.noteon(0, pitch, velocity)

    def release(self, pitch: int) -> None:
        """Release a key."""
        self._synth.noteoff(0, pitch)

    def stop_all(self) -> None:
        """Stop all sounds at once."""
        self._all_sounds_off(self._synth.synth, 0)
        self.write(1)

    def write(self, blocks: int) -> np.ndarray:
        """The next (blocks * BLOCK,) float32 samples, mean of left and right."""
        stereo = self.write_stereo(blocks)
        mono = stereo[0] + stereo[1]
        mono *= 0.5
        return mono

    def write_stereo(self, blocks: int) -> np.ndarray:
        """The next (2, blocks * BLOCK) float32 samples, left and right; loud ones exceed [-1, 1]."""
        samples = blocks * BLOCK
        stereo = np.empty((2, samples), np.float32)
        address = stereo.ctypes.data
        self._write_float(self._synth.synth, samples, address, 0, 1, address, samples, 1)
        return stereo

    def record(self, pitch: int, velocity: int, blocks: int, silence: float) -> np.ndarray:
        """The sound of one note held for `blocks`, until it stays below `silence`; nothing else may sound."""
        self.press(pitch, velocity)
        chunks = [self.write(blocks)]
        self.release(pitch)
        while self._voice_count():
            chunks.append(self.write(64))
            if np.abs(chunks[-1]).max() < silence:  # not tested for the first chunk: the sound may begin late
                break
        self.stop_all()
        sound = np.concatenate(chunks)
        loud = np.flatnonzero(np.abs(sound) >= silence)
        return sound[: loud[-1] + 1] if len(loud) else sound[:0]

    def _warm_up(self, voices: int) -> None:
        """Play a note with every voice.

        A voice reaches its filter setting during the first block that it plays, so the first note of a voice differs
        slightly (0.1 % of full scale) from later ones.
        """
        for _ in range(2 * voices // 128 + 1):  # twice, because the font may have no sound for some keys
            for pitch in range(128):
                if self._voice_count() > voices - VOICES_PER_NOTE:
                    break
                self.press(pitch, 1)
            self.write(1)
        self.stop_all()

    def _voice_count(self) -> int:
        """Number of voices that sound now."""
        return self._get_voice_count(self._synth.synth)


def fluidsynth_version() -> str:
    """The version of libfluidsynth, such as "2.3.1".

    Raises:
        SoundError: when it is not installed.
    """
    version = _load_fluidsynth()._fl.fluid_version_str
    version.argtypes, version.restype = [], ctypes.c_char_p
    return version().decode()


def _load_fluidsynth() -> ModuleType:
    """The pyfluidsynth module, with the types of the one function that it does not declare."""
    try:
        with redirect_stdout(StringIO()):  # it prints the path of the library if the variable CI is set
            import fluidsynth
    except (ImportError, OSError) as error:  # OSError: the library was found but could not be loaded
        raise SoundError(INSTALL_HINT) from error
    buffer = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    fluidsynth._fl.fluid_synth_write_float.argtypes = [ctypes.c_void_p, ctypes.c_int, *buffer, *buffer]
    return fluidsynth


@contextmanager
def _without_log(fluidsynth: ModuleType) -> Iterator[None]:
    """Suppress the log of FluidSynth on stderr, which warns of sound cards that are not needed here."""
    set_log = fluidsynth._fl.fluid_set_log_function
    set_log.argtypes, set_log.restype = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p], ctypes.c_void_p
    before = [set_log(level, None, None) for level in _LOG_LEVELS]
    try:
        yield
    finally:
        for level, function in zip(_LOG_LEVELS, before, strict=True):
            set_log(level, function, None)
