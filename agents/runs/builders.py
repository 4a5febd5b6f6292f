"""Builders: music, environments, agent and device of a run, from its configuration."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from toccata.agents.policies.feedforward_policy import PianoPolicy
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.prior.prior import SHIPPED, Prior
from toccata.agents.runs.config import NO_PRIOR, SEQUENCE_POLICIES, TrainConfig
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.excerpts import RealMusic
from toccata.music.corpus import ALIASES, NAMED, Corpus, CorpusError, load_corpus
from toccata.options import ConfigError
from toccata.reward_models import WeightedSum


def corpus_of(config: TrainConfig) -> Corpus:
    """The works of the run's corpus that are of its genre.

    Raises:
        ConfigError: when the genre has no music and no folder is named.
        CorpusError: for a corpus that cannot be read, or has nothing of the genre.
    """
    sources = config.corpus or ALIASES.get(config.genre)
    if not sources:
        raise ConfigError(
            f"genre {config.genre!r} has no music of its own among music21's ({', '.join(ALIASES)} have); "
            "name a folder of MIDI files with --corpus"
        )
    try:
        corpus = load_corpus(list(sources))
    except CorpusError:  # perhaps a folder that names no genres: then all of it is of the run's
        corpus = load_corpus(list(sources), genre=config.genre)
    return corpus.genre(config.genre)


def findable(config: TrainConfig) -> TrainConfig:
    """The configuration with whole paths for its folders, so that the run can be used from any folder."""
    names = {*NAMED, *ALIASES}
    folders = {name: str(Path(name).absolute()) for name in config.corpus if name not in names and Path(name).is_dir()}
    prior = config.prior
    if prior not in (None, NO_PRIOR, *SHIPPED):
        prior = str(Path(prior).absolute())
    return replace(config, corpus=tuple(folders.get(name, name) for name in config.corpus), prior=prior)


def music_of(config: TrainConfig, part: str) -> RealMusic:
    """Excerpts, as long as the run's pieces, of the works that belong to "train", "valid" or "test".

    A corpus so small that nothing belongs there gives all of it.

    Raises:
        ConfigError: when nothing is in the run's metre; else as `corpus_of`.
    """
    corpus = corpus_of(config)
    try:
        return _excerpts(corpus.split(part), config)
    except ValueError:
        try:
            return _excerpts(corpus, config)
        except ValueError as error:
            raise ConfigError(f"corpus {corpus.name}: {error}") from error


def _excerpts(works: Corpus, config: TrainConfig) -> RealMusic:
    return RealMusic(
        works.scores,
        config.bars,
        beats_per_bar=config.beats_per_bar,
        tempo_bpm=config.tempo_bpm,
        genre=config.genre,
    )


def environment_of(config: TrainConfig) -> dict[str, Any]:
    """The arguments of the run's environment; its rewards are paid by the agent, a rollout at a time."""
    return {
        "bars": config.bars,
        "genre": config.genre,
        "beats_per_bar": config.beats_per_bar,
        "tempo_bpm": config.tempo_bpm,
        "reward_at": config.reward_at,
        "bars_per_reward": config.bars_per_reward,
        "observation": "actions" if config.policy in SEQUENCE_POLICIES else "full",
    }


def envs_of(config: TrainConfig) -> PianoVecEnv:
    """The environments that the run's agent plays in.

    Raises:
        ConfigError: for a genre, metre, tempo or length that the piano does not know.
    """
    try:
        return PianoVecEnv(config.num_envs, **environment_of(config))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def agent_of(config: TrainConfig, env: PianoVecEnv, rewards: WeightedSum, device: torch.device) -> ComposerPPO:
    """The run's agent, with the weights of its prior, or still noise.

    Raises:
        PriorError: when the prior cannot be loaded, or is of another kind.
    """
    prior = None if config.prior == NO_PRIOR else Prior.load(config.prior or config.policy)
    policy: type[PianoPolicy | SequencePolicy] = PianoPolicy
    kind: dict[str, Any] = {"features": config.policy}
    if config.policy in SEQUENCE_POLICIES:
        policy, kind = SequencePolicy, {"backbone": config.policy}
        if prior is not None:
            if prior.network.shape.backbone != config.policy:
                raise ConfigError(f"prior {config.prior}: is a {prior.network.shape.backbone}, not a {config.policy}")
            kind["shape"] = asdict(prior.network.shape)
            kind["shape"].pop("backbone")
    model = ComposerPPO(
        policy,
        env,
        reward_model=rewards,
        n_steps=config.n_steps,
        batch_size=config.batch_size,
        n_epochs=config.n_epochs,
        learning_rate=config.learning_rate,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip_range,
        ent_coef=config.ent_coef,
        target_kl=config.target_kl,
        kl_coef=config.kl_coef or 0.0,
        kl_target=config.kl_target,
        policy_kwargs=kind,
        seed=config.seed,
        device=device,
    )
    if prior is not None:
        model.policy.start_from(prior)  # type: ignore[operator]  # a SequencePolicy
    return model


def device_of(name: str) -> torch.device:
    """The device that `name` means.

    Raises:
        ConfigError: for one that does not exist here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device must be cpu, cuda, cuda:N or auto, got {name!r}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device {name!r}: there are {torch.cuda.device_count()} CUDA devices here; use cpu or auto")
    return device
