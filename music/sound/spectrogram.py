"""Log-mel spectrograms."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SAMPLE_RATE = 16_000  # Hz; half of it is above the fundamental of the highest piano key, 4,186 Hz
N_FFT = 1024  # samples, 64 ms: half of a sixteenth at 120 bpm
HOP = 512  # samples, 32 ms: four frames a sixteenth at 120 bpm
N_MELS = 128  # narrow enough below 1 kHz to separate keys; half as many separate them much worse
F_MIN = 30.0  # Hz, near the lowest piano key (27.5 Hz), whose energy is in its overtones
F_MAX = 8_000.0  # Hz, half of `SAMPLE_RATE`
FLOOR = 1e-5  # added to the mel power; silence rounded to 16 bits has 1e-9

LOUDEST = 1e6  # larger samples are clipped: their squares would overflow float32
CHUNK_FRAMES = 512  # frames transformed at a time: 2 MiB, which fit the CPU cache


def mel_frames(samples: int, hop: int = HOP) -> int:
    """Number of frames in the log-mel spectrogram of a sound: `1 + samples // hop`."""
    return 1 + samples // hop


@lru_cache(maxsize=8)
def mel_filterbank(
    sample_rate: int = SAMPLE_RATE,
    n_fft: int = N_FFT,
    n_mels: int = N_MELS,
    f_min: float = F_MIN,
    f_max: float = F_MAX,
    pitch_ratio: float = 1.0,
) -> np.ndarray:
    """Triangular filters of equal width on the mel scale and equal area in Hz.

    Source: Slaney 1998, "Auditory Toolbox": the mel scale is linear up to 1 kHz (3 mels each 200 Hz), then
    logarithmic (27 mels each factor of 6.4). Equal to `librosa.filters.mel`.

    Args:
        sample_rate: samples a second.
        n_fft: samples in a frame.
        n_mels: number of filters.
        f_min: lower edge of the lowest filter, Hz.
        f_max: upper edge of the highest filter, Hz.
        pitch_ratio: factor by which all frequencies are multiplied before the filters (vocal tract length perturbation,
            Jaitly & Hinton 2013).

    Returns:
        (n_mels, n_fft // 2 + 1) float32, read-only.

    Raises:
        ValueError: unless 0 <= f_min < f_max <= sample_rate / 2, n_mels >= 1 and pitch_ratio > 0.
    """
    if not 0 <= f_min < f_max <= sample_rate / 2 or n_mels < 1 or not pitch_ratio > 0:
        raise ValueError(
            f"need 0 <= f_min < f_max <= sample_rate / 2, n_mels >= 1 and pitch_ratio > 0, got {f_min=}, {f_max=}, "
            f"{sample_rate=}, {n_mels=}, {pitch_ratio=}"
        )
    bins = np.linspace(0, sample_rate / 2, n_fft // 2 + 1) * pitch_ratio
    edges = _mel_to_hz(np.linspace(_hz_to_mel(f_min), _hz_to_mel(f_max), n_mels + 2))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - low) / (centre - low)
    falling = (high - bins) / (high - centre)
    filters = np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
    filters = filters.astype(np.float32)
    filters.setflags(write=False)
    return filters


def log_mel(audio: np.ndarray, hop: int = HOP, pitch_ratio: float = 1.0) -> np.ndarray:
    """Log-mel spectrogram, the natural logarithm of mel power plus `FLOOR`.

    Frame k is a Hann window of `N_FFT` samples centred on sample `k * hop`; the sound is padded with zeros. Equal to
    the logarithm of `librosa.feature.melspectrogram(center=True, pad_mode="constant")` plus `FLOOR`.

    Args:
        audio: (n, samples) in [-1, 1] at `SAMPLE_RATE`.
        hop: samples from frame to frame; `HOP * 1.1` gives the spectrogram of a sound that is a tenth faster.
        pitch_ratio: as in `mel_filterbank`; 2 gives, except for the loudness, that of a sound an octave higher.

    Returns:
        (n, N_MELS, mel_frames(samples, hop)) float32, finite; `log(FLOOR)` = -11.5 for silence.

    Raises:
        ValueError: when `audio` is not two-dimensional or not finite, or `hop` is less than a sample.
    """
    from scipy.fft import rfft
    from scipy.sparse import csr_array

    audio = np.asarray(audio, np.float32)
    if audio.ndim != 2:
        raise ValueError(f"audio must be (n, samples), got shape {audio.shape}")
    if hop < 1:
        raise ValueError(f"hop must be at least 1 sample, got {hop}")
    peak = max(audio.max(initial=0), -audio.min(initial=0))
    if not np.isfinite(peak):
        raise ValueError(f"audio must be finite, got {np.count_nonzero(~np.isfinite(audio))} values that are not")
    if peak > LOUDEST:
        audio = np.clip(audio, -LOUDEST, LOUDEST)

    n, samples = audio.shape
    frames = mel_frames(samples, hop)
    window = np.hanning(N_FFT + 1)[:-1].astype(np.float32)  # periodic Hann window
    # sparse, because nearly all weights are zero, and because BLAS threads would compete for the cores
    filters = csr_array(mel_filterbank(pitch_ratio=pitch_ratio))
    mel = np.zeros((n, N_MELS, frames), np.float32)
    padded = np.zeros(samples + N_FFT, np.float32)
    for piece in range(n):
        padded[N_FFT // 2 : N_FFT // 2 + samples] = audio[piece]
        sound_end = samples
        while sound_end > 0 and not audio[piece, max(0, sound_end - N_FFT) : sound_end].any():
            sound_end -= N_FFT
        sound_frames = min(frames, max(0, sound_end + N_FFT // 2) // hop + 1)  # the others are padding
        framed = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::hop]
        for begin in range(0, sound_frames, CHUNK_FRAMES):
            end = min(begin + CHUNK_FRAMES, sound_frames)
            spectrum = rfft(framed[begin:end] * window)
            power = spectrum.real**2
            power += spectrum.imag**2
            mel[piece, :, begin:end] = filters @ power.T
    mel += FLOOR
    return np.log(mel, out=mel)


def _hz_to_mel(hz: float) -> float:
    """A frequency on the mel scale of Slaney 1998."""
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """Inverse of `_hz_to_mel`, for arrays."""
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))
