"""The pages of docs/tutorials/ run as they are, but for their sizes, and so do the notebooks made of them."""

import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import tyro
from pages import DOCS, at_toy_size, blocks, toy_sizes, tutorials

from toccata.agents.runs.config import DEFAULT_REWARDS, with_added_rewards
from toccata.cli import COMMANDS

PAGES = pytest.mark.parametrize("page", tutorials(), ids=lambda page: page.stem)
SIZES = {"replace": {"--bars": 1, "--samples": 4}, "append": {"train": {"--num-envs": 4, "--seed": 7}}}


@pytest.mark.parametrize(
    ("full", "toy"),
    [
        ("toccata compose --bars 8 --out a", "toccata compose --bars 1 --out a"),
        ("toccata train --bars 8  # all", "toccata train --bars 1 --num-envs 4 --seed 7  # all"),
        ("toccata train --seed 1", "toccata train --seed 1 --num-envs 4"),
        ("toccata train --seeds 1 2", "toccata train --seeds 1 2 --num-envs 4 --seed 7"),
        (
            "for r in a b; do toccata evaluate $r --samples 64; done",
            "for r in a b; do toccata evaluate $r --samples 4; done",
        ),
        ("toccata train\ntoccata evaluate r\n", "toccata train --num-envs 4 --seed 7\ntoccata evaluate r\n"),
        ("cp --bars 8", "cp --bars 1"),
        ("toccata train --seed 1 \\\n    --bars 8\n", "toccata train --seed 1 --bars 1 --num-envs 4\n"),
    ],
)
def test_commands_at_toy_size(full: str, toy: str) -> None:
    assert at_toy_size(full, SIZES) == toy


def test_a_page_in_blocks() -> None:
    found = blocks("# A\n\n```sh\nls\n```\nb\n\n```python file=x.py\n1\n```\n")
    assert [(block.language, block.text, block.file) for block in found] == [
        (None, "# A\n\n", None),
        ("sh", "ls\n", None),
        (None, "b\n\n", None),
        ("python", "1\n", "x.py"),
    ]


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_blocks_hold_the_whole_page(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    parts = [
        block.text
        if block.language is None
        else f"```{block.language}{''.join(f' {mark}' for mark in block.marks)}\n{block.text}```\n"
        for block in blocks(text)
    ]
    assert "".join(parts).rstrip() == text.rstrip()


def test_there_are_five_tutorials_and_each_is_in_the_index() -> None:
    index = (DOCS / "tutorials/index.md").read_text(encoding="utf-8")
    names = [page.stem for page in tutorials()]
    assert len(names) == 5
    assert all(f"({name}.md)" in index and f"({name}.ipynb)" in index for name in names)


@PAGES
def test_commands_of_a_tutorial_parse_at_both_sizes(page: Path) -> None:
    shells = [block.text for block in blocks(page.read_text(encoding="utf-8")) if block.language == "sh"]
    assert shells
    for text in (*shells, *(at_toy_size(shell, toy_sizes()) for shell in shells)):
        for command in re.findall(r"toccata [^;#\n]+", text.replace("\\\n", " ")):
            _, name, *arguments = shlex.split(command)
            module, _, attribute = COMMANDS[name][0].partition(":")
            tyro.cli(getattr(import_module(module), attribute), args=with_added_rewards(arguments, DEFAULT_REWARDS))


@PAGES
def test_the_python_of_a_tutorial_compiles(page: Path) -> None:
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language == "python":
            compile(block.text, page.name, "exec")


def environment(repository: Path) -> dict[str, str]:
    """That of a reader who has the `toccata` of this checkout on the PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}


@pytest.mark.slow  # half a minute each
@PAGES
def test_a_tutorial_runs_at_toy_size(page: Path, tmp_path: Path, repository: Path, scripts: Path) -> None:
    command = [sys.executable, str(scripts / "run_page.py"), str(page), str(tmp_path), "--toy"]
    done = subprocess.run(command, env=environment(repository), capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.slow  # half a minute each
@PAGES
def test_a_notebook_runs_at_toy_size(
    page: Path, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbclient = pytest.importorskip("nbclient", reason="of the extra docs")
    from notebooks import notebook

    for name, value in environment(repository).items():
        monkeypatch.setenv(name, value)
    toy = notebook(page, toy=True)
    nbclient.NotebookClient(toy, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert any(cell.get("outputs") for cell in toy.cells)
