"""Generated pieces as files: MIDI, sound, picture, notation."""

from __future__ import annotations

from pathlib import Path

from toccata.envs.pieces import Piece
from toccata.music.picture import save_piano_roll
from toccata.music.sound.audio_files import write_wav
from toccata.music.sound.bank import note_bank

SAMPLE_RATE = 44_100  # of the WAV files: for people, not for networks


def write_piece(piece: Piece, folder: Path, stem: str) -> None:
    """Write a piece as MIDI, WAV, PNG and MusicXML."""
    score = piece.score
    score.to_midi(folder / f"{stem}.mid")
    write_wav(folder / f"{stem}.wav", note_bank(SAMPLE_RATE).render_one(score), SAMPLE_RATE)
    save_piano_roll(score, folder / f"{stem}.png", title=stem)
    score.to_musicxml(folder / f"{stem}.musicxml")
