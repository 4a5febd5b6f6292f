"""Priors: frozen sequence networks that were fitted to real music, and their files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from toccata.agents.policies.sequence_network import SequenceNetwork, Shape
from toccata.agents.prior.likelihood import log_prob
from toccata.agents.prior.trajectories import Sequences
from toccata.envs.instrument import Piano

WEIGHTS_FILE, CONFIG_FILE = "prior.safetensors", "config.json"
SHIPPED_FOLDER = Path(__file__).parents[1] / "weights"
SHIPPED = ("transformer", "lstm")  # names of the priors that come with Toccata, one a backbone


class PriorError(ValueError):
    """A prior that cannot be loaded or used; the message names the file and the reason."""


@dataclass(frozen=True)
class Prior:
    """A frozen sequence network that knows real music.

    Attributes:
        network: in evaluation mode, without gradients.
        piano: its instrument.
        about: how it was fitted, as config.json tells it.
    """

    network: SequenceNetwork
    piano: Piano
    about: Mapping[str, Any]

    def save(self, folder: str | PathLike[str]) -> None:
        """Write `prior.safetensors` (float16) and `config.json` into `folder`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        weights = save({name: tensor.half().contiguous() for name, tensor in self.network.state_dict().items()})
        (folder / WEIGHTS_FILE).write_bytes(weights)
        config = {
            "network": asdict(self.network.shape),
            "piano": asdict(self.piano),
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
            "fit": dict(self.about),
        }
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, name: str | PathLike[str] = "transformer", device: torch.device | str = "cpu") -> Prior:
        """Read what `save` wrote.

        Args:
            name: a folder, or the name of a prior that comes with Toccata: transformer, lstm.
            device: where it is to run.

        Raises:
            PriorError: when a file is missing or broken, naming it.
        """
        folder = SHIPPED_FOLDER / f"prior-{name}" if name in SHIPPED else Path(name)
        if not folder.is_dir():
            raise PriorError(f"unknown prior {str(name)!r}: it must be {', '.join(SHIPPED)}, or a folder of fit-prior")
        for file in (CONFIG_FILE, WEIGHTS_FILE):
            if not (folder / file).is_file():
                raise PriorError(f"{folder}: no prior here, {file} is missing")
        try:
            saved = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
            shape, known_hash, about = Shape(**saved["network"]), saved["weights_sha256"], dict(saved["fit"])
            fields = {name: tuple(each) if isinstance(each, list) else each for name, each in saved["piano"].items()}
            piano = Piano(**fields)  # type: ignore[arg-type]  # it checks them itself
            network = SequenceNetwork(piano, shape)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            reason = " ".join(str(error).split())[:300]
            raise PriorError(f"{folder / CONFIG_FILE}: not the configuration of a prior: {reason}") from error
        try:
            network.load_state_dict(load_file(folder / WEIGHTS_FILE))  # copied into float32
        except (RuntimeError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:300]  # torch lists every tensor on a line of its own
            raise PriorError(f"{folder / WEIGHTS_FILE}: not the weights of this network: {reason}") from error
        if not all(torch.isfinite(tensor).all() for tensor in network.state_dict().values()):
            raise PriorError(f"{folder / WEIGHTS_FILE}: holds weights that are not finite")
        if hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest() != known_hash:
            raise PriorError(f"{folder / WEIGHTS_FILE}: not the weights whose hash is in {CONFIG_FILE}")
        return cls(frozen(network).to(device), piano, about)

    def log_prob(self, sequences: Sequences) -> list[np.ndarray]:
        """(length,) log-probabilities, in nats, of every action of each sequence, among those that were legal."""
        return log_prob(self.network, self.piano, sequences)


def frozen(network: SequenceNetwork) -> SequenceNetwork:
    """The network, in evaluation mode and without gradients."""
    return network.eval().requires_grad_(False)
