"""A training run from its configuration to its run folder."""

from __future__ import annotations

import copy
import json
import shlex
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.utils import set_random_seed

from toccata.agents.devices import resolve_device, resolve_reward_device
from toccata.agents.policies.user_policy import import_policy, policy_spec
from toccata.agents.ppo.composer_ppo import ComposerPPO, DivergenceError
from toccata.agents.ppo.model_file import load_model, save_model
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.prior.behaviour_cloning import clone_sequences, clone_steps
from toccata.agents.prior.prior import frozen
from toccata.agents.runs.builders import (
    build_agent,
    build_envs,
    environment_arguments,
    excerpt_dataset,
    import_run_policy,
    plays_whole_pieces,
    policy_class_of,
    set_arithmetic,
    with_absolute_paths,
    with_prior_genres,
)
from toccata.agents.runs.callbacks.rollouts import (
    CheckpointCallback,
    CombinationCallback,
    MetricsCallback,
    UpdateRewardsCallback,
)
from toccata.agents.runs.callbacks.user import (
    CallbackError,
    CallbackStop,
    StopBetweenRollouts,
    UserCallbacks,
    UserWriter,
)
from toccata.agents.runs.callbacks.watchdog import Watchdog, WatchdogCallback
from toccata.agents.runs.checkpoints import Training, read_state
from toccata.agents.runs.config import NO_PRIOR, RENEWABLE, TrainConfig
from toccata.agents.runs.logs.loggers import check_loggers, open_loggers, writers_of
from toccata.agents.runs.logs.media import PieceMedia
from toccata.agents.runs.logs.progress import Progress, ProgressWriter
from toccata.agents.runs.rewards_file import load_rewards, real_pieces, save_rewards, with_corpus_limits
from toccata.agents.runs.run_folder import Run, RunError
from toccata.agents.runs.trust import require_trust, sign_run
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.reward_model import RewardModelError
from toccata.errors import ToccataError, one_line
from toccata.files import write_atomically
from toccata.interrupts import Interrupted, on_signals
from toccata.reward_models import Combination, WeightedSum, combined, parse_rewards
from toccata.reward_models.learning import LearningRewardModel, check_learning, learns
from toccata.settings.options import ConfigError, shown
from toccata.user_code import mark_user_code, type_and_message

BEFORE_TRAINING = "start"  # in checkpoints/: what is published until there is a checkpoint
# Learning rates of behaviour cloning; small for a prior, so that it is not overwritten
RANDOM_INIT_LEARNING_RATE, PRIOR_LEARNING_RATE = 1e-3, 5e-4


class PolicyError(ToccataError, RuntimeError):
    """A policy of a user's own has raised while training; names it, and its error is the cause."""


def train(
    config: TrainConfig,
    command: Sequence[str] = (),
    console: Console | None = None,
    *,
    callbacks: BaseCallback | Sequence[BaseCallback] = (),
    logger: KVWriter | Logger | Sequence[KVWriter] = (),
) -> Run:
    """Train an agent, or resume the run folder `config.resume`.

    A run is resumed with its own settings: `Run.open(folder).config.resumed(folder)`.

    Args:
        config: the settings; `seeds` is for the command line, which trains a run for each.
        command: is written into the run folder.
        console: shows progress; by default that of standard error.
        callbacks: of Stable-Baselines3, called after the run's own. One that returns False stops training before the
            next rollout, as Ctrl-C does, and the run is saved. One that draws from the global random number generators
            changes the run.
        logger: log writers of Stable-Baselines3, or a `Logger` that has some, besides those of `config.logger`. They
            are left open.

    Returns:
        the run: finished, or stopped by a callback.

    Raises:
        RunError, ConfigError, CorpusError, RewardSpecError: before anything is written, when it cannot be run.
        RewardModelError: when a reward model fails while training; the run is saved first.
        CallbackError: when a callback or log writer raises, which is its cause; the run is saved first.
        PolicyError: when a policy of a user's own raises, which is its cause; the run is as at its last checkpoint.
        KeyboardInterrupt: after Ctrl-C; the message says what is saved and how to resume.
    """
    console = console or Console(stderr=True)
    callbacks = [callbacks] if isinstance(callbacks, BaseCallback) else list(callbacks)
    for callback in callbacks:
        if not isinstance(callback, BaseCallback):
            raise TypeError(f"callbacks must be Stable-Baselines3's BaseCallbacks, got {type(callback).__name__}")
    if config.seeds:
        raise ConfigError("seeds are for the command line; train makes one run, of `seed`")
    writers = writers_of(logger)
    check_loggers(config)
    with ExitStack() as stack:
        if config.resume is None:
            training, has_reference = _new(config, command, console, stack)
        else:
            training, has_reference = _resumed(config, command, console, stack)
        training.callbacks, training.writers = callbacks, writers
        started = f"resumed at step {training.model.num_timesteps:,}" if config.resume is not None else "started"
        training.run.log(started)
        try:
            _print_rewards(training, console)
            how = _train(training, has_reference, console)
        except KeyboardInterrupt as stop:
            training.run.log(str(stop) or "stopped")
            raise
        except BaseException as error:
            training.run.log(error)
            raise
        training.run.log(f"{how} at step {training.model.num_timesteps:,}")
    return training.run


