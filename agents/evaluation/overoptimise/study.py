"""What is sampled for the study: every model of every arm, the pools of the reference policies, and real music."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from toccata.agents.evaluation.overoptimise.arms import Arm, minutes_of_training, model_paths
from toccata.agents.evaluation.overoptimise.config import OveroptimiseConfig
from toccata.agents.evaluation.overoptimise.evaluator import Evaluator
from toccata.agents.evaluation.overoptimise.samples import CACHE, KL, Player, Sample, chunk_count, sample
from toccata.agents.runs.builders import environment_arguments, excerpt_dataset, load_agent
from toccata.agents.runs.run_folder import Run
from toccata.reward_models.judges.panel import beside_real

MINUTES, STEPS = "minutes", "steps"


@dataclass(frozen=True)
class Point:
    """A model of a run.

    Attributes:
        step: of training.
        minutes: that PPO took to it; None where progress.csv does not say.
        sample: its pieces.
    """

    step: int
    minutes: float | None
    sample: Sample


@dataclass(frozen=True)
class RunPoints:
    """A run of the study.

    Attributes:
        folder: of the run.
        seed: of its training.
        reference: key of its pool; None where it has no reference policy.
        points: of its checkpoints, the final model last.
    """

    folder: Path
    seed: int
    reference: str | None
    points: tuple[Point, ...]

    @property
    def final(self) -> Point:
        """The final model."""
        return self.points[-1]


@dataclass(frozen=True)
class Study:
    """All that was sampled and measured.

    Attributes:
        arms: the runs of each, by name of the arm.
        settings: those in which the arms differ, by name of the arm.
        pools: base pieces by reference policy.
        real: real music.
        proxy_reward: the rewards in a line.
        remarks: lines about what could not be measured.
    """

    arms: dict[str, tuple[RunPoints, ...]]
    settings: dict[str, dict[str, object]]
    pools: dict[str, Sample]
    real: Sample
    proxy_reward: str
    remarks: list[str] = field(default_factory=list)


class Models:
    """The models of the runs, loaded when they are needed.

    Args:
        arms: the runs.
        config: which checkpoints.
        device: where they are put.
    """

    def __init__(self, arms: Sequence[Arm], config: OveroptimiseConfig, device: torch.device) -> None:
        self.runs = [run for arm in arms for run in arm.runs]
        self.config, self.device = config, device
        self.paths = {run.folder: model_paths(run, config.checkpoints) for run in self.runs}
        self.references = {
            run.folder: self.player(run, run.reference_path) for run in self.runs if run.reference_path.is_file()
        }

    def player(self, run: Run, path: Path) -> Player:
        """The model in a file of a run."""
        model = load_agent(path, run.config, self.device, run_folder=run.folder, trust=self.config.trust)
        return Player.of(model, environment_arguments(run.config))

    @property
    def pools(self) -> dict[str, Player]:
        """The reference policies that differ, by identity."""
        return {player.identity: player for player in self.references.values()}

    @property
    def base(self) -> int:
        """Pieces of each pool."""
        return max(self.config.samples, -(-self.config.base // max(len(self.pools), 1)))

    @property
    def chunks(self) -> int:
        """Chunks that are sampled in all."""
        models = sum(map(len, self.paths.values()))
        return models * chunk_count(self.config.samples) + len(self.pools) * chunk_count(self.base)


def run_study(
    arms: Sequence[Arm],
    models: Models,
    evaluator: Evaluator,
    config: OveroptimiseConfig,
    folder: Path,
    on_chunk: Callable[[], object] = lambda: None,
) -> Study:
    """Sample and measure all models, pools and real music.

    Args:
        arms: the runs.
        models: of these runs.
        evaluator: measures the pieces.
        config: how many.
        folder: of the study, whose cache is used.
        on_chunk: called after each chunk of pieces.

    Raises:
        ConfigError, CorpusError: when the corpus of the first run cannot be read.
        ModelError, RunError, FileError, ProgressError: naming a file that cannot be read.
    """
    cache, remarks = folder / CACHE, list[str]()
    music = excerpt_dataset(models.runs[0].config, "test", remarks.append)
    pieces = music.sample(config.samples, np.random.default_rng(config.seed), transpose=False)
    values = evaluator.measure(pieces)
    real = Sample(tuple(piece.score for piece in pieces), values | beside_real(values, values))

    def taken(player: Player, count: int, reference: Player | None = None) -> Sample:
        found = sample(player, count, config.seed, evaluator, cache, reference, on_chunk)
        return Sample(found.scores, found.values | beside_real(found.values, real.values))

    pools = {key: taken(player, models.base) for key, player in models.pools.items()}
    studied: dict[str, tuple[RunPoints, ...]] = {}
    for arm in arms:
        runs = []
        for run in arm.runs:
            reference, points = models.references.get(run.folder), []
            for path in models.paths[run.folder]:
                player = models.player(run, path)
                step = int(player.model.num_timesteps)
                found = taken(player, config.samples, reference)
                points.append(Point(step, minutes_of_training(run, step), found))
            key = None if reference is None else reference.identity
            runs.append(RunPoints(run.folder, run.config.seed, key, tuple(points)))
        studied[arm.name] = tuple(runs)
    for run in models.runs:
        if run.folder not in models.references:
            remarks.append(f"{run.folder}: has no reference policy, so no KL, no start and no share of the limit")
    unknown = [name for name, runs in studied.items() if any(_without_kl(run) for run in runs)]
    if unknown:
        remarks.append(f"{', '.join(unknown)}: the policies give no likelihood of whole pieces, so there is no KL")
    corpora = {run.config.corpus for run in models.runs}
    if len(corpora) > 1:
        remarks.append(f"the runs have different corpora; real music is that of {models.runs[0].folder}")
    settings = {arm.name: arm.settings for arm in arms}
    return Study(studied, settings, pools, real, evaluator.described, remarks)


def _without_kl(run: RunPoints) -> bool:
    return run.reference is not None and KL not in run.final.sample.values
