"""Windows of 5 s of scores and recordings, the input of a rating network.

A window of a score holds 4 s of it (two bars at 120 bpm) and one second of release, as if the piece ended there: keys
that are still down are released. When a piece grows, all of its windows but the last therefore stay the same. Each has
a hash of the notes that sound in it, by which ratings can be cached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from toccata.music.score import Score
from toccata.music.sound.bank import RING_SECONDS, audio_samples, note_bank, schedule
from toccata.music.sound.spectrogram import HOP, N_MELS, SAMPLE_RATE, log_mel, mel_frames
from toccata.music.sound.synthesizer import BLOCK

WINDOW_FRAMES = 160  # 5.1 s: `STRIDE_FRAMES` and the release
STRIDE_FRAMES = 125  # 4 s, two bars at 120 bpm: from one window to the next, and what a window holds of a score
RELEASED_FRAMES = mel_frames(STRIDE_FRAMES * HOP + int(RING_SECONDS * SAMPLE_RATE))  # 157: with the release
MAX_UNCOVERED_FRAMES = 4  # at the end of a piece, which do not get a window of their own

_BLOCKS_PER_FRAME = HOP // BLOCK
_RELEASE_BLOCKS = int(2.3 * SAMPLE_RATE / BLOCK)  # longest release: the highest keys, undamped, take 2.25 s


def window_start_frames(frames: int) -> list[int]:
    """First frames of the windows that cover a sound: every `STRIDE_FRAMES`, and a last one at the end of the sound."""
    before_release = frames - (WINDOW_FRAMES - STRIDE_FRAMES)
    starts = list(range(0, before_release + MAX_UNCOVERED_FRAMES - STRIDE_FRAMES + 1, STRIDE_FRAMES)) or [0]
    if before_release - (starts[-1] + STRIDE_FRAMES) > MAX_UNCOVERED_FRAMES:
        starts.append(before_release - STRIDE_FRAMES)
    return starts


@dataclass(frozen=True, eq=False)
class ScoreWindow:
    """A window of a score.

    Args:
        notes: those that sound in it, in the format of `schedule`, blocks counted from the first sample.
        frames: how many of its `WINDOW_FRAMES` come before the padding.
    """

    notes: np.ndarray
    frames: int

    @property
    def key(self) -> bytes:
        """Hash of the window, 16 bytes: equal for windows with equal sound, else different."""
        return blake2b(self.notes.tobytes() + self.frames.to_bytes(2, "little"), digest_size=16).digest()


def score_windows(score: Score) -> list[ScoreWindow]:
    """The windows that cover a score, in order."""
    notes = schedule(score, SAMPLE_RATE)
    frames = mel_frames(audio_samples(score, SAMPLE_RATE))
    starts = window_start_frames(frames)
    windows = []
    for start in starts:
        first = (start - 1) * _BLOCKS_PER_FRAME  # a frame of the spectrogram reaches one hop to either side
        is_last = start == starts[-1]
        end = first + (1 + STRIDE_FRAMES) * _BLOCKS_PER_FRAME
        if is_last:  # up to MAX_UNCOVERED_FRAMES follow
            end = max(end, int(notes["off_block"].max(initial=0)))
        sounding = notes[(notes["on_block"] < end) & (notes["off_block"] + _RELEASE_BLOCKS > first)]
        sounding["off_block"] = np.minimum(sounding["off_block"], end)
        sounding["on_block"] -= first
        sounding["off_block"] -= first
        windows.append(ScoreWindow(sounding, min(frames - start, WINDOW_FRAMES) if is_last else RELEASED_FRAMES))
    return windows


def score_window_mels(windows: Sequence[ScoreWindow], gains: np.ndarray | float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Spectrograms of n windows of scores.

    Args:
        windows: n of them.
        gains: (n,) factors of the amplitude, or one for all.

    Returns:
        (n, N_MELS, WINDOW_FRAMES) float32 log-mel spectrograms, and (n,) frames of each before the padding.
    """
    audio = note_bank(SAMPLE_RATE).render_parts([window.notes for window in windows], (WINDOW_FRAMES + 1) * HOP)
    audio *= np.broadcast_to(np.float32(gains), len(windows))[:, None]
    return log_mel(audio)[:, :, 1:-1], np.array([window.frames for window in windows], np.int64)


def audio_window_mels(audio: np.ndarray, hop: int = HOP, pitch_ratio: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Spectrograms of the windows that cover a recording, (samples,) at 16 kHz; see `log_mel` for the other arguments.

    Returns:
        (windows, N_MELS, WINDOW_FRAMES) float32 log-mel spectrograms, and (windows,) frames of each before the padding.
    """
    mel = log_mel(audio[None], hop, pitch_ratio)[0]
    starts = window_start_frames(mel.shape[1])
    windows = np.zeros((len(starts), N_MELS, WINDOW_FRAMES), np.float32)
    for window, start in zip(windows, starts, strict=True):
        part = mel[:, start : start + WINDOW_FRAMES]
        window[:, : part.shape[1]] = part
    return windows, np.minimum(mel.shape[1] - np.array(starts), WINDOW_FRAMES)
