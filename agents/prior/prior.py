"""Priors: frozen sequence networks that were fitted to real music, and their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toccata.agents.policies.sequence_network import NetworkConfig, SequenceNetwork, with_genres
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.prior.likelihood import log_prob
from toccata.agents.prior.trajectories import Trajectories
from toccata.envs.instrument import Piano
from toccata.errors import ToccataError
from toccata.weights import load_weights, save_weights

WEIGHTS_NAME = "prior"
SHIPPED_FOLDER = Path(__file__).parents[1] / "weights"
SHIPPED = ("transformer", "lstm", "wavenet")  # names of the priors that come with Toccata, one for each backbone


class PriorError(ToccataError, ValueError):
    """A prior that is unknown or does not match; the message names it and says what is allowed."""


@dataclass(frozen=True)
class Prior:
    """A frozen sequence network fitted to real music.

    Attributes:
        network: in evaluation mode, without gradients.
        piano: its instrument.
        about: how it was fitted, the "fit" of config.json.
    """

    network: SequenceNetwork
    piano: Piano
    about: Mapping[str, Any]

    def save(self, folder: str | PathLike[str]) -> None:
        """Write `prior.safetensors` (float16) and `config.json` into `folder`."""
        config = {"network": asdict(self.network.config), "piano": asdict(self.piano), "fit": dict(self.about)}
        halves = {name: tensor.half() for name, tensor in self.network.state_dict().items()}
        save_weights(folder, {WEIGHTS_NAME: halves}, config)

    @classmethod
    def load(cls, name: str | PathLike[str] = "transformer", device: torch.device | str = "cpu") -> Prior:
        """Read what `save` wrote.

        Args:
            name: a folder, or the name of a prior that comes with Toccata: transformer, lstm, wavenet.
            device: where the network is put.

        Raises:
            PriorError: for an unknown name.
            WeightsError: when a file is missing, damaged, or has another SHA-256 than config.json, naming it.
        """
        folder = SHIPPED_FOLDER / f"prior-{name}" if name in SHIPPED else Path(name)
        if not folder.is_dir():
            raise PriorError(f"unknown prior {str(name)!r}: it must be {', '.join(SHIPPED)}, or a folder of fit-prior")
        network, config = load_weights(folder, WEIGHTS_NAME, _network)  # copied into float32
        return cls(frozen(network).to(device), _piano(config), dict(config["fit"]))

    @property
    def genres(self) -> tuple[str, ...]:
        """The genres it is conditioned on."""
        return self.network.config.genres

    def log_prob(self, trajectories: Trajectories) -> list[np.ndarray]:
        """(length,) log-probabilities in nats of the actions of each trajectory, normalised over the legal actions.

        Trajectories of genres that the prior does not know are unconditional.
        """
        return log_prob(self.network, self.piano, trajectories)

    def initialise(self, policy: SequencePolicy) -> None:
        """Copy the prior's weights into a policy, whose genres may be others; see `with_genres`.

        Raises:
            PriorError: when the policy is of another piano, or its network of another kind or size.
        """
        if self.piano != policy.piano:
            raise PriorError("the prior plays another piano than the environment has")
        network = with_genres(self.network, policy.genres)
        if network.config != policy.network.config:
            raise PriorError(
                f"the prior has another network, {self.network.config}, than the policy, {policy.network.config}"
            )
        policy.network.load_state_dict(network.state_dict())


def frozen(network: SequenceNetwork) -> SequenceNetwork:
    """The network, in evaluation mode and without gradients."""
    return network.eval().requires_grad_(False)


def _piano(config: Mapping[str, Any]) -> Piano:
    """The piano that a config.json describes."""
    fields: dict[str, Any] = {
        name: tuple(each) if isinstance(each, list) else each for name, each in config["piano"].items()
    }
    return Piano(**fields)


def _network(config: Mapping[str, Any]) -> SequenceNetwork:
    """The network that a config.json describes, randomly initialised."""
    if not isinstance(config["fit"], dict):
        raise ValueError("fit must be an object")
    return SequenceNetwork(_piano(config), NetworkConfig(**config["network"]))
