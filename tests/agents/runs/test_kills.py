"""A run that is killed, wherever that is, is resumed to the end of one that was not."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.runs import Toy, assert_equal_runs, resumed_config, train_quietly
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.run_folder import Run

WRITES = ((Path, "replace"), (Path, "rename"), (Path, "mkdir"), (Path, "symlink_to"), (shutil, "rmtree"))


def in_child(work: Callable[[], object]) -> int:
    """The wait status of a forked process that does `work`."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


def killed_at(config: TrainConfig, when: int) -> bool:
    """Train in a process that is killed at its `when`-th write; whether it was."""

    def work() -> None:
        writes = iter(range(1, 10**9))

        def killing(original: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **named: Any) -> Any:
                if next(writes) == when:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*arguments, **named)

            return call

        for owner, name in WRITES:
            setattr(owner, name, killing(getattr(owner, name)))
        train_quietly(config)

    return os.WIFSIGNALED(in_child(work))


@pytest.mark.slow
def test_a_run_killed_at_any_write_is_resumed_exactly(toy: Toy) -> None:
    """Twenty places, the last ones in the publication of the last checkpoint."""
    settings: dict[str, Any] = {"checkpoint_every": 128}
    uninterrupted = train_quietly(toy("uninterrupted", **settings))
    total = next(n for n in range(1, 10**4) if not killed_at(toy(f"probe-{n}", **settings), 16 * n)) * 16
    last = next(n for n in range(total, 0, -1) if killed_at(toy(f"end-{n}", **settings), n))
    kills = sorted({*(1 + round((last - 9) * k / 10) for k in range(1, 11)), *range(last - 9, last + 1)})
    assert len(kills) >= 18
    for when in kills:
        config = toy(f"killed-{when}", **settings)
        assert config.run_dir is not None
        assert killed_at(config, when)
        if not (config.run_dir / "config.json").is_file():
            continue  # it was not a run yet
        train_quietly(resumed_config(config.run_dir))
        assert_equal_runs(uninterrupted.folder, config.run_dir)
        run = Run.open(config.run_dir)
        checkpoint = run.last_checkpoint()
        assert checkpoint is not None
        assert run.model_path.read_bytes() == (checkpoint / "model.zip").read_bytes()
        assert run.model_path.read_bytes() == uninterrupted.model_path.read_bytes()
        assert not list(run.folder.rglob("*.part"))
