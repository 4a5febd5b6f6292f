"""Typicality: how well a model of real music predicts a piece, in bits an action."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from toccata.envs.instrument import Piano
from toccata.envs.pieces import Pieces
from toccata.music.score import TICKS_PER_BEAT
from toccata.reward_models.typicality.action_model import ActionModel, action_bits, bits_an_action
from toccata.weights import load_weights, save_weights

SHIPPED = Path(__file__).parent.parent / "weights" / "typicality"
WEIGHTS_NAME = "typicality"


class Typicality:
    """A judge that no agent is rewarded by: bits an action of a piece under a model of real music.

    Real music lies in a band: pieces above it are less predictable than music, pieces below it more, such as one figure
    from beginning to end. No agent starts from this model or is trained towards it.

    Args:
        network: of the default piano.
    """

    name = "typicality"

    def __init__(self, network: ActionModel) -> None:
        self.network = network.eval().requires_grad_(False)

    def bits(self, pieces: Pieces) -> np.ndarray:
        """(n,) float64 bits an action, at least 0; of a piece without actions those of the uniform distribution."""
        return bits_an_action(self.network, pieces)

    def bits_by_window(self, pieces: Pieces, bars: int) -> list[np.ndarray]:
        """(windows,) float64 bits an action in each whole window of `bars` bars of the own part of each piece.

        An action belongs to the window in which it is played. It is predicted from all actions before, those of earlier
        windows included. A window in which no action is played has the bits of the uniform distribution.
        """
        uniform = np.log2(self.network.whats * self.network.values)
        values = np.array(Piano().values)
        results = []
        for piece, actions, bits in zip(pieces, pieces.actions, action_bits(self.network, pieces), strict=True):
            score = piece.score
            window_ticks = bars * score.ticks_per_bar * TICKS_PER_BEAT // score.ticks_per_beat
            windows = (score.length_ticks - piece.start_tick) // (bars * score.ticks_per_bar)
            rests = values[actions[:, 1]] * (actions[:, 0] == 0)
            window = (np.cumsum(rests) - rests) // window_ticks
            inside = window < windows
            counts = np.bincount(window[inside], minlength=windows)
            sums = np.bincount(window[inside], bits[inside], minlength=windows)
            results.append(np.where(counts, sums / np.maximum(counts, 1), uniform))
        return results

    def save(self, folder: str | PathLike[str], about: Mapping[str, Any]) -> None:
        """Write into `folder` what `load` reads; `about` goes into config.json."""
        config = {"width": self.network.gru.hidden_size, "layers": self.network.gru.num_layers, "fit": dict(about)}
        half = {name: tensor.half() for name, tensor in self.network.state_dict().items()}
        save_weights(folder, {WEIGHTS_NAME: half}, config)

    @classmethod
    def load(cls, folder: str | PathLike[str] | None = None) -> Typicality:
        """Read what `save` wrote; by default the shipped weights.

        Raises:
            WeightsError: when a file is missing, damaged or does not match its hash, naming it.
        """
        network, _ = load_weights(
            Path(SHIPPED if folder is None else folder),
            WEIGHTS_NAME,
            lambda config: ActionModel(Piano(), config["width"], config["layers"]),
        )
        return cls(network)
