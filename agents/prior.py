"""Priors: sequence networks that were fitted to real music, as files, and what they say of music."""

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

from toccata.agents.passages import Sequences
from toccata.agents.policies import JointDistribution
from toccata.agents.sequence_network import SequenceNetwork, Shape, tensors_of
from toccata.envs.instrument import Piano

WEIGHTS_FILE, CONFIG_FILE = "prior.safetensors", "config.json"
SHIPPED_FOLDER = Path(__file__).parent / "weights"
SHIPPED = ("transformer", "lstm")  # names of the priors that come with Toccata, one a backbone
ROWS = 16  # sequences that are judged in one pass


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


def log_prob(network: SequenceNetwork, piano: Piano, sequences: Sequences) -> list[np.ndarray]:
    """(length,) log-probabilities in nats of the actions of each sequence."""
    answer: list[np.ndarray] = [np.empty(0)] * len(sequences.lengths)
    order = np.argsort(sequences.lengths, kind="stable")
    for start in range(0, len(order), ROWS):
        rows = order[start : start + ROWS]
        with torch.no_grad():
            found = sequence_log_probs(network, JointDistribution(piano), sequences, rows).cpu().numpy()
        for row, values in zip(rows, found, strict=True):
            answer[row] = values[: sequences.lengths[row]]
    return answer


def kl_of_pieces(network: SequenceNetwork, other: SequenceNetwork, sequences: Sequences, piano: Piano) -> np.ndarray:
    """(n,) KL of `network` from `other` along each sequence: exact at every step, summed over its steps, in nats."""
    found = np.zeros(len(sequences))
    for start in range(0, len(sequences), ROWS):
        rows = np.arange(start, min(start + ROWS, len(sequences)))
        with torch.no_grad():
            ours = sequence_distributions(network, JointDistribution(piano), sequences, rows)
            theirs = sequence_distributions(other, JointDistribution(piano), sequences, rows)
            kl = ours.kl(theirs).view(len(rows), -1).cpu().numpy()
        inside = np.arange(kl.shape[1]) < sequences.lengths[rows, None]
        found[rows] = np.where(inside, kl, 0.0).sum(axis=1)
    return found


def sequence_log_probs(
    network: SequenceNetwork,
    distribution: JointDistribution,
    sequences: Sequences,
    rows: np.ndarray,
    genres: np.ndarray | None = None,
    amp: bool = False,
) -> torch.Tensor:
    """(rows, time) log-probabilities of the actions of some sequences; see `sequence_distributions`."""
    judged = sequence_distributions(network, distribution, sequences, rows, genres, amp)
    time = int(sequences.lengths[rows].max())
    device = judged.what_log_probs.device
    actions = torch.as_tensor(sequences.actions[rows, :time].reshape(-1, 2), device=device)
    return judged.log_prob(actions).view(len(rows), time)


def sequence_distributions(
    network: SequenceNetwork,
    distribution: JointDistribution,
    sequences: Sequences,
    rows: np.ndarray,
    genres: np.ndarray | None = None,
    amp: bool = False,
) -> JointDistribution:
    """The distributions, (rows * time), over the actions of some sequences; behind a sequence's end they mean nothing.

    Args:
        network: on any device.
        distribution: of the network's piano.
        sequences: to be judged.
        rows: (k,) which of them.
        genres: (k,) the genres that the network is told; None: each sequence's own.
        amp: compute in bfloat16 where that is safe.
    """
    device = next(network.parameters()).device
    time = int(sequences.lengths[rows].max())
    observations = {key: value[rows, :time] for key, value in sequences.observations.items()}
    if genres is not None:
        observations["genre"] = np.repeat(genres[:, None], time, axis=1)
    begins = torch.zeros(len(rows), time, dtype=torch.bool, device=device)
    begins[:, 0] = True
    with torch.autocast(device.type, torch.bfloat16, enabled=amp):
        logits, _ = network.whole(tensors_of(observations, device, time=True), begins)
    distribution.proba_distribution(logits.flatten(0, 1))
    distribution.apply_masking(sequences.mask_of(rows)[:, :time].reshape(len(rows) * time, -1))
    return distribution
