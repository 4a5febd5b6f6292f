"""The reward `typicality`: 0 where a piece is as predictable as real music, less the further outside."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toccata.envs.instrument import Piano
from toccata.envs.pieces import Pieces
from toccata.reward_models.typicality.action_model import ActionModel, bits_an_action
from toccata.weights import load_weights, save_weights, sha256

SHIPPED = Path(__file__).parent.parent / "weights" / "typicality-reward"
WEIGHTS_NAME = "typicality"
PERCENTILES = 5, 95  # of real pieces: the band
WORST = -4.0  # widths of the band: random play is ten outside, samples of a prior at temperature 1 seldom one
MAX_BITS = 1000.0  # an action; the uniform distribution has 12.2


class TypicalityReward:
    """0 inside the band of real music's bits an action, minus the distance to the band in its widths outside, to -4.

    The band is the 5 to 95 % range of real pieces. Bits are those of a network that is a sibling of the judge of the
    same name: fitted to works that the judge was not fitted to, with another seed and of another size. A judge that
    pays cannot testify, so the judge itself rewards nobody.

    Args:
        network: of the default piano.
        low: lower end of the band, bits an action.
        high: upper end, greater than `low`.
        about: of the fit; it is saved.
    """

    name = "typicality"

    def __init__(self, network: ActionModel, low: float, high: float, about: Mapping[str, Any] | None = None) -> None:
        for value in (low, high):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MAX_BITS:
                raise ValueError(f"low and high must be bits an action in [0, {MAX_BITS:g}], got {value!r}")
        if not low < high:
            raise ValueError(f"low must be less than high, got {low} and {high}")
        self.network = network.eval().requires_grad_(False)
        self.low = float(low)
        self.high = float(high)
        self.about = dict(about or {})

    def bits(self, pieces: Pieces) -> np.ndarray:
        """(n,) float64 bits an action; of a piece without actions those of the uniform distribution, 12.2."""
        return bits_an_action(self.network, pieces)

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32 in [-4, 0]."""
        bits = self.bits(pieces)
        outside = np.maximum(0.0, np.maximum(self.low - bits, bits - self.high))
        return np.maximum(-outside / (self.high - self.low), WORST).astype(np.float32)

    def with_band_of(self, pieces: Pieces, low: float | None = None, high: float | None = None) -> TypicalityReward:
        """The same network with the band of real pieces, which should be as long as those to be scored.

        Args:
            pieces: real ones.
            low: an end of the band that is given.
            high: the other.

        Raises:
            ValueError: without a band: there are no pieces, or all have the same bits.
        """
        if not len(pieces):
            raise ValueError("a band of bits an action needs at least one real piece")
        real_low, real_high = np.percentile(self.bits(pieces), PERCENTILES).tolist()
        return TypicalityReward(
            self.network, real_low if low is None else low, real_high if high is None else high, self.about
        )

    def to(self, device: torch.device | str) -> TypicalityReward:
        """This model, whose network is moved to a device."""
        self.network.to(device)
        return self

    # Files

    def weights_hash(self) -> str:
        """SHA-256 of the weights, that of typicality.safetensors; see `toccata.weights`."""
        return sha256(self._half())

    def save(self, folder: str | PathLike[str]) -> None:
        """Write `typicality.safetensors`, in half precision, and `config.json`, which has the band, into `folder`."""
        sizes = {"width": self.network.gru.hidden_size, "layers": self.network.gru.num_layers}
        config = {**sizes, "low": self.low, "high": self.high, "fit": self.about}
        save_weights(folder, {WEIGHTS_NAME: self._half()}, config)

    def _half(self) -> dict[str, torch.Tensor]:
        """The weights in half precision."""
        return {name: tensor.half() for name, tensor in self.network.state_dict().items()}

    @classmethod
    def load(
        cls, folder: str | PathLike[str] | None = None, *, low: float | None = None, high: float | None = None
    ) -> TypicalityReward:
        """Read what `save` wrote; by default the weights that come with Toccata.

        Args:
            folder: of the weights.
            low: lower end of the band, by default as saved.
            high: upper end, likewise.

        Raises:
            WeightsError: naming the file, when it is missing, damaged or does not match its SHA-256.
            ValueError: for a band that is none.
        """
        network, config = load_weights(
            Path(SHIPPED if folder is None else folder),
            WEIGHTS_NAME,
            lambda config: ActionModel(Piano(), config["width"], config["layers"]),
        )
        saved: dict[str, Any] = {"low": config.get("low"), "high": config.get("high")}
        given = {end: value for end, value in (("low", low), ("high", high)) if value is not None}
        return cls(network, **{**saved, **given}, about=config.get("fit"))
