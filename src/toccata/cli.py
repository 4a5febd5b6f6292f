"""The `toccata` command. Nothing heavy is imported before the arguments are read, so that `--help` is instant."""

from __future__ import annotations

import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from shlex import quote
from typing import Any

import tyro

from toccata._version import __version__
from toccata.errors import ToccataError, one_line
from toccata.interrupts import Interrupted, on_signals
from toccata.settings.examples import EXAMPLES, examples_of
from toccata.settings.options import refuse_empty
from toccata.user_code import user_line


def train(config: Any) -> None:
    """Train an agent that composes on the piano."""
    from toccata.agents.runs.run_folder import command_line

    if config.seeds:
        from toccata.agents.runs.seeds import train_seeds

        train_seeds(config, command_line())
        return
    from toccata.agents.runs.training import train as run_training

    run = run_training(config, command_line())
    print(f"trained: {run.folder}\nevaluate it with: python evaluate.py {quote(str(run.folder))}")


def evaluate(config: Any) -> None:
    """Evaluate a trained agent or a folder of music: pieces in every form, and metrics versus real music."""
    from toccata.agents.evaluation.evaluate import evaluate_folder

    evaluate_folder(config)


def compare(config: Any) -> None:
    """Compare evaluated runs: intervals over seeds and pieces, differences, training curves."""
    from toccata.agents.evaluation.compare.compare import compare as run_comparison

    run_comparison(config)


def overoptimise(config: Any) -> None:
    """Show whether runs over-optimise their reward: reward and judges against KL, beside best-of-n and the optimum."""
    from toccata.agents.evaluation.overoptimise.overoptimise import overoptimise as run_study

    run_study(config)


def fit_rating(config: Any) -> None:
    """Fit a rating network to plays and likes of your own."""
    from toccata.reward_models.rating.fitting.fit import main as fit

    fit(config)


def fit_prior(config: Any) -> None:
    """Fit a prior to music of your own, which agents can be initialised from."""
    from toccata.agents.prior.fitting.fit import fit_prior as fit

    fit(config)
    print(f"fitted: {config.out}\ntrain from it with: python train.py --prior {quote(str(config.out))}")


def harden(config: Any) -> None:
    """Harden rating and realism: attack them, and fit them again to what the attacks find."""
    from toccata.agents.hardening.harden import harden as run_hardening

    run_hardening(config)
    print((config.out / "report.md").read_text())
    rewards = " ".join(f"{quote(f'{name}:{config.out / name}')} 1.0" for name in ("rating", "realism"))
    print(f"use them with: python train.py --rewards {rewards} silence 1.0 repetition 3.0")


def compose(config: Any) -> None:
    """Compose with a prior, a trained agent or another composer, unconditionally or continuing music of your own."""
    if config.composer is not None:
        from toccata.agents.rivals.compose import compose_with

        compose_with(config)
        return
    from toccata.agents.runs.compose import compose as run_composing

    run_composing(config)


def dream(config: Any) -> None:
    """Dream sound: gradient ascent from white noise to what the rating likes."""
    from toccata.agents.rivals.dreaming.dream import dream as run_dreaming

    run_dreaming(config)


def fit_rival(config: Any) -> None:
    """Fit a composer that agents are compared with: a Markov chain, an LSTM over chords, image GANs."""
    from toccata.agents.rivals.fitting.fit_rival import fit_rival as fit

    place = fit(config)
    print(f"fitted: {place}\ncompose with it: toccata compose --with {quote(f'{config.rival}:{place}')}")


def study_rivals(config: Any) -> None:
    """Put every composer beside the agent in one table: judges, metrics, originality, time."""
    from toccata.agents.studies.rivals.study import study_rivals as run_study

    run_study(config)


def study_genres(config: Any) -> None:
    """Ask which genre is learnt best, and whether genres can be told apart in what is composed."""
    from toccata.agents.studies.genres.study import study_genres as run_study

    run_study(config)


def study_songs(config: Any) -> None:
    """Compose songs for poems, and measure words, melody and originality beside random play and real songs."""
    from toccata.agents.studies.songs.study import study_songs as run_study

    run_study(config)


def listen(config: Any) -> None:
    """Let people compare and like pieces in their browsers, and keep their votes."""
    from toccata.listening.listen import listen as run_server

    run_server(config)


