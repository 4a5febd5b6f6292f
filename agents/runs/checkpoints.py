"""Checkpoints of a training run: all that the next step depends on, written and restored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger

from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.ppo.model_file import save_model
from toccata.agents.runs.callbacks.watchdog import Watchdog
from toccata.agents.runs.logs.progress import Progress
from toccata.agents.runs.random_state import random_state, set_random_state
from toccata.agents.runs.rewards_file import save_rewards
from toccata.agents.runs.run_folder import Run, RunError
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.excerpts import ExcerptDataset
from toccata.files import read_json, read_npz, sha256_of_file, write_atomically
from toccata.reward_models import WeightedSum

STATE_FILE = "state.json"  # in a checkpoint: random states, and values logged since the last row
ENVS_FILE = "envs.npz"
HASHED_FILES = ("model.zip", ENVS_FILE, "reward_models/rewards.json")  # their SHA-256 are in state.json


@dataclass
class Training:
    """A run in progress."""

    run: Run
    model: ComposerPPO
    env: PianoVecEnv
    rewards: WeightedSum
    music: ExcerptDataset
    rng: np.random.Generator  # of reward models that learn, and the real excerpts that they are trained on
    progress: Progress
    warnings: list[str]  # about corpus and rewards
    watchdog: Watchdog | None = None
    pending: dict[str, Any] = field(default_factory=dict)  # values that were logged since the last row
    callbacks: Sequence[BaseCallback] = ()  # of the user
    writers: Sequence[KVWriter] = ()  # of the user

    def save(self, *, is_regular: bool = False) -> Path:
        """Write a checkpoint and publish it.

        Args:
            is_regular: it is one of those at every `checkpoint_every` steps. The watchdog goes back to no others, which
                would not be there in a run that was not interrupted.

        Raises:
            DivergenceError: when the model is not finite; nothing is written then.
            OSError: naming the file, when it cannot be written; earlier checkpoints stay.
        """
        self.model.check_finite()
        step = int(self.model.num_timesteps)
        checkpoint = self.run.checkpoint(step)
        with checkpoint as folder:
            save_model(self.model, folder / "model.zip")
            (folder / "reward_models").mkdir()
            save_rewards(self.rewards, self.run.config, folder / "reward_models")
            buffer = BytesIO()
            np.savez(buffer, **self.env.state())  # type: ignore[arg-type]  # mypy takes the arrays for options
            write_atomically(folder / ENVS_FILE, buffer.getvalue())
            state = {
                "timesteps": step,
                "random": random_state(music=self.rng),
                "envs": self.env.random_state(),
                "logged": logged(self.model.logger),
                "watchdog": self._watchdog_state(checkpoint.folder.name if is_regular else None),
                "sha256": {name: sha256_of_file(folder / name) for name in HASHED_FILES},
            }
            write_atomically(folder / STATE_FILE, json.dumps(state).encode())
        self.run.publish(checkpoint.folder)
        return checkpoint.folder

    def _watchdog_state(self, name: str | None) -> dict[str, Any] | None:
        """What the watchdog has seen, to which the checkpoint `name` is a healthy one unless a signal is outside."""
        if self.watchdog is None:
            return None
        if name is not None and not self.watchdog.outside and not self.watchdog.pause:
            self.watchdog.healthy = name
        return self.watchdog.state()

    def restore(self, folder: Path, state: dict[str, Any]) -> None:
        """Set environments and random states to those of the checkpoint `folder`, whose state.json `state` is."""
        self.env.set_state(read_npz(folder / ENVS_FILE))
        self.env.set_random_state(state["envs"])
        set_random_state(state["random"], music=self.rng)
        self.pending = _checked_log(state["logged"])
        if self.watchdog is not None and state.get("watchdog") is not None:
            self.watchdog.restore(state["watchdog"])


def read_state(folder: Path) -> dict[str, Any]:
    """state.json of a checkpoint, once the other files are known to be those that were written with it.

    Raises:
        FileError: naming a file that is missing or cannot be read.
        RunError: naming one that was damaged or exchanged.
    """
    state = read_json(folder / STATE_FILE)
    for name in HASHED_FILES:
        if sha256_of_file(folder / name) != state["sha256"][name]:
            raise RunError(
                f"{folder}: not a readable checkpoint: {name} has another SHA-256 than {STATE_FILE} says; it was "
                "damaged or exchanged. Delete this checkpoint to go on from the one before it"
            )
    return state


def _checked_log(values: Any) -> dict[str, Any]:
    """What `logged` returned, read from a file.

    Raises:
        ValueError: for anything else.
    """
    for name, (value, excluded) in values.items():
        names = [excluded] if isinstance(excluded, str) else excluded or []
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not all(isinstance(x, str) for x in names):
            raise ValueError(f"{STATE_FILE} has a logged value {name[:100]!r} that is no number")
    return dict(values)


def logged(logger: Logger) -> dict[str, Any]:
    """Values logged since the last row, by name: the value, and the outputs that it is excluded from."""
    return {
        name: [value.item() if isinstance(value, np.generic) else value, logger.name_to_excluded[name]]
        for name, value in logger.name_to_value.items()
    }
