"""A training run from its configuration to its run folder."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat

from toccata.agents.devices import resolve_device
from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.prior.behaviour_cloning import clone_sequences, clone_steps
from toccata.agents.prior.prior import frozen
from toccata.agents.runs.builders import (
    build_agent,
    build_envs,
    environment_arguments,
    excerpt_dataset,
    load_agent,
    with_absolute_paths,
)
from toccata.agents.runs.callbacks import (
    CheckpointCallback,
    DiscriminatorCallback,
    MetricsCallback,
    StopBetweenRollouts,
)
from toccata.agents.runs.config import NO_PRIOR, RENEWABLE, SEQUENCE_POLICIES, TrainConfig
from toccata.agents.runs.progress import Progress, ProgressWriter
from toccata.agents.runs.random_state import random_state, set_random_state
from toccata.agents.runs.rewards_file import load_rewards, save_rewards, with_corpus_limits
from toccata.agents.runs.run_folder import Checkpoint, Run, RunError
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.reward_model import RewardModelError
from toccata.options import ConfigError
from toccata.reward_models import WeightedSum, parse_rewards

STATE_FILE = "state.json"  # in a checkpoint: random states, and values logged since the last row
ENVS_FILE = "envs.npz"
# Learning rates of behaviour cloning; small for a prior, so that it is not overwritten
RANDOM_INIT_LEARNING_RATE, PRIOR_LEARNING_RATE = 1e-3, 5e-4


@dataclass
class Training:
    """A run in progress."""

    run: Run
    model: ComposerPPO
    env: PianoVecEnv
    rewards: WeightedSum
    music: ExcerptDataset
    rng: np.random.Generator  # of the real excerpts that the discriminator is trained on
    pending: dict[str, Any] = field(default_factory=dict)  # values that were logged since the last row

    def save(self) -> Path:
        """Write a checkpoint, and copy its model and reward models to the run folder."""
        step = int(self.model.num_timesteps)
        checkpoint = self.run.checkpoint(step)
        with checkpoint as folder:
            self.model.save(folder / "model.zip")
            (folder / "reward_models").mkdir()
            save_rewards(self.rewards, self.run.config, folder / "reward_models")
            np.savez(folder / ENVS_FILE, **self.env.state())  # type: ignore[arg-type]  # mypy takes the arrays for options
            state = {
                "timesteps": step,
                "random": random_state(music=self.rng),
                "envs": self.env.random_state(),
                "logged": logged(self.model.logger),
            }
            (folder / STATE_FILE).write_text(json.dumps(state))
        publish(checkpoint, self.run.folder)
        return checkpoint.folder

    def restore(self, folder: Path) -> None:
        """Set environments and random states to those of the checkpoint `folder`."""
        with np.load(folder / ENVS_FILE, allow_pickle=False) as arrays:
            self.env.set_state(dict(arrays))
        state = json.loads((folder / STATE_FILE).read_text())
        self.env.set_random_state(state["envs"])
        set_random_state(state["random"], music=self.rng)
        self.pending = state["logged"]


def logged(logger: Logger) -> dict[str, Any]:
    """Values logged since the last row, by name: the value, and the outputs that it is excluded from."""
    return {
        name: [value.item() if isinstance(value, np.generic) else value, logger.name_to_excluded[name]]
        for name, value in logger.name_to_value.items()
    }


def publish(checkpoint: Checkpoint, folder: Path) -> None:
    """Make a checkpoint's model and reward models the run's own; each file is replaced whole."""
    part = folder / "model.zip.part"
    shutil.copyfile(checkpoint.folder / "model.zip", part)
    part.replace(folder / "model.zip")
    shutil.copytree(checkpoint.folder / "reward_models", folder / "reward_models", dirs_exist_ok=True)


def train(config: TrainConfig, command: Sequence[str] = (), console: Console | None = None) -> Run:
    """Train an agent, or resume the run folder `config.resume`.

    A run is resumed with its own settings: `Run.open(folder).config.resumed(folder)`.

    Returns:
        the run, finished.

    Raises:
        RunError, ConfigError, CorpusError, RewardSpecError: before anything is written, when it cannot be run.
        RewardModelError: when a reward model fails while training; the run is saved first.
        KeyboardInterrupt: after Ctrl-C; the message says what is saved and how to resume.
    """
    console = console or Console(stderr=True)
    start = _new if config.resume is None else _resumed
    training, has_reference = start(config, command, console)
    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    ) as bar:
        if not has_reference:
            _make_reference(training, bar)
        _run_ppo(training, bar)
    return training.run


def _new(
    config: TrainConfig, command: Sequence[str], console: Console, run: Run | None = None
) -> tuple[Training, bool]:
    """A new run without a reference policy yet; in the folder of `run` if that was made before."""
    if run is None:
        Run.refuse_existing(config.run_dir)
        config = with_absolute_paths(config)
    device = resolve_device(config.device)
    env = build_envs(config)
    rewards = parse_rewards(config.rewards)
    music = excerpt_dataset(config, "train")
    rewards = with_corpus_limits(music, rewards, config.seed)
    model = build_agent(config, env, rewards, device)
    if run is None:
        run = Run.create(config, command)
        console.print(f"run folder [bold]{escape(str(run.folder))}[/bold]", soft_wrap=True)
    save_rewards(rewards, config, run.folder / "reward_models")
    return Training(run, model, env, rewards, music, np.random.default_rng([config.seed, 1])), False


def _make_reference(training: Training, bar: Bar) -> None:
    """Fit the policy of a new run to real music by behaviour cloning, and save it as the reference policy."""
    config, model, folder = training.run.config, training.model, training.run.folder
    if config.clone_epochs:
        task = bar.add_task("behaviour cloning", total=1.0, note="")
        try:
            losses = _cloning(config)(
                model.policy,
                training.music,
                epochs=config.clone_epochs,
                rng=np.random.default_rng([config.seed, 2]),
                learning_rate=RANDOM_INIT_LEARNING_RATE if config.prior == NO_PRIOR else PRIOR_LEARNING_RATE,
                on_batch=lambda done, loss: bar.update(task, completed=done, note=f"{loss:.2f} nats an action"),
            )
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(f"stopped before PPO; start again with --resume {folder}") from stop
        (folder / "cloning.json").write_text(json.dumps({"nats_per_action": losses}, indent=2) + "\n")
    model.save(training.run.reference_path)
    set_reference(config, model, model)


def _cloning(config: TrainConfig) -> Callable[..., list[float]]:
    """The function that clones real music into the run's policy."""
    if config.policy in SEQUENCE_POLICIES:
        return clone_sequences
    return partial(clone_steps, environment=environment_arguments(config))


