"""Folders of music and lists of scores are evaluated as agents are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toccata.agents.evaluation.music import folder_player, music_player
from toccata.agents.evaluation.players import EvaluationError
from toccata.agents.runs.config import TrainConfig
from toccata.cli import run_command
from toccata.envs import Piece
from toccata.music.score import Score

Evaluate = Callable[..., dict[str, Any]]


def tune(bars: int, low: int = 60) -> Score:
    return Score([(24 * i, 24, low + i % 7, 80) for i in range(4 * bars)], length_ticks=96 * bars)


@pytest.fixture(scope="module")
def settings() -> TrainConfig:
    return TrainConfig(policy="mlp", bars=2, genre="folk")


@pytest.fixture
def my_midi(tmp_path: Path) -> Path:
    folder = tmp_path / "my midi"
    (folder / "deeper").mkdir(parents=True)
    tune(1).to_midi(folder / "a.mid")
    tune(6).to_musicxml(folder / "deeper" / "b.musicxml")
    Score([(0, 24, 60 + i, 80) for i in range(30)], length_ticks=96).to_midi(folder / "cluster.mid")
    (folder / "broken.mid").write_bytes(b"MThd")
    (folder / "song.mscz").write_bytes(b"")
    Score([(0, 72, 60, 80), (72, 72, 62, 80)], beats_per_bar=3).to_midi(folder / "waltz.mid")
    return folder


def test_the_command_evaluates_a_folder_of_music(
    my_midi: Path, quickly: Evaluate, tmp_path: Path, corpus_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in my_midi.rglob("*")}
    arguments = (
        f"--genre classical --corpus {corpus_folder} --bars 1 --rewards silence(limit=0.5) 1.0 --pieces 2 --samples 8"
    )
    assert run_command("evaluate", [str(my_midi), *arguments.split()]) == 0
    assert {path: path.stat().st_mtime_ns for path in my_midi.rglob("*")} == before
    printed = " ".join(capsys.readouterr().out.split())
    assert "music: 3 pieces of 3; 3 left out" in printed
    assert "dropped" in printed
    assert "few works: " in printed
    folder = tmp_path / "evaluations/my midi-1"
    page = (folder / "report.html").read_text()
    assert "1 bars of 4 beats at 120 a minute, classical; rewards: 1 silence; seed 0" in page
    assert all(name in page for name in ("my midi/a.mid", "broken.mid", "song.mscz", "waltz.mid", "<h2>Left out</h2>"))
    assert {path.name for path in folder.glob("*.mid")} == {"piece-000.mid", "piece-001.mid", "random.mid", "real.mid"}
    assert Score.from_midi(folder / "piece-000.mid").notes.tolist() == tune(1).notes.tolist()


def test_the_command_names_what_it_cannot_evaluate(
    my_midi: Path, quickly: Evaluate, tmp_path: Path, toy_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "unread").mkdir()
    (tmp_path / "unread" / "x.mid").write_bytes(b"MThd")
    for arguments, message in (
        (["empty"], "empty: not a run folder, it has no config.json; as music: has no MIDI or MusicXML file"),
        (["unread"], "x.mid"),
        ([str(my_midi / "a.mid")], "a.mid: is a file"),
        ([str(tmp_path / "nowhere")], "no such run folder"),
        ([str(toy_run), "--genre", "folk"], "--genre is of folders of music"),
        ([str(my_midi), "--beats-per-bar", "7"], "beats"),
        ([str(my_midi), "--out", str(my_midi)], "exists already"),
        ([str(my_midi), "--genre", "polka"], "polka"),
    ):
        assert run_command("evaluate", arguments) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    with pytest.raises(EvaluationError, match=r"is a run folder; evaluate it with: python evaluate\.py"):
        quickly(toy_run)
    with pytest.raises(EvaluationError, match="no such folder of music"):
        quickly(tmp_path / "nowhere")
    assert not (tmp_path / "evaluations").exists()


def test_scores_are_cut_as_real_music_and_short_ones_are_whole(settings: TrainConfig) -> None:
    silent_start = Score([(96, 24, 60, 80)], length_ticks=192)
    given = [tune(6), silent_start, Score(length_ticks=192), Score([(0, 24, 60, 80)], length_ticks=96), Score()]
    played = music_player(given, settings)(8, 0)
    assert [piece.score.bars for piece in played.pieces] == [2, 2, 2, 1]
    assert played.pieces[1].score.notes.tolist() == silent_start.notes.tolist()
    assert not len(played.pieces[2].score)
    assert played.left_out == ("number 4: is empty",)
    assert played.names == ("number 0", "number 1", "number 2", "number 3")
    assert played.counts == {
        **{"files": 4, "left_out": 1, "notes": 10, "shorter": 1},
        **dict.fromkeys(("dropped", "shortened", "lengthened", "moved"), 0),
    }
    assert {piece.genre for piece in played.pieces} == {"folk"}


def test_more_music_than_asked_for_is_chosen_at_random(settings: TrainConfig) -> None:
    play = music_player([tune(2, low) for low in range(50, 70)], settings)
    assert play(5, 0).names == play(5, 0).names != play(5, 1).names
    assert len(set(play(5, 0).names)) == 5


def test_what_cannot_be_played_is_counted(settings: TrainConfig, my_midi: Path) -> None:
    played = folder_player(my_midi, settings)(8, 0)
    assert played.counts["dropped"] > 15  # of the cluster
    assert played.counts["files"] == 3
    assert any("waltz.mid: its bars of 3 beats do not divide 4" in line for line in played.left_out)


def test_pieces_stay_as_they_are(settings: TrainConfig, quickly: Evaluate, tmp_path: Path) -> None:
    piece = Piece(tune(3), start_tick=96, actions=np.zeros((1, 2), np.int64))
    assert music_player([piece], settings)(4, 0).pieces == [piece]
    summary = quickly([piece, tune(1)])
    assert len(summary["composers"]["agent"]["polyphony"]["values"]) == 2
    assert len(summary["composers"]["real"]["polyphony"]["values"]) == 3
    assert (tmp_path / "evaluations/pieces-1/piece-000.mid").is_file()


def test_a_genre_of_ones_own(quickly: Evaluate, my_midi: Path) -> None:
    music = [tune(4) for _ in range(3)]
    corpus = my_midi / "deeper"
    assert quickly(music, genre="ragtime", corpus=str(corpus))["counts"]["real_works"] == 1


def test_lists_without_music_are_named(settings: TrainConfig) -> None:
    waltz = Score([(0, 72, 60, 80)], beats_per_bar=3)
    for music, message in (
        ([], "the list is empty"),
        ([waltz], "its bars of 3 beats do not divide 4; try beats_per_bar 3"),
        ([Score()], "number 0: is empty"),
        (["a.mid"], "number 0 of the music must be a Score or a Piece, got 'a.mid'"),
    ):
        with pytest.raises(EvaluationError, match=message):
            music_player(music, settings)  # type: ignore[arg-type]  # no music at all
