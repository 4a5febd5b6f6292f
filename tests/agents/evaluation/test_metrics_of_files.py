"""`toccata metrics`: files as a table and as CSV."""

from __future__ import annotations

import csv
import os
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from helpers.tunes import tune
from toccata import cli
from toccata.agents.evaluation.config import MetricsConfig
from toccata.agents.evaluation.metrics_of_files import UnmeasuredError, measure_to_table
from toccata.errors import printable
from toccata.files import FileError
from toccata.music.metrics import METRICS, measure
from toccata.music.metrics import files as files_module
from toccata.music.score import Score
from toccata.settings.options import ConfigError


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Two MIDI files, one of MusicXML, one that is damaged, and a text."""
    folder = tmp_path / "music"
    (folder / "deep").mkdir(parents=True)
    tune(4, seed=1).to_midi(folder / "one.mid")
    tune(4, seed=2).to_midi(folder / "deep/two.MID")
    tune(4, seed=3).to_musicxml(folder / "three.musicxml")
    (folder / "bad.mid").write_text("Dear Clara,")
    (folder / "notes.txt").write_text("no music")
    return folder


def console() -> Console:
    return Console(file=StringIO(), width=100)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_of_csv_has_the_very_values_of_its_file(music: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = measure_to_table(MetricsConfig((music,), csv=music / "out.csv"), console())
    rows = rows_of(music / "out.csv")
    assert [Path(row["file"]).name for row in rows] == ["two.MID", "one.mid", "three.musicxml"]
    assert [each.path for each in measured] == [Path(row["file"]) for row in rows]
    score = Score.from_midi(music / "one.mid")
    assert {name: float(value) for name, value in rows[1].items() if name != "file"} == measure(score)
    error = capsys.readouterr().err
    assert error.count("left out: ") == 1
    assert f"{music / 'bad.mid'}: " in error


def test_the_table_of_one_file_and_of_several(music: Path) -> None:
    one, several = console(), console()
    measure_to_table(MetricsConfig((music / "one.mid",)), one)
    text = one.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert all(name in text for name in METRICS)
    value = measure(Score.from_midi(music / "one.mid"), {"pitch_range": METRICS["pitch_range"]})["pitch_range"]
    assert f"{value:.1f}" in next(line for line in text.splitlines() if "pitch_range" in line)
    measure_to_table(MetricsConfig((music, music / "one.mid"), metrics=("pitch_range", "key_clarity")), several)
    text = several.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert "3 files" in text  # each once
    assert "5-95 %" in text
    assert "polyphony" not in text


def test_names_are_harmless_in_a_spreadsheet_and_printable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["=1+1.mid", "-x.mid", "@a.mid", "+b.mid", 'quo"te,\n.mid', os.fsdecode(b"\xff.mid"), "[red]x.mid"]
    for index, name in enumerate(names):
        tune(2, seed=index).to_midi(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert cli.run_command("metrics", [".", "--csv", "out.csv", "--metrics", "pitch_range"]) == 0
    cells = [row["file"] for row in rows_of(tmp_path / "out.csv")]
    assert sorted(cells) == sorted("'" * name.startswith(tuple("=-@+")) + printable(name) for name in names)
    capsys.readouterr()
    (tmp_path / "a\\[").mkdir()
    for name in ("[red]x.mid", "a\\[/b].mid"):
        tune(2).to_midi(tmp_path / name)
        assert cli.run_command("metrics", [name, "--metrics", "pitch_range"]) == 0
        assert name in capsys.readouterr().out


def test_exit_status(music: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run_command("metrics", [str(music), str(music / "nothing.mid"), "--metrics", "pitch_range"]) == 0
    error = capsys.readouterr().err
    assert "nothing.mid: is no file" in error
    assert "bad.mid: " in error
    assert cli.run_command("metrics", [str(music / "bad.mid"), str(music / "notes.txt")]) == 1
    error = capsys.readouterr().err
    assert "notes.txt: by its name neither a MIDI nor a MusicXML file" in error
    assert "error: none of 2 files could be read" in error


def test_what_is_refused(music: Path) -> None:
    with pytest.raises(ConfigError, match="no metric is called 'pitch_rang'; did you mean 'pitch_range'"):
        MetricsConfig((music,), metrics=("pitch_rang",))
    with pytest.raises(ConfigError, match="at least one file"):
        MetricsConfig(())
    with pytest.raises(FileError, match="exists already; choose another --csv"):
        measure_to_table(MetricsConfig((music,), csv=music / "one.mid"), console())
    with pytest.raises(FileError, match="there is no folder"):
        measure_to_table(MetricsConfig((music,), csv=music / "nowhere/out.csv"), console())
    (music / "empty").mkdir()
    with pytest.raises(UnmeasuredError, match="none of 1 files"):
        measure_to_table(MetricsConfig((music / "empty",)), console())


def test_processes_give_the_values_of_one_and_survive_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = []
    for index in range(34):
        tune(2, seed=index).to_midi(tmp_path / f"{index:02}.mid")
        paths.append(tmp_path / f"{index:02}.mid")
    names = ["pitch_range", "tonal_distance"]
    seen: list[int] = []
    alone = [files_module.measure_files([path], names)[0] for path in paths]
    assert files_module.measure_files(paths, names, 2, lambda: seen.append(1)) == alone
    assert len(seen) == 34
    code = (
        "import os, toccata.music.midi as m; plain = m.read_midi\n"
        "m.read_midi = lambda p: os._exit(1) if p.endswith('07.mid') else plain(p)\n"
        "from toccata.music.metrics.files import serve; serve()"
    )
    monkeypatch.setattr(files_module, "SERVE", code)
    crashed = files_module.measure_files(paths, names, 2)
    assert crashed[7].error == f"{paths[7]}: its reader crashed"
    assert crashed[:7] + crashed[8:] == alone[:7] + alone[8:]