def _print_rewards(training: Training, console: Console) -> None:
    """Say what is paid, which reward models learn, and what of them is not kept."""
    learning, rewards = _learning(training), training.rewards
    combination = f"{rewards.name} of " if isinstance(rewards, Combination) else ""
    terms = (", " if combination else " + ").join(
        f"{weight:g} x {term}" + (f" ({spec})" if str(spec) != term else "")
        for (term, weight), (spec, _) in zip(
            training.rewards.weights.items(), training.run.config.reward_specs, strict=True
        )
    )
    trained = f"; trained along: {', '.join(learning)}" if learning else ""
    thresholds = [f"{rewards.name}: {rewards.describe()}"] if isinstance(rewards, Combination) else []
    warnings = [f"warning: {each}" for each in training.warnings]
    for message in (f"reward: {combination}{terms}{trained}", *thresholds, *warnings):
        console.print(message, soft_wrap=True, markup=False, highlight=False)
        training.run.log(message)


def _check_learning(rewards: WeightedSum) -> list[str]:
    """Warnings about reward models whose state is not kept; RewardModelError for one that cannot be restored."""
    return [warning for term, model in rewards.models.items() for warning in check_learning(model, term)]


def _learning(training: Training) -> dict[str, LearningRewardModel]:
    """The reward models that are trained along with the agent, by term."""
    frozen_names = () if training.run.config.train_realism else ("realism",)
    specs = [spec.target.partition(":")[0] for spec, _ in training.run.config.reward_specs]
    return {
        term: model  # type: ignore[misc]  # which learns
        for name, (term, model) in zip(specs, training.rewards.models.items(), strict=True)
        if name not in frozen_names and learns(model)
    }


def _train(training: Training, has_reference: bool, console: Console) -> str:
    """Behaviour cloning, unless that is done, and PPO, under a progress bar; returns how it ended, for the log."""
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
        return _run_ppo(training, bar)


def _new(
    config: TrainConfig, command: Sequence[str], console: Console, stack: ExitStack, run: Run | None = None
) -> tuple[Training, bool]:
    """A new run without a reference policy yet; in the folder of `run` if that was made before.

    Its lock is held until `stack` ends.
    """
    if run is None:
        Run.refuse_existing(config.run_dir)
        config = with_prior_genres(with_absolute_paths(config))
        if config.is_user_policy:
            import_policy(config.policy)
    device = resolve_device(config.device)
    env = build_envs(config)
    set_random_seed(config.seed)  # of reward models that begin with random weights
    rewards = parse_rewards(config.rewards, resolve_reward_device(config.reward_device, device))
    warnings: list[str] = []
    music = excerpt_dataset(config, "train", warnings.append)
    rewards = with_corpus_limits(music, rewards, config)
    if config.combine != "sum":
        with console.status("scoring real pieces"):
            rewards = combined(config.combine, rewards, real_pieces(music, config.seed))
    warnings += _check_learning(rewards)
    model = build_agent(config, env, rewards, device)
    set_arithmetic(config, model)
    if run is None:
        run = Run.create(config, command)
        stack.enter_context(run.lock())
        policy = policy_spec(config.policy) if config.is_user_policy else None
        sign_run([spec for spec, _ in config.reward_specs], policy, run.folder)
        console.print(f"run folder [bold]{escape(str(run.folder))}[/bold]", soft_wrap=True)
    first = run.folder / "checkpoints" / BEFORE_TRAINING  # no checkpoint: it has the reward models only
    (first / "reward_models").mkdir(parents=True, exist_ok=True)
    save_rewards(rewards, config, first / "reward_models")
    run.publish(first)
    rng, progress = np.random.default_rng([config.seed, 1]), Progress(run.folder / "progress.csv")
    return Training(run, model, env, rewards, music, rng, progress, warnings, _watchdog(config, music)), False


