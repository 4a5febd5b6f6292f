"""The sound of a piece inside a page: Opus, as a data URI."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from math import gcd
from pathlib import Path

import numpy as np

OPUS_RATE = 48_000  # Opus has no 44.1 kHz
COMPRESSION = 0.9  # of libsndfile, in [0, 1]: about 33 kbit/s, 75 kB for 16 s and the release


def data_uri(data: bytes, media_type: str) -> str:
    """A file as a URI that holds it."""
    return f"data:{media_type};base64,{b64encode(data).decode()}"


def opus_of_wav(path: Path, seconds: float) -> bytes:
    """The beginning of a WAV file, mono or stereo, as OGG Opus.

    Args:
        path: a file that `write_piece` wrote.
        seconds: greatest duration.

    Raises:
        OSError, soundfile.LibsndfileError: when it cannot be read.
    """
    import soundfile
    from scipy.signal import resample_poly

    with soundfile.SoundFile(path) as file:
        rate = file.samplerate
        samples = file.read(round(seconds * rate), dtype="float32", always_2d=True)
    samples = (
        samples if len(samples) else np.zeros((1, samples.shape[1]), np.float32)
    )  # a file without sound cannot be read
    common = gcd(rate, OPUS_RATE)
    samples = resample_poly(samples, OPUS_RATE // common, rate // common) if rate != OPUS_RATE else samples
    samples = np.clip(samples, -1, 1).astype(np.float32)
    buffer = BytesIO()
    with soundfile.SoundFile(
        buffer, "w", OPUS_RATE, samples.shape[1], format="OGG", subtype="OPUS", compression_level=COMPRESSION
    ) as file:
        for start in range(0, len(samples), OPUS_RATE):  # libsndfile keeps what it is given at once on its stack
            file.write(samples[start : start + OPUS_RATE])
    return buffer.getvalue()
