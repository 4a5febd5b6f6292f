from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from toccata.agents.config import TrainConfig
from toccata.envs.material import RealMusic
from toccata.music.score import Score


@pytest.fixture(scope="session")
def tunes() -> list[Score]:
    """Ten tunes of four bars over a bass."""
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(10):
        notes = [(24 * beat, 24, 60 + int(rng.choice([0, 2, 4, 5, 7, 9, 11, 12])), 80) for beat in range(16)]
        notes += [(96 * bar, 96, 48 + int(rng.choice([0, 5, 7])), 80) for bar in range(4)]
        scores.append(Score(sorted(notes), length_ticks=384))
    return scores


@pytest.fixture
def music(tunes: list[Score]) -> RealMusic:
    return RealMusic(tunes, 2)


@pytest.fixture
def toy(corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TrainConfig]:
    """Makes configurations of runs that take a second: `toy(name, **changes)` with its folder in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("toccata.agents.training.EXCERPTS", 8)
    monkeypatch.setattr("toccata.agents.cloning.EXCERPTS", 8)

    def make(name: str, **changes: object) -> TrainConfig:
        settings: dict[str, object] = {
            "run_dir": tmp_path / name,
            "total_timesteps": 384,
            "rewards": (("silence", 1.0), ("repetition", 0.5)),
            "corpus": (str(corpus_folder),),
            "bars": 1,
            "clone_epochs": 1,
            "num_envs": 4,
            "n_steps": 32,
            "batch_size": 64,
            "device": "cpu",
        }
        return TrainConfig(**{**settings, **changes})  # type: ignore[arg-type]

    return make
