"""The examples of every command can be typed, and its help shows them."""

import shlex
import sys
from importlib import import_module

import pytest
import tyro

from toccata import cli
from toccata.agents.runs.config import DEFAULT_REWARDS, with_added_rewards
from toccata.settings.examples import EXAMPLES, examples_of

LINES = [(name, line) for name, examples in EXAMPLES.items() for line, _ in examples]


def test_every_command_has_examples() -> None:
    assert set(EXAMPLES) == set(cli.COMMANDS)
    assert all(EXAMPLES.values())


@pytest.mark.parametrize(("name", "line"), LINES, ids=[line for _, line in LINES])
def test_an_example_parses(name: str, line: str) -> None:
    words = shlex.split(line)
    command = ["toccata", *name.split()]
    assert words[: len(command)] == command
    module, _, attribute = cli.COMMANDS[name][0].partition(":")
    arguments = with_added_rewards(words[len(command) :], DEFAULT_REWARDS)
    if "--resume" not in arguments:  # its settings are those of a run that is not here
        tyro.cli(getattr(import_module(module), attribute), args=arguments)


def test_text() -> None:
    text = examples_of("harden").splitlines()
    assert text[:2] == ["  # " + EXAMPLES["harden"][0][1], "  toccata harden --out hardened"]


@pytest.mark.parametrize(
    "arguments", [["help", "compose"], ["compose", "--help"], ["help", "study", "rivals"], ["study", "rivals", "-h"]]
)
def test_help_of_a_command(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["toccata", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    name = "compose" if "compose" in arguments else "study rivals"
    text = capsys.readouterr().out
    assert text.startswith(f"usage: toccata {name}")
    assert text.endswith(f"\n\nexamples:\n{examples_of(name)}\n")


def test_help_without_a_command_is_the_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = []
    for arguments in ([], ["help"], ["--help"]):
        monkeypatch.setattr(sys, "argv", ["toccata", *arguments])
        cli.main()
        texts.append(capsys.readouterr().out)
    assert len(set(texts)) == 1
    assert "toccata help COMMAND" in texts[0]
    assert EXAMPLES["train"][0][0] in texts[0]


def test_a_value_that_reads_like_help_prints_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.run_command("train", ["--bars", "many"])
    assert "examples:" not in capsys.readouterr().out
