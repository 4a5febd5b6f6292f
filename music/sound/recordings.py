"""The cache of note recordings on disk, so that no process has to record again what an earlier one did.

A file for each sound font and sample rate: a header, an index, and the 16-bit samples of all recordings. It is replaced
as a whole, with what other processes have added in the meantime. Whatever is wrong with it, notes are recorded again.
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import struct
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from toccata.files import FileError, cache_folder, read_bytes, sha256_of_file, write_atomically
from toccata.music.sound.synthesizer import BLOCK, GAIN, fluidsynth_version

Key = tuple[int, int, int]  # pitch, velocity, blocks that the key is held
Recording = tuple[np.ndarray, float]  # (samples,) int16, and the amplitude of one of its steps

FORMAT = 1  # is counted up when notes are recorded in another way
MAX_SAMPLES = 2**26  # 128 MiB; 13 note values on 88 keys need 75 MiB. Beyond it the oldest are dropped
FIRST_SAMPLES = 2**20  # 2 MiB of new recordings are written at once; later as many as half of those in the file
MAX_BYTES = 4 * MAX_SAMPLES  # of a file that is read
_HEADER = struct.Struct("<8s32sQI")  # magic, digest, number of recordings, CRC-32 of the index
_MAGIC = b"toccata\0"
_ENTRY = np.dtype(
    [
        ("pitch", "<i2"),
        ("velocity", "<i2"),
        ("crc", "<u4"),  # CRC-32 of the samples
        ("blocks", "<i8"),
        ("samples", "<i8"),
        ("step", "<f8"),
    ]
)


class RecordingCache:
    """Recordings of notes in the user's cache folder.

    Args:
        soundfont: path of an SF2 file.
        sample_rate: samples a second.
        settings: what else the recordings depend on.
    """

    def __init__(self, soundfont: Path, sample_rate: int, settings: tuple = ()) -> None:
        parts = (FORMAT, sha256_of_file(soundfont), sample_rate, *settings, BLOCK, GAIN)
        text = repr((*parts, fluidsynth_version(), platform.machine()))
        self._digest = hashlib.sha256(text.encode()).digest()
        self.path = cache_folder() / f"notes-{self._digest.hex()[:16]}.bin"
        self._stored = self._read()
        self._new: dict[Key, Recording] = {}
        self._new_samples = 0
        self._writable = True

    def get(self, key: Key) -> Recording | None:
        """The recording of a note, if there is one."""
        if key in self._new:
            return self._new[key]
        if key not in self._stored:
            return None
        entry, data = self._stored[key]
        if crc32(data) != entry["crc"]:
            del self._stored[key]
            return None
        return np.frombuffer(data, "<i2"), float(entry["step"])

    def add(self, key: Key, recording: Recording) -> None:
        """Add the recording of a note, to be saved later; nothing where that is impossible."""
        if not self._writable:
            return
        self._new[key] = recording
        self._new_samples += len(recording[0])

    def save_if_due(self) -> None:
        """`save`, once enough has been added that it is worth it."""
        stored = sum(len(data) for _, data in self._stored.values()) // 2 if self._new_samples > FIRST_SAMPLES else 0
        if self._new_samples > max(FIRST_SAMPLES, stored // 2):
            self.save()

    def save(self) -> None:
        """Write what was added, and what the file has by now, up to `MAX_SAMPLES`; nothing where that is impossible."""
        if not self._new or not self._writable:
            return
        entries = self._read()
        for key, (samples, step) in self._new.items():
            data = samples.astype("<i2").tobytes()
            entries.pop(key, None)  # what is new goes to the end
            entries[key] = np.array((*key[:2], crc32(data), key[2], len(samples), step), _ENTRY)[()], data
        size = sum(len(data) for _, data in entries.values())
        for key in list(entries):
            if size <= 2 * MAX_SAMPLES:
                break
            size -= len(entries.pop(key)[1])
        index = np.array([entry for entry, _ in entries.values()], _ENTRY).tobytes()
        header = _HEADER.pack(_MAGIC, self._digest, len(entries), crc32(index))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, b"".join([header, index, *(data for _, data in entries.values())]))
        except OSError:  # a folder that cannot be written, a full disk: the next process records once more
            self._writable = False
        self._stored, self._new, self._new_samples = entries, {}, 0

    def _read(self) -> dict[Key, tuple[Any, memoryview | bytes]]:
        """Entry and samples of each recording in the file; none if it is missing, damaged, or of something else."""
        with contextlib.suppress(FileError, ValueError, struct.error):
            file = memoryview(read_bytes(self.path, MAX_BYTES))
            magic, digest, count, crc = _HEADER.unpack_from(file)
            begin = _HEADER.size + count * _ENTRY.itemsize
            index = file[_HEADER.size : begin]
            if (magic, digest, crc) != (_MAGIC, self._digest, crc32(index)):
                return {}
            entries = np.frombuffer(index, _ENTRY, count)
            ends = begin + 2 * np.cumsum(entries["samples"])
            if (entries["samples"] >= 0).all() and len(file) == (ends[-1] if count else begin):
                keys = zip(*(entries[name].tolist() for name in ("pitch", "velocity", "blocks")), strict=True)
                begins = (ends - 2 * entries["samples"]).tolist()
                parts = (file[start:end] for start, end in zip(begins, ends.tolist(), strict=True))
                return dict(zip(keys, zip(entries, parts, strict=True), strict=True))
        return {}
