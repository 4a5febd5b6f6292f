"""Pieces and sounds cut into windows of 5 s, which is all that a rating network hears at a time.

Windows begin every 4 s, so what is heard of a growing piece stays as it is while the piece goes on behind it: only its
end is new. A window of a score is told apart by the notes that sound in it; windows alike need to be heard only once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from toccata.music.fluid import BLOCK
from toccata.music.score import Score
from toccata.music.sound import RING_SECONDS, audio_samples, note_bank, schedule
from toccata.music.spectrogram import HOP, N_MELS, SAMPLE_RATE, log_mel, mel_frames

WINDOW_FRAMES = 160  # 5.1 s: two bars at 120 bpm and their ringing
HOP_FRAMES = 125  # 4 s: two bars at 120 bpm
RING_FRAMES = int(RING_SECONDS * SAMPLE_RATE / HOP)  # of ringing at the end of a piece, which need not be heard again

_BLOCKS_PER_FRAME = HOP // BLOCK
_RING_BLOCKS = int(1.1 * SAMPLE_RATE / BLOCK)  # after its release a key is silent: dampers take 1.04 s


def window_starts(frames: int) -> list[int]:
    """First frames of the windows that cover a sound: every `HOP_FRAMES`, and a last one that ends with the sound."""
    starts = list(range(0, frames - WINDOW_FRAMES + 1, HOP_FRAMES)) or [0]
    if frames - (starts[-1] + WINDOW_FRAMES) > RING_FRAMES:
        starts.append(frames - WINDOW_FRAMES)
    return starts


@dataclass(frozen=True, eq=False)
class ScoreWindow:
    """A window of a score.

    Args:
        notes: what sounds in it, as `schedule` gives it, blocks counted from the first sample that is heard.
        frames: how many of its `WINDOW_FRAMES` come before the end of the piece.
    """

    notes: np.ndarray
    frames: int

    @property
    def key(self) -> bytes:
        """Equal for windows that sound alike, and else different: 16 bytes."""
        return blake2b(self.notes.tobytes() + self.frames.to_bytes(2, "little"), digest_size=16).digest()


def windows_of(score: Score) -> list[ScoreWindow]:
    """The windows that cover a score, in order."""
    notes = schedule(score, SAMPLE_RATE)
    frames = mel_frames(audio_samples(score, SAMPLE_RATE))
    windows = []
    for start in window_starts(frames):
        first = (start - 1) * _BLOCKS_PER_FRAME  # a frame hears a hop to either side
        last = first + (WINDOW_FRAMES + 1) * _BLOCKS_PER_FRAME
        sounding = notes[(notes["on_block"] < last) & (notes["off_block"] + _RING_BLOCKS > first)]
        sounding["on_block"] -= first
        sounding["off_block"] -= first
        windows.append(ScoreWindow(sounding, min(frames - start, WINDOW_FRAMES)))
    return windows


def mels_of_windows(windows: Sequence[ScoreWindow], gains: np.ndarray | float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """The sound of windows of scores.

    Args:
        windows: n of them.
        gains: (n,) or one for all, that the sound is multiplied with.

    Returns:
        (n, N_MELS, WINDOW_FRAMES) float32 log-mel spectrograms, and (n,) the frames of each before its piece ends.
    """
    audio = note_bank(SAMPLE_RATE).render_parts([window.notes for window in windows], (WINDOW_FRAMES + 1) * HOP)
    audio *= np.broadcast_to(np.float32(gains), len(windows))[:, None]
    return log_mel(audio)[:, :, 1:-1], np.array([window.frames for window in windows], np.int64)


def mels_of_audio(audio: np.ndarray, hop: int = HOP, pitch_ratio: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """The windows that cover a sound, (samples,) at 16 kHz; `hop` and `pitch_ratio` change it as in `log_mel`.

    Returns:
        (windows, N_MELS, WINDOW_FRAMES) float32 log-mel spectrograms, and (windows,) the frames of each before the end.
    """
    mel = log_mel(audio[None], hop, pitch_ratio)[0]
    starts = window_starts(mel.shape[1])
    windows = np.zeros((len(starts), N_MELS, WINDOW_FRAMES), np.float32)
    for window, start in zip(windows, starts, strict=True):
        part = mel[:, start : start + WINDOW_FRAMES]
        window[:, : part.shape[1]] = part
    return windows, np.minimum(mel.shape[1] - np.array(starts), WINDOW_FRAMES)
