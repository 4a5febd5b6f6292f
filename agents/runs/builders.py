"""Builders: music, environments and agent of a run, from its configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from shlex import quote
from typing import Any

import torch

from toccata.agents.policies.feedforward_policy import FeedforwardPolicy
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.ppo.model_file import load_model
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.prior.prior import SHIPPED, Prior
from toccata.agents.runs.config import NO_PRIOR, SEQUENCE_POLICIES, TrainConfig
from toccata.agents.runs.run_folder import RunError
from toccata.agents.splits import few_works_of_run
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.excerpts import ExcerptDataset, usable_scores, why_unusable
from toccata.envs.instrument import Piano
from toccata.genres import genre_index, with_added
from toccata.music.corpus import ALIASES, NAMED, Corpus, load_corpus
from toccata.music.corpus.works import SPLITS
from toccata.options import ConfigError
from toccata.reward_models import WeightedSum


def run_corpus(config: TrainConfig) -> Corpus:
    """The works of the run's corpus that are of its genre; all works of a folder that names no genres are.

    Raises:
        ConfigError: when the genre has no music and no folder is named.
        CorpusError: for a corpus that cannot be read, or has nothing of the genre.
    """
    sources = config.corpus or ALIASES.get(config.genre)
    if not sources:
        raise ConfigError(
            f"genre {config.genre!r} has no corpus among music21's ({', '.join(ALIASES)} have); "
            "name a folder of MIDI files with --corpus"
        )
    return load_corpus(list(sources), default_genre=config.genre).genre(config.genre)


def with_absolute_paths(config: TrainConfig) -> TrainConfig:
    """The configuration with absolute paths, so that the run can be used from any folder."""
    names = {*NAMED, *ALIASES}
    folders = {name: str(Path(name).absolute()) for name in config.corpus if name not in names and Path(name).is_dir()}
    prior = config.prior
    if prior not in (None, NO_PRIOR, *SHIPPED):
        prior = str(Path(prior).absolute())
    return replace(config, corpus=tuple(folders.get(name, name) for name in config.corpus), prior=prior)


def with_prior_genres(config: TrainConfig) -> TrainConfig:
    """The configuration with the genres that its prior has in addition to the six, before its own.

    Raises:
        ConfigError: for an unknown genre, and for too many.
        PriorError, WeightsError: when the prior cannot be loaded.
    """
    if config.prior != NO_PRIOR:
        prior = Prior.load(config.prior or config.policy)
        config = replace(config, genres=with_added(config.genres, prior.genres))
    try:
        genre_index(config.genre, config.all_genres)
    except ValueError as error:
        raise ConfigError(f"{error}; to add it: --genres {quote(config.genre)}") from error
    return config


def excerpt_dataset(
    config: TrainConfig, part: str, on_few_works: Callable[[str], object] | None = None
) -> ExcerptDataset:
    """Excerpts, as long as the run's pieces, of the works of a split: "train", "valid" or "test".

    A corpus too small to have usable works in the split gives all of its works.

    Args:
        config: of the run.
        part: the split.
        on_few_works: called with a line on what it means that the corpus has few works, if it has.

    Raises:
        ConfigError: when no work has the run's metre and more than one bar; else as `run_corpus`.
    """
    corpus = run_corpus(config)
    usable = {name: usable_scores(corpus.split(name).scores, config.beats_per_bar) for name in SPLITS}
    scores = usable[part] or usable_scores(corpus.scores, config.beats_per_bar)
    if not scores:
        raise ConfigError(f"corpus {corpus.name}: {why_unusable(corpus.scores, config.beats_per_bar)}")
    line = few_works_of_run(corpus.name, {name: len(each) for name, each in usable.items()})
    if on_few_works is not None and line is not None:
        on_few_works(line)
    return ExcerptDataset(
        scores,
        config.bars,
        beats_per_bar=config.beats_per_bar,
        tempo_bpm=config.tempo_bpm,
        genre=config.genre,
    )


def environment_arguments(config: TrainConfig) -> dict[str, Any]:
    """The arguments of the run's environment; the agent adds the rewards, a rollout at a time."""
    return {
        "bars": config.bars,
        "genre": config.genre,
        "genres": config.all_genres,
        "beats_per_bar": config.beats_per_bar,
        "tempo_bpm": config.tempo_bpm,
        "reward_at": config.reward_at,
        "bars_per_reward": config.bars_per_reward,
        "observation": "actions" if config.policy in SEQUENCE_POLICIES else "full",
    }


def build_envs(config: TrainConfig) -> PianoVecEnv:
    """The run's environments.

    Raises:
        ConfigError: for a genre, metre, tempo or length out of range.
    """
    try:
        return PianoVecEnv(config.num_envs, **environment_arguments(config))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def build_agent(config: TrainConfig, env: PianoVecEnv, rewards: WeightedSum, device: torch.device) -> ComposerPPO:
    """The run's agent, with the weights of its prior, or randomly initialised.

    Raises:
        ConfigError, PriorError, WeightsError: when the prior cannot be loaded, or is of another kind.
    """
    arguments: dict[str, Any] = {
        "reward_model": rewards,
        "n_steps": config.n_steps,
        "batch_size": config.batch_size,
        "n_epochs": config.n_epochs,
        "learning_rate": config.learning_rate,
        "gamma": config.gamma,
        "gae_lambda": config.gae_lambda,
        "clip_range": config.clip_range,
        "ent_coef": config.ent_coef,
        "target_kl": config.target_kl,
        "seed": config.seed,
        "device": device,
    }
    if config.policy not in SEQUENCE_POLICIES:
        policy_kwargs = {"features": config.policy, "genres": config.all_genres}
        return ComposerPPO(FeedforwardPolicy, env, policy_kwargs=policy_kwargs, **arguments)
    prior = None if config.prior == NO_PRIOR else Prior.load(config.prior or config.policy)
    sizes: dict[str, Any] = {}
    if prior is not None:
        sizes = asdict(prior.network.config)
        if sizes.pop("backbone") != config.policy:
            raise ConfigError(f"prior {config.prior}: is a {prior.network.config.backbone}, not a {config.policy}")
    sizes["genres"] = config.all_genres
    model = SequenceComposerPPO(
        SequencePolicy,
        env,
        prior_kl_coef=config.prior_kl_coef or 0.0,
        prior_kl_target=config.prior_kl_target,
        policy_kwargs={"backbone": config.policy, "network_config": sizes},
        **arguments,
    )
    if prior is not None:
        prior.initialise(model.policy)
    return model


def load_agent(path: Path, config: TrainConfig, device: torch.device) -> ComposerPPO:
    """A saved model of a run, to play.

    Raises:
        ModelError: naming the file, when it is missing or damaged.
        RunError: naming it, when it is no model of a run with these settings.
    """
    model = load_model(path, device)
    policy = model.policy
    kind = policy.network_config.backbone if isinstance(policy, SequencePolicy) else policy.features
    if kind != config.policy or policy.piano != Piano():
        raise RunError(f"{path}: is no model of this run: its policy is {kind!r}, config.json says {config.policy!r}")
    genres: Any = policy.genres
    if genres != config.all_genres:
        ours, theirs = ", ".join(genres), ", ".join(config.all_genres)
        raise RunError(f"{path}: is no model of this run: its genres are {ours}, those of config.json {theirs}")
    return model
