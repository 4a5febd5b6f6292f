"""Loudness and true peak of a sound by ITU-R BS.1770-4, and a gain to a wanted loudness.

Sources: ITU-R BS.1770-4 (2015), "Algorithms to measure audio programme loudness and true-peak audio level", annex 1
(K-weighting, gating) and annex 2 (true peak); EBU R 128 and EBU Tech 3341, whose test signals are tests here.
"""

from __future__ import annotations

import math

import numpy as np

BLOCK_HOPS = 4  # a block is 400 ms and overlaps the next one by 75 %
HOPS_PER_SECOND = 10
ABSOLUTE_GATE = -70.0  # LUFS, blocks at or below are silence
RELATIVE_GATE = -10.0  # LU below the loudness of the blocks above the absolute gate
CHANNEL_WEIGHTS = (1.0, 1.0, 1.0, 1.41, 1.41)  # left, right, centre, left and right surround; mono is one of weight 1
TOLERANCE = 1e-6  # LU from the wanted loudness
TRUE_PEAK = -1.0  # dBTP, greatest of a file (EBU R 128): a decoder of compressed sound may add as much
RATE_OF_4X, RATE_OF_2X = 96_000, 192_000  # samples a second below which a sound is oversampled by as much
CHUNK_HOPS = 300  # filtered at a time: half a minute
PEAK_CHUNK = 2**18  # samples oversampled at a time
OVERLAP = 64  # samples at both sides of such a chunk, more than the filter reaches


def k_weighting(sample_rate: int) -> np.ndarray:
    """The K-weighting filter at any sample rate: second-order sections, (2, 6) float64, for `scipy.signal.sosfilt`.

    BS.1770-4 prints coefficients for 48 kHz only; these are the bilinear transforms of the analogue filters that they
    were made from, a high shelf of 4 dB above 1.7 kHz (the head) and a high-pass at 38 Hz. At 48 kHz they are equal to
    the printed ones. The parameters are those that libebur128 and other meters use.

    Raises:
        ValueError: below 4,000 samples a second, where the shelf would be above half of the rate.
    """
    if sample_rate < 4_000:
        raise ValueError(f"sample_rate must be at least 4000 samples a second, got {sample_rate}")
    frequency, decibels, quality = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k = math.tan(math.pi * frequency / sample_rate)
    high = 10 ** (decibels / 20)
    band = high**0.4996667741545416
    norm = 1 + k / quality + k * k
    shelf = [
        (high + band * k / quality + k * k) / norm,
        2 * (k * k - high) / norm,
        (high - band * k / quality + k * k) / norm,
        1,
        2 * (k * k - 1) / norm,
        (1 - k / quality + k * k) / norm,
    ]
    frequency, quality = 38.13547087602444, 0.5003270373238773
    k = math.tan(math.pi * frequency / sample_rate)
    norm = 1 + k / quality + k * k
    high_pass = [1, -2, 1, 1, 2 * (k * k - 1) / norm, (1 - k / quality + k * k) / norm]
    return np.array([shelf, high_pass])


def integrated_loudness(audio: np.ndarray, sample_rate: int) -> float:
    """Integrated loudness in LUFS: the mean power of the K-weighted sound in blocks above two gates.

    A sound shorter than a block of 400 ms is measured with silence after it. A full-scale sine of 997 Hz in one channel
    has -3.01 LUFS, at other sample rates than 48 kHz to 0.05 LU.

    Args:
        audio: (samples,) or (samples, channels), at most 5 channels in the order of `CHANNEL_WEIGHTS`; full scale is
            [-1, 1].
        sample_rate: samples a second, from 4,000.

    Returns:
        LUFS; minus infinity for silence, and where no block is above -70 LUFS.

    Raises:
        ValueError: for another shape or samples that are not finite.
    """
    return _gated_loudness(_block_powers(_channels(audio), sample_rate))


def true_peak(audio: np.ndarray, sample_rate: int) -> float:
    """True peak in dBTP: the greatest magnitude of the sound between its samples too, oversampled four times.

    From 96 kHz on it is oversampled twice, from 192 kHz on not at all (BS.1770-4, annex 2).

    Args:
        audio: (samples,) or (samples, channels); full scale is [-1, 1].
        sample_rate: samples a second.

    Returns:
        dBTP, 0 for full scale; minus infinity for silence.

    Raises:
        ValueError: for another shape or samples that are not finite.
    """
    from scipy.signal import resample_poly

    audio = _channels(audio)
    up = 4 if sample_rate < RATE_OF_4X else 2 if sample_rate < RATE_OF_2X else 1
    peak = float(max(audio.max(initial=0), -audio.min(initial=0)))
    for begin in range(0, len(audio), PEAK_CHUNK) if up > 1 and peak else ():
        part = audio[max(0, begin - OVERLAP) : begin + PEAK_CHUNK + OVERLAP]
        inside = up * (begin - max(0, begin - OVERLAP))
        oversampled = resample_poly(part, up, 1, axis=0)[inside : inside + up * PEAK_CHUNK]
        peak = max(peak, float(np.abs(oversampled).max(initial=0)))
    return 20 * math.log10(peak) if peak else -math.inf


