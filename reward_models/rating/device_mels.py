"""Spectrograms of many windows of scores at once, with torch on any device.

The same sums as `NoteBank.render_parts` and `log_mel`, whose results they equal up to rounding. Those are made for the
caches of a processor, these for the many threads of a GPU: they have no loop over pieces, windows or notes.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from toccata.music.sound.bank import note_bank
from toccata.music.sound.spectrogram import FLOOR, HOP, N_FFT, SAMPLE_RATE, mel_filterbank
from toccata.music.sound.synthesizer import BLOCK
from toccata.reward_models.rating.audio_windows import WINDOW_FRAMES, ScoreWindows

BANK_BLOCKS = 2**22  # 1 GiB of recordings, after which a bank is cleared; it may grow beyond within one batch
FIRST_BLOCKS = 2**16  # initial capacity of a bank, 16 MiB; it is doubled when needed
WINDOW_BLOCKS = (WINDOW_FRAMES + 1) * HOP // BLOCK  # a frame reaches one hop to either side of its centre


class DeviceBank:
    """All recordings of notes that were needed so far, as one tensor on a device.

    Args:
        device: of the tensor.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._sound: Tensor  # (rows, BLOCK) float32, with spare capacity; each recording begins in a row of its own
        self._used: int  # rows in use
        self._keys: np.ndarray  # (recordings,) int64, in order: pitch, velocity and blocks
        self._rows: np.ndarray  # (recordings,) int64, the first of each
        self._counts: np.ndarray  # (recordings,) int64, rows of each
        self._clear()

    def mix(self, notes: np.ndarray, window: np.ndarray, windows: int) -> Tensor:
        """Sound of windows.

        Args:
            notes: of all windows, one window after the other, as `NoteBank.render_parts` takes them.
            window: (notes,) int64 index of each note's window.
            windows: how many there are.

        Returns:
            (windows, WINDOW_BLOCKS * BLOCK) float32 in [-1, 1].
        """
        row, rows = self._find(notes)
        begin = np.maximum(notes["on_block"], 0)
        skipped = begin - notes["on_block"]  # of notes that began before the window
        rows = np.maximum(np.minimum(rows - skipped, WINDOW_BLOCKS - begin), 0)
        total = int(rows.sum())
        source, into, count = (
            torch.from_numpy(values).to(self.device) for values in (row + skipped, window * WINDOW_BLOCKS + begin, rows)
        )
        # Each block of each recording, in the order of the blocks of the sound that they are added to
        note = torch.repeat_interleave(count, output_size=total)
        offset = torch.arange(total, device=self.device) - (count.cumsum(0) - count)[note]
        into, order = (into[note] + offset).sort(stable=True)
        source = (source[note] + offset)[order]
        begins = torch.searchsorted(into, torch.arange(windows * WINDOW_BLOCKS, device=self.device))
        audio = functional.embedding_bag(source, self._sound, begins, mode="sum")
        return audio.view(windows, WINDOW_BLOCKS * BLOCK).clamp_(-1, 1)

    def _find(self, notes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(notes,) int64 first row of each note's recording, and its number of rows; missing ones are recorded."""
        blocks = notes["off_block"] - notes["on_block"]
        keys = blocks << 14 | notes["velocity"] << 7 | notes["pitch"]
        needed = np.unique(keys)
        missing = needed[~np.isin(needed, self._keys, assume_unique=True)]
        if len(missing) and self._used > BANK_BLOCKS:
            self._clear()
            missing = needed
        if len(missing):
            self._add(missing)
        index = np.searchsorted(self._keys, keys)
        return self._rows[index], self._counts[index]

    def _add(self, keys: np.ndarray) -> None:
        """Add the recordings of these keys."""
        bank = note_bank(SAMPLE_RATE)
        sounds = [bank.recording(key & 127, key >> 7 & 127, key >> 14) for key in keys.tolist()]
        counts = np.array([-(-len(sound) // BLOCK) for sound in sounds], np.int64)
        rows = self._used + np.cumsum(counts) - counts
        added = np.zeros((int(counts.sum()), BLOCK), np.float32)
        for row, sound in zip((rows - self._used).tolist(), sounds, strict=True):
            added[row:].reshape(-1)[: len(sound)] = sound
        end = self._used + len(added)
        if end > len(self._sound):
            grown = torch.empty(max(2 * len(self._sound), end), BLOCK, device=self.device)
            grown[: self._used] = self._sound[: self._used]
            self._sound = grown
        self._sound[self._used : end] = torch.from_numpy(added).to(self.device)
        self._used = end
        order = np.argsort(all_keys := np.concatenate([self._keys, keys]))
        self._keys = all_keys[order]
        self._rows = np.concatenate([self._rows, rows])[order]
        self._counts = np.concatenate([self._counts, counts])[order]

    def _clear(self) -> None:
        """Delete all recordings."""
        self._sound, self._used = torch.empty(FIRST_BLOCKS, BLOCK, device=self.device), 0
        self._keys, self._rows, self._counts = (np.empty(0, np.int64) for _ in range(3))


@lru_cache(maxsize=8)
def device_bank(device: torch.device) -> DeviceBank:
    """The bank of a device; one per process."""
    return DeviceBank(device)


def device_window_mels(windows: ScoreWindows, index: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """`score_window_mels` of some windows, as tensors on a device.

    Args:
        windows: of scores.
        index: (n,) which of them.
        device: where they are computed.

    Returns:
        (n, N_MELS, WINDOW_FRAMES) float32 log-mel spectrograms, and (n,) int64 frames of each before the padding.
    """
    audio = device_bank(device).mix(*windows.notes_of(index), len(index))
    hann, filters = _constants(device)
    spectrum = torch.fft.rfft(audio.unfold(1, N_FFT, HOP) * hann)
    mel = (spectrum.real.square() + spectrum.imag.square()) @ filters
    frames = torch.from_numpy(windows.frames[index]).to(device)
    return torch.log(mel + FLOOR).mT.contiguous(), frames


@lru_cache(maxsize=8)
def _constants(device: torch.device) -> tuple[Tensor, Tensor]:
    """The periodic Hann window, (N_FFT,), and the filters of the spectrogram, (N_FFT // 2 + 1, N_MELS)."""
    hann = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
    return torch.from_numpy(hann).to(device), torch.from_numpy(mel_filterbank().T.copy()).to(device)