def set_reference(config: TrainConfig, model: ComposerPPO, start: ComposerPPO) -> None:
    """Make a frozen copy of the network of `start` the reference of `model`, unless it is randomly initialised."""
    random_start = config.prior == NO_PRIOR and not config.clone_epochs
    if isinstance(model, SequenceComposerPPO) and isinstance(start, SequenceComposerPPO) and not random_start:
        reference = copy.deepcopy(start.policy.network)
        model.reference = frozen(reference).to(start.device)  # .to: a copied LSTM is in pieces on a GPU


def _resumed(config: TrainConfig, command: Sequence[str], console: Console) -> tuple[Training, bool]:
    """The run of `config.resume` at its last checkpoint, or from the beginning if it has none."""
    assert config.resume is not None
    run = Run.open(config.resume)
    if changed := config.settings_changed(run.config):
        raise ConfigError(
            f"{run.folder}: {changed[0]} is {getattr(run.config, changed[0])!r} in this run; "
            f"only {', '.join(RENEWABLE)} may change when it is resumed"
        )
    checkpoint = run.last_checkpoint()
    if checkpoint is None:
        run.renew(config, command)
        console.print(f"{escape(str(run.folder))} has no checkpoint: starting again", soft_wrap=True)
        return _new(config, command, console, Run(run.folder, config))
    device = resolve_device(config.device)
    env = build_envs(config)
    rewards = load_rewards(checkpoint / "reward_models")
    music = excerpt_dataset(config, "train")
    try:
        model = load_agent(checkpoint / "model.zip", config, device, env=env, force_reset=False)
        model.reward_model = rewards
        set_reference(config, model, load_agent(run.reference_path, config, device))
        training = Training(Run(run.folder, config), model, env, rewards, music, np.random.default_rng())
        training.restore(checkpoint)
    except RunError:
        raise
    except Exception as error:  # damaged files fail in many ways inside torch and numpy
        raise RunError(f"{checkpoint}: not a readable checkpoint: {type(error).__name__}: {error}") from error
    run.renew(config, command)
    console.print(f"resuming [bold]{escape(str(run.folder))}[/bold] at step {model.num_timesteps:,}", soft_wrap=True)
    return training, True


def _run_ppo(training: Training, bar: Bar) -> None:
    """PPO for the remaining steps; the run is saved at the end, also after Ctrl-C or a failing reward."""
    config, model, folder = training.run.config, training.model, training.run.folder
    done = model.num_timesteps
    if done >= config.total_timesteps:
        bar.console.print(f"nothing to do: {done:,} steps are done; set more with --total-timesteps")
        return
    progress = Progress(folder / "progress.csv", done)
    model.set_logger(Logger(str(folder), [ProgressWriter(progress), TensorBoardOutputFormat(str(folder))]))
    for name, (value, excluded) in training.pending.items():
        model.logger.record(name, value, excluded)
    task = bar.add_task("PPO", total=config.total_timesteps, completed=done, note="")

    def on_rollout(step: int, values: dict[str, float]) -> None:
        note = f"reward {values['reward/total']:.2f}" if "reward/total" in values else ""
        bar.update(task, completed=min(step, config.total_timesteps), note=note)

    callbacks: list[BaseCallback] = [
        DiscriminatorCallback(model, training.music, training.rng)  # type: ignore[arg-type]  # update makes it a Realism
        for model in training.rewards.models.values()
        if config.train_realism and hasattr(model, "update")
    ]
    callbacks += [MetricsCallback(on_rollout), CheckpointCallback(training.save, config.checkpoint_every)]
    resume = f"resume with --resume {folder}"
    with StopBetweenRollouts() as stop:
        try:
            model.learn(
                config.total_timesteps - done,
                CallbackList([*callbacks, stop]),
                log_interval=1,
                reset_num_timesteps=done == 0,
            )
        except KeyboardInterrupt as interrupt:
            if not stop.between_rollouts:
                raise KeyboardInterrupt(f"stopped at once, at the last checkpoint; {resume}") from interrupt
            training.save()
            raise KeyboardInterrupt(f"stopped and saved at step {model.num_timesteps:,}; {resume}") from interrupt
        except RewardModelError as error:
            training.save()
            raise RewardModelError(f"{error}; the run is saved in {folder}, {resume}") from error
    training.save()
    bar.update(task, completed=config.total_timesteps)