def at_loudness(audio: np.ndarray, sample_rate: int, loudness: float | None) -> np.ndarray:
    """A sound at an integrated loudness, or quieter where its true peak would exceed -1 dBTP.

    One gain for the whole sound: no limiter, which would change its dynamics.

    Args:
        audio: (samples,) or (samples, channels), as for `integrated_loudness`; it may exceed full scale.
        sample_rate: samples a second.
        loudness: LUFS; None leaves the loudness as it is, except for the limit of the true peak.

    Returns:
        float32 of the shape of `audio`. Silence is silence, and what has no block above -70 LUFS is not made louder.

    Raises:
        ValueError: as `integrated_loudness`.
    """
    most = TRUE_PEAK - true_peak(audio, sample_rate)
    if loudness is None:
        gain = min(most, 0.0)
    else:
        gain = _gain_to(loudness, _block_powers(_channels(audio), sample_rate), most)
    return np.asarray(audio, np.float32) * np.float32(10 ** (gain / 20))


def _channels(audio: np.ndarray) -> np.ndarray:
    """(samples, channels) of a checked sound."""
    audio = np.asarray(audio)
    sound = audio[:, None] if audio.ndim == 1 else audio
    if sound.ndim != 2 or not 1 <= sound.shape[1] <= len(CHANNEL_WEIGHTS):
        most = len(CHANNEL_WEIGHTS)
        raise ValueError(f"sound must be (samples,) or (samples, 1 to {most} channels), got shape {audio.shape}")
    if not np.isfinite(sound).all():
        raise ValueError(f"sound must be finite, got {np.count_nonzero(~np.isfinite(sound))} values that are not")
    return sound


def _block_powers(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """(blocks,) weighted power of the K-weighted (samples, channels) in each complete block of 400 ms."""
    from scipy.signal import sosfilt

    shortest = round(BLOCK_HOPS * sample_rate / HOPS_PER_SECOND)
    if len(audio) < shortest:
        audio = np.pad(audio, ((0, shortest - len(audio)), (0, 0)))
    hops = len(audio) * HOPS_PER_SECOND // sample_rate
    edges = np.rint(np.arange(hops + 1) * sample_rate / HOPS_PER_SECOND).astype(int)
    edges = edges[edges <= len(audio)]
    filters, weights = k_weighting(sample_rate), np.array(CHANNEL_WEIGHTS[: audio.shape[1]])
    state = np.zeros((len(filters), 2, audio.shape[1]))
    energies = []
    for first in range(0, len(edges) - 1, CHUNK_HOPS):
        inner = edges[first : first + CHUNK_HOPS + 1]
        weighted, state = sosfilt(filters, audio[inner[0] : inner[-1]].astype(float), axis=0, zi=state)
        energies.append(np.add.reduceat(weighted**2, inner[:-1] - inner[0], axis=0) @ weights)
    energy = np.concatenate(energies)
    blocks = np.lib.stride_tricks.sliding_window_view(energy, BLOCK_HOPS).sum(axis=1)
    return blocks / (edges[BLOCK_HOPS:] - edges[:-BLOCK_HOPS])


def _gated_loudness(power: np.ndarray) -> float:
    """LUFS of the (blocks,) powers of a sound; minus infinity where no block is above the absolute gate."""
    power = power[power > _power(ABSOLUTE_GATE)]
    if not len(power):
        return -math.inf
    power = power[power > power.mean() * 10 ** (RELATIVE_GATE / 10)]
    return _lufs(float(power.mean()))


def _gain_to(loudness: float, power: np.ndarray, most: float) -> float:
    """Greatest gain in dB, at most `most`, after which a sound of these (blocks,) powers is not louder than that.

    A gain moves blocks across the absolute gate, which changes what is averaged, so the loudness is measured after each
    step. A lower gain only takes blocks away: no step undoes another, and the steps end.
    """
    if _gated_loudness(power) == -math.inf:
        return min(most, 0.0)
    gain = most
    while (excess := _gated_loudness(power * 10 ** (gain / 10)) - loudness) > TOLERANCE:
        gain -= excess
    return gain


def _lufs(power: float) -> float:
    """Loudness of a weighted power."""
    return -0.691 + 10 * math.log10(power)


def _power(lufs: float) -> float:
    """Weighted power of a loudness."""
    return 10 ** ((lufs + 0.691) / 10)
