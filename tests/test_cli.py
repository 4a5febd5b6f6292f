"""What a user sees of the commands without training anything: help, and errors of one line."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toccata import cli
from toccata.files import whole_folder
from toccata.settings.options import ConfigError


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """`command(name, *arguments)` gives exit status and what was printed on standard error, from an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(name: str, *arguments: str) -> tuple[int, str]:
        status = cli.run_command(name, arguments)
        return status, capsys.readouterr().err

    return call


TOCCATA = "import sys; sys.argv = ['toccata', *sys.argv[1:]]; from toccata.cli import main; main()"


@pytest.mark.parametrize(
    "arguments",
    [
        ["train.py", "--help"],
        ["evaluate.py", "--help"],
        ["-c", TOCCATA, "--help"],
        ["-c", TOCCATA, "train", "--help"],
        ["-c", TOCCATA, "compare", "--help"],
        ["-c", TOCCATA, "metrics", "--help"],
        ["-c", TOCCATA, "overoptimise", "--help"],
        ["-c", TOCCATA, "compose", "--help"],
        ["-c", TOCCATA, "fit-prior", "--help"],
        ["-c", TOCCATA, "dream", "--help"],
        ["-c", TOCCATA, "harden", "--help"],
        ["-c", TOCCATA, "listen", "--help"],
    ],
)
def test_help_is_instant(arguments: list[str], repository: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run("-X", "importtime", *arguments, cwd=repository)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert "usage" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time")}
    assert "tyro" in imported
    assert not imported & {"torch", "stable_baselines3", "sb3_contrib", "matplotlib", "music21", "numba", "scipy"}
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5


def test_the_usage_names_every_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["toccata"])
    cli.main()
    text = capsys.readouterr().out
    assert all(name in text for name in cli.COMMANDS)
    monkeypatch.setattr(sys, "argv", ["toccata", "study"])
    cli.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "usage: toccata study COMMAND ..."
    assert [line.split()[0] for line in lines if line.startswith("  ")] == ["rivals", "genres", "songs"]
    monkeypatch.setattr(sys, "argv", ["toccata", "--version"])
    cli.main()
    assert capsys.readouterr().out.startswith("toccata ")
    monkeypatch.setattr(sys, "argv", ["toccata", "trian"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert "error: unknown command 'trian'; did you mean 'train'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "name", "rest"),
    [
        (["listen", "runs/a"], "listen", ["runs/a"]),
        (["listen", "results", "my.sqlite"], "listen results", ["my.sqlite"]),
        (["listen", "./results"], "listen", ["./results"]),
        (["listen", "--port", "0", "results"], "listen", ["--port", "0", "results"]),
        (["listen", "--help"], "listen", ["--help"]),
        (["listen"], "listen", []),
        (["study", "rivals", "--help"], "study rivals", ["--help"]),
    ],
)
def test_commands_of_one_word_and_of_two(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], name: str, rest: list[str]
) -> None:
    calls = []
    monkeypatch.setitem(cli.COMMANDS, "listen results", cli.COMMANDS["listen"])
    monkeypatch.setattr(cli, "run_command", lambda *given, **options: calls.append((given, options)) or 0)
    monkeypatch.setattr(sys, "argv", ["toccata", *arguments])
    with pytest.raises(SystemExit):
        cli.main()
    assert calls == [((name, rest), {"prog": f"toccata {name}"})]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--genre", "clasical"], "unknown genre 'clasical': it must be one of classical, "),
        (["--rewards", "silense", "1"], "reward 'silense': no such name; did you mean 'silence'?"),
        (
            ["--rewards", "silence", "nan"],
            "reward 'silence': its weight must be a number, at least -1,000,000 and at most 1,000,000, got nan",
        ),
        (["--rewards", "nowhere.rewards:Mine", "1"], "there is no module 'nowhere'"),
        (
            ["--total-timesteps", "0"],
            "total_timesteps must be a whole number, at least 1 and at most 1,000,000,000,000, got 0",
        ),
        (["--device", "cuda:99"], "device 'cuda:99': there are"),
        (["--tempo-bpm", "0"], "tempo_bpm must be a number, at least 4 and at most 600, got 0"),
        (["--resume", "nowhere"], "nowhere: no such run folder"),
        (["--corpus", "nowhere"], "unknown corpus 'nowhere'"),
        (["--corpus", "empty"], "empty: has no MIDI or MusicXML file"),
        (["--corpus", "letters"], "letters: none of its 1 files can be read"),
        (["--run-dir", "existing"], "existing: exists already; choose another --run-dir"),
        (["--resume", "broken"], "config.json: unknown field 'barz'; did you mean 'bars'?"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(command, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "existing").mkdir()
    _write(tmp_path / "letters/classical/letter.mid", "Dear Clara,")
    _write(tmp_path / "broken/config.json", json.dumps({"barz": 2}))
    before = sorted(tmp_path.rglob("*"))
    rewards = [] if {"--rewards", "--resume"} & set(arguments) else ["--rewards", "silence", "1"]
    status, text = command("train", *arguments, *rewards)
    assert status == 1
    assert text.startswith("error: ")
    assert message in text
    assert text.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written and nothing overwritten"


def test_a_folder_that_cannot_be_made(command, tmp_path: Path, corpus_folder: Path) -> None:
    _write(tmp_path / "file", "mine")
    status, text = command(
        "train", "--run-dir", "file/run", "--corpus", str(corpus_folder), "--rewards", "silence", "1"
    )
    assert (status, text) == (1, "error: file/run: cannot be made: Not a directory\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_evaluating_what_is_no_run(command, tmp_path: Path) -> None:
    assert command("evaluate", "nowhere") == (1, "error: nowhere: no such run folder\n")
    (tmp_path / "run").mkdir()
    assert command("evaluate", "run") == (
        1,
        "error: run: not a run folder, it has no config.json; as music: has no MIDI or MusicXML file\n",
    )
    (tmp_path / "run/config.json").write_text("{}")
    reason = "its training was stopped before the first checkpoint"
    assert command("evaluate", "run") == (1, f"error: run: has no model.zip; {reason}\n")
    assert command("evaluate", "run", "--pieces", "0")[1].startswith("error: pieces must be a whole number")


def test_words_that_cannot_be_read(command) -> None:
    for arguments in (["--rewards", "silence", "much"], ["--bars", "many"], ["--barz", "3"]):
        with pytest.raises(SystemExit) as stop:
            command("train", *arguments)
        assert stop.value.code == 2


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("train", ["--num-envs", "1000000000"], "num_envs must be a whole number, at least 1 and at most 65,536"),
        (
            "train",
            ["--learning-rate", "1e30"],
            "learning_rate must be a number, greater than 0 and at most 1, got 1e+30",
        ),
        ("train", ["--rewards", "silence", "1e30"], "reward 'silence': its weight must be a number"),
        (
            "train",
            ["--policy", "rnn"],
            "policy must be mlp, cnn, lstm, transformer, wavenet or package.module:Class, got 'rnn'",
        ),
        ("train", ["--seeds", "-1"], "an entry of seeds must be a whole number, at least 0"),
        ("train", ["--run-dir", ""], "--run-dir must not be empty"),
        ("train", ["--resume="], "--resume must not be empty"),
        ("train", ["--corpus", "bach", ""], "--corpus must not be empty"),
        ("train", ["--run-dir", "x" * 300], "run_dir: a name in it has more than 255 bytes"),
        ("compose", ["--pieces", "1000000000"], "pieces must be a whole number, at least 1 and at most 10,000"),
        ("compose", ["--out", ""], "--out must not be empty"),
        ("compose", ["--prior", ""], "--prior must not be empty"),
        ("compose", ["--device", "cpu:99"], "device must be cpu, cuda, cuda:N or auto, got 'cpu:99'"),
        (
            "evaluate",
            ["run", "--pieces", "100000000000"],
            "pieces must be a whole number, at least 1 and at most 10,000",
        ),
        ("evaluate", [""], "an argument must not be empty"),
        ("push", ["run", "me/a/b"], "repository must be OWNER/NAME or OWNER, of letters, digits, '-', '_' and '.'"),
        ("push", ["run", "me/x", "--licence", "My licence"], "licence must be a name such as mit or cc-by-4.0"),
        ("push", ["run", "me/x", "--samples", "-1"], "samples must be a whole number, at least 0 and at most 16"),
        ("pull", ["nowhere"], "repository must be OWNER/NAME, or a folder that is there, of letters"),
        ("fit-prior", ["--out", "x", "--width", "1000000000"], "width must be a whole number"),
        ("fit-prior", ["--out="], "--out must not be empty"),
        ("fit-rating", ["--data", "x", "--out", ""], "--out must not be empty"),
        ("fit-rating", ["--data", "x", "--out", "y", "--pessimism", "1e30"], "pessimism must be a number, at least 0"),
    ],
)
def test_senseless_sizes_and_empty_names_are_refused_at_once(
    command, tmp_path: Path, name: str, arguments: list[str], message: str
) -> None:
    status, text = command(name, *arguments)
    assert (status, text.count("\n")) == (1, 1)
    assert text.startswith("error: ")
    assert message in text
    assert not list(tmp_path.iterdir())


