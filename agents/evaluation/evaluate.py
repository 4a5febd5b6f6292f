"""Evaluation of a run, of any other agent, or of music: pieces as files, and metrics versus other composers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from stable_baselines3.common.utils import set_random_seed

from toccata.agents.devices import resolve_device
from toccata.agents.evaluation.comparison import table_of
from toccata.agents.evaluation.config import EVALUATE_RANGES, EvaluateConfig
from toccata.agents.evaluation.history import History
from toccata.agents.evaluation.measuring.measured import STEPS, caption, measured
from toccata.agents.evaluation.music import folder_player, music_player
from toccata.agents.evaluation.players import (
    EvaluationError,
    PolicyFunction,
    name_of,
    player_of,
    random_player,
)
from toccata.agents.evaluation.report.findings import kl_line, remarks
from toccata.agents.evaluation.report.page import Report, write_report
from toccata.agents.evaluation.report.provenance import provenance
from toccata.agents.evaluation.subject import Subject
from toccata.agents.generation.song_files import write_song
from toccata.agents.generation.sound_options import DEFAULT_SOUND, SoundOptions
from toccata.agents.runs.builders import environment_arguments, excerpt_dataset, load_agent
from toccata.agents.runs.config import DEFAULT_REWARDS, MAX_BARS_OF_ENVS, TrainConfig
from toccata.agents.runs.rewards_file import load_rewards, with_limits
from toccata.agents.runs.run_folder import Run, next_free
from toccata.envs.pieces import Piece
from toccata.files import is_file, refuse_existing, sha256_of_file, whole_folder, write_atomically
from toccata.music.score import Score
from toccata.music.sound.listening import check_soundfont
from toccata.reward_models import Combination, WeightedSum, parse_rewards
from toccata.settings.genres import GENRES
from toccata.settings.options import ConfigError
from toccata.settings.specs import Spec, SpecError, weighted_spec

COMPOSERS = {  # in the order of the tables
    "agent": "the agent after training, or the music",
    "reference": "the reference policy: the agent before PPO",
    "random": "uniformly random legal actions",
    "real": "real music held out of training",
}
FOLDER = Path("evaluations")  # where new folders go
Rewards = str | Mapping[str, Any] | Iterable[Any]  # what `parse_rewards` takes, or one entry of it
MUSIC_SETTINGS = ("genre", "corpus", "rewards", "bars", "beats_per_bar", "tempo_bpm")  # of no run: it has its own


def evaluate(
    agent: Any | PolicyFunction | str | PathLike[str] | Sequence[Score | Piece],
    *,
    reference: Any = None,
    out: str | PathLike[str] | None = None,
    rewards: Rewards = DEFAULT_REWARDS,
    genre: str = "classical",
    corpus: Sequence[str] = (),
    bars: int = 8,
    beats_per_bar: float = 4,
    tempo_bpm: float = 120.0,
    pieces: int = 8,
    samples: int = 64,
    seed: int = 0,
    observation: str = "full",
    discrete: bool = False,
    sound: SoundOptions = DEFAULT_SOUND,
    console: Console | None = None,
) -> dict[str, Any]:
    """Evaluate any agent, or music that is there already, as a run of Toccata is evaluated.

    Writes its pieces, metrics.json and report.html, and prints the table.

    Args:
        agent: one of

            - a model with the `predict` of Stable-Baselines3, trained on either environment and either kind of
              observation. It is given masks where its `predict` takes `action_masks`; else its illegal actions become
              rests, and are counted;
            - a function `(observation, action_mask) -> action` of a single `PianoEnv`: the observation is a dict, the
              mask (366,) bool, the action `(what, value)`. One piece is played after the other;
            - the path of a folder of MIDI or MusicXML files. Each gives at most one excerpt, encoded for the piano as
              real music is;
            - a list of `Score`s, used as such files, or of `Piece`s, used as they are.
        reference: another agent to compare with, of any of these kinds.
        out: folder to write, which must not exist; by default the next free one in evaluations/.
        rewards: what `parse_rewards` takes: pairs of a reward model, or the spec of one, and its weight. The limits of
            rules that are named are percentiles of the corpus, as in training.
        genre: of the pieces and of the real music; another than the six is one genre more, which only an agent that
            was trained with it, functions and music have.
        corpus: real music, as in training; by default music21's of the genre.
        bars: of a piece.
        beats_per_bar: quarter notes in a bar.
        tempo_bpm: quarter notes a minute, of all pieces.
        pieces: number of pieces to write out.
        samples: pieces of each composer in the table; at least `pieces`.
        seed: one seed gives one set of pieces, if the agent draws from Python's, numpy's or torch's global random
            number generators only.
        observation: that a function is given: "full" or "actions".
        discrete: a function is given the mask of the discrete environment, (4589,) bool, and returns its actions.
        sound: how the WAV files are rendered.
        console: for the table; by default the terminal.

    Returns:
        what metrics.json holds.

    Raises:
        EvaluationError: for anything that cannot be evaluated.
        FileError: when `out` exists.
        ConfigError, CorpusError, RewardModelError, SoundError: for settings that cannot be met.
        OSError: naming the file that cannot be written; nothing is left of the folder then.
    """
    _check(pieces=pieces, samples=samples, seed=seed)
    sources = (corpus,) if isinstance(corpus, str) else tuple(corpus)
    config = TrainConfig(
        policy="mlp",
        genre=genre,
        genres=() if genre in GENRES else (genre,),
        corpus=sources,
        bars=bars,
        beats_per_bar=beats_per_bar,
        tempo_bpm=tempo_bpm,
    )
    check_samples(max(samples, pieces), bars)
    refuse_existing(out, "another folder to write")
    environment = environment_arguments(config)
    players, names = {}, {}
    for composer, each in {"agent": agent, "reference": reference}.items():
        if isinstance(each, (str, PathLike)):
            names[composer] = Path(each).resolve().name
            players[composer] = folder_player(Path(each), config)
        elif isinstance(each, Sequence):
            names[composer] = "pieces"
            players[composer] = music_player(each, config)
        elif each is not None or composer == "agent":
            names[composer] = name_of(each)
            players[composer] = player_of(each, environment, observation, discrete)
    warnings: list[str] = []
    subject = Subject(
        name=names["agent"],
        players=players,
        config=config,
        rewards=read_rewards(rewards, config, seed),
        real=excerpt_dataset(config, "test", warnings.append),
        warnings=warnings,
        place=next_free(FOLDER, names["agent"]) if out is None else Path(out),
        models={"agent": agent, "reference": reference},
        reference=f"{names.get('reference')}, which the agent is compared with",
    )
    return _evaluate(subject, pieces, samples, seed, sound, console or Console())


def evaluate_folder(config: EvaluateConfig, console: Console | None = None) -> dict[str, Any]:
    """`toccata evaluate`: a run folder is evaluated to RUN/evaluation, any other one as music.

    Returns:
        what metrics.json holds.

    Raises:
        RunError, EvaluationError: for a folder that is no run, or has no model yet; for one without readable music.
        ConfigError, FileError, ProgressError: naming a file of the run that is damaged, before anything is generated.
        SoundError: for a sound font that cannot be used.
        OSError: naming the file that cannot be written; an earlier evaluation stays as it was.
    """
    given = {name: value for name in MUSIC_SETTINGS if (value := getattr(config, name)) is not None}
    if is_file(config.folder):
        raise EvaluationError(
            f"{config.folder}: is a file; evaluate takes the folder of a run, or one of music; "
            "models of other algorithms are evaluated in Python, by toccata.agents.evaluate"
        )
    if config.folder.is_dir() and not (config.folder / "config.json").exists():
        return evaluate(
            config.folder,
            out=config.out,
            pieces=config.pieces,
            samples=config.samples,
            seed=config.seed,
            sound=config.sound,
            console=console,
            **given,
        )
    bars = given.pop("bars", None)
    if given:
        flag = next(iter(given)).replace("_", "-")
        raise ConfigError(f"--{flag} is of folders of music; {config.folder} is a run, which has its own")
    subject = _run_subject(config, bars)
    return _evaluate(subject, config.pieces, config.samples, config.seed, config.sound, console or Console())


def read_rewards(rewards: Rewards, config: TrainConfig, seed: int) -> WeightedSum:
    """The reward models, named rules with limits from the works that agents are trained on."""
    entries = [rewards] if isinstance(rewards, (str, Mapping)) else list(rewards)
    set_random_seed(seed)  # of reward models that begin with random weights
    models = parse_rewards(entries)
    return with_limits(excerpt_dataset(config, "train"), models, [_spec_of(entry) for entry in entries], seed)


def _spec_of(entry: Any) -> Spec | None:
    """The spec of an entry of rewards; None for a model that was made already."""
    try:
        return weighted_spec(entry)[0]
    except SpecError:
        return None


def _run_subject(config: EvaluateConfig, bars: int | None) -> Subject:
    """A run, as it is evaluated, in pieces of `bars`; None: of as many as it was trained with."""
    run = Run.open(config.folder)
    history = History.read(run)
    settings = run.config if bars is None else replace(run.config, bars=bars)
    own = settings.bars == run.config.bars
    place = run.folder / ("evaluation" if own else f"evaluation-{bars}-bars")
    check_samples(max(config.samples, config.pieces), settings.bars)
    refuse_existing(config.out, "another --out")
    device = resolve_device(config.device)
    whose: dict[str, Any] = {"run_folder": run.folder, "trust": config.trust}
    model = run.published / "model.zip"
    model_sha256 = sha256_of_file(model)  # before it is loaded: `compare` then knows of a checkpoint in between
    models = {"agent": load_agent(model, run.config, device, **whose)}
    set_random_seed(run.config.seed)  # of reward models that begin with random weights and keep no state
    rewards = load_rewards(run.published / "reward_models", run.folder, trust=config.trust, device=device)
    if run.reference_path.is_file():
        models["reference"] = load_agent(run.reference_path, run.config, device, **whose)
    environment = environment_arguments(settings)
    warnings: list[str] = []
    return Subject(
        name=run.folder.resolve().name,
        players={composer: player_of(model, environment) for composer, model in models.items()},
        config=settings,
        rewards=rewards,
        real=excerpt_dataset(settings, "test", warnings.append),
        warnings=warnings,
        place=config.out or place,
        existing="replace" if config.out is None else "refuse",  # an earlier one stays until this one is complete
        history=history,
        models=models,
        model_sha256=model_sha256,
    )


def _evaluate(
    subject: Subject, pieces: int, samples: int, seed: int, sound: SoundOptions, console: Console
) -> dict[str, Any]:
    """Play, measure and write; every evaluation is made here."""
    check_soundfont(sound.soundfont)
    began = perf_counter()
    samples = max(samples, pieces)
    real = subject.real.sample(samples, np.random.default_rng(seed), transpose=False)
    players = {**subject.players, "random": random_player(environment_arguments(subject.config))}
    # The folder is made before the work: fails at once if it cannot be
    with whole_folder(subject.place, subject.existing) as folder, _progress(console) as bar:
        played = {}
        for name in bar.track([name for name in COMPOSERS if name in players], description="generating"):
            played[name] = players[name](samples, seed)
        composed = {**{name: each.pieces for name, each in played.items()}, "real": real}
        task = bar.add_task("measuring", total=len(composed) + STEPS)
        found = measured(composed, subject, played["agent"].counts, seed, lambda: bar.advance(task))
        summary = found.summary

        written = min(pieces, len(composed["agent"]))
        stems = {f"piece-{number:03d}": ("agent", number) for number in range(written)}
        stems |= {composer: (composer, 0) for composer in composed if composer != "agent"}
        for stem, (composer, number) in bar.track(list(stems.items()), description="writing pieces"):
            write_song(composed[composer][number], folder, stem, sound, _credit(subject, composer, seed))
        write_atomically(folder / "metrics.json", (json.dumps(summary, indent=2) + "\n").encode())
        lines = [kl_line(summary)] if "kl" in summary else []
        lines += [*remarks(summary), *(f"warning: {line}" for line in subject.warnings)]
        report = Report(
            name=subject.name,
            history=subject.history,
            summary=summary,
            pieces=written,
            captions={f"piece-{number:03d}": name for number, name in enumerate(played["agent"].names[:written])},
            left_out=played["agent"].left_out,
            reference=subject.reference,
            settings=f"{_described(subject, seed)}; WAV files: {sound.describe()}",
            remarks=lines,
            matches={stem: caption(found.matches[composer][number]) for stem, (composer, number) in stems.items()},
            provenance=provenance(subject.rewards, subject.model_sha256),
            duration_seconds=perf_counter() - began,
        )
        write_report(report, folder)
    console.print(table_of(summary))
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    place = subject.place
    console.print(f"listen: {place}/piece-000.wav ...   read: {place / 'report.html'}", soft_wrap=True, markup=False)
    return summary


def _progress(console: Console) -> Progress:
    """Bars of what is done, which vanish at the end."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True)


