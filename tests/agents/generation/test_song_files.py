"""The files of a song."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.songs import song, words
from toccata.agents.generation import song_files
from toccata.agents.generation.song_files import sung_words, write_song
from toccata.envs.pieces import Piece
from toccata.music.lyrics.errors import LyricsError
from toccata.music.picture import save_piano_roll
from toccata.music.score import Score
from toccata.music.songs.sketch import SketchError


def test_a_song_has_its_words_in_every_file_that_shows_them(tmp_path: Path) -> None:
    score, underlay = song("Ah-men so_ far", [60, 62, 64, 65, 67], [1] * 5)
    write_song(Piece(score, lyrics=underlay.lyrics), tmp_path, "song")
    assert {path.suffix for path in tmp_path.iterdir()} == {".mid", ".wav", ".png", ".musicxml"}
    assert Score.from_midi(tmp_path / "song.mid") == Score.from_musicxml(tmp_path / "song.musicxml") == score
    assert b"<text>men</text>" in (tmp_path / "song.musicxml").read_bytes()
    assert b"men " in (tmp_path / "song.mid").read_bytes()


def test_a_piece_without_words_is_written_as_ever(tmp_path: Path) -> None:
    write_song(Piece(Score([(0, 24, 60, 80)])), tmp_path, "piece")
    assert b"<lyric" not in (tmp_path / "piece.musicxml").read_bytes()
    assert len(list(tmp_path.iterdir())) == 4


def test_an_unfinished_song_is_not_written(tmp_path: Path) -> None:
    score, _ = song("Ah-men", [60, 62], [1, 1])
    with pytest.raises(LyricsError, match=r"^song: has 2 of the 3 notes that its words are sung on"):
        write_song(Piece(score, lyrics=words("Ah-men so")), tmp_path, "song")
    assert not list(tmp_path.iterdir())


def test_the_words_of_a_piano_roll(tmp_path: Path) -> None:
    score, underlay = song("Ah-men so_ far", [60, 62, 64, 65, 67], [1] * 5)
    found = sung_words(underlay)
    assert [(each.tick, each.pitch, each.text) for each in found] == [
        (0, 60, "Ah-"),
        (24, 62, "men"),
        (48, 64, "so"),
        (96, 67, "far"),
    ]
    save_piano_roll(score, tmp_path / "song.svg", words=found)
    save_piano_roll(score, tmp_path / "plain.svg")
    texts = (tmp_path / "song.svg").read_text(), (tmp_path / "plain.svg").read_text()
    assert all(f"<!-- {each.text} -->" in texts[0] and f"<!-- {each.text} -->" not in texts[1] for each in found)


def test_words_with_marks_of_mathematics_are_drawn_as_they_are(tmp_path: Path) -> None:
    score, underlay = song("$a^2$ b", [60, 62], [1, 1])
    save_piano_roll(score, tmp_path / "song.png", words=sung_words(underlay))
    assert np.frombuffer((tmp_path / "song.png").read_bytes()[:4], np.uint8)[1] == ord("P")


def test_a_sketch_is_another_file_and_needs_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score, underlay = song("Ah-men", [60, 62], [1, 1])
    piece = Piece(score, lyrics=underlay.lyrics)
    monkeypatch.setattr(song_files, "sung_sketch", lambda *_: np.full(1000, 0.5, np.float32))
    write_song(piece, tmp_path, "song", sketch=True)
    assert (tmp_path / "song-sketch.wav").stat().st_size > (tmp_path / "song.mid").stat().st_size

    def fail(*_: object) -> None:
        raise SketchError("no program")

    monkeypatch.setattr(song_files, "sung_sketch", fail)
    with pytest.raises(SketchError):
        write_song(piece, tmp_path, "other", sketch=True)
    assert not list(tmp_path.glob("other*"))
