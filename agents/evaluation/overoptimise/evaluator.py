"""What all pieces of a study are evaluated by: one frozen proxy reward, the judges and the metrics."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.utils import set_random_seed

from toccata._version import __version__
from toccata.agents.evaluation.evaluate import read_rewards
from toccata.agents.evaluation.overoptimise.arms import OveroptimiseError
from toccata.agents.runs.rewards_file import REWARDS_FILE, load_rewards
from toccata.agents.runs.run_folder import Run
from toccata.agents.runs.training import BEFORE_TRAINING
from toccata.envs.pieces import Piece, Pieces
from toccata.envs.reward_model import total
from toccata.files import is_file, read_bytes
from toccata.music.metrics import CORE_METRICS, measure_each
from toccata.reward_models import Combination, WeightedSum
from toccata.reward_models.judges.panel import Panel

REWARD = "reward"  # the weighted sum
MAX_REWARDS_BYTES = 2**24  # of rewards.json


@dataclass(frozen=True)
class Evaluator:
    """One frozen proxy reward (Gao et al. 2022), the judges and the metrics.

    Attributes:
        rewards: the reward models, frozen.
        panel: the judges.
        described: the rewards in a line.
        identity: differs between evaluators that may say different things.
    """

    rewards: WeightedSum
    panel: Panel
    described: str
    identity: str

    def measure(self, pieces: list[Piece]) -> dict[str, np.ndarray]:
        """(n,) float64 by name: `reward`, `score/NAME` of each reward model, the judges, and the core metrics."""
        batch = Pieces(pieces)
        scores = self.rewards.scores(batch)
        weighted = {term: values.astype(float) for term, values in self.rewards.weighted(scores).items()}
        measured = {REWARD: total(weighted)} | {f"score/{term}": values for term, values in scores.items()}
        measured |= self.panel.judge(batch) | measure_each(batch.own, CORE_METRICS)
        return {name: np.asarray(values, np.float64) for name, values in measured.items()}


def read_evaluator(
    run: Run, rewards: tuple[tuple[str, float], ...] | None, seed: int, device: torch.device, *, trust: bool
) -> Evaluator:
    """The rewards of a run as they were at its start, or those that were named.

    Args:
        run: the first of the study.
        rewards: specs and weights, or None.
        seed: of reward models that begin with random weights.
        device: of rating and realism.
        trust: load reward models of somebody else's run.

    Raises:
        OveroptimiseError: for a run whose rewards at the start were not kept.
        ConfigError, RewardModelError, UntrustedError: for rewards that cannot be loaded.
    """
    set_random_seed(seed)
    if rewards is not None:
        models = read_rewards(rewards, run.config, seed)
        parts: Any = [
            [spec, weight, _state(model)] for (spec, weight), model in zip(rewards, models.models.values(), strict=True)
        ]
        where = "named"
    else:
        folder = rewards_at_start(run)
        models = load_rewards(folder, run.folder, trust=trust, device=device)
        parts = read_bytes(folder / REWARDS_FILE, MAX_REWARDS_BYTES).decode()  # has the SHA-256 of all files
        where = f"of {run.folder.resolve().name} at its start"
    described = " + ".join(f"{weight:g} x {term}" for term, weight in models.weights.items())
    if isinstance(models, Combination):
        described = f"{models.name}, {models.describe()}"
    identity = hashlib.sha256(json.dumps([__version__, parts]).encode()).hexdigest()
    return Evaluator(models, Panel.load(), f"{described}, {where}", identity)


def rewards_at_start(run: Run) -> Path:
    """The folder with the reward models of a run as they were before its training.

    Raises:
        OveroptimiseError: when the run did not keep them.
    """
    places = [run.folder / "checkpoints" / name / "reward_models" for name in (BEFORE_TRAINING, f"step-{0:010d}")]
    for place in places:
        if is_file(place / REWARDS_FILE):
            return place
    raise OveroptimiseError(
        f"{run.folder}: does not hold its rewards at the start, in {places[0]}; name some: --rewards"
    )


def _state(model: Any) -> Any:
    """What tells a reward model from another one with the same spec."""
    if callable(getattr(model, "weights_hash", None)):
        return model.weights_hash()
    return asdict(model) if is_dataclass(model) and not isinstance(model, type) else None
