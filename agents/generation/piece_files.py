"""Generated pieces as files: MIDI, sound, picture, notation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from toccata.agents.generation.sound_options import DEFAULT_SOUND, SoundOptions
from toccata.envs.pieces import Piece
from toccata.files import naming
from toccata.music.expression import expressive
from toccata.music.picture import save_piano_roll
from toccata.music.sound.audio_files import write_wav
from toccata.music.sound.listening import render_for_listening
from toccata.music.sound.loudness import at_loudness

SAMPLE_RATE = 44_100  # of the WAV files: for people, not for networks


def write_piece(
    piece: Piece, folder: Path, stem: str, options: SoundOptions = DEFAULT_SOUND, composer: str | None = None
) -> None:
    """Write a piece as MIDI, WAV, PNG and MusicXML.

    Args:
        piece: to be written.
        folder: for the files.
        stem: of their names, and the title in the notation.
        options: of the sound.
        composer: in the notation; by default "Toccata".

    Raises:
        OSError: naming the file that cannot be written.
        SoundError, FileNotFoundError: for a sound font that cannot be used.
    """
    score = piece.score
    sound = piece_sound(piece, options)
    writers: dict[str, Callable[[Path], None]] = {
        ".mid": score.to_midi,
        ".wav": lambda path: write_wav(path, sound, SAMPLE_RATE),
        ".png": lambda path: save_piano_roll(score, path, title=stem),
        ".musicxml": lambda path: score.to_musicxml(path, composer=composer),
    }
    for suffix, write in writers.items():
        with naming(folder / f"{stem}{suffix}"):
            write(folder / f"{stem}{suffix}")


def piece_sound(piece: Piece, options: SoundOptions = DEFAULT_SOUND) -> np.ndarray:
    """The sound of a piece for people at `SAMPLE_RATE`: (samples,) float32 in [-1, 1], in stereo (samples, 2).

    Raises:
        SoundError, FileNotFoundError: for a sound font that cannot be used.
    """
    score = expressive(piece.score, piece.start_tick) if options.expression else piece.score
    sound = render_for_listening(score, SAMPLE_RATE, options.soundfont, stereo=options.stereo, reverb=options.reverb)
    return at_loudness(sound, SAMPLE_RATE, options.loudness)
