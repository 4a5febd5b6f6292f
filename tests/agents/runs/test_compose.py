from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import soundfile
import torch
from rich.console import Console

from toccata import cli
from toccata.agents.policies.sequence_network import NetworkConfig, SequenceNetwork
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.prior.prior import Prior, frozen
from toccata.agents.runs.compose import ComposeError, compose, load_composer, read_primer
from toccata.agents.runs.compose_config import ComposeConfig
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.instrument import Piano
from toccata.music.musicxml import write_musicxml
from toccata.music.score import Score
from toccata.music.sound.bank import default_soundfont
from toccata.music.sound.loudness import integrated_loudness
from toccata.settings.options import ConfigError

SMALL = Piano(lowest=48, highest=72, values=(2, 12, 24))
TUNE = [(24 * beat, 24, 60 + beat, 64 + beat) for beat in range(5)]
SUFFIXES = (".mid", ".wav", ".png", ".musicxml")


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a prior nobody fitted."""
    folder = tmp_path_factory.mktemp("priors") / "small"
    torch.manual_seed(0)
    Prior(frozen(SequenceNetwork(SMALL, NetworkConfig(width=16, layers=1, heads=2))), SMALL, {}).save(folder)
    return folder


@pytest.fixture
def command(
    prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """`command(*arguments)` gives exit status and what was printed, from an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str]:
        composer = () if "--run" in arguments or "--prior" in arguments else ("--prior", str(prior))
        status = cli.run_command("compose", [*composer, "--pieces", "1", "--bars", "1", "--device", "cpu", *arguments])
        printed = capsys.readouterr()
        return status, printed.err if status else printed.out

    return call


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only MIDI files are written: sound and pictures have tests of their own."""
    monkeypatch.setattr(
        "toccata.agents.runs.compose.write_song",
        lambda piece, folder, stem, *_, **__: piece.score.to_midi(folder / f"{stem}.mid"),
    )


def test_a_song_is_continued_as_a_user_would(command: Callable, tmp_path: Path) -> None:
    Score(TUNE).to_midi("song.mid")
    status, output = command("--primer", "song.mid", "--genre", "jazz", "--pieces", "2", "--seed", "3")
    assert status == 0
    assert "listen: composed/song-1/piece-000.wav ...   composed: bars 3 to 3" in output
    names = {path.name for path in (tmp_path / "composed" / "song-1").iterdir()}
    assert names == {f"piece-00{number}{suffix}" for number in range(2) for suffix in SUFFIXES}
    for number in range(2):
        score = Score.from_midi(f"composed/song-1/piece-00{number}.mid")
        assert score.bars == 3
        assert score.slice(0, 192).notes.tolist() == TUNE


def test_options_of_the_sound_are_those_of_the_command(command: Callable, tmp_path: Path) -> None:
    status, text = command("--soundfont", "nowhere.sf2", "--out", "out")
    assert (status, text) == (1, "error: no sound font at nowhere.sf2\n")
    (tmp_path / "text.sf2").write_text("no sound font")
    status, text = command("--soundfont", "text.sf2", "--out", "out")
    assert (status, text.startswith("error: text.sf2: not a sound font"), text.count("\n")) == (1, True, 1)
    assert not (tmp_path / "out").exists()
    assert command("--stereo", "--loudness", "none", "--no-reverb", "--no-expression", "--out", "out")[0] == 0
    assert command("--loudness", "-30", "--soundfont", str(default_soundfont()), "--out", "quiet")[0] == 0
    assert soundfile.info("out/piece-000.wav").channels == 2
    sound, rate = soundfile.read("quiet/piece-000.wav")
    assert integrated_loudness(sound, rate) == pytest.approx(-30, abs=0.1)


@pytest.mark.usefixtures("quiet")
def test_without_a_primer_it_begins_by_itself(command: Callable) -> None:
    for number in (1, 2):
        status, output = command("--beats-per-bar", "3", "--tempo-bpm", "90", "--genre", "folk")
        assert status == 0
        assert f"composed/folk-{number}/piece-000.wav ...   composed: bars 1 to 1" in output
    scores = [Score.from_midi(f"composed/folk-{number}/piece-000.mid") for number in (1, 2)]
    assert scores[0] == scores[1]
    assert (scores[0].bars, scores[0].beats_per_bar, scores[0].tempo_bpm) == (1, 3, 90)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("beats", [2, 3, 3.5, 4, 5, 6])
def test_primers_of_every_metre_are_continued(command: Callable, beats: float) -> None:
    primer = Score(TUNE, beats_per_bar=beats, tempo_bpm=77)
    primer.to_midi("song.mid")
    write_musicxml(primer, "song.musicxml")
    for name in ("song.mid", "song.musicxml"):
        status, output = command("--primer", name, "--out", name + "-out")
        assert status == 0, output
        score = Score.from_midi(Path(name + "-out") / "piece-000.mid")
        assert (score.beats_per_bar, score.tempo_bpm, score.bars) == (beats, 77, primer.bars + 1)
        pitches = score.slice(0, primer.bars * primer.ticks_per_bar).notes[["onset_tick", "pitch"]].tolist()
        assert pitches == [(onset, pitch) for onset, _, pitch, _ in TUNE]


@pytest.mark.usefixtures("quiet")
def test_metre_and_tempo_of_a_primer_can_be_set_right(command: Callable) -> None:
    Score(TUNE).to_midi("song.mid")
    assert command("--primer", "song.mid", "--beats-per-bar", "3", "--tempo-bpm", "60", "--out", "out")[0] == 0
    score = Score.from_midi("out/piece-000.mid")
    assert (score.beats_per_bar, score.tempo_bpm) == (3, 60)
    assert score.notes["onset_tick"][:5].tolist() == [24 * beat for beat in range(5)]


def test_a_grid_of_its_own_is_read(tmp_path: Path) -> None:
    primer = Score([(0, 480, 60, 80)], ticks_per_beat=480, beats_per_bar=3)
    primer.to_midi(tmp_path / "song.mid")
    assert read_primer(ComposeConfig(primer=tmp_path / "song.mid")) == primer


# Runs


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, object], Path]:
    """Makes run folders whose model is the one given: `run(policy_name, policy)`."""

    def make(name: str, policy: object) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(f'{{"policy": "{name}", "genre": "folk", "beats_per_bar": 3}}')
        (folder / "model.zip").touch()
        monkeypatch.setattr("toccata.agents.runs.compose.load_agent", lambda *_: SimpleNamespace(policy=policy))
        return folder

    return make


@pytest.mark.usefixtures("quiet")
def test_a_trained_agent_composes_in_its_own_metre_and_genre(run: Callable, tmp_path: Path) -> None:
    env = PianoVecEnv(1, piano=SMALL, observation="actions")
    policy = SequencePolicy(
        env.observation_space,
        env.action_space,
        lambda _: 1e-3,
        piano=SMALL,
        network_config={"width": 16, "layers": 1, "heads": 2},
    )
    folder = run("transformer", policy)
    config = ComposeConfig(run=folder, bars=2, pieces=1, device="cpu", out=tmp_path / "out")
    (piece,) = compose(config, Console(quiet=True))
    assert (piece.genre, piece.score.beats_per_bar, piece.score.bars) == ("folk", 3, 2)


def test_an_agent_that_remembers_nothing_says_so(run: Callable) -> None:
    folder = run("mlp", SimpleNamespace(network=torch.nn.Linear(1, 1)))
    with pytest.raises(
        ComposeError, match=rf"mlp.*compose needs policy lstm, transformer or wavenet.*evaluate.py {folder}"
    ):
        load_composer(ComposeConfig(run=folder, device="cpu"))


# Errors


def test_either_a_prior_or_a_run() -> None:
    with pytest.raises(ConfigError, match="give one of --prior, --run and --with"):
        ComposeConfig(prior="lstm", run=Path("runs/a"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--primer", "none.mid"), "No such file or directory: 'none.mid'"),
        (("--primer", "none.musicxml"), "No such file or directory: 'none.musicxml'"),
        (("--primer", "."), "is a folder, not a MIDI file"),
        (("--primer", "broken.mid"), "broken.mid: "),
        (("--primer", "cut.mid"), "cut.mid: ends too early"),
        (("--primer", "broken.xml"), "broken.xml: "),
        (("--primer", "empty.mid"), "empty.mid: has no notes to continue"),
        (("--primer", "stray.mid"), "stray.mid: lasts 62 minutes; a primer can last at most 60"),
        (("--primer", "high.mid"), "high.mid: none of the primer's 1 notes is on the piano's keys 48..72"),
        (("--primer", "odd.mid"), "odd.mid: a bar of 75 ticks is no multiple of the piano's shortest value, 2"),
        (("--primer", "good.mid", "--beats-per-bar", "3.01"), "beats_per_bar must make a whole number of ticks"),
        (("--primer", "good.mid", "--beats-per-bar", "3.125"), "75 ticks is no multiple"),
        (("--primer", "good.mid", "--genre", "jaz"), "error: unknown genre 'jaz'"),
        (("--genre", "clasical"), "did you mean 'classical'?"),
        (("--bars", "0"), "bars must be a whole number, at least 1 and at most 10,000, got 0"),
        (("--bars", "20000"), "bars must be a whole number, at least 1 and at most 10,000, got 20000"),
        (("--pieces", "0"), "pieces must be a whole number, at least 1 and at most 10,000, got 0"),
        (("--temperature", "0"), "temperature must be a number, greater than 0 and at most 1,000, got 0"),
        (("--temperature", "nan"), "temperature must be a number, greater than 0"),
        (("--top-p", "1.5"), "top_p must be a number, greater than 0 and at most 1, got 1.5"),
        (("--top-p", "0"), "top_p must be a number, greater than 0 and at most 1, got 0"),
        (("--tempo-bpm", "3"), "tempo_bpm must be a number, at least 4 and at most 600, got 3"),
        (("--beats-per-bar", "0"), "beats_per_bar must be a number, greater than 0 and at most 1,365, got 0"),
        (("--seed", "-1"), "seed must be a whole number"),
        (("--prior", "nowhere"), "unknown prior 'nowhere'"),
        (("--run", "nowhere"), "nowhere: no such run folder"),
        (("--out", "taken"), "taken: exists already; choose another --out"),
        (("--device", "tpu"), "device must be cpu, cuda, cuda:N or auto, got 'tpu'"),
    ],
)
def test_errors_are_one_line(command: Callable, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    Score(TUNE).to_midi("good.mid")
    Path("broken.mid").write_bytes(b"not music")
    Path("cut.mid").write_bytes(Path("good.mid").read_bytes()[:-20])
    Path("broken.xml").write_text("<score-partwise><part>")
    Score().to_midi("empty.mid")
    Score([(0, 24, 60, 80), (178_000, 24, 60, 80)]).to_midi("stray.mid")
    Score([(0, 24, 100, 80)]).to_midi("high.mid")
    Score(TUNE, beats_per_bar=3.125).to_midi("odd.mid")
    Path("taken").mkdir()
    status, output = command(*arguments)
    assert status == 1
    assert message in output
    assert output.startswith("error: ")
    assert output.count("\n") == 1
    assert not (tmp_path / "composed").exists()
    assert not list(Path("taken").iterdir())


@pytest.mark.parametrize(("most_bytes", "suffix"), [(10, ".mid"), (20_000, ".wav")])
def test_a_full_disk_leaves_nothing_and_names_the_file(
    command: Callable, tmp_path: Path, most_bytes: int, suffix: str
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        status, text = command("--out", "mine/pieces")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (status, text.strip()) == (1, f"error: [Errno 27] File too large: 'mine/pieces/piece-000{suffix}'")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("writer", ["toccata.agents.generation.piece_files.save_piano_roll", "to_musicxml"])
def test_a_failing_writer_is_named_and_leaves_nothing(
    command: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((Score, writer, full) if writer == "to_musicxml" else (writer, full)))
    suffix = ".musicxml" if writer == "to_musicxml" else ".png"
    status, text = command()
    message = f"error: [Errno 28] No space left on device: 'composed/piece-1/piece-000{suffix}'"
    assert (status, text.strip()) == (1, message)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("quiet")
def test_the_length_of_pieces_has_a_limit(command: Callable) -> None:
    status, text = command("--bars", "10000", "--tempo-bpm", "4")
    assert (status, text.count("\n")) == (1, 1)
    assert "bars must make a piece of at most 6 hours, got 10,000 of 4 beats at 4 a minute" in text


def test_commands_quote_paths(run: Callable, tmp_path: Path) -> None:
    folder = run("cnn", SimpleNamespace()).rename(tmp_path / "my run; ls")
    with pytest.raises(ComposeError) as caught:
        load_composer(ComposeConfig(run=folder, device="cpu"))
    assert str(caught.value).endswith(f"python evaluate.py '{folder}'")
