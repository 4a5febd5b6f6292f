"""Generated pieces as files: MIDI, sound, picture, notation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from toccata.envs.pieces import Piece
from toccata.files import naming
from toccata.music.picture import save_piano_roll
from toccata.music.sound.audio_files import write_wav
from toccata.music.sound.bank import note_bank

SAMPLE_RATE = 44_100  # of the WAV files: for people, not for networks


def write_piece(piece: Piece, folder: Path, stem: str) -> None:
    """Write a piece as MIDI, WAV, PNG and MusicXML.

    Raises:
        OSError: naming the file that cannot be written.
    """
    score = piece.score
    sound = note_bank(SAMPLE_RATE).render_one(score)
    writers: dict[str, Callable[[Path], None]] = {
        ".mid": score.to_midi,
        ".wav": lambda path: write_wav(path, sound, SAMPLE_RATE),
        ".png": lambda path: save_piano_roll(score, path, title=stem),
        ".musicxml": score.to_musicxml,
    }
    for suffix, write in writers.items():
        with naming(folder / f"{stem}{suffix}"):
            write(folder / f"{stem}{suffix}")
