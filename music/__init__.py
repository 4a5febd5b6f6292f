"""Scores, music files, corpora, sound, metrics and pictures; independent of reinforcement learning and torch."""

from toccata.music.corpus import Corpus, CorpusError, CorpusWarning, GenreError, Work, load_corpus
from toccata.music.midi import MidiError, read_midi, write_midi
from toccata.music.musicxml import MusicXMLError, read_musicxml, score_from_stream, write_musicxml
from toccata.music.reduction import ReductionReport, fits_two_hands, reduce_to_two_hands
from toccata.music.score import NOTE_DTYPE, TICKS_PER_BEAT, Score
from toccata.music.sound.audio_files import AudioError, read_audio

__all__ = [
    "NOTE_DTYPE",
    "TICKS_PER_BEAT",
    "AudioError",
    "Corpus",
    "CorpusError",
    "CorpusWarning",
    "GenreError",
    "MidiError",
    "MusicXMLError",
    "ReductionReport",
    "Score",
    "Work",
    "fits_two_hands",
    "load_corpus",
    "read_audio",
    "read_midi",
    "read_musicxml",
    "reduce_to_two_hands",
    "score_from_stream",
    "write_midi",
    "write_musicxml",
]