def _watchdog(config: TrainConfig, music: ExcerptDataset) -> Watchdog | None:
    """The watchdog of a run, if it has one."""
    return None if config.on_collapse == "ignore" else Watchdog.of(music, config.seed)


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
            raise _interrupted(stop, f"stopped before PPO; start again with {resume_option(folder)}") from stop
        text = json.dumps({"nats_per_action": losses}, indent=2) + "\n"
        write_atomically(folder / "cloning.json", text.encode())
    save_model(model, training.run.reference_path)
    set_reference(config, model, model)


def _cloning(config: TrainConfig) -> Callable[..., list[float]]:
    """The function that clones real music into the run's policy."""
    if plays_whole_pieces(config):
        return clone_sequences
    return partial(clone_steps, environment=environment_arguments(config))


def set_reference(config: TrainConfig, model: ComposerPPO, start: ComposerPPO) -> None:
    """Make a frozen copy of the network of `start` the reference of `model`, unless it is randomly initialised."""
    random_start = config.prior == NO_PRIOR and not config.clone_epochs
    if isinstance(model, SequenceComposerPPO) and isinstance(start, SequenceComposerPPO) and not random_start:
        reference = copy.deepcopy(start.policy.network)
        model.reference = frozen(reference).to(start.device)  # .to: a copied LSTM is in pieces on a GPU


def _resumed(config: TrainConfig, command: Sequence[str], console: Console, stack: ExitStack) -> tuple[Training, bool]:
    """The run of `config.resume` at its last checkpoint, or from the beginning if it has none.

    That checkpoint is published again, as the run may have been stopped before it was. The run's lock is held until
    `stack` ends.
    """
    assert config.resume is not None
    run = Run.open(config.resume)
    if changed := config.settings_changed(run.config):
        raise ConfigError(
            f"{run.folder}: {changed[0]} is {getattr(run.config, changed[0])!r} in this run; "
            f"only {', '.join(RENEWABLE)} may change when it is resumed"
        )
    stack.enter_context(run.lock())
    checkpoint = run.last_checkpoint()
    import_run_policy(config, run.folder, trust=config.trust)
    if checkpoint is None:
        specs = [spec for spec, _ in config.reward_specs]
        require_trust(specs, run.folder / "config.json", run.folder, trust=config.trust)
        run.renew(config, command)
        console.print(f"{escape(str(run.folder))} has no checkpoint: starting again", soft_wrap=True)
        return _new(config, command, console, stack, Run(run.folder, config))
    device = resolve_device(config.device)
    env = build_envs(config)
    set_random_seed(config.seed)  # as in a new run
    reward_device = resolve_reward_device(config.reward_device, device)
    rewards = load_rewards(checkpoint / "reward_models", run.folder, trust=config.trust, device=reward_device)
    if len(rewards.models) != len(config.rewards):
        raise RunError(
            f"{run.folder}: config.json names {len(config.rewards)} rewards, rewards.json of {checkpoint.name} "
            f"{len(rewards.models)}; one of them was changed"
        )
    if rewards.name != config.combine:
        raise RunError(
            f"{run.folder}: config.json combines rewards by a {config.combine}, rewards.json of {checkpoint.name} by a "
            f"{rewards.name}; one of them was changed"
        )
    warnings: list[str] = []
    music = excerpt_dataset(config, "train", warnings.append)
    try:
        state, policy_class = read_state(checkpoint), policy_class_of(config)
        model = load_model(checkpoint / "model.zip", device, env, resume=True, policy_class=policy_class)
        model.reward_model = rewards
        set_arithmetic(config, model)
        set_reference(config, model, load_model(run.reference_path, device, policy_class=policy_class))
        progress = Progress(run.folder / "progress.csv", model.num_timesteps)
        warnings += _check_learning(rewards)
        run_now, rng = Run(run.folder, config), np.random.default_rng()
        training = Training(run_now, model, env, rewards, music, rng, progress, warnings, _watchdog(config, music))
        training.restore(checkpoint, state)
    except ToccataError:
        raise
    except Exception as error:  # damaged files fail in many ways inside torch and numpy
        raise RunError(f"{checkpoint}: not a readable checkpoint: {type(error).__name__}: {one_line(error)}") from error
    run.publish(checkpoint)
    if model.num_timesteps < config.total_timesteps:
        run.renew(config, command)
    console.print(f"resuming [bold]{escape(str(run.folder))}[/bold] at step {model.num_timesteps:,}", soft_wrap=True)
    return training, True


