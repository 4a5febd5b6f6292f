"""The composers by name, and how each is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from toccata.agents.rivals.composer import Composer, RivalError
from toccata.settings.options import shown


@dataclass(frozen=True)
class Request:
    """What a composer is loaded for.

    Attributes:
        bars: of each piece.
        beats_per_bar: quarter notes in a bar.
        tempo_bpm: quarter notes a minute.
        folder: with weights of the user's own; None for those that come with Toccata.
        drafts: pieces that best-of-n chooses each from.
        temperature, top_p: of sampling, for composers that sample from a distribution of actions.
        device: where networks are put.
    """

    bars: int = 8
    beats_per_bar: float = 4
    tempo_bpm: float = 120
    folder: Path | None = None
    drafts: int = 16
    temperature: float = 1.0
    top_p: float = 0.95
    device: str = "cpu"


@dataclass(frozen=True)
class Rival:
    """An entry of the registry.

    Attributes:
        name: as `toccata compose --with` takes it.
        about: in a line.
        loader: `package.module:function` of a `Request`, which returns a `Composer`.
        fit: the command that fits it, or "" where there is nothing to fit.
        fitter: `package.module:function` of a `FitJob`, of those that `toccata fit-rival` fits.
    """

    name: str
    about: str
    loader: str
    fit: str = ""
    fitter: str = ""


RIVALS: dict[str, Rival] = {
    each.name: each
    for each in (
        Rival(
            "random",
            "uniformly random legal play",
            "toccata.agents.rivals.families.random_play:load",
        ),
        Rival(
            "markov",
            "a Markov chain of the last k actions, for each genre",
            "toccata.agents.rivals.families.markov:load",
            "toccata fit-rival markov",
            "toccata.agents.rivals.families.markov_fit:fit",
        ),
        Rival(
            "lstm",
            "the LSTM prior",
            "toccata.agents.rivals.families.priors:load_lstm",
            "toccata fit-prior --backbone lstm",
        ),
        Rival(
            "wavenet",
            "the prior of dilated causal convolutions",
            "toccata.agents.rivals.families.priors:load_wavenet",
            "toccata fit-prior --backbone wavenet",
        ),
        Rival(
            "transformer",
            "the transformer prior, from which agents start",
            "toccata.agents.rivals.families.priors:load_transformer",
            "toccata fit-prior",
        ),
        Rival(
            "best-of-n",
            "the best of n drafts of the transformer prior, by rating and realism",
            "toccata.agents.rivals.families.best_of_n:load",
        ),
        Rival(
            "dream",
            "gradient ascent on the rating, over probabilities of notes",
            "toccata.agents.rivals.dreaming.piano_dream:load",
        ),
        Rival(
            "dream-realism",
            "the same with a discriminator of real against dreamt notes trained along",
            "toccata.agents.rivals.dreaming.piano_dream:load_with_realism",
        ),
        Rival(
            "chord-lstm",
            "an LSTM over classes of notes and chords, for each genre",
            "toccata.agents.rivals.chord_lstm.model:load",
            "toccata fit-rival chord-lstm",
            "toccata.agents.rivals.chord_lstm.fit:fit",
        ),
        Rival(
            "dcgan",
            "a DCGAN over pictures of scores, for each genre",
            "toccata.agents.rivals.image_gan.model:load_dcgan",
            "toccata fit-rival dcgan",
            "toccata.agents.rivals.image_gan.fit:fit",
        ),
        Rival(
            "wgan-gp",
            "a Wasserstein GAN with gradient penalty over pictures of scores, for each genre",
            "toccata.agents.rivals.image_gan.model:load_wgan_gp",
            "toccata fit-rival wgan-gp",
            "toccata.agents.rivals.image_gan.fit:fit",
        ),
    )
}


def load_rival(spec: str, request: Request | None = None) -> Composer:
    """The composer that `spec` names.

    Args:
        spec: a name, or `name:FOLDER` with weights of the user's own.
        request: what it is loaded for; its folder is replaced by that of the spec.

    Raises:
        RivalError: for an unknown name, a folder that is not there, and one for a composer that is not fitted.
        WeightsError: for weights that are missing or damaged, naming the file.
    """
    request = request or Request()
    name, colon, place = spec.partition(":")
    if name not in RIVALS:
        near = get_close_matches(name, RIVALS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise RivalError(f"unknown composer {shown(name)}: it must be one of {', '.join(RIVALS)}{hint}")
    rival = RIVALS[name]
    if colon:
        if not place:
            raise RivalError(f"{shown(spec)}: has no folder after the colon; give {name}, or {name}:FOLDER")
        if not rival.fit:
            raise RivalError(f"{name}: is not fitted, so it takes no folder, got {shown(place)}")
        if not Path(place).is_dir():
            raise RivalError(f"{name}: no such folder of weights: {shown(place)}; fit them with: {rival.fit}")
    module, _, function = rival.loader.partition(":")
    load: Callable[[Request], Any] = getattr(import_module(module), function)
    fields = {**vars(request), "folder": Path(place) if colon else None}
    return load(Request(**fields))
