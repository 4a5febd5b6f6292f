"""Reading and writing audio files."""

from __future__ import annotations

import math
import os
from io import BytesIO
from os import PathLike
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING

import numpy as np

from toccata.errors import ToccataError, one_line
from toccata.files import write_atomically

if TYPE_CHECKING:
    import soundfile

BLOCK_FRAMES = 2**16  # decoded at once: a wrong length in the header cannot allocate memory
MAX_SAMPLES = 2**28  # decoded from one file, frames times channels: 46 minutes of stereo at 48 kHz, a minute's work
MAX_FRAMES = 2**27  # of the result, and before its rate is converted: half a gigabyte
MAX_CHANNELS = 64
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # samples a second; other rates are from damaged headers
MAX_MAGNITUDE = 2.0**31  # greatest 32-bit integer stored as a float; with larger samples spectra are not finite
NO_FILE = "File does not exist or is not a regular file (possibly a pipe?)."  # libsndfile's message for damaged MP3s


class AudioError(ToccataError, ValueError):
    """An audio file that cannot be read; names the file and the reason."""


def read_audio(path: str | PathLike[str], sample_rate: int = 16_000, seconds: float | None = None) -> np.ndarray:
    """Read a WAV, FLAC, OGG or MP3 file (any format of libsndfile) as mono.

    Channels are averaged; other sample rates are converted with a polyphase filter.

    Args:
        path: the file.
        sample_rate: samples a second of the result, 1,000 to 768,000.
        seconds: greatest duration; only as much is decoded, from the middle of the recording. By default all of it.

    Returns:
        (samples,) float32, at least one sample, finite. Full scale is [-1, 1]; loud MP3 files slightly exceed it, float
        files may have samples up to 2^31.

    Raises:
        AudioError: for a file that is no audio file, is damaged, or has no samples, or NaN, infinite or larger ones;
            and when it has more than 64 channels, or more than 2^28 samples (46 minutes of stereo at 48 kHz) or 2^27
            at either rate would have to be read.
        OSError: when the file does not exist or cannot be opened.
        ValueError: for `sample_rate` or `seconds` out of range.
    """
    import soundfile

    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise ValueError(f"sample_rate must be in {LOWEST_RATE}..{HIGHEST_RATE}, got {sample_rate}")
    if seconds is not None and not 0 < seconds < math.inf:
        raise ValueError(f"seconds must be above 0, got {seconds}")
    path = Path(path)
    mode = path.stat().st_mode
    if not S_ISREG(mode):
        raise AudioError(f"{path}: is {'a folder' if S_ISDIR(mode) else 'no regular file'}, not a sound file")
    with path.open("rb") as file:  # soundfile has one error for missing and damaged files
        if not file.read(1):
            raise AudioError(f"{path}: is empty")
    try:
        with soundfile.SoundFile(_system_name(path)) as sound:
            rate = sound.samplerate
            if not LOWEST_RATE <= rate <= HIGHEST_RATE:
                raise AudioError(f"{path}: has {rate} samples a second, not {LOWEST_RATE}..{HIGHEST_RATE}")
            if sound.channels > MAX_CHANNELS:
                raise AudioError(f"{path}: has {sound.channels} channels, at most {MAX_CHANNELS} are read")
            frames = sound.frames if seconds is None else min(sound.frames, max(1, round(seconds * rate)))
            if frames < sound.frames:
                sound.seek((sound.frames - frames) // 2)
            most = min(MAX_SAMPLES // sound.channels, MAX_FRAMES, MAX_FRAMES * rate // sample_rate)
            mono = _mono(path, sound, min(frames, most + 1))
            if len(mono) > most:
                raise AudioError(
                    f"{path}: is longer than {most:,} samples a channel; an excerpt in seconds can be read"
                )
    except soundfile.LibsndfileError as error:
        reason = error.error_string.replace(NO_FILE, "is no sound file, or damaged")
        raise AudioError(f"{path}: {reason}") from None
    except AudioError:
        raise
    except (TypeError, ValueError) as error:  # .raw files, which have no header; a length below 0 in a damaged one
        raise AudioError(f"{path}: {one_line(error)}") from None
    if not len(mono):
        raise AudioError(f"{path}: holds no sound")
    if rate != sample_rate:
        mono = _resampled(mono, rate, sample_rate)
    return mono if seconds is None else mono[: max(1, round(seconds * sample_rate))]


def write_wav(path: str | PathLike[str], audio: np.ndarray, sample_rate: int = 16_000) -> None:
    """Write (samples,) or (samples, 2) sound in [-1, 1] as a 16-bit WAV file; samples outside are clipped.

    Raises:
        ValueError: when `audio` has another shape or is not finite.
        OSError: naming `path`, when it cannot be written; nothing is left of it then.
    """
    import soundfile

    audio = np.asarray(audio, np.float32)
    if (audio.ndim != 1 and audio.shape[1:] != (2,)) or not np.isfinite(audio).all():
        raise ValueError(f"{path}: sound must be (samples,) or (samples, 2) finite values, got shape {audio.shape}")
    buffer = BytesIO()  # libsndfile does not notice a full disk
    soundfile.write(buffer, np.clip(audio, -1, 1), sample_rate, format="WAV", subtype="PCM_16")
    write_atomically(path, buffer.getvalue())


def _system_name(path: Path) -> str | bytes:
    """The name as soundfile takes it: as text it would have to be UTF-8, which names of old archives are not."""
    return str(path) if os.name == "nt" else os.fsencode(path)


def _mono(path: Path, sound: soundfile.SoundFile, frames: int) -> np.ndarray:
    """(at most frames,) float32: the mean of the channels, up to the actual end of the file.

    Raises:
        AudioError: for samples that are not finite, or larger than `MAX_MAGNITUDE`.
    """
    blocks = []
    while frames > 0:
        block = sound.read(min(frames, BLOCK_FRAMES), dtype="float32", always_2d=True)
        if not len(block):
            break
        mono = (block / block.shape[1]).sum(axis=1)  # divided first: the sum could overflow
        if not (np.abs(mono) <= MAX_MAGNITUDE).all():
            raise AudioError(f"{path}: holds samples that are NaN, infinite or beyond {MAX_MAGNITUDE:g}")
        blocks.append(mono)
        frames -= len(block)
    return np.concatenate(blocks) if blocks else np.empty(0, np.float32)


def _resampled(mono: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    """Samples at `rate` converted to `sample_rate`."""
    from scipy.signal import resample_poly

    divisor = math.gcd(rate, sample_rate)
    return resample_poly(mono, sample_rate // divisor, rate // divisor).astype(np.float32)
