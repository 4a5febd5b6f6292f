"""A sound font of a sampled piano, from one sound file per key: `python benchmarks/sampled_piano.py FOLDER piano.sf2`.

The name of each file holds a note with its octave, such as `Piano.ff.Bb3.flac` or `D#4v10.ogg`; keys without a file
take the sample of the nearest one at another speed.
"""

from __future__ import annotations

import argparse
import re
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np

from toccata.files import write_atomically
from toccata.music.sound.audio_files import read_audio
from toccata.music.sound.spectrogram import SAMPLE_RATE

SECONDS = 8.0  # of each sample
ONSET = 0.01  # of its peak, where a sample begins
RELEASE_SECONDS = 0.3
SPACING = 46  # zeros after each sample, at least as many as SoundFont 2.04, section 6.1, demands
KEY_RANGE, RELEASE, SAMPLE_ID, INSTRUMENT = 43, 38, 53, 41  # generators, section 8.1.2
NOTE = re.compile(r"(?<![A-Za-z])([A-G])([#b]?)(\d)(?![0-9])")
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def pitch_of(name: str) -> int:
    """MIDI number of the note in the name of a file.

    Raises:
        ValueError: when there is none.
    """
    notes = NOTE.findall(name)
    if not notes:
        raise ValueError(f"{name}: no note such as C4, F#3 or Bb2 in the name")
    letter, accidental, octave = notes[-1]
    return 12 * (int(octave) + 1) + SEMITONES[letter] + {"#": 1, "b": -1, "": 0}[accidental]


def sound_font(samples: dict[int, np.ndarray]) -> bytes:
    """An SF2 file with one piano, of (samples,) sounds at `SAMPLE_RATE` by MIDI number."""
    pitches = sorted(samples)
    borders = [0, *((low + high) // 2 + 1 for low, high in pairwise(pitches)), 128]
    peak = max(float(np.abs(sound).max()) for sound in samples.values())
    data, headers, zones, generators = [], b"", b"", b""
    begin = 0
    for index, pitch in enumerate(pitches):
        sound = np.pad((samples[pitch] * (32_000 / peak)).astype("<i2"), (0, SPACING))
        data.append(sound.tobytes())
        end = begin + len(sound) - SPACING
        headers += _name(f"key {pitch}") + struct.pack("<5IBbHH", begin, end, begin, end, SAMPLE_RATE, pitch, 0, 0, 1)
        begin += len(sound)
        zones += struct.pack("<HH", 3 * index, 0)
        generators += struct.pack("<HBB", KEY_RANGE, borders[index], borders[index + 1] - 1)
        generators += struct.pack("<Hh", RELEASE, round(1200 * np.log2(RELEASE_SECONDS)))
        generators += struct.pack("<HH", SAMPLE_ID, index)
    count = len(pitches)
    parts = {
        "phdr": _name("piano")
        + struct.pack("<HHHIII", 0, 0, 0, 0, 0, 0)
        + _name("EOP")
        + struct.pack("<HHHIII", 0, 0, 1, 0, 0, 0),
        "pbag": struct.pack("<HHHH", 0, 0, 1, 0),
        "pmod": bytes(10),
        "pgen": struct.pack("<HHI", INSTRUMENT, 0, 0),
        "inst": _name("piano") + struct.pack("<H", 0) + _name("EOI") + struct.pack("<H", count),
        "ibag": zones + struct.pack("<HH", 3 * count, 0),
        "imod": bytes(10),
        "igen": generators + bytes(4),
        "shdr": headers + _name("EOS") + bytes(26),
    }
    information = (
        _chunk("ifil", struct.pack("<HH", 2, 1)) + _chunk("isng", b"EMU8000\0") + _chunk("INAM", b"sampled piano\0")
    )
    lists = (
        _chunk("LIST", b"INFO" + information)
        + _chunk("LIST", b"sdta" + _chunk("smpl", b"".join(data)))
        + _chunk("LIST", b"pdta" + b"".join(_chunk(name, part) for name, part in parts.items()))
    )
    return _chunk("RIFF", b"sfbk" + lists)


def read_samples(folder: Path) -> dict[int, np.ndarray]:
    """The sounds of a folder by MIDI number, each from its onset and at most `SECONDS` long.

    Raises:
        ValueError: naming the folder or file, for no sound files or one without a note in its name.
        AudioError: for a sound file that cannot be read.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".flac", ".ogg", ".wav", ".mp3"))
    if not paths:
        raise ValueError(f"{folder}: no sound files")
    samples = {}
    for path in paths:
        sound = read_audio(path, SAMPLE_RATE)
        first = int(np.argmax(np.abs(sound) > ONSET * np.abs(sound).max()))
        sound = sound[first : first + round(SECONDS * SAMPLE_RATE)].copy()
        fade = min(len(sound), SAMPLE_RATE // 10)
        sound[len(sound) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        samples[pitch_of(path.stem)] = sound
    return samples


def _chunk(name: str, data: bytes) -> bytes:
    return name.encode() + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def _name(text: str) -> bytes:
    return text.encode().ljust(20, b"\0")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with the sound files")
    parser.add_argument("font", type=Path, help="the SF2 file to write")
    arguments = parser.parse_args()
    samples = read_samples(arguments.folder)
    write_atomically(arguments.font, sound_font(samples))
    print(f"{arguments.font}: {len(samples)} samples, keys {min(samples)} to {max(samples)}")


if __name__ == "__main__":
    main()
