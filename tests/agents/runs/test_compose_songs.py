"""`toccata compose --lyrics`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from toccata import cli
from toccata.agents.policies.sequence_network import NetworkConfig, SequenceNetwork
from toccata.agents.prior.prior import Prior, frozen
from toccata.agents.runs.compose_config import ComposeConfig
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.settings.options import ConfigError

WORDS = "# by nobody\nTyger Tyger,\nburning bright"


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, list[tuple[Piece, str]]]]:
    """`command(*arguments)`: exit status, what was printed, and the pieces that were to be written, by stem."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text(WORDS)
    piano = Piano(lowest=48, highest=72, values=(2, 12, 24))
    torch.manual_seed(0)
    Prior(frozen(SequenceNetwork(piano, NetworkConfig(width=16, layers=1, heads=2))), piano, {}).save("prior")
    written: list[tuple[Piece, str]] = []
    monkeypatch.setattr(
        "toccata.agents.runs.compose.write_song",
        lambda piece, folder, stem, options, composer, *, sketch: written.append((piece, stem + "+" * sketch)),
    )

    def call(*arguments: str) -> tuple[int, str, list[tuple[Piece, str]]]:
        written.clear()
        status = cli.run_command("compose", ["--prior", "prior", "--device", "cpu", *arguments])
        printed = capsys.readouterr()
        return status, printed.err if status else printed.out, list(written)

    return call


def test_songs_of_a_prior(command: Callable) -> None:
    status, out, written = command("--lyrics", "words.txt", "--pieces", "2", "--drafts", "2", "--voice", "alto")
    assert status == 0
    assert "composed/words" in out
    assert "bars 1 to 2" in out
    assert [stem for _, stem in written] == ["piece-000", "piece-001"]
    for piece, _ in written:
        assert str(piece.lyrics) == "Tyger Tyger,\nburning bright"
        assert piece.voice == "alto"
        assert len(piece.underlay) == 7


def test_metre_bars_and_language(command: Callable) -> None:
    arguments = ("--lyrics", "words.txt", "--pieces", "1", "--drafts", "1", "--language", "de")
    _, _, [(piece, _)] = command(*arguments, "--bars", "5", "--beats-per-bar", "3", "--tempo-bpm", "80")
    assert (piece.score.bars, piece.score.beats_per_bar, piece.score.tempo_bpm) == (5, 3, 80)
    assert piece.lyrics.language == "de"
    assert {syllable.stress for syllable in piece.lyrics.syllables} == {None}


def test_a_sketch_needs_words_and_the_program(command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("--lyrics", "words.txt", "--pieces", "1", "--drafts", "1", "--sketch")
    monkeypatch.setattr("toccata.music.songs.sketch.has_espeak", lambda: True)
    assert [stem for _, stem in command(*arguments)[2]] == ["piece-000+"]
    monkeypatch.setattr("toccata.music.songs.sketch.has_espeak", lambda: False)
    status, error, _ = command(*arguments)
    assert status == 1
    assert error.startswith("error: the sung sketch needs the program espeak-ng")
    with pytest.raises(ConfigError, match="--sketch is of the words of --lyrics"):
        ComposeConfig(sketch=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--lyrics", "none.txt"), "error: none.txt: cannot be read: No such file or directory"),
        (("--lyrics", "bad.txt"), "error: bad.txt, line 1: '3 blind mice' has U+0033, a number: write it in words"),
        (("--lyrics", "words.txt", "--bars", "1"), "error: words.txt: bars must be at least 2 for lyrics of 2 lines"),
        (("--lyrics", "words.txt", "--language", "xx"), "error: unknown language 'xx'"),
        (("--lyrics", "words.txt", "--beats-per-bar", "0.1"), "error: beats_per_bar must make a whole number of ticks"),
        (
            ("--lyrics", "words.txt", "--beats-per-bar", "0.125"),
            "error: a bar of 3 ticks is no multiple of the piano's",
        ),
    ],
)
def test_bad_words_are_one_line(command: Callable, arguments: tuple[str, ...], message: str) -> None:
    Path("bad.txt").write_text("3 blind mice")
    status, printed, written = command(*arguments)
    assert status == 1
    assert printed.startswith(message)
    assert printed.count("\n") == 1
    assert not written
    assert not Path("composed").exists()


def test_what_lyrics_exclude() -> None:
    path = Path("words.txt")
    with pytest.raises(
        ConfigError, match=r"--lyrics is for a prior or a run, without a primer; got --primer a\.mid too"
    ):
        ComposeConfig(lyrics=path, primer=Path("a.mid"))
    with pytest.raises(ConfigError, match="--lyrics is for a prior or a run, without a primer; got --with random too"):
        ComposeConfig(lyrics=path, composer="random")
    assert ComposeConfig().bars == 8
    assert ComposeConfig(lyrics=path).bars is None
