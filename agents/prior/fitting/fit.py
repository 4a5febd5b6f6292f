"""`toccata fit-prior`: fits a prior to real music, and writes it with a report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from shlex import quote

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from toccata.agents.devices import has_bfloat16, resolve_device
from toccata.agents.policies.sequence_network import DEFAULT_NETWORKS, NetworkConfig, SequenceNetwork, with_genres
from toccata.agents.prior.fitting.checkpoint import (
    checkpoint_folder,
    delete_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from toccata.agents.prior.fitting.dataset import PassageDataset, as_played
from toccata.agents.prior.fitting.fit_config import FitPriorConfig
from toccata.agents.prior.fitting.maximum_likelihood import FitResult, FitState, fit_network
from toccata.agents.prior.fitting.report import write_prior_report
from toccata.agents.prior.prior import Prior, PriorError, frozen
from toccata.agents.prior.trajectories import record_trajectories
from toccata.agents.splits import few_works_of_prior
from toccata.envs.instrument import Piano
from toccata.files import naming, whole_folder
from toccata.music.corpus import Corpus, load_corpus
from toccata.settings.genres import GENRES, genre_index, with_added
from toccata.settings.options import MAX_EPOCHS, ConfigError
from toccata.weights import CONFIG_FILE

DEFAULT_EPOCHS = 10
# Options that the saved prior leaves out: paths and devices of this machine, and what config.json has elsewhere
NOT_SAVED = (
    "data",
    "init_from",
    "out",
    "compare",
    "device",
    "backbone",
    "width",
    "layers",
    "heads",
    "genres",
    "resume",
)


def network_config(config: FitPriorConfig) -> NetworkConfig:
    """Kind and size of the network to fit: the backbone's defaults with the configured sizes and genres."""
    sizes = {name: getattr(config, name) for name in ("width", "layers", "heads") if getattr(config, name) is not None}
    return replace(DEFAULT_NETWORKS[config.backbone], genres=with_added(config.genres), **sizes)


def initial_network(config: FitPriorConfig) -> SequenceNetwork:
    """The network to fit, randomly initialised or with the weights of another prior.

    Raises:
        ConfigError: for sizes that do not fit together, and for too many genres.
        PriorError: as `load_prior`.
    """
    if config.init_from is not None:
        prior = load_prior(config.init_from)
        return with_genres(prior.network, with_added(config.genres, prior.genres)).requires_grad_(True)
    try:
        return SequenceNetwork(Piano(), network_config(config))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def load_prior(name: str, device: torch.device | str = "cpu") -> Prior:
    """A prior of the default piano, which works are encoded for.

    Raises:
        PriorError: for an unknown name, and for a prior of another piano.
        WeightsError: when its files are missing or damaged.
    """
    prior = Prior.load(name, device)
    if prior.piano != Piano():
        raise PriorError(f"prior {name}: plays another piano than the default one, which fit-prior encodes music for")
    return prior


def passage_datasets(
    corpus: Corpus, max_steps: int, genres: Sequence[str] = GENRES
) -> dict[str, PassageDataset | None]:
    """Datasets of the splits "train", "valid" and "test" of a corpus; None for a split without works.

    Raises:
        ConfigError: when the training split is empty, and for an unknown genre.
    """
    try:
        playable = replace(corpus, works=PassageDataset(corpus, genres=genres).works)
        splits = {name: playable.split(name) for name in ("train", "valid", "test")}
        played = as_played(playable)
        datasets = {
            name: PassageDataset(split, max_steps=max_steps, genres=genres, played=played) if len(split) else None
            for name, split in splits.items()
        }
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if datasets["train"] is None:
        raise ConfigError(f"all {len(playable)} works of corpus {corpus.name} are held out; it needs some more")
    return datasets


