"""Fitting a DCGAN, or a WGAN-GP, to the pictures of each genre."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from toccata.agents.devices import resolve_device
from toccata.agents.prior.fitting.report import markdown_table
from toccata.agents.rivals.composer import RivalError
from toccata.agents.rivals.fitting.job import FitJob
from toccata.agents.rivals.fitting.state import (
    load_optimizer,
    load_state,
    optimizer_tensors,
    reading_state,
    save_state,
)
from toccata.agents.rivals.image_gan.losses import GAMES, Game
from toccata.agents.rivals.image_gan.networks import LATENT, Discriminator, Generator, sample
from toccata.agents.rivals.image_gan.pictures import LEVELS, training_pictures
from toccata.agents.rivals.image_gan.quality import PictureFigures, picture_figures
from toccata.envs.codec import encode
from toccata.music.score import Score
from toccata.weights import save_weights

EPOCHS = {"dcgan": 8, "wgan-gp": 4}  # unless the command says; about a minute a genre on one core
EPOCH_UPDATES = 50  # of the generator
BATCH = 16
SAMPLES = 64  # pictures that the figures of an epoch are of
SAMPLE_SEED = 0
PARTS = ("generator", "discriminator", "generator_optimizer", "discriminator_optimizer")


@dataclass
class Losses:
    """Mean losses of the fit of a genre by epoch, and the figures of pictures generated after it."""

    generator: list[float] = field(default_factory=list)
    discriminator: list[float] = field(default_factory=list)
    figures: list[dict[str, float]] = field(default_factory=list)  # of `PictureFigures`


class Players:
    """The two networks of a game and their optimizers.

    Args:
        game: which is played.
        device: where the networks are put.
    """

    def __init__(self, game: Game, device: torch.device) -> None:
        self.game, self.device = game, device
        self.generator = Generator().to(device)
        self.discriminator = Discriminator(game.batch_norm).to(device)
        self.generator_optimizer = torch.optim.Adam(self.generator.parameters(), game.generator_rate, game.betas)
        self.discriminator_optimizer = torch.optim.Adam(
            self.discriminator.parameters(), game.discriminator_rate, game.betas
        )

    def fit_epoch(self, pictures: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
        """Play `EPOCH_UPDATES` rounds; all that is random in them is drawn from `rng`.

        Args:
            pictures: (n, SIZE, SIZE) uint8 of `training_pictures`.
            rng: random number generator.

        Returns:
            the mean losses of generator and discriminator.
        """
        self.generator.train()
        losses = np.zeros((EPOCH_UPDATES, 2))
        for update in range(EPOCH_UPDATES):
            for _ in range(self.game.discriminator_updates):
                losses[update, 1] += self._update_discriminator(pictures, rng) / self.game.discriminator_updates
            loss = self.game.generator_loss(self.discriminator(self.generator(self._latent(rng))))
            self.generator_optimizer.zero_grad()
            loss.backward()
            self.generator_optimizer.step()
            losses[update, 0] = loss.item()
        self.generator.eval()
        of_generator, of_discriminator = losses.mean(axis=0).tolist()
        return of_generator, of_discriminator

    def _update_discriminator(self, pictures: np.ndarray, rng: np.random.Generator) -> float:
        """One update on a batch of real and one of generated pictures; returns the loss."""
        chosen = pictures[rng.integers(len(pictures), size=BATCH)]
        real = torch.as_tensor(chosen, device=self.device).float() / LEVELS
        with torch.no_grad():
            generated = self.generator(self._latent(rng))
        mix = torch.as_tensor(rng.random((BATCH, 1, 1), np.float32), device=self.device)
        loss = self.game.discriminator_loss(self.discriminator, real, generated, mix)
        self.discriminator_optimizer.zero_grad()
        loss.backward()
        self.discriminator_optimizer.step()
        return loss.item()

    def _latent(self, rng: np.random.Generator) -> Tensor:
        return torch.as_tensor(rng.standard_normal((BATCH, LATENT), np.float32), device=self.device)

    def state(self) -> dict[str, dict[str, Tensor]]:
        """All tensors, by `PARTS`."""
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "generator_optimizer": optimizer_tensors(self.generator_optimizer),
            "discriminator_optimizer": optimizer_tensors(self.discriminator_optimizer),
        }

    def load_state(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """The inverse of `state`."""
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        load_optimizer(self.generator_optimizer, state["generator_optimizer"])
        load_optimizer(self.discriminator_optimizer, state["discriminator_optimizer"])


def fit(job: FitJob) -> str:
    """Fit the two networks of `job.config.rival` for each genre, and write the generators with their figures.

    Returns:
        the text of the model card.

    Raises:
        RivalError: for a loss that is not finite.
        WeightsError: for a damaged checkpoint.
    """
    name = job.config.rival
    files: dict[str, dict[str, Tensor]] = {}
    about: dict[str, object] = {}
    figures: dict[str, tuple[PictureFigures, PictureFigures]] = {}
    for number, (genre, corpus) in enumerate(job.works.items()):
        rng = np.random.default_rng([job.config.seed, 0, *genre.encode()])
        pictures = training_pictures([_played(score) for score in corpus.split("train").scores], rng)
        generator, losses = _fit_genre(job, number, genre, pictures)
        files[genre] = {
            key: tensor.half() if tensor.is_floating_point() else tensor
            for key, tensor in generator.state_dict().items()
        }
        real = pictures[rng.integers(len(pictures), size=SAMPLES)].astype(np.float32) / LEVELS
        figures[genre] = picture_figures(sample(generator, SAMPLES, SAMPLE_SEED)), picture_figures(real)
        about[genre] = {"pictures": len(pictures), **vars(losses)}
    save_weights(job.folder, files, {"rival": name, "genres": about})
    return _card(name, figures, about, files)


def _played(score: Score) -> Score:
    """The score as the piano plays it."""
    return encode(score)[1].score


def _fit_genre(job: FitJob, number: int, genre: str, pictures: np.ndarray) -> tuple[Generator, Losses]:
    """The generator of the genre `number`, in evaluation mode."""
    name, seed = job.config.rival, job.config.seed
    epochs = job.config.epochs or EPOCHS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.default_rng([seed, 1, *genre.encode()]).integers(2**63)))
        players = Players(GAMES[name], resolve_device(job.config.device))
    losses, seconds = Losses(), 0.0
    kept = load_state(job.checkpoint / genre, PARTS) if job.config.resume else None
    if kept is not None:
        tensors, about = kept
        with reading_state(job.checkpoint / genre):
            players.load_state(tensors)
            losses, seconds = Losses(**about["losses"]), float(about["seconds"])
    started = time.monotonic() - seconds
    for epoch in range(len(losses.generator), epochs):
        if seconds >= job.seconds_per_genre:
            break
        of_generator, of_discriminator = players.fit_epoch(
            pictures, np.random.default_rng([seed, 2 + epoch, *genre.encode()])
        )
        if not np.isfinite([of_generator, of_discriminator]).all():
            raise RivalError(
                f"{name}: the loss of genre {genre} is not finite in epoch {epoch + 1}; try another --seed"
            )
        losses.generator.append(of_generator)
        losses.discriminator.append(of_discriminator)
        losses.figures.append(vars(picture_figures(sample(players.generator, SAMPLES, SAMPLE_SEED))))
        seconds = time.monotonic() - started
        save_state(job.checkpoint / genre, players.state(), {"losses": vars(losses), "seconds": seconds})
        note = f"{genre}: losses {of_generator:.2f}, {of_discriminator:.2f}"
        job.epoch_done(number, epoch + 1, epochs, seconds, note)
    return players.generator.eval(), losses


def _card(
    name: str,
    figures: Mapping[str, tuple[PictureFigures, PictureFigures]],
    about: Mapping[str, object],
    files: Mapping[str, Mapping[str, Tensor]],
) -> str:
    """The text of the model card."""
    game, weights = GAMES[name], sum(tensor.numel() for tensor in next(iter(files.values())).values())
    rows = [["genre", "pictures of", "notes", "sounding, %", "distance", "effective number"]]
    for genre, (generated, real) in figures.items():
        for kind, each in (("generated", generated), ("training", real)):
            shares = [f"{100 * each.sounding:.1f}", f"{each.distance:.2f}"]
            rows.append([genre, kind, f"{each.notes:.0f}", *shares, f"{each.effective:.1f}"])
    epochs = ", ".join(f"{genre} {len(each['generator'])}" for genre, each in about.items())  # type: ignore[index]  # JSON
    return "\n".join(
        [
            f"# Composer: {name}",
            "",
            f"For each genre a generator of pictures of 106 pitches by 106 sixteenths ({weights:,} weights, float16 in "
            "the files), fitted against a discriminator of about the same size with minibatch discrimination.",
            "",
            f"Adam, rates {game.generator_rate:g} and {game.discriminator_rate:g}, betas {game.betas[0]:g} and "
            f"{game.betas[1]:g}, batches of {BATCH}, {game.discriminator_updates} updates of the discriminator for "
            f"each of the generator; epochs of {EPOCH_UPDATES} updates: {epochs}. The last weights are kept.",
            "",
            f"Of {SAMPLES} pictures each: mean number of notes, share of pixels that sound, mean distance (one minus "
            "the cosine similarity of what sounds) and effective number of different pictures (Vendi score of the "
            "cosine similarities). A generator that has collapsed has less of both than the training pictures.",
            "",
            markdown_table(rows),
            "",
            "Limits: six bars and a half are all that a picture knows of a piece; longer pieces are unrelated pictures "
            "one after the other. Notes are moved to sixteenths. There is no likelihood.",
        ]
    )
