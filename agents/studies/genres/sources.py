"""What composes in the study: composers fitted to one genre each, and agents trained for one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from toccata._version import __version__
from toccata.agents.evaluation.players import player_of
from toccata.agents.prior.fitting.checkpoint import checkpoint_folder
from toccata.agents.prior.fitting.fit import fit_prior
from toccata.agents.prior.fitting.fit_config import FitPriorConfig
from toccata.agents.rivals.composer import Composer, RivalError, WithLikelihood
from toccata.agents.rivals.fitting.config import FitRivalConfig
from toccata.agents.rivals.fitting.fit_rival import fit_rival, is_begun, minutes_to_fit
from toccata.agents.rivals.registry import Request, load_rival
from toccata.agents.runs.builders import environment_arguments, load_agent
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.run_folder import Run
from toccata.agents.runs.training import train
from toccata.agents.studies.genres.balance import BEATS_PER_BAR
from toccata.agents.studies.genres.config import PRIORS, StudyGenresConfig
from toccata.envs.excerpts import as_piece
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.weights import CONFIG_FILE, sha256

TEMPO_BPM = 120.0
FITS, AGENTS = "fits", "agents"  # folders of the study
AGENT, BEFORE_RL = "agent", "agent before RL"


@dataclass(frozen=True)
class Source:
    """Something that composes in one genre.

    Attributes:
        family: a composer's name, or `AGENT` or `BEFORE_RL`.
        genre: that it was fitted to.
        identity: differs between sources that compose differently.
        compose: pieces, of a number and a seed.
        log_prob: (steps,) nats of the actions of each of other pieces; None for sources without likelihood.
        composer: the composer; None for agents.
        minutes: that the fit took for this genre; None for agents, and where nothing says.
    """

    family: str
    genre: str
    identity: str
    compose: Callable[[int, int], list[Piece]]
    log_prob: Callable[[Sequence[Piece]], list[np.ndarray]] | None = None
    composer: Composer | None = None
    minutes: float | None = None


def fit_source(name: str, genre: str, music: Sequence[Path], config: StudyGenresConfig, console: Console) -> Path:
    """Fit a composer to a genre, unless that is done, and return the folder of its weights.

    Args:
        name: of the composer.
        genre: one of the study.
        music: the folder of each genre, in the order of the study.
        config: of the study.
        console: where the progress of the fit is shown.

    Raises:
        ConfigError, RivalError, CorpusError, OSError: when it cannot be fitted.
        KeyboardInterrupt: after a signal; the fit is resumed by the next call.
    """
    if name in PRIORS:
        out = config.out / FITS / f"{name}-{genre}"
        if (out / CONFIG_FILE).is_file():
            return out
        data = tuple(str(folder) for folder in music if folder.name == genre)
        fit_prior(
            FitPriorConfig(
                out,
                data,
                genre=genre,
                genres=(genre,),
                backbone=name,  # type: ignore[arg-type]  # one of PRIORS
                minutes=config.minutes_per_fit,
                seed=config.seed,
                device=config.device,
                resume=checkpoint_folder(out).exists(),
            ),
            console,
        )
        return out
    out = config.out / FITS / name
    if not (out / CONFIG_FILE).is_file():
        fit = FitRivalConfig(
            name,  # type: ignore[arg-type]  # one of RIVALS
            out,
            tuple(map(str, music)),
            minutes=None if name == "markov" else config.minutes_per_fit * len(music),
            seed=config.seed,
            device=config.device,
        )
        checkpoint = out.with_name(f"{out.name}.checkpoint")
        fit_rival(replace(fit, resume=is_begun(checkpoint)), console)
    return out


def fitted_source(name: str, genre: str, folder: Path, config: StudyGenresConfig, device: torch.device) -> Source:
    """A composer with the weights of a folder.

    Raises:
        RivalError, WeightsError, PriorError: when it cannot be loaded, or does not know the genre.
    """
    composer = load_rival(f"{name}:{folder}", Request(config.bars, BEATS_PER_BAR, TEMPO_BPM, device=str(device)))

    def compose(count: int, seed: int) -> list[Piece]:
        scores = composer.compose(count, seed, genre)
        return [as_piece(score, Piano(), BEATS_PER_BAR, TEMPO_BPM, genre)[0] for score in scores]

    def log_prob(pieces: Sequence[Piece]) -> list[np.ndarray]:
        assert isinstance(composer, WithLikelihood)
        return composer.log_prob([Piece(piece.score, genre, piece.start_tick, piece.actions) for piece in pieces])

    identity = f"{__version__}-{name}-{genre}-{(folder / CONFIG_FILE).read_text()}"
    has_likelihood = isinstance(composer, WithLikelihood)
    minutes = minutes_to_fit(folder)
    if minutes is not None and name not in PRIORS:
        minutes /= len(composer.genres)  # one fit has all genres
    return Source(name, genre, identity, compose, log_prob if has_likelihood else None, composer, minutes)


def train_agent(genre: str, music: Sequence[Path], config: StudyGenresConfig, console: Console) -> Run:
    """Train the agent of a genre, or go on with it, or return it if that is done.

    Raises:
        RunError, ConfigError, CorpusError: when it cannot be trained.
        KeyboardInterrupt: after a signal; the run is resumed by the next call.
    """
    folder = config.out / AGENTS / genre
    if not (folder / "config.json").is_file():
        settings = TrainConfig(
            run_dir=folder,
            genre=genre,
            genres=(genre,),
            corpus=tuple(str(place) for place in music if place.name == genre),
            total_timesteps=config.agent_steps,
            bars=config.bars,
            seed=config.seed,
            device=config.device,
        )
        return train(settings, (), console)
    run = Run.open(folder)
    last = run.last_checkpoint()
    if last is not None and int(last.name.rpartition("-")[2]) >= run.config.total_timesteps:
        return run
    return train(run.config.resumed(folder), (), console)


def runs_by_genre(config: StudyGenresConfig, genres: Sequence[str]) -> dict[str, Run]:
    """The runs that the study was given.

    Raises:
        RunError: for a folder that is no run.
        RivalError: unless there is one of each genre, of the length of the study.
    """
    found: dict[str, Run] = {}
    for folder in config.runs:
        run = Run.open(folder)
        genre, bars = run.config.genre, run.config.bars
        if genre not in genres:
            raise RivalError(f"{folder}: is a run of genre {genre}; the study has {', '.join(genres)}")
        if genre in found:
            raise RivalError(f"{folder}: is of genre {genre}, as {found[genre].folder} is; give one run for each genre")
        if (bars, run.config.beats_per_bar) != (config.bars, BEATS_PER_BAR):
            raise RivalError(
                f"{folder}: its pieces have {bars} bars of {run.config.beats_per_bar:g} beats; the study's "
                f"have {config.bars} of {BEATS_PER_BAR}"
            )
        found[genre] = run
    if found and (missing := [genre for genre in genres if genre not in found]):
        raise RivalError(f"runs: there is none of genre {missing[0]}; give one run for each genre")
    return found


def agent_sources(run: Run, config: StudyGenresConfig, device: torch.device) -> list[Source]:
    """The agent of a run, and the policy that it was before RL, where that is kept.

    Raises:
        RunError, ModelError: when a model cannot be loaded.
    """
    environment = environment_arguments(run.config)
    models = [(BEFORE_RL, run.reference_path)] if run.reference_path.is_file() else []
    sources = []
    for family, path in [*models, (AGENT, run.model_path)]:
        model = load_agent(path, run.config, device, run_folder=run.folder, trust=config.trust)
        player = player_of(model, environment)

        def compose(count: int, seed: int, player: Callable = player) -> list[Piece]:
            return list(player(count, seed).pieces)

        identity = f"{__version__}-{sha256(model.policy.state_dict())}-{environment}"
        sources.append(Source(family, run.config.genre, identity, compose))
    return sources
