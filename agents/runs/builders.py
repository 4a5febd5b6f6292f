"""Builders: music, environments and agent of a run, from its configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from stable_baselines3.common.utils import obs_as_tensor

from toccata.agents.devices import has_bfloat16
from toccata.agents.policies.feedforward_policy import FeedforwardPolicy
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.policies.user_policy import (
    PolicyClass,
    import_policy,
    imported_policy,
    plays_sequences,
    policy_spec,
)
from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.ppo.model_file import check_saveable, load_model
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.ppo.whole_pieces import WholePiecePPO
from toccata.agents.prior.prior import SHIPPED, Prior
from toccata.agents.runs.config import NO_PRIOR, SEQUENCE_POLICIES, TrainConfig
from toccata.agents.runs.run_folder import RunError
from toccata.agents.runs.trust import require_policy_trust
from toccata.agents.splits import few_works_of_run
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.excerpts import ExcerptDataset, usable_scores, why_unusable
from toccata.envs.instrument import Piano
from toccata.music.corpus import ALIASES, NAMED, Corpus, load_corpus
from toccata.music.corpus.works import SPLITS
from toccata.music.lyrics.lyrics import load_texts
from toccata.reward_models import WeightedSum
from toccata.settings.genres import genre_index, with_added
from toccata.settings.options import ConfigError
from toccata.user_code import guarded, type_and_message


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
    corpus = tuple(folders.get(name, name) for name in config.corpus)
    lyrics = None if config.lyrics is None else str(Path(config.lyrics).absolute())
    return replace(config, corpus=corpus, prior=prior, lyrics=lyrics)


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
    """The arguments of the run's environment; the agent adds the rewards, a rollout at a time.

    Raises:
        FileError, LyricsError: for words that cannot be read.
    """
    words: dict[str, Any] = {"bars": config.bars}
    if config.lyrics is not None:
        words = {"bars": None, "lyrics": load_texts(config.lyrics, config.language), "voice": config.voice}
    return {
        **words,
        "genre": config.genre,
        "genres": config.all_genres,
        "beats_per_bar": config.beats_per_bar,
        "tempo_bpm": config.tempo_bpm,
        "reward_at": config.reward_at if config.algorithm == "ppo" else "piece",
        "bars_per_reward": config.bars_per_reward,
        "observation": "actions" if plays_whole_pieces(config) else "full",
    }


def plays_whole_pieces(config: TrainConfig) -> bool:
    """Whether the policy sees all actions of the piece so far, as lstm, transformer and wavenet do."""
    if config.is_user_policy:
        return plays_sequences(imported_policy(config.policy))
    return config.policy in SEQUENCE_POLICIES


def import_run_policy(config: TrainConfig, run_folder: Path, *, trust: bool) -> None:
    """Import the policy class of a run, where that is a user's own; environments and agent need it.

    Raises:
        UntrustedError: when its code is of somebody else and not trusted.
        ConfigError: when it cannot be imported or is no policy.
    """
    if config.is_user_policy:
        require_policy_trust(policy_spec(config.policy), run_folder, trust=trust)
        import_policy(config.policy)


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
    if config.is_user_policy:
        return _build_user_agent(config, env, arguments)
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
    arguments |= {
        "prior_kl_coef": config.prior_kl_coef or 0.0,
        "prior_kl_target": config.prior_kl_target,
        "policy_kwargs": {"backbone": config.policy, "network_config": sizes},
    }
    model = _sequence_algorithm(config, arguments)(SequencePolicy, env, **arguments)
    if prior is not None:
        prior.initialise(model.policy)
    return model


def _sequence_algorithm(config: TrainConfig, arguments: dict[str, Any]) -> type[SequenceComposerPPO]:
    """The class that trains a sequence policy; what it takes more than others is added to the arguments."""
    if config.algorithm == "ppo":
        return SequenceComposerPPO
    arguments |= {"algorithm": config.algorithm, "best_of": config.best_of}
    return WholePiecePPO


def set_arithmetic(config: TrainConfig, model: ComposerPPO) -> None:
    """Set how a sequence model computes its updates, which a saved model does not hold."""
    if isinstance(model, SequenceComposerPPO):
        on_gpu = model.device.type == "cuda"
        model.amp = on_gpu and has_bfloat16(model.device) if config.amp is None else config.amp
        model.compiles = on_gpu if config.compile is None else config.compile


def _build_user_agent(config: TrainConfig, env: PianoVecEnv, arguments: dict[str, Any]) -> ComposerPPO:
    """The run's agent with a policy of the user's own.

    Raises:
        ConfigError: when it cannot be constructed, plays no actions, or cannot be saved.
    """
    spec, policy_class = policy_spec(config.policy), imported_policy(config.policy)
    sequences = plays_sequences(policy_class)
    if config.lyrics is not None and not sequences and config.clone_epochs:
        raise ConfigError(f"clone_epochs must be 0 with lyrics, which real music has not, for policy {config.policy!r}")
    if config.algorithm != "ppo" and not sequences:
        raise ConfigError(f"algorithm {config.algorithm} needs a policy on sequences, which {config.policy!r} is not")
    algorithm = _sequence_algorithm(config, arguments) if sequences else ComposerPPO
    who = f"policy {config.policy!r}"
    try:
        with guarded(f"{who}: creating it", ConfigError):
            model = algorithm(policy_class, env, policy_kwargs=dict(spec.args), **arguments)
        check_saveable(model)
        if not sequences:
            with guarded(f"{who}: trying it", ConfigError):
                _try_policy(model, config)
    except ConfigError:
        raise
    except Exception as error:  # a user's class may raise anything
        raise ConfigError(f"{who}: cannot be used: {type_and_message(error)}") from error
    return model


def _try_policy(model: ComposerPPO, config: TrainConfig) -> None:
    """Play as in a rollout and as in an evaluation, and ask for a likelihood if the run begins with behaviour cloning.

    Neither random states nor what the policy counts in training mode are changed.
    """
    arguments = environment_arguments(config)
    pianos = PianoVecEnv(1, **{**arguments, "bars": 1 if config.lyrics is None else None})
    observations, masks = pianos.reset(), pianos.action_masks()
    with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []), torch.no_grad():
        model.policy.set_training_mode(False)
        actions, _, _ = model.act(observations, masks)
        model.predict(observations, action_masks=masks)
        tensors, played = obs_as_tensor(observations, model.device), torch.as_tensor(actions, device=model.device)
        legal = torch.as_tensor(masks, device=model.device)
        model.policy.evaluate_actions(tensors, played, action_masks=legal)  # type: ignore[arg-type]  # as SB3 calls it
        pianos.step(actions)
        if not config.clone_epochs:
            return
        try:
            model.policy.get_distribution(tensors, masks).log_prob(played)
        except Exception as error:  # as above
            raise ConfigError(
                f"clone_epochs must be 0, as policy {config.policy!r} has no get_distribution(observations, masks) "
                f"with a log_prob: {type_and_message(error)}"
            ) from error


def policy_class_of(config: TrainConfig) -> PolicyClass | None:
    """The imported class of a run's policy; None where that is Toccata's own."""
    return imported_policy(config.policy) if config.is_user_policy else None


def load_agent(
    path: Path, config: TrainConfig, device: torch.device, *, run_folder: Path | None = None, trust: bool = False
) -> ComposerPPO:
    """A saved model of a run, to play.

    Args:
        path: of the file.
        config: of the run.
        device: where the model is put.
        run_folder: of the run, by default that of `path`; its signature tells whether this user made it.
        trust: import a policy class that somebody else's run names.

    Raises:
        UntrustedError: for a policy class of somebody else that is not trusted.
        ModelError: naming the file, when it is missing or damaged.
        RunError: naming it, when it is no model of a run with these settings.
    """
    import_run_policy(config, run_folder or path.parent, trust=trust)
    model = load_model(path, device, policy_class=policy_class_of(config))
    policy = model.policy
    if config.is_user_policy:
        return model
    kind = policy.network_config.backbone if isinstance(policy, SequencePolicy) else policy.features
    if kind != config.policy or policy.piano != Piano():
        raise RunError(f"{path}: is no model of this run: its policy is {kind!r}, config.json says {config.policy!r}")
    genres: Any = policy.genres
    if genres != config.all_genres:
        ours, theirs = ", ".join(genres), ", ".join(config.all_genres)
        raise RunError(f"{path}: is no model of this run: its genres are {ours}, those of config.json {theirs}")
    return model
