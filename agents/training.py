"""A training run from its configuration to its run folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat

from toccata.agents.callbacks import CheckpointCallback, DiscriminatorCallback, ProgressWriter, WatchCallback
from toccata.agents.cloning import EXCERPTS, clone
from toccata.agents.config import ConfigError, TrainConfig
from toccata.agents.policies import PianoPolicy
from toccata.agents.ppo import ComposerPPO
from toccata.agents.run import Checkpoint, Progress, Run, random_state, set_random_state
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.core import GENRES, PianoCore
from toccata.envs.material import RealMusic
from toccata.envs.rewards import RewardModel, RewardModelError
from toccata.music.corpus import ALIASES, load_corpus
from toccata.reward_models import WeightedSum, load_reward

REWARDS_FILE = "rewards.json"  # in the run folder's reward_models/: which models, their weights and hashes
STATE_FILE = "state.json"  # in a checkpoint: chance, and where the environments' arrays are
ENVS_FILE = "envs.npz"


class TrainingInterrupted(Exception):  # noqa: N818  # it is no error
    """Training was stopped by Ctrl-C; what there was is saved."""


# What a run is made of


def corpus_of(config: TrainConfig, part: str) -> list[Any]:
    """The works of the run's corpus, genre and metre that belong to "train", "valid" or "test"."""
    sources = config.corpus or ALIASES.get(config.genre)
    if not sources:
        raise ConfigError(
            f"genre {config.genre!r} has no music of its own among music21's ({', '.join(ALIASES)} have); "
            "name a folder of MIDI files with --corpus"
        )
    works = load_corpus(list(sources), genre=config.genre)
    return list(works.split(part)) or list(works)


def music_of(config: TrainConfig, part: str) -> RealMusic:
    """Excerpts of the run's real music, as long as its pieces."""
    return RealMusic(
        [work.score for work in corpus_of(config, part)],
        config.bars,
        beats_per_bar=config.beats_per_bar,
        tempo_bpm=config.tempo_bpm,
    )


def environment_of(config: TrainConfig) -> dict[str, Any]:
    """The arguments of the run's environment; its rewards are paid by the agent, a rollout at a time."""
    return {
        "bars": config.bars,
        "genre": config.genre,
        "beats_per_bar": config.beats_per_bar,
        "tempo_bpm": config.tempo_bpm,
        "reward_at": config.reward_at,
    }


def save_rewards(rewards: WeightedSum, config: TrainConfig, folder: Path) -> None:
    """Write the reward models that have weights, and which they all are, into a run's reward_models/."""
    entries = []
    for (spec, weight), (term, model) in zip(config.rewards, rewards.models.items(), strict=True):
        entry: dict[str, Any] = {"term": term, "reward": spec, "weight": weight, "folder": None, "hash": None}
        if hasattr(model, "save"):
            model.save(folder / term)
            entry["folder"] = term
        if hasattr(model, "weights_hash"):
            entry["hash"] = model.weights_hash()
        entries.append(entry)
    (folder / REWARDS_FILE).write_text(json.dumps(entries, indent=2) + "\n")


def load_rewards(folder: Path) -> WeightedSum:
    """Read what `save_rewards` wrote.

    Raises:
        ConfigError: naming the file, when it is missing or is not such a list.
    """
    path = folder / REWARDS_FILE
    try:
        entries = json.loads(path.read_text())
        models: list[tuple[RewardModel, float]] = []
        for entry in entries:
            spec = entry["reward"]
            if entry["folder"] is not None:
                spec = f"{spec.partition(':')[0]}:{folder / entry['folder']}"
            models.append((load_reward(spec), float(entry["weight"])))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: not a readable list of rewards: {error}") from error
    return WeightedSum(models)


# Training


@dataclass
class Training:
    """A run in progress."""

    run: Run
    model: ComposerPPO
    env: PianoVecEnv
    rewards: WeightedSum
    music: RealMusic
    rng: np.random.Generator  # of the real excerpts that the discriminator hears

    def save(self) -> Path:
        """Write a checkpoint, and the newest model and reward models where evaluation looks for them."""
        step = int(self.model.num_timesteps)
        checkpoint = self.run.checkpoint(step)
        with checkpoint as folder:
            self.model.save(folder / "model.zip")
            (folder / "reward_models").mkdir()
            save_rewards(self.rewards, self.run.config, folder / "reward_models")
            np.savez(folder / ENVS_FILE, **self.env.state())
            state = {"timesteps": step, "random": random_state(music=self.rng), "envs": self.env.random_state()}
            (folder / STATE_FILE).write_text(json.dumps(state))
        publish(checkpoint, self.run.folder)
        return checkpoint.folder

    def restore(self, folder: Path) -> None:
        """Put environments and chance back to where the checkpoint `folder` was written."""
        with np.load(folder / ENVS_FILE, allow_pickle=False) as arrays:
            self.env.set_state(dict(arrays))
        state = json.loads((folder / STATE_FILE).read_text())
        self.env.set_random_state(state["envs"])
        set_random_state(state["random"], music=self.rng)


def publish(checkpoint: Checkpoint, folder: Path) -> None:
    """Make a checkpoint's model and reward models the run's own; each is replaced whole."""
    part = folder / "model.zip.part"
    shutil.copyfile(checkpoint.folder / "model.zip", part)
    part.replace(folder / "model.zip")
    shutil.copytree(checkpoint.folder / "reward_models", folder / "reward_models", dirs_exist_ok=True)


