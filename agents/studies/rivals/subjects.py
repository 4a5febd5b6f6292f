"""Who composes in the study: composers of the registry, and runs with their policies before RL."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from toccata._version import __version__
from toccata.agents.evaluation.overoptimise.arms import minutes_of_training, read_arms
from toccata.agents.evaluation.players import player_of
from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.prior.likelihood import log_prob
from toccata.agents.prior.trajectories import record_trajectories
from toccata.agents.rivals.composer import Composer, WithLikelihood
from toccata.agents.rivals.fitting.fit_rival import minutes_to_fit
from toccata.agents.rivals.registry import Request, load_rival
from toccata.agents.rivals.weights import shipped_folder
from toccata.agents.runs.builders import environment_arguments, load_agent
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.run_folder import Run
from toccata.agents.studies.rivals.config import StudyRivalsConfig
from toccata.envs.excerpts import as_piece
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece, Pieces
from toccata.envs.reward_model import total
from toccata.reward_models import WeightedSum
from toccata.weights import CONFIG_FILE, sha256

Compose = Callable[[int, int], list[Piece]]  # of the number of pieces and a seed
LogProb = Callable[[Sequence[Piece]], list[np.ndarray]]  # (steps,) nats of the actions of each piece


@dataclass(frozen=True)
class Subject:
    """One composer, or one run.

    Attributes:
        identity: differs between subjects that compose differently.
        compose: pieces as the piano plays them.
        log_prob: of the actions of other pieces; None for composers without likelihood.
        minutes: that the fit took; None where nothing says.
    """

    identity: str
    compose: Compose
    log_prob: LogProb | None = None
    minutes: float | None = None


Row = tuple[str, tuple[Subject, ...]]  # its name, and its subjects: several for runs that differ in the seed only


def rival_row(spec: str, study: StudyRivalsConfig, config: TrainConfig, device: torch.device) -> Row:
    """The row of a composer of the registry.

    Args:
        spec: its name, or `name:FOLDER`.
        study: says how many drafts.
        config: says length, metre, tempo and genre.
        device: of networks.

    Raises:
        RivalError: for an unknown one.
        WeightsError: for weights that are missing or damaged.
    """
    name, _, place = spec.partition(":")
    request = Request(config.bars, config.beats_per_bar, config.tempo_bpm, None, study.drafts, device=str(device))
    composer = load_rival(spec, request)
    folder = Path(place) if place else shipped_folder(name)
    genre = config.genre if config.genre in composer.genres else None
    drafts = study.drafts if name == "best-of-n" else 1
    return spec, (
        Subject(
            f"{__version__}-{spec}-{drafts}-{_weights(folder)}-{genre}",
            lambda count, seed: _played(composer, count, seed, genre, config),
            composer.log_prob if isinstance(composer, WithLikelihood) else None,
            minutes_to_fit(folder),
        ),
    )


def run_rows(study: StudyRivalsConfig, device: torch.device, rewards: WeightedSum) -> list[Row]:
    """The rows of the runs: each arm, and before it the policies that it started from and best-of-n of these.

    Raises:
        OveroptimiseError, RunError, ConfigError, ModelError: for runs that cannot be read or compared.
    """
    rows: list[Row] = []
    for arm in read_arms(study.runs) if study.runs else []:
        before = [_model(run, run.reference_path, device, study) for run in arm.runs if run.reference_path.is_file()]
        if before:
            rows.append((f"{arm.name} before RL", tuple(before)))
            best = tuple(_best_of(each, study.drafts, rewards) for each in before)
            rows.append((f"best of {study.drafts} of {arm.name} before RL", best))
        rows.append((arm.name, tuple(_model(run, run.model_path, device, study) for run in arm.runs)))
    return rows


def _played(composer: Composer, count: int, seed: int, genre: str | None, config: TrainConfig) -> list[Piece]:
    """Pieces of a composer, as the piano plays them."""
    scores = composer.compose(count, seed, genre)
    metre = config.beats_per_bar, config.tempo_bpm
    return [as_piece(score, Piano(), *metre, config.genre)[0] for score in scores]


def _model(run: Run, path: Path, device: torch.device, study: StudyRivalsConfig) -> Subject:
    """A model of a run."""
    model = load_agent(path, run.config, device, run_folder=run.folder, trust=study.trust)
    environment = environment_arguments(run.config)
    minutes = minutes_of_training(run, int(model.num_timesteps)) if path == run.model_path else None
    return Subject(
        f"{__version__}-{sha256(model.policy.state_dict())}-{environment}",
        lambda count, seed: player_of(model, environment)(count, seed).pieces,
        _log_prob_of(model, run.config),
        minutes,
    )


def _best_of(subject: Subject, drafts: int, rewards: WeightedSum) -> Subject:
    """The best of each `drafts` pieces of a subject; it has no likelihood."""

    def compose(count: int, seed: int) -> list[Piece]:
        pieces = subject.compose(count * drafts, seed)
        scores = total(rewards.weighted(rewards.scores(Pieces(pieces)))).reshape(count, drafts)
        return [pieces[number * drafts + int(best)] for number, best in enumerate(scores.argmax(axis=1))]

    return Subject(f"best-of-{drafts}-{subject.identity}", compose)


def _log_prob_of(model: ComposerPPO, config: TrainConfig) -> LogProb | None:
    """The likelihood of a policy of whole pieces; None for others."""
    if not isinstance(model, SequenceComposerPPO):
        return None
    network, piano = model.policy.network, model.policy.piano
    return lambda pieces: log_prob(network, piano, record_trajectories(pieces, piano, config.all_genres))


def _weights(folder: Path) -> str:
    """What tells weights from others: a digest of every config.json, which holds those of the weights."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob(CONFIG_FILE)):
        digest.update(path.read_bytes())
    return digest.hexdigest()
