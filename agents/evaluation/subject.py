"""What is evaluated."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from toccata.agents.evaluation.history import History
from toccata.agents.evaluation.players import Player
from toccata.agents.runs.config import TrainConfig
from toccata.envs.excerpts import ExcerptDataset
from toccata.reward_models import WeightedSum


@dataclass(frozen=True)
class Subject:
    """What is evaluated, and under which settings.

    Attributes:
        name: title of the report.
        players: by composer: "agent", and "reference" where there is one.
        models: the same, where they are models.
        warnings: lines about the corpus.
        config: length, metre, tempo and genre of the pieces.
        rewards: the reward models that score them.
        real: real music to compare with.
        place: the folder to write.
        existing: what happens to one that is there.
        history: of the training, where it is known.
        reference: what the composer of that name is.
        model_sha256: of the model.zip of a run.
    """

    name: str
    players: dict[str, Player]
    config: TrainConfig
    rewards: WeightedSum
    real: ExcerptDataset
    place: Path
    existing: Literal["refuse", "replace"] = "refuse"
    history: History = field(default_factory=History)
    models: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    reference: str = "the agent before PPO"
    model_sha256: str | None = None