def test_too_little_memory_is_one_line(command, monkeypatch: pytest.MonkeyPatch) -> None:
    def big(config: object) -> None:
        raise MemoryError("Unable to allocate 100 TiB")

    monkeypatch.setitem(cli.COMMANDS, "train", (cli.COMMANDS["train"][0], big))
    assert command("train") == (1, "error: not enough memory: Unable to allocate 100 TiB\n")


@pytest.mark.parametrize("arguments", [("help",), ("train", "--help")])
def test_who_stops_reading_gets_no_complaint(arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "toccata", *arguments]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=120)
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 128 + signal.SIGPIPE


def test_names_that_are_not_utf8_are_printed_with_backslashes(tmp_path: Path) -> None:
    code = "import sys; from toccata.cli import run_command; sys.exit(run_command('evaluate'))"
    done = subprocess.run([sys.executable, "-c", code, b"caf\xe9"], cwd=tmp_path, capture_output=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"error: caf\\xe9: no such run folder\n"


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_signals_stop_a_command_so_that_it_clears_up(
    command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, status: int
) -> None:
    number = getattr(signal, name)

    def long(config: object) -> None:
        with whole_folder(tmp_path / "out") as folder:
            (folder / "half").write_text("half")
            os.kill(os.getpid(), number)
            time.sleep(10)

    monkeypatch.setitem(cli.COMMANDS, "compose", (cli.COMMANDS["compose"][0], long))
    before = signal.getsignal(number)
    assert command("compose") == (status, "stopped\n")
    assert signal.getsignal(number) is before
    assert not list(tmp_path.iterdir())


def test_rewards_can_be_added_to_the_default_ones() -> None:
    from toccata.agents.runs.config import DEFAULT_REWARDS, with_added_rewards

    def rewards(*arguments: str) -> list[str]:
        return with_added_rewards(["--bars", "2", "--rewards", *arguments, "--seed", "1"], DEFAULT_REWARDS)[3:-2]

    default = ["rating", "1.0", "realism", "1.0", "silence", "1.0", "repetition", "3.0"]
    assert rewards("+", "my_rewards:Steps(a=1)", "0.5") == [*default, "my_rewards:Steps(a=1)", "0.5"]
    assert rewards("+", "repetition", "-1", "my:R", "1e-3") == [*default[:-2], "repetition", "-1", "my:R", "1e-3"]
    assert rewards("+", "realism:mine(x=1)", "2")[:4] == [*default[:2], *default[4:6]]
    assert rewards("silence", "1") == ["silence", "1"]
    assert with_added_rewards(["--bars", "2"], DEFAULT_REWARDS) == ["--bars", "2"]
    for wrong in (("+",), ("+", "my:R"), ("+", "my:R", "1", "silence")):
        with pytest.raises(ConfigError, match=r"takes models and their weights, as in: \+ my_rewards:Steps 0.5"):
            rewards(*wrong)


def test_the_line_of_a_failing_reward_and_with_debug_all_of_it(command, tmp_path: Path) -> None:
    _write(tmp_path / "own_lines.py", "def make(strict):\n    return strict / 0\n")
    arguments = ["train", "--rewards", "+", "own_lines:make(strict=1)", "1", "--run-dir", "run", "--prior", "none"]
    status, text = command(*arguments)
    assert status == 1
    lines = text.splitlines()
    assert lines[0].startswith(
        "error: reward 'own_lines:make(strict=1)': creating it raised ZeroDivisionError: division"
    )
    assert lines[1:3] == [f'  File "{tmp_path}/own_lines.py", line 2, in make', "    return strict / 0"]
    assert lines[-1] == "(--debug prints the whole traceback)"
    status, text = command(*arguments, "--debug")
    assert status == 1
    assert text.startswith("Traceback (most recent call last):")
    assert "return strict / 0" in text
    assert text.splitlines()[-1] == lines[0]
    assert not (tmp_path / "run").exists()
