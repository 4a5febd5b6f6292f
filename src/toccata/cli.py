"""The `toccata` command. Nothing heavy is imported before the arguments are read, so that `--help` is instant."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

import tyro

from toccata._version import __version__


def train(config: Any) -> None:
    """Train an agent that composes on the piano."""
    from toccata.agents.runs.run_folder import command_line
    from toccata.agents.runs.training import train as run_training

    run = run_training(config, command_line())
    print(f"trained: {run.folder}\nevaluate it with: python evaluate.py {run.folder}")


def evaluate(config: Any) -> None:
    """Compose with a trained agent: MIDI, sound, pictures, notation, and a table beside real music."""
    from toccata.agents.runs.evaluation import evaluate as run_evaluation

    run_evaluation(config)


def fit_rating(config: Any) -> None:
    """Fit a rating network of your own to likes and plays."""
    from toccata.reward_models.rating.fitting.fit import main as fit

    fit(config)


def fit_prior(config: Any) -> None:
    """Fit a prior of your own to real music: what an agent begins with."""
    from toccata.agents.prior.fit import fit_prior as fit

    fit(config)
    print(f"fitted: {config.out}\ntrain from it with: python train.py --prior {config.out}")


def compose(config: Any) -> None:
    """Compose with a prior or a trained agent, from nothing or on from music of your own."""
    from toccata.agents.runs.compose import compose as run_composing

    run_composing(config)


COMMANDS: dict[str, tuple[str, Callable[[Any], None]]] = {  # where the configuration is, and what it is for
    "train": ("toccata.agents.runs.config:TrainConfig", train),
    "evaluate": ("toccata.agents.runs.config:EvaluateConfig", evaluate),
    "compose": ("toccata.agents.runs.compose_config:ComposeConfig", compose),
    "fit-rating": ("toccata.reward_models.rating.fitting.config:FitRatingConfig", fit_rating),
    "fit-prior": ("toccata.agents.prior.fit_config:FitPriorConfig", fit_prior),
}


def run_command(name: str, arguments: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run one command and give its exit status; what a user can mend is one line on standard error."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's threads spin otherwise: a busy machine halts them all
    where, command = COMMANDS[name]
    module, _, attribute = where.partition(":")
    try:
        config_type = getattr(import_module(module), attribute)
        config = tyro.cli(config_type, prog=prog, args=arguments)
        if getattr(config, "resume", None) is not None:  # what is not given anew is as the run has it
            config = tyro.cli(config_type, prog=prog, args=arguments, default=_settings_of(config.resume))
        command(config)
    except KeyboardInterrupt as stop:
        print(" ".join(str(stop).split()) or "stopped", file=sys.stderr)
        return 130
    except Exception as error:  # Toccata's own and the system's are for users; any other is a bug of ours
        if not isinstance(error, OSError) and not type(error).__module__.startswith("toccata."):
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def _settings_of(folder: Path) -> Any:
    """The settings of the run in `folder`, for going on with it."""
    from toccata.agents.runs.run_folder import Run

    return Run.open(folder).config.resumed(folder)


def main() -> None:
    """`toccata COMMAND ...`."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in COMMANDS:
        sys.exit(run_command(arguments[0], arguments[1:], prog=f"toccata {arguments[0]}"))
    if arguments and arguments[0] == "--version":
        print(f"toccata {__version__}")
    elif not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
    else:
        near = get_close_matches(arguments[0], COMMANDS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        print(f"error: unknown command {arguments[0]!r}{hint}\n\n{_usage()}", file=sys.stderr)
        sys.exit(2)


def _usage() -> str:
    """What `toccata --help` says."""
    lines = [f"  {name:<12} {(command.__doc__ or '').strip()}" for name, (_, command) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: toccata COMMAND ...\n\nA piano on which reinforcement-learning agents compose.\n\ncommands:",
            *lines,
            "\ntoccata COMMAND --help tells what a command can be told; toccata --version the version.",
        ]
    )