def listen_results(config: Any) -> None:
    """Say what listeners preferred and liked, and write it as data that a rating can be fitted to."""
    from toccata.listening.results.results import listen_results as run_results

    run_results(config)


def metrics(config: Any) -> None:
    """Measure MIDI and MusicXML files: every metric in a table, or a row for each file as CSV."""
    from toccata.agents.evaluation.metrics_of_files import measure_to_table

    measure_to_table(config)


def push(config: Any) -> None:
    """Share a run, prior, rating, realism or composer on the Hugging Face Hub."""
    from toccata.agents.sharing.push import push as run_push

    run_push(config)


def pull(config: Any) -> None:
    """Download what `toccata push` shared, verified."""
    from toccata.agents.sharing.pull import pull as run_pull

    run_pull(config)


FIRST_STEPS = ("compose", "train", "evaluate")  # commands whose first examples `toccata --help` prints
DEBUG = "--debug"  # an option of every command
WITH_REWARDS = ("train", "evaluate")  # commands that take --rewards
LONGEST_MESSAGE = 2000  # characters of an error that are printed
COMMANDS: dict[str, tuple[str, Callable[[Any], None]]] = {  # configuration class, and the function that runs it
    "train": ("toccata.agents.runs.config:TrainConfig", train),
    "evaluate": ("toccata.agents.evaluation.config:EvaluateConfig", evaluate),
    "compare": ("toccata.agents.evaluation.config:CompareConfig", compare),
    "metrics": ("toccata.agents.evaluation.config:MetricsConfig", metrics),
    "overoptimise": ("toccata.agents.evaluation.overoptimise.config:OveroptimiseConfig", overoptimise),
    "compose": ("toccata.agents.runs.compose_config:ComposeConfig", compose),
    "dream": ("toccata.agents.rivals.dreaming.config:DreamConfig", dream),
    "study rivals": ("toccata.agents.studies.rivals.config:StudyRivalsConfig", study_rivals),
    "study genres": ("toccata.agents.studies.genres.config:StudyGenresConfig", study_genres),
    "study songs": ("toccata.agents.studies.songs.config:StudySongsConfig", study_songs),
    "fit-rival": ("toccata.agents.rivals.fitting.config:FitRivalConfig", fit_rival),
    "fit-rating": ("toccata.reward_models.rating.fitting.config:FitRatingConfig", fit_rating),
    "harden": ("toccata.agents.hardening.config:HardenConfig", harden),
    "fit-prior": ("toccata.agents.prior.fitting.fit_config:FitPriorConfig", fit_prior),
    "listen": ("toccata.listening.config:ListenConfig", listen),
    "listen results": ("toccata.listening.results.config:ListenResultsConfig", listen_results),
    "push": ("toccata.agents.sharing.config:PushConfig", push),
    "pull": ("toccata.agents.sharing.config:PullConfig", pull),
}