def fit_prior(config: FitPriorConfig, console: Console | None = None) -> Prior:
    """Fit a prior and write it and a report into `config.out`.

    Args:
        config: of the command.
        console: where progress and the table are shown; by default standard error.

    Raises:
        ConfigError, CorpusError, PriorError, WeightsError: before anything is written, when it cannot be fitted.
        OSError: naming the file that cannot be written; nothing is left in `config.out` then.
        KeyboardInterrupt: after Ctrl-C; the message says that no prior is written.
    """
    console = console or Console(stderr=True)
    if (config.out / CONFIG_FILE).exists():
        raise ConfigError(f"{config.out}: holds a prior already; choose another --out")
    checkpoint = checkpoint_folder(config.out)
    if checkpoint.exists() and not config.resume:
        raise ConfigError(
            f"{checkpoint}: holds an interrupted fit; go on with it by --resume, delete it, or choose another --out"
        )
    device = resolve_device(config.device)
    torch.manual_seed(config.seed)
    network = initial_network(config).to(device)
    compare = {name: load_prior(name, device) for name in config.compare}
    genres = network.config.genres
    try:
        genre_index(config.genre, genres)
    except ValueError as error:
        raise ConfigError(f"{error}; to add it: --genres {quote(config.genre)}") from error
    corpus = load_corpus(list(config.data), default_genre=config.genre)
    datasets = passage_datasets(corpus, config.max_steps, genres)
    train, test = datasets["train"], datasets["test"]
    assert train is not None  # passage_datasets checked
    works = {name: len(dataset.works) if dataset else 0 for name, dataset in datasets.items()}
    weights = sum(parameter.numel() for parameter in network.parameters())
    notes = sum(len(work.score) for work in train.works)
    fit = {
        "data": [Path(name).resolve().name for name in config.data],
        "works": works,
        "init_from": None if config.init_from is None else Path(config.init_from).name,
        "options": {name: value for name, value in asdict(config).items() if name not in NOT_SAVED},
    }
    which = {**fit, "network": {**asdict(network.config), "genres": list(genres)}, "notes": notes}
    resume = load_checkpoint(checkpoint, which) if config.resume else None
    with whole_folder(config.out, "add") as folder:  # before the fit: a folder that cannot be written fails at once
        if line := few_works_of_prior(corpus.name, works):
            console.print(f"warning: {line}", markup=False, highlight=False, soft_wrap=True)
        by_genre = Counter(work.genre for work in train.works)
        counts = ", ".join(f"{genre} {by_genre[genre]:,}" for genre in genres if by_genre[genre])
        console.print(f"{weights:,} weights, {len(train.works):,} works ({counts}), {notes:,} notes", highlight=False)
        try:
            result = _fit_with_progress_bar(
                network,
                train,
                datasets["valid"],
                notes,
                config,
                console,
                resume,
                lambda state: save_checkpoint(checkpoint, state, which),
            )
        except KeyboardInterrupt as stop:
            kept = "; go on with --resume" if checkpoint.exists() else ""
            raise KeyboardInterrupt(f"stopped; no prior is written{kept}") from stop
        losses = {"train": result.train_losses, "valid": result.valid_losses, "best_epoch": result.best_epoch}
        about = {**fit, "nats_per_action": losses}
        with naming(folder):
            Prior(frozen(network.cpu()), train.piano, about).save(folder)
        prior = Prior.load(folder, device)  # in the precision of the file
        write_prior_report(prior, train, test, folder, console, compare)
    delete_checkpoint(checkpoint)
    return prior


def _fit_with_progress_bar(
    network: SequenceNetwork,
    train: PassageDataset,
    valid: PassageDataset | None,
    notes: int,
    config: FitPriorConfig,
    console: Console,
    resume: FitState | None,
    save: Callable[[FitState], None],
) -> FitResult:
    """Fit the network with a progress bar, print the losses of each epoch, and save what it can be resumed from."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )
    task = bar.add_task("fitting", total=1.0, note="")
    bar.update(task, completed=resume.done if resume else 0.0)

    started, steps_done = time.monotonic(), 0

    def on_batch(done: float, loss: float, steps: int) -> None:
        nonlocal steps_done
        steps_done += steps
        speed = steps_done / (time.monotonic() - started)
        bar.update(task, completed=done, note=f"{loss:.2f} nats an action, {speed:,.0f} steps/s")

    def on_epoch(state: FitState) -> None:
        result = state.result
        validation = f", held out {result.valid_losses[-1]:.3f}" if result.valid_losses else ""
        line = f"epoch {len(result.train_losses)}: {result.train_losses[-1]:.3f} nats an action{validation}"
        bar.console.print(line, highlight=False)
        if state.done < 1:
            save(state)

    device = next(network.parameters()).device
    on_gpu = device.type == "cuda"
    is_transformer = network.config.backbone == "transformer"
    with bar:
        return fit_network(
            network,
            train,
            None if valid is None else record_trajectories(valid.first_passages(), valid.piano, valid.genres),
            epochs=config.epochs or (DEFAULT_EPOCHS if config.minutes is None else MAX_EPOCHS),
            epoch_notes=notes,
            seed=config.seed,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            batch_steps=config.batch_steps,
            row_steps=config.max_steps if on_gpu else 0,
            genre_dropout=config.genre_dropout,
            patience=config.patience,
            minutes=config.minutes,
            muon=True,
            amp=is_transformer and (has_bfloat16(device) if config.amp is None else config.amp),
            compiles=is_transformer and (on_gpu if config.compile is None else config.compile),
            workers=torch.get_num_threads() if on_gpu else 0,
            resume=resume,
            on_batch=on_batch,
            on_epoch=on_epoch,
        )
