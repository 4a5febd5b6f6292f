import json
from pathlib import Path

import numpy as np
import pytest

from helpers.listening import tune, write_tunes
from toccata.listening.schema import ATTENTION_SOURCE
from toccata.listening.sources import Found, SourceError, find_pieces
from toccata.music.sound.audio_files import write_wav


def found(*folders: Path, people: tuple[Path | str, ...] = (), most: int = 100, seed: int = 0) -> list[Found]:
    pieces, failures = find_pieces([str(each) for each in folders], [str(each) for each in people], most, seed)
    assert failures == []
    return pieces


def write_run(folder: Path, genre: str | None = None, seed: int = 0) -> Path:
    """A run as evaluation leaves it: pieces of the agent beside those of composers that it is compared with."""
    write_tunes(folder / "evaluation", 0)
    for number in range(2):
        tune(seed + number).to_midi(folder / f"evaluation/piece-{number:03d}.mid")
        write_wav(folder / f"evaluation/piece-{number:03d}.wav", np.zeros(1600, np.float32))
    for number, name in enumerate(("reference", "random", "real")):
        tune(50 + number).to_midi(folder / f"evaluation/{name}.mid")
    (folder / "evaluation/metrics.json").write_text("{}")
    (folder / "config.json").write_text(json.dumps({"genre": genre}))
    (folder / "checkpoints").mkdir()
    return folder


def test_folders_of_machines_and_people(tmp_path: Path) -> None:
    pieces = found(write_tunes(tmp_path / "a", 2), people=(write_tunes(tmp_path / "b", 3, seed=1),))
    assert sorted((piece.source, piece.by_person) for piece in pieces) == [("a", False)] * 2 + [("b", True)] * 3
    assert all(piece.score is not None and len(piece.digest) == 64 for piece in pieces)


def test_of_a_run_the_pieces_of_its_agent_are_heard(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run-1", "folk")
    for folder in (run, run / "evaluation"):
        pieces = found(folder)
        assert sorted(piece.file.name for piece in pieces) == ["piece-000.mid", "piece-001.mid"]
        assert {(piece.source, piece.genre) for piece in pieces} == {("run-1", "folk")}


def test_runs_of_several_seeds_are_one_source(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path / f"runs/seed-{seed}", seed=10 * seed)
    assert [piece.source for piece in found(tmp_path / "runs")] == ["runs"] * 4


def test_a_run_that_is_not_evaluated(tmp_path: Path) -> None:
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    (tmp_path / "run/config.json").write_text("{}")
    with pytest.raises(SourceError, match="run: has no evaluation; toccata evaluate makes it"):
        found(tmp_path / "run")


def test_of_the_forms_of_a_piece_its_midi_is_heard(tmp_path: Path) -> None:
    for name in ("x.mid", "y.musicxml"):
        path = tmp_path / "a" / name
        path.parent.mkdir(exist_ok=True)
        tune(len(name)).to_midi(path) if path.suffix == ".mid" else tune(5).to_musicxml(path)
    for name in ("x", "y", "z"):
        write_wav(tmp_path / f"a/{name}.wav", np.full(1600, 0.1, np.float32))
    pieces = found(tmp_path / "a")
    assert {piece.file.name: piece.score is None for piece in pieces} == {
        "x.mid": False,
        "y.musicxml": False,
        "z.wav": True,
    }


def test_one_piece_in_two_sources_is_heard_once(tmp_path: Path) -> None:
    pieces = found(write_tunes(tmp_path / "a", 3), write_tunes(tmp_path / "b", 5))
    assert [piece.source for piece in pieces] == ["a"] * 3 + ["b"] * 2


def test_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    first = write_tunes(tmp_path / "x/out", 1)
    pieces = found(first, write_tunes(tmp_path / "y/out", 1, seed=1), first, people=(tmp_path / "x/out/.",))
    assert [(piece.source, piece.by_person) for piece in pieces] == [("out", True), ("out (2)", False)]


def test_the_name_of_attention_checks_is_not_that_of_a_folder(tmp_path: Path) -> None:
    (piece,) = found(write_tunes(tmp_path / ATTENTION_SOURCE, 1))
    assert piece.source == "attention check (2)", "results leave the other out"


def test_the_choice_depends_on_seed_and_pieces_alone(tmp_path: Path) -> None:
    folder = write_tunes(tmp_path / "a", 12)
    chosen = {piece.file.name for piece in found(folder, most=4)}
    assert len(chosen) == 4
    assert {piece.file.name for piece in found(folder, most=4)} == chosen
    assert {piece.file.name for piece in found(folder, most=4, seed=1)} != chosen
    tune(999).to_midi(folder / "another.mid")
    assert len({piece.file.name for piece in found(folder, most=4)} & chosen) >= 3


def test_what_cannot_be_read_is_named_and_replaced(tmp_path: Path) -> None:
    folder = write_tunes(tmp_path / "a", 3)
    (folder / "letter.mid").write_text("Dear Clara,")
    (folder / "sheet.mscz").write_text("")
    for seed in range(3):
        pieces, failures = find_pieces([str(folder)], (), 3, seed)
        assert len(pieces) == 3
        assert any("sheet.mscz: .mscz files are not read" in line for line in failures)
    _, failures = find_pieces([str(folder)], (), 4, 0)
    assert any("letter.mid" in line for line in failures)


def test_sources_without_a_piece(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere: no such folder"):
        found(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="empty: has no music"):
        found(tmp_path / "empty")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/more").symlink_to(write_tunes(tmp_path / "a", 1))
    with pytest.raises(SourceError, match=r"linked: has no music; .*more: is a link to a folder"):
        found(tmp_path / "linked")
    (tmp_path / "empty/letter.mid").write_text("Dear Clara,")
    with pytest.raises(SourceError, match=r"no piece can be heard; .*letter\.mid"):
        found(tmp_path / "empty")


def test_too_many_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toccata.listening.sources.MAX_PIECES", 3)
    folder = write_tunes(tmp_path / "a", 4)
    assert len(found(folder, most=3)) == 3
    with pytest.raises(SourceError, match="there are 4 pieces, and at most 3 can be heard; lower --pieces"):
        found(folder)


def test_a_corpus_is_music_by_people_as_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toccata.listening import sources
    from toccata.music.corpus.works import Corpus, Work

    works = tuple(Work(f"bach/bwv{number}", "classical", tune(number)) for number in range(5))
    monkeypatch.setattr(sources, "load_corpus", lambda name: Corpus(name, works))
    monkeypatch.setenv("TOCCATA_CACHE", str(tmp_path / "cache"))
    pieces, _ = find_pieces(["bach"], (), 3, 0)
    assert {(piece.source, piece.by_person, piece.genre) for piece in pieces} == {("bach", True, "classical")}
    assert len(pieces) == 3
    for piece in pieces:
        assert piece.file.parent == tmp_path / "cache/listening/bach"
        number = int(piece.file.stem.removeprefix("bach-bwv"))
        assert piece.score == tune(number)
    again, _ = find_pieces((), ["bach"], 3, 0)
    assert [piece.digest for piece in again] == [piece.digest for piece in pieces]
