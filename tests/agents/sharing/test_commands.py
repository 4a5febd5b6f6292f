"""The commands as users give them, in processes of their own, with a server of this machine for HF_ENDPOINT."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.hub import TOKEN, running_hub
from helpers.runs import WritePrior
from helpers.sharing import files_of

pytest.importorskip("huggingface_hub")  # the extra `hub`


@pytest.mark.slow
def test_push_and_pull(write_prior: WritePrior, tmp_path: Path) -> None:
    write_prior("prior")
    with running_hub() as hub:
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.address,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": TOKEN,
        }

        def toccata(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "toccata", *arguments]
            return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)

        done = toccata("push", "prior", "me", "--licence", "mit", "--samples", "1", "--private")
        assert (done.returncode, done.stderr) == (0, "")
        address, command = done.stdout.splitlines()[-2:]
        assert address.startswith(f"pushed: {hub.address}/me/toccata-prior-transformer/commit/")
        assert command == "get it with: toccata pull me/toccata-prior-transformer"
        done = toccata("pull", "me/toccata-prior-transformer")
        assert (done.returncode, done.stderr) == (0, "")
        assert "use it: toccata compose --prior toccata-prior-transformer" in done.stdout
        there = hub.repositories["me/toccata-prior-transformer"]
        assert there.private
        assert files_of(tmp_path / "toccata-prior-transformer") == {
            name: data for name, data in there.files.items() if name != ".gitattributes"
        }
        done = toccata(
            "compose", "--prior", "toccata-prior-transformer", "--bars", "1", "--pieces", "1", "--out", "out"
        )
        assert done.returncode == 0, done.stderr
        done = toccata("pull", "me/unknown")
        message = "error: me/unknown: there is no such repository, or your token may not see it\n"
        assert (done.returncode, done.stderr) == (1, message)
