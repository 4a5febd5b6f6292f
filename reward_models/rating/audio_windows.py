"""Pieces and sounds cut into windows of 5 s, which is all that a rating network hears at a time.

A window of a score is four seconds of it (two bars at 120 bpm), heard as if the piece ended there: what still sounds is
released and rings for a second. So what was heard of a growing piece stays as it is while the piece goes on; only
its end is new. A window is told apart by the notes that sound in it; windows alike need to be heard only once.
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

WINDOW_FRAMES = 160  # 5.1 s: a part of a piece and its ringing
PART_FRAMES = 125  # 4 s, two bars at 120 bpm; windows begin as often
RUNG_OUT_FRAMES = mel_frames(PART_FRAMES * HOP + int(RING_SECONDS * SAMPLE_RATE))  # 157: what a part of a score takes
SPARE_FRAMES = 4  # what is left at the end of a piece need not be heard in a window of its own if it is no longer

_BLOCKS_PER_FRAME = HOP // BLOCK
_RING_BLOCKS = int(2.3 * SAMPLE_RATE / BLOCK)  # after its release a key is silent; the highest, undamped, take 2.25 s


def window_start_frames(frames: int) -> list[int]:
    """First frames of the windows that cover a sound: every `PART_FRAMES`, and a last one that ends with the sound."""
    parts = frames - (WINDOW_FRAMES - PART_FRAMES)  # before the sound rings out
    starts = list(range(0, parts + SPARE_FRAMES - PART_FRAMES + 1, PART_FRAMES)) or [0]
    if parts - (starts[-1] + PART_FRAMES) > SPARE_FRAMES:
        starts.append(parts - PART_FRAMES)
    return starts


@dataclass(frozen=True, eq=False)
class ScoreWindow:
    """A window of a score.

    Args:
        notes: what sounds in it, as `schedule` gives it, blocks counted from the first sample that is heard.
        frames: how many of its `WINDOW_FRAMES` it takes to the end of its ringing.
    """

    notes: np.ndarray
    frames: int

    @property
    def key(self) -> bytes:
        """Equal for windows that sound alike, and else different: 16 bytes."""
        return blake2b(self.notes.tobytes() + self.frames.to_bytes(2, "little"), digest_size=16).digest()


def score_windows(score: Score) -> list[ScoreWindow]:
    """The windows that cover a score, in order."""
    notes = schedule(score, SAMPLE_RATE)
    frames = mel_frames(audio_samples(score, SAMPLE_RATE))
    starts = window_start_frames(frames)
    windows = []
    for start in starts:
        first = (start - 1) * _BLOCKS_PER_FRAME  # a frame hears a hop to either side
        is_last = start == starts[-1]
        end = first + (1 + PART_FRAMES) * _BLOCKS_PER_FRAME
        if is_last:  # with what little is left behind it
            end = max(end, int(notes["off_block"].max(initial=0)))
        sounding = notes[(notes["on_block"] < end) & (notes["off_block"] + _RING_BLOCKS > first)]
        sounding["off_block"] = np.minimum(sounding["off_block"], end)
        sounding["on_block"] -= first
        sounding["off_block"] -= first
        heard = min(frames - start, WINDOW_FRAMES) if is_last else RUNG_OUT_FRAMES
        windows.append(ScoreWindow(sounding, heard))
    return windows


def score_window_mels(windows: Sequence[ScoreWindow], gains: np.ndarray | float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """The sound of windows of scores.

    Args:
        windows: n of them.
        gains: (n,) or one for all, that the sound is multiplied with.

    Returns:
        (n, N_MELS, WINDOW_FRAMES) float32 log-mel spectrograms, and (n,) the frames of each before it ends.
    """
    audio = note_bank(SAMPLE_RATE).render_parts([window.notes for window in windows], (WINDOW_FRAMES + 1) * HOP)
    audio *= np.broadcast_to(np.float32(gains), len(windows))[:, None]
    return log_mel(audio)[:, :, 1:-1], np.array([window.frames for window in windows], np.int64)


def audio_window_mels(audio: np.ndarray, hop: int = HOP, pitch_ratio: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """The windows that cover a sound, (samples,) at 16 kHz; `hop` and `pitch_ratio` change it as in `log_mel`.

    Returns:
        (windows, N_MELS, WINDOW_FRAMES) float32 log-mel spectrograms, and (windows,) the frames of each before the end.
    """
    mel = log_mel(audio[None], hop, pitch_ratio)[0]
    starts = window_start_frames(mel.shape[1])
    windows = np.zeros((len(starts), N_MELS, WINDOW_FRAMES), np.float32)
    for window, start in zip(windows, starts, strict=True):
        part = mel[:, start : start + WINDOW_FRAMES]
        window[:, : part.shape[1]] = part
    return windows, np.minimum(mel.shape[1] - np.array(starts), WINDOW_FRAMES)