def train(config: TrainConfig, command: Sequence[str] = (), console: Console | None = None) -> Run:
    """Train as `config` says, or go on with `config.resume`.

    Returns:
        the run, finished.

    Raises:
        RunError, ConfigError, CorpusError, RewardSpecError: before anything is written, when it cannot be run.
        RewardModelError: when a reward model fails while training; the run so far is saved.
        TrainingInterrupted: after Ctrl-C; the run so far is saved.
    """
    console = console or Console(stderr=True)
    training = _resumed(config, console) if config.resume else _begun(config, command, console)
    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    ) as bar:
        if not config.resume:
            _clone(training, bar)
        _learn(training, bar)
    return training.run


def _begun(config: TrainConfig, command: Sequence[str], console: Console) -> Training:
    """A new run, its policy still noise."""
    if config.genre not in GENRES:
        raise ConfigError(_unknown_genre(config.genre))
    rewards = WeightedSum([(load_reward(spec), weight) for spec, weight in config.rewards])
    music = music_of(config, "train")
    run = Run.create(config, command)
    console.print(f"run folder [bold]{run.folder}[/bold]")
    env = PianoVecEnv(config.num_envs, **environment_of(config))
    model = ComposerPPO(
        PianoPolicy,
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
        policy_kwargs={"features": config.policy},
        seed=config.seed,
        device=config.device,
    )
    save_rewards(rewards, config, run.folder / "reward_models")
    return Training(run, model, env, rewards, music, np.random.default_rng([config.seed, 1]))


def _clone(training: Training, bar: Bar) -> None:
    """Let the policy of a new run learn to play real music, and keep what PPO starts from."""
    config, model = training.run.config, training.model
    if config.clone_epochs:
        task = bar.add_task("cloning real music", total=1.0, note="")
        losses = clone(
            model.policy,  # type: ignore[arg-type]
            training.music,
            PianoCore(EXCERPTS, **environment_of(config)),
            epochs=config.clone_epochs,
            rng=np.random.default_rng([config.seed, 2]),
            on_batch=lambda done, loss: bar.update(task, completed=done, note=f"{loss:.2f} nats an action"),
        )
        (training.run.folder / "cloning.json").write_text(json.dumps({"nats_per_action": losses}, indent=2) + "\n")
    model.save(training.run.start_path)


def _resumed(config: TrainConfig, console: Console) -> Training:
    """The run of `config.resume` as its last checkpoint has it."""
    assert config.resume is not None
    run = Run.open(config.resume)
    settings = replace(run.config, total_timesteps=max(config.total_timesteps, run.config.total_timesteps))
    checkpoint = run.last_checkpoint()
    rewards = load_rewards(checkpoint / "reward_models")
    music = music_of(settings, "train")
    env = PianoVecEnv(settings.num_envs, **environment_of(settings))
    env.reset()
    model = ComposerPPO.load(checkpoint / "model.zip", env=env, device=settings.device)
    model.reward_model = rewards
    run = Run(run.folder, settings)
    training = Training(run, model, env, rewards, music, np.random.default_rng())
    training.restore(checkpoint)
    console.print(f"resuming [bold]{run.folder}[/bold] at step {model.num_timesteps:,}")
    return training


def _learn(training: Training, bar: Bar) -> None:
    """PPO until the run's steps are done, saved at the end, however that comes."""
    config, model = training.run.config, training.model
    resumed = model.num_timesteps > 0
    progress = Progress(training.run.folder / "progress.csv", model.num_timesteps if resumed else None)
    outputs = [ProgressWriter(progress), TensorBoardOutputFormat(str(training.run.folder))]
    model.set_logger(Logger(str(training.run.folder), outputs))
    task = bar.add_task("composing", total=config.total_timesteps, completed=model.num_timesteps, note="")

    def on_rollout(step: int, logged: dict[str, float]) -> None:
        note = f"reward {logged['reward/total']:.2f}" if "reward/total" in logged else ""
        bar.update(task, completed=min(step, config.total_timesteps), note=note)

    callbacks = [WatchCallback(on_rollout), CheckpointCallback(training.save, config.checkpoint_every)]
    for realism in training.rewards.models.values():
        if config.train_realism and hasattr(realism, "update"):
            callbacks.insert(0, DiscriminatorCallback(realism, training.music, training.rng))
    remaining = config.total_timesteps - model.num_timesteps
    if remaining <= 0:
        bar.console.print(f"nothing to do: {model.num_timesteps:,} steps are done; ask for more with --total-timesteps")
        return
    try:
        model.learn(remaining, CallbackList(callbacks), log_interval=1, reset_num_timesteps=not resumed)
    except KeyboardInterrupt as error:
        training.save()
        raise TrainingInterrupted(f"stopped at step {model.num_timesteps:,}; saved in {training.run.folder}") from error
    except RewardModelError as error:
        training.save()
        raise RewardModelError(f"{error}; the run so far is saved in {training.run.folder}") from error
    training.save()
    bar.update(task, completed=config.total_timesteps)


def _unknown_genre(genre: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(genre, GENRES, 1)
    return f"unknown genre {genre!r}: it must be one of {', '.join(GENRES)}" + (
        f"; did you mean {near[0]!r}?" if near else ""
    )
