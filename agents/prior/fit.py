"""What `toccata fit-prior` does: real music in, a prior and a report on it out."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from toccata.agents.devices import resolve_device
from toccata.agents.policies.sequence_network import DEFAULT_NETWORKS, NetworkConfig, SequenceNetwork
from toccata.agents.prior.dataset import PassageDataset
from toccata.agents.prior.fit_config import FitPriorConfig
from toccata.agents.prior.maximum_likelihood import Fit, fit_network
from toccata.agents.prior.prior import Prior, PriorError, frozen
from toccata.agents.prior.report import write_prior_report
from toccata.agents.prior.trajectories import trajectories_of
from toccata.envs.instrument import Piano
from toccata.music.corpus import Corpus, load_corpus
from toccata.options import ConfigError
from toccata.weights import CONFIG_FILE


def network_config(config: FitPriorConfig) -> NetworkConfig:
    """The size of the network that the configuration asks for."""
    given = {name: getattr(config, name) for name in ("width", "layers", "heads") if getattr(config, name) is not None}
    return replace(DEFAULT_NETWORKS[config.backbone], **given)


def build_network(config: FitPriorConfig) -> SequenceNetwork:
    """The network to be fitted: of a prior, or noise.

    Raises:
        ConfigError, PriorError: when it cannot be made.
    """
    if config.start is not None:
        return load_prior(config.start).network.requires_grad_(True)
    try:
        return SequenceNetwork(Piano(), network_config(config))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def load_prior(name: str, device: torch.device | str = "cpu") -> Prior:
    """A prior of the piano that works are encoded for.

    Raises:
        PriorError: when it cannot be loaded, or is of another piano.
    """
    prior = Prior.load(name, device)
    if prior.piano != Piano():
        raise PriorError(f"prior {name}: plays another piano than the usual one, which fit-prior encodes music for")
    return prior


def passage_datasets(corpus: Corpus, max_steps: int) -> dict[str, PassageDataset | None]:
    """PassageDataset of the train, valid and test works of a corpus; None where a part has no work.

    Raises:
        ConfigError: when there is nothing to fit to, and for an unknown genre.
    """
    try:
        playable = replace(corpus, works=PassageDataset(corpus).works)
        parts = {name: playable.split(name) for name in ("train", "valid", "test")}
        music = {name: PassageDataset(part, max_steps=max_steps) if len(part) else None for name, part in parts.items()}
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if music["train"] is None:
        raise ConfigError(f"all {len(playable)} works of corpus {corpus.name} are held out; it needs some more")
    return music


def fit_prior(config: FitPriorConfig, console: Console | None = None) -> Prior:
    """Fit a prior as `config` says, write it and a report into `config.out`.

    Args:
        config: what to do.
        console: where progress and the table are shown; by default standard error.

    Raises:
        ConfigError, CorpusError, PriorError: before anything is written, when it cannot be fitted.
        KeyboardInterrupt: after Ctrl-C; the message says that no prior is written.
    """
    console = console or Console(stderr=True)
    if (config.out / CONFIG_FILE).exists():
        raise ConfigError(f"{config.out}: holds a prior already; choose another --out")
    device = resolve_device(config.device)
    torch.manual_seed(config.seed)
    network = build_network(config).to(device)
    beside = {name: load_prior(name, device) for name in config.beside}
    music = passage_datasets(load_corpus(list(config.data)), config.max_steps)
    train, test = music["train"], music["test"]
    assert train is not None  # passage_datasets checked
    try:
        config.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{config.out}: cannot be made: {error.strerror}") from None
    weights = sum(parameter.numel() for parameter in network.parameters())
    notes = sum(len(work.score) for work in train.works)
    console.print(f"{weights:,} weights, {len(train.works):,} works, {notes:,} notes", highlight=False)
    try:
        fit = _fit_under_a_bar(network, train, music["valid"], notes, config, console)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt("stopped; no prior is written") from stop
    unsaid = ("data", "start", "out", "beside", "device")  # what says nothing of the prior, or of someone's machine,
    sizes = ("backbone", "width", "layers", "heads")  # and what the network's own shape tells
    about = {
        "data": [Path(name).resolve().name for name in config.data],
        "works": {name: len(part.works) if part else 0 for name, part in music.items()},
        "nats_per_action": {"train": fit.train, "valid": fit.valid, "best_epoch": fit.best},
        "start": None if config.start is None else Path(config.start).name,
        "options": {name: value for name, value in asdict(config).items() if name not in unsaid + sizes},
    }
    Prior(frozen(network.cpu()), train.piano, about).save(config.out)
    prior = Prior.load(config.out, device)  # in the precision of the file
    write_prior_report(prior, train, test, config.out, console, beside)
    return prior


def _fit_under_a_bar(
    network: SequenceNetwork,
    train: PassageDataset,
    valid: PassageDataset | None,
    notes: int,
    config: FitPriorConfig,
    console: Console,
) -> Fit:
    """Fit the network; a bar shows how far it is, and a line each epoch how it went."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )
    task = bar.add_task("fitting", total=1.0, note="")

    def on_batch(done: float, loss: float) -> None:
        bar.update(task, completed=done, note=f"{loss:.2f} nats an action")

    def on_epoch(fit: Fit) -> None:
        held_out = f", held out {fit.valid[-1]:.3f}" if fit.valid else ""
        line = f"epoch {len(fit.train)}: {fit.train[-1]:.3f} nats an action{held_out}"
        bar.console.print(line, highlight=False)

    device = next(network.parameters()).device
    with bar:
        return fit_network(
            network,
            train,
            None if valid is None else trajectories_of(valid.whole(), valid.piano),
            epochs=config.epochs,
            epoch_notes=notes,
            rng=np.random.default_rng(config.seed),
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            batch_steps=config.batch_steps,
            genre_dropout=config.genre_dropout,
            patience=config.patience,
            amp=device.type == "cuda" if config.amp is None else config.amp,
            on_batch=on_batch,
            on_epoch=on_epoch,
        )
