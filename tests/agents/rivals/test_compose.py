from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from toccata import cli
from toccata.agents.rivals.registry import RIVALS, Rival
from toccata.music.score import Score


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """`command(*arguments)` composes with the stub of helpers; MIDI files only."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(RIVALS, "scales", Rival("scales", "for tests", "helpers.rivals:load"))
    monkeypatch.setattr(
        "toccata.agents.runs.compose.write_song",
        lambda piece, folder, stem, *_, **__: piece.score.to_midi(folder / f"{stem}.mid"),
    )

    def call(*arguments: str) -> tuple[int, str]:
        status = cli.run_command("compose", ["--bars", "2", "--pieces", "2", "--device", "cpu", *arguments])
        printed = capsys.readouterr()
        return status, printed.err if status else printed.out

    return call


def test_writes_the_pieces_of_a_composer(command: Callable[..., tuple[int, str]]) -> None:
    status, text = command("--with", "scales", "--genre", "folk", "--beats-per-bar", "3", "--tempo-bpm", "90")
    assert (status, "listen: composed/folk-1/piece-000.wav" in text.replace("\n", "")) == (0, True)
    scores = [Score.from_midi(path) for path in sorted(Path("composed/folk-1").glob("*.mid"))]
    assert [(score.bars, score.beats_per_bar, score.tempo_bpm) for score in scores] == [(2, 3, 90)] * 2


def test_continues_a_primer_where_the_composer_can(command: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    Score([(0, 24, 72, 64)], length_ticks=96).to_midi(tmp_path / "song.mid")
    status, text = command("--with", "scales", "--primer", "song.mid", "--pieces", "1", "--out", "out")
    assert (status, "bars 2 to 3" in text) == (0, True)
    assert Score.from_midi("out/piece-000.mid").notes[0]["pitch"] == 72
    status, text = command("--with", "random", "--primer", "song.mid")
    assert status == 1
    assert text == (
        "error: random: cannot continue music; leave out --primer, or use --with chord-lstm, --prior or --run\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--with", "scale"], "unknown composer 'scale': it must be one of "),
        (["--with", "scales", "--genre", "fork"], "scales: unknown genre 'fork': it must be one of classical, folk"),
        (["--with", "scales", "--prior", "lstm"], "give one of --prior, --run and --with, got --prior lstm and --with"),
        (["--with", "scales", "--genres", "tango"], "--genres adds to a prior or a run; --with scales has its own"),
        (["--with", "scales:x"], "scales: is not fitted, so it takes no folder, got 'x'"),
    ],
)
def test_bad_input_is_one_line(
    command: Callable[..., tuple[int, str]], arguments: list[str], message: str, tmp_path: Path
) -> None:
    status, text = command(*arguments)
    assert (status, text.count("\n")) == (1, 1)
    assert message in text
    assert not list(tmp_path.iterdir())
