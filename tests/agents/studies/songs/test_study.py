from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from helpers.songs import song
from toccata.agents.studies.songs import study
from toccata.agents.studies.songs.composers import random_composer
from toccata.agents.studies.songs.config import StudySongsConfig
from toccata.agents.studies.songs.measure import breaths, values_of
from toccata.agents.studies.songs.study import POEMS, PRIOR, RANDOM, REAL, read_poems, study_songs
from toccata.envs.pieces import Piece
from toccata.files import FileError
from toccata.music.lyrics import LyricsError
from toccata.music.metrics import METRICS
from toccata.music.score import Score
from toccata.music.songs.corpus import Song
from toccata.music.songs.prosody import sung_syllables
from toccata.reward_models.lyrics.reward import LyricsReward
from toccata.settings.options import ConfigError


def as_musicxml(piece: Piece, folder: Path, stem: str, **_: object) -> None:
    """Write a song as MusicXML alone: `write_song` has tests of its own."""
    piece.score.to_musicxml(folder / f"{stem}.musicxml")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudySongsConfig:
    """A study of two short texts, in which random play stands for the prior."""
    poems = tmp_path / "poems"
    poems.mkdir()
    (poems / "one.txt").write_text("# Somebody, 1800\nLittle lamb, who made thee?\n")
    (poems / "two.txt").write_text("Who has seen\nthe wind?\n")
    monkeypatch.setattr(study, "prior_composer", lambda config, prior: random_composer(config))
    network = SimpleNamespace(state_dict=dict)
    monkeypatch.setattr(study.Prior, "load", lambda *_: SimpleNamespace(network=network))
    works = (SimpleNamespace(score=Score([(24 * i, 24, 60 + i % 7, 80) for i in range(32)]), id="tune"),)
    corpus = SimpleNamespace(split=lambda name: SimpleNamespace(works=works))
    monkeypatch.setattr(study, "load_corpus", lambda names: corpus)
    score, underlay = song("A-b C-d / e F", [60, 64, 67, 72, 67, 60], [1, 1, 1, 2, 1, 2])
    real = [Song(f"song {i}", "song", "en", score, underlay, f"group {i % 2}") for i in range(3)]
    monkeypatch.setattr(study, "corpus_songs", lambda works: real)
    monkeypatch.setattr(study, "write_song", as_musicxml)
    return StudySongsConfig(
        tmp_path / "study", poems, drafts=3, rewarded=2, rewards=(("lyrics", 1.0),), random_drafts=2, device="cpu"
    )


def test_a_study_measures_words_and_melodies_and_is_resumed(
    config: StudySongsConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(file=io.StringIO(), width=200)
    summary = study_songs(config, console)
    assert {path.name for path in config.out.iterdir()} == {"songs.json", "table.md", "melody.md", "songs", "cache"}
    rows = summary["rows"]
    assert list(rows) == [RANDOM, PRIOR, "best of 3 by lyrics", "best of 2 by rewards", REAL]
    assert rows[RANDOM]["breaths"]["mean"] == 1.0
    assert all(np.isfinite(list(figure.values())).all() for row in rows.values() for figure in row.values())
    assert {f"melody/{name}" for name in METRICS} <= set(rows[REAL])
    assert "originality_score" in rows[PRIOR]
    assert "originality_score" not in rows[REAL]
    best, second = (rows[name]["lyrics"]["mean"] for name in ("best of 3 by lyrics", "best of 2 by rewards"))
    assert best >= second
    assert best >= rows[PRIOR]["lyrics"]["mean"]
    assert json.loads((config.out / "songs.json").read_text()) == summary
    assert "| breaths at line ends | 1.00 [1.00, 1.00] |" in (config.out / "table.md").read_text()
    assert "| `pitch_range` |" in (config.out / "melody.md").read_text()
    assert {path.name for path in (config.out / "songs").glob("*.musicxml")} == {"one.musicxml", "two.musicxml"}

    monkeypatch.setattr(study, "values_of", lambda *_: pytest.fail("it is in the cache"))
    assert study_songs(config, console)["rows"] == rows


def test_no_more_drafts_are_scored_than_there_are() -> None:
    with pytest.raises(ConfigError, match="rewarded must be at most drafts, 4, got 5"):
        StudySongsConfig(Path("out"), drafts=4, rewarded=5)


def test_texts_that_cannot_be_read_are_refused_before_anything_is_composed(config: StudySongsConfig) -> None:
    with pytest.raises(FileError, match="is no folder"):
        study_songs(replace(config, poems=config.out / "nothing"))
    assert config.poems is not None
    (config.poems / "three.txt").write_text("7 lambs\n")
    with pytest.raises(LyricsError, match=r"three\.txt, line 1"):
        study_songs(config)
    for file in config.poems.iterdir():
        file.unlink()
    with pytest.raises(FileError, match=r"has no text NAME\.txt"):
        study_songs(config)
    assert not config.out.exists()


def test_the_poems_that_come_with_toccata() -> None:
    poems = read_poems(POEMS, "en")
    assert len(poems) == 30
    assert all(4 <= len(lyrics.lines) <= 8 for lyrics in poems.values())
    headers = [path.read_text(encoding="utf-8").splitlines()[0] for path in sorted(POEMS.glob("*.txt"))]
    assert all(header.startswith("# ") and header[-4:].isdigit() and int(header[-4:]) < 1900 for header in headers)
    known = [each.stress is not None for lyrics in poems.values() for each in lyrics.syllables]
    assert np.mean(known) > 0.95


def test_breaths_are_rests_after_lines() -> None:
    score, underlay = song("A b / C d / E f", [60] * 6, [1] * 6, rest_after=[1])
    assert breaths(sung_syllables(score, underlay)) == 0.5
    score, underlay = song("A b", [60] * 2, [1] * 2)
    assert breaths(sung_syllables(score, underlay)) == 1.0


def test_the_range_and_the_leaps_of_a_melody() -> None:
    score, underlay = song("A b c", [60, 72, 67], [1, 1, 1])
    values = values_of(score, underlay, LyricsReward.load(), None)
    assert (values["range"], values["largest_leap"]) == (12, 12)
    assert values["melody/pitch_range"] == 12
