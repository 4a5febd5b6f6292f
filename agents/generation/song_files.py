"""Generated songs as files: MIDI with lyric events, sound, picture, notation with words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from toccata.agents.generation.piece_files import SAMPLE_RATE, piece_sound, write_piece
from toccata.agents.generation.sound_options import DEFAULT_SOUND, SoundOptions
from toccata.envs.pieces import Piece
from toccata.files import naming
from toccata.music.lyrics.errors import LyricsError
from toccata.music.lyrics.underlay import Underlay
from toccata.music.picture import Word, save_piano_roll
from toccata.music.score import Score
from toccata.music.songs.midi import syllable_text, write_song_midi
from toccata.music.songs.musicxml import sung_numbers, write_song_musicxml
from toccata.music.songs.sketch import RATE, sung_sketch
from toccata.music.sound.audio_files import write_wav
from toccata.music.sound.listening import render_for_listening

ACCOMPANIMENT = 0.4  # peak of the piano beside the voice of a sketch, which has 0.5


def write_song(
    piece: Piece,
    folder: Path,
    stem: str,
    options: SoundOptions = DEFAULT_SOUND,
    composer: str | None = None,
    *,
    sketch: bool = False,
) -> None:
    """Write a song as MIDI, WAV, PNG and MusicXML, with its words; a piece without words as `write_piece` does.

    In the WAV file a piano plays all notes, also those that are sung.

    Args:
        piece: to be written, finished.
        folder: for the files.
        stem: of their names, and the title in the notation.
        options: of the sound.
        composer: in the notation; by default "Toccata".
        sketch: whether to write STEM-sketch.wav too, the words by a speech synthesizer above the accompaniment: see
            `toccata.music.songs.sketch`.

    Raises:
        LyricsError: for a piece whose notes do not fit its words, before anything is written.
        OSError: naming the file that cannot be written.
        SoundError, FileNotFoundError: for a sound font that cannot be used.
        SketchError: when the speech synthesizer is missing, or fails, before anything is written.
    """
    underlay = piece.underlay
    if underlay is None:
        write_piece(piece, folder, stem, options, composer)
        return
    needed = len(underlay.lyrics.note_syllables)
    if len(underlay) < needed:
        raise LyricsError(f"{stem}: has {len(underlay)} of the {needed} notes that its words are sung on")
    score = piece.score
    sound = piece_sound(piece, options)
    sung = sketch_sound(score, underlay, options) if sketch else None
    writers: dict[str, Callable[[Path], None]] = {
        ".mid": lambda path: write_song_midi(score, underlay, path),
        ".wav": lambda path: write_wav(path, sound, SAMPLE_RATE),
        ".png": lambda path: save_piano_roll(score, path, title=stem, words=sung_words(underlay)),
        ".musicxml": lambda path: write_song_musicxml(score, underlay, path, composer=composer),
    }
    if sung is not None:
        writers["-sketch.wav"] = lambda path: write_wav(path, sung, RATE)
    for suffix, write in writers.items():
        with naming(folder / f"{stem}{suffix}"):
            write(folder / f"{stem}{suffix}")


def sketch_sound(score: Score, underlay: Underlay, options: SoundOptions = DEFAULT_SOUND) -> np.ndarray:
    """The words of a song by a speech synthesizer above the accompaniment, (samples,) float32 at `RATE` in [-1, 1].

    Raises:
        SketchError: when the speech synthesizer is missing, or fails.
    """
    voice = sung_sketch(score, underlay)
    others = np.ones(len(score), bool)
    others[sung_numbers(score, underlay)] = False
    accompaniment = replace(score, notes=score.notes[others])
    piano = render_for_listening(accompaniment, RATE, options.soundfont, reverb=options.reverb)
    piano *= ACCOMPANIMENT / max(float(np.abs(piano).max(initial=0)), ACCOMPANIMENT)
    sound = np.zeros(max(len(voice), len(piano)), np.float32)
    sound[: len(voice)] += voice
    sound[: len(piano)] += piano
    return sound


def sung_words(underlay: Underlay) -> list[Word]:
    """The syllables as a piano roll shows them: at the first note of each, with hyphens inside words."""
    words: list[Word] = []
    last = -1
    columns = (underlay.onset_ticks, underlay.pitches, underlay.syllables)
    for tick, pitch, number in zip(*(column.tolist() for column in columns), strict=True):
        if number != last:
            syllable = underlay.lyrics.syllables[number]
            words.append(Word(tick, pitch, syllable_text(syllable) + ("" if syllable.word_end else "-")))
        last = number
    return words
