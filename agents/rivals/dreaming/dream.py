"""`toccata dream`: dreams of sound as files, with pictures and figures."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from toccata.agents.rivals.composer import RivalError
from toccata.agents.rivals.dreaming.config import DreamConfig
from toccata.agents.rivals.dreaming.mel_discriminator import MelCritic, real_windows
from toccata.agents.rivals.dreaming.pictures import draw_curves, draw_spectrograms
from toccata.agents.rivals.dreaming.regularisers import NONE, Regularisers
from toccata.agents.rivals.dreaming.sound_dream import SoundDreams, dream_sounds, spectral_flatness
from toccata.agents.runs.run_folder import next_free
from toccata.files import refuse_existing, whole_folder, write_atomically
from toccata.interrupts import Interrupted
from toccata.music.corpus import load_corpus
from toccata.music.sound.audio_files import write_wav
from toccata.music.sound.spectrogram import SAMPLE_RATE
from toccata.reward_models.rating.model import RatingModel

FOLDER = Path("dreams")  # where new folders go


def dream(config: DreamConfig, console: Console | None = None) -> SoundDreams:
    """Dream, and write the dreams; what is written is described in `DreamConfig`.

    Returns:
        the dreams that were written.

    Raises:
        FileError, WeightsError, CorpusError, RivalError: before anything is computed.
        Interrupted: when it was stopped, after what was reached is written.
    """
    console = console or Console()
    refuse_existing(config.out, "another --out")
    rating = RatingModel.load(config.rating)
    critic = _critic(config) if config.with_realism else None
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("dreaming", total=config.steps)
        dreams = dream_sounds(
            rating,
            regularisers_of(config),
            seconds=config.seconds,
            domain=config.domain,
            steps=config.steps,
            pieces=config.pieces,
            seed=config.seed,
            critic=critic,
            realism_weight=config.realism_weight,
            on_step=lambda step: bar.update(task, completed=step),
        )
    place = config.out or next_free(FOLDER, "realism" if config.with_realism else "dream")
    figures = figures_of(dreams)
    with whole_folder(place) as folder:
        _write(dreams, folder, {"settings": asdict(config), **figures})
    means = {name: np.mean(values) for name, values in dreams.final["sound"].items()}
    told = ", ".join(f"{name} {value:.2f}" for name, value in means.items())
    console.print(f"listen: {place}/dream-000.wav ...   {told}", soft_wrap=True, markup=False, highlight=False)
    if dreams.interrupted:
        raise Interrupted(f"stopped after {dreams.steps} of {config.steps} steps, which are in {place}")
    return dreams


def regularisers_of(config: DreamConfig) -> Regularisers:
    """Those that are wanted."""
    if not config.regularise:
        return NONE
    return Regularisers(**{name: getattr(config, name) for name in asdict(NONE)})


def figures_of(dreams: SoundDreams) -> dict[str, Any]:
    """What dream.json holds beside the settings."""
    return {
        "steps_done": dreams.steps,
        "final": {**dreams.final, "spectral_flatness": [spectral_flatness(sound) for sound in dreams.sounds]},
        "history": dreams.history,
    }


def _critic(config: DreamConfig) -> MelCritic:
    """A discriminator beside the training works of `corpus`."""
    scores = [score for name in config.corpus for score in load_corpus(name).split("train").scores]
    try:
        return MelCritic(real_windows(scores, np.random.default_rng([config.seed, 3])), config.seed)
    except ValueError as error:
        raise RivalError(f"corpus {' '.join(config.corpus)}: {error}") from None


def _write(dreams: SoundDreams, folder: Path, figures: dict[str, Any]) -> None:
    """The files of the dreams."""
    for number, sound in enumerate(dreams.sounds):
        write_wav(folder / f"dream-{number:03d}.wav", sound, SAMPLE_RATE)
        write_atomically(folder / f"dream-{number:03d}.png", draw_spectrograms(dreams.snapshots, number))
    write_atomically(folder / "ratings.png", draw_curves(dreams.history))
    write_atomically(folder / "dream.json", json.dumps(figures, indent=2, default=str).encode())