def _run_ppo(training: Training, bar: Bar) -> str:
    """PPO for the remaining steps; the run is saved at the end, also after a signal or a failing reward.

    Returns:
        how it ended, for the log.
    """
    config, model, folder = training.run.config, training.model, training.run.folder
    done = model.num_timesteps
    if done >= config.total_timesteps:
        bar.console.print(f"nothing to do: {done:,} steps are done; set more with --total-timesteps")
        return "nothing to do"
    writers = open_loggers(config, folder, done)
    users = [UserWriter(writer) for writer in training.writers]
    model.set_logger(Logger(str(folder), [ProgressWriter(training.progress), *writers, *users]))
    for name, (value, excluded) in training.pending.items():
        model.logger.record(name, value, excluded)
    task = bar.add_task("PPO", total=config.total_timesteps, completed=done, note="")

    def on_rollout(step: int, values: dict[str, float]) -> None:
        note = f"reward {values['reward/total']:.2f}" if "reward/total" in values else ""
        bar.update(task, completed=min(step, config.total_timesteps), note=note)

    media = PieceMedia(writers, model, environment_arguments(config), bar.console.print)

    def checkpoint(*, is_regular: bool = True) -> None:
        training.save(is_regular=is_regular)
        media.write()

    def say(message: str) -> None:
        bar.console.print(message, soft_wrap=True, markup=False, highlight=False)
        training.run.log(message)

    learning = _learning(training)
    callbacks: list[BaseCallback] = [UpdateRewardsCallback(learning, training.music, training.rng)]
    if isinstance(training.rewards, Combination):
        real = partial(real_pieces, training.music, config.seed)
        callbacks.append(CombinationCallback(training.rewards, real, learning))
    callbacks.append(MetricsCallback(on_rollout))
    if training.watchdog is not None:
        callbacks.append(WatchdogCallback(training.watchdog, training.run, config.on_collapse, say))
    callbacks.append(CheckpointCallback(checkpoint, config.checkpoint_every))
    user = UserCallbacks(training.callbacks)
    resume = f"resume with {resume_option(folder)}"
    between_rollouts = StopBetweenRollouts(user)
    with ExitStack() as stack:
        stack.callback(model.logger.close)
        stack.enter_context(on_signals(between_rollouts.on_signal))
        try:
            model.learn(
                config.total_timesteps - done,
                CallbackList([*callbacks, user, between_rollouts]),
                log_interval=1,
                # A run that was saved before its first rollout has begun its pieces already.
                reset_num_timesteps=done == 0 and model.last_observations is None,
            )
            between_rollouts.rollout_start = model.num_timesteps
            checkpoint(is_regular=False)
        except CallbackStop as stop:
            training.save()
            user.on_training_end()
            message = f"{stop} stopped training, saved at step {model.num_timesteps:,}; {resume}"
            bar.console.print(message, soft_wrap=True, markup=False, highlight=False)
            return f"stopped by {stop}"
        except KeyboardInterrupt as stop:
            if not between_rollouts.stopped:
                raise _interrupted(stop, f"stopped at once, at the last checkpoint; {resume}") from stop
            training.save()
            raise _interrupted(stop, f"stopped and saved at step {model.num_timesteps:,}; {resume}") from stop
        except (RewardModelError, CallbackError) as error:
            model.num_timesteps = between_rollouts.rollout_start  # the rollout was lost: it is played again
            try:
                training.save()
            except RewardModelError:  # of one whose state cannot be saved
                raise type(error)(f"{error}; the run is as at its last checkpoint, {resume}") from error
            raise type(error)(f"{error}; the run is saved in {folder}, {resume}") from error
        except DivergenceError as error:
            last = training.run.last_checkpoint()
            kept = "there is no checkpoint" if last is None else f"the last checkpoint, {last.name}, is kept; {resume}"
            raise DivergenceError(f"{error}; {kept}") from error
        except Exception as error:  # a user's policy may raise anything
            if not config.is_user_policy or isinstance(error, (ToccataError, OSError)):
                raise
            mark_user_code(error)
            why = f"policy {shown(config.policy)} raised {type_and_message(error)}"
            raise PolicyError(f"{why}; the run is as at its last checkpoint, {resume}") from error
    bar.update(task, completed=config.total_timesteps)
    return "finished"


def _interrupted(stop: KeyboardInterrupt, message: str) -> Interrupted:
    """The interrupt with a message that says how to go on."""
    return Interrupted(message, stop.signal) if isinstance(stop, Interrupted) else Interrupted(message)


def resume_option(folder: Path) -> str:
    """The option that resumes a run, as a shell takes it."""
    return f"--resume {shlex.quote(str(folder))}"