def _credit(subject: Subject, composer: str, seed: int) -> str:
    """The composer that the notation of a piece names."""
    if composer == "agent":
        return subject.name if subject.model_sha256 is None else f"Toccata, run {subject.name}, seed {seed}"
    return "real music" if composer == "real" else f"Toccata, {composer}"


def _described(subject: Subject, seed: int) -> str:
    """The settings of an evaluation in one line."""
    config = subject.config
    how = f"; {subject.rewards.name}: {subject.rewards.describe()}" if isinstance(subject.rewards, Combination) else ""
    rewards = ", ".join(f"{weight:g} {term}" for term, weight in subject.rewards.weights.items())
    return (
        f"{config.bars} bars of {config.beats_per_bar:g} beats at {config.tempo_bpm:g} a minute, {config.genre}; "
        f"rewards: {rewards}{how}; seed {seed}"
    )


def check_samples(samples: int, bars: int) -> None:
    """Raise ConfigError for more bars than fit into memory."""
    if samples * bars > MAX_BARS_OF_ENVS:
        most = MAX_BARS_OF_ENVS // bars
        raise ConfigError(f"samples must be at most {most:,} for pieces of {bars:,} bars, got {samples:,}")


def _check(**settings: int) -> None:
    """Raise ConfigError for a setting outside its range."""
    for name, value in settings.items():
        EVALUATE_RANGES[name].check(name, value)
