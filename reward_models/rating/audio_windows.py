"""Windows of 5 s of scores and recordings, the input of a rating network.

A window of a score holds 4 s of it (two bars at 120 bpm) and one second of release, as if the piece ended there: keys
that are still down are released. When a piece grows, all of its windows but the last therefore stay the same. Each has
a hash of the notes that sound in it, by which ratings can be cached.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from toccata.music.score import Score
from toccata.music.sound.bank import RING_SECONDS, audio_samples, note_bank, schedule_all
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
        return _key(self.notes.tobytes(), self.frames)


def _key(notes: bytes | memoryview, frames: int) -> bytes:
    return blake2b(notes, digest_size=16, salt=frames.to_bytes(2, "little")).digest()


@dataclass(frozen=True, eq=False)
class ScoreWindows:
    """Windows of many scores, in order.

    Args:
        notes: those of all windows, one window after the other, each as in `ScoreWindow`.
        first: (windows + 1,) int64, where the notes of each window begin, and the end of the last.
        frames: (windows,) int64, as in `ScoreWindow`.
        counts: (scores,) int64 number of windows of each score, at least one.
    """

    notes: np.ndarray
    first: np.ndarray
    frames: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.frames)

    def __getitem__(self, index: int) -> ScoreWindow:
        """One window."""
        return ScoreWindow(self.notes[self.first[index] : self.first[index + 1]], int(self.frames[index]))

    def __iter__(self) -> Iterator[ScoreWindow]:
        return (self[index] for index in range(len(self)))

    def keys(self) -> list[bytes]:
        """`ScoreWindow.key` of each window."""
        data = memoryview(self.notes.tobytes())
        begins = (self.first * self.notes.itemsize).tolist()
        return [
            _key(data[begin:end], frames)
            for begin, end, frames in zip(begins, begins[1:], self.frames.tolist(), strict=False)
        ]

    def notes_of(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The notes of the windows `index`, and (notes,) int64, the position in `index` of each note's window."""
        lengths = self.first[index + 1] - self.first[index]
        window = np.repeat(np.arange(len(index)), lengths)
        offset = np.arange(len(window)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return self.notes[self.first[index][window] + offset], window


def score_windows(score: Score) -> list[ScoreWindow]:
    """The windows that cover a score, in order."""
    return list(windows_of_scores([score]))


def windows_of_scores(scores: Sequence[Score]) -> ScoreWindows:
    """The windows that cover each score, in order."""
    notes, piece = schedule_all(scores, SAMPLE_RATE)
    frames = [mel_frames(audio_samples(score, SAMPLE_RATE)) for score in scores]
    starts = {each: np.array(window_start_frames(each), np.int64) for each in set(frames)}
    counts = np.array([len(starts[each]) for each in frames], np.int64)
    start = np.concatenate([np.empty(0, np.int64), *(starts[each] for each in frames)])
    owner = np.repeat(np.arange(len(scores)), counts)
    is_last = np.diff(owner, append=len(scores)) > 0

    # Blocks in which each window begins and ends; a frame of the spectrogram reaches one hop to either side
    begin = (start - 1) * _BLOCKS_PER_FRAME
    end = begin + (1 + STRIDE_FRAMES) * _BLOCKS_PER_FRAME
    last_offset = np.zeros(len(scores), np.int64)
    np.maximum.at(last_offset, piece, notes["off_block"])
    end[is_last] = np.maximum(end[is_last], last_offset)  # up to MAX_UNCOVERED_FRAMES follow

    # A note sounds in successive windows of its piece: from the first that ends after its onset to the last that begins
    # before its release has ended. Both are searched in the windows of all pieces at once, each piece far from the next
    far = int(max(end.max(initial=0), last_offset.max(initial=0))) + 2 * _RELEASE_BLOCKS
    low = np.searchsorted(owner * far + end, piece * far + notes["on_block"], "right")
    high = np.searchsorted(owner * far + begin, piece * far + notes["off_block"] + _RELEASE_BLOCKS, "left")
    lengths = np.maximum(high - low, 0)
    note = np.repeat(np.arange(len(notes)), lengths)
    window = low[note] + np.arange(len(note)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    order = np.argsort(window, kind="stable")
    note, window = note[order], window[order]
    sounding = notes[note]
    sounding["off_block"] = np.minimum(sounding["off_block"], end[window])
    sounding["on_block"] -= begin[window]
    sounding["off_block"] -= begin[window]
    first = np.concatenate([[0], np.cumsum(np.bincount(window, minlength=len(start)))])
    released = np.where(is_last, np.minimum(np.repeat(frames, counts) - start, WINDOW_FRAMES), RELEASED_FRAMES)
    return ScoreWindows(sounding, first, released.astype(np.int64), counts)


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
