"""The check of module names in strings finds one that points against the layers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def check(folder: Path, repository: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/check_string_imports.py", str(folder)]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True)


def test_a_string_that_points_up_is_refused(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "toccata/envs").mkdir(parents=True)
    (tmp_path / "toccata/agents").mkdir()
    module = tmp_path / "toccata/envs/core.py"
    module.write_text('from importlib import import_module\n\nimport_module("toccata.music.score")\n')
    (tmp_path / "toccata/agents/__init__.py").write_text('NAME = "toccata.envs.core:PianoCore"\n')
    assert check(tmp_path, repository).returncode == 0
    module.write_text('from importlib import import_module\n\nimport_module("toccata.agents.vec_env")\n')
    done = check(tmp_path, repository)
    assert done.returncode == 1
    assert f"{module}:3: envs names 'toccata.agents.vec_env'" in done.stdout