def run_command(name: str, arguments: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run one command and return its exit status; errors that users can mend are one line on standard error."""
    os.environ.setdefault(
        "OMP_WAIT_POLICY", "PASSIVE"
    )  # torch's idle threads spin otherwise, which halts a busy machine
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names of files that are not UTF-8 are printed with backslashes
            stream.reconfigure(errors="backslashreplace")
    config_class, command = COMMANDS[name]
    module, _, attribute = config_class.partition(":")
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    debug = DEBUG in arguments
    arguments = [argument for argument in arguments if argument != DEBUG]
    try:
        refuse_empty(arguments)
        config_module = import_module(module)
        config_type = getattr(config_module, attribute)
        defaults: dict[str, Any] = {}
        if name == "train" and (file := _settings_file(arguments)) is not None:
            defaults["default"] = config_type.draft(file)
        if name in WITH_REWARDS:
            from toccata.agents.runs.config import DEFAULT_REWARDS, with_added_rewards

            base = defaults["default"].rewards if defaults else DEFAULT_REWARDS
            arguments = with_added_rewards(arguments, base)
        config = tyro.cli(config_type, prog=prog, args=arguments, **defaults)
        if isinstance(getattr(config, "resume", None), Path):  # what is not given is as in the run
            config = tyro.cli(config_type, prog=prog, args=arguments, default=_settings_of(config.resume))
        with on_signals():
            command(config)
    except SystemExit as stop:
        if {"-h", "--help"} & set(arguments) and not stop.code:  # tyro has printed the help
            print(f"\nexamples:\n{examples_of(name)}")
        raise
    except KeyboardInterrupt as stop:
        print(" ".join(str(stop).split()) or "stopped", file=sys.stderr)
        return 128 + (stop.signal if isinstance(stop, Interrupted) else signal.SIGINT)
    except MemoryError as error:
        print(f"error: not enough memory: {one_line(error, LONGEST_MESSAGE)}", file=sys.stderr)
        return 1
    except (ToccataError, OSError) as error:  # others are bugs, which keep their traceback
        if isinstance(error, BrokenPipeError) and _output_has_gone():
            return 128 + signal.SIGPIPE
        print_error(error, debug)
        return 1
    return 0


def print_error(error: BaseException, debug: bool) -> None:
    """Print an error in one line, and the line of a user's own code that it comes from; with `debug` all tracebacks."""
    if debug:
        traceback.print_exception(error)
    print(f"error: {one_line(error, LONGEST_MESSAGE)}", file=sys.stderr)
    if not debug and (line := user_line(error)) is not None:
        print(f"{line}\n({DEBUG} prints the whole traceback)", file=sys.stderr)


def _output_has_gone() -> bool:
    """Whether nobody reads standard output any more, as after `toccata help train | head`; then it is closed."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    gone = any(events & select.POLLERR for _, events in poll.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it ends
    return gone


def _settings_file(arguments: Sequence[str]) -> Path | None:
    """The file of `--config`, which is read before the other arguments: they replace what is in it."""
    file = None
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        name, equals, value = argument.partition("=")
        if name == "--config":
            file = value if equals else following
    return Path(file) if file else None


def _settings_of(folder: Path) -> Any:
    """The settings of the run in `folder`, for resuming it."""
    from toccata.agents.runs.run_folder import Run

    return Run.open(folder).config.resumed(folder)


def main() -> None:
    """`toccata COMMAND ...`."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["help"]:  # `toccata help compose` is `toccata compose --help`
        arguments = [*arguments[1:], "--help"]
    grouped = {name.split()[0] for name in COMMANDS if " " in name} - set(COMMANDS)  # such as `study genres`
    in_group = bool(arguments) and arguments[0] in grouped and arguments[1:2] not in ([], ["-h"], ["--help"])
    if in_group or " ".join(arguments[:2]) in COMMANDS:  # a folder of a command's name is given as ./results
        arguments = [" ".join(arguments[:2]), *arguments[2:]]
    if arguments and arguments[0] in COMMANDS:
        sys.exit(run_command(arguments[0], arguments[1:], prog=f"toccata {arguments[0]}"))
    if arguments and arguments[0] == "--version":
        _show(f"toccata {__version__}")
    elif not arguments or arguments[0] in ("-h", "--help"):
        _show(_usage())
    elif arguments[0] in grouped:
        _show(_usage(f"{arguments[0]} "))
    else:
        near = get_close_matches(arguments[0], COMMANDS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        print(f"error: unknown command {arguments[0]!r}{hint}\n\n{_usage()}", file=sys.stderr)
        sys.exit(2)


def _show(text: str) -> None:
    """Print what a user asked for; who has stopped reading gets no complaint."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        if not _output_has_gone():
            raise
        sys.exit(128 + signal.SIGPIPE)


def _usage(group: str = "") -> str:
    """The text of `toccata --help`, of the commands whose names begin with `group`."""
    described = {name: (command.__doc__ or "").strip() for name, (_, command) in COMMANDS.items()}
    lines = [f"  {name.removeprefix(group):<13} {text}" for name, text in described.items() if name.startswith(group)]
    return "\n".join(
        [
            f"usage: toccata {group}COMMAND ...",
            "\nA piano on which reinforcement-learning agents compose.\n\ncommands:",
            *lines,
            *([] if group else ["\nexamples:\n" + "\n".join(f"  {EXAMPLES[name][0][0]}" for name in FIRST_STEPS)]),
            f"\ntoccata help {group}COMMAND lists the options of a command, with examples; so does its --help.",
            "toccata --version prints the version.",
            "With --debug a command prints the whole traceback of an error.",
        ]
    )
