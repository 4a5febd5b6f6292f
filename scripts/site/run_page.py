"""Run the blocks of a page in their order, as a reader would: `python scripts/site/run_page.py PAGE FOLDER [--toy]`.

Shell blocks are given to bash, Python blocks share one namespace, `file=NAME` blocks are written. Prints each block and
what it prints. With --toy the commands have the sizes of docs/tutorials/toy.toml. Stops at the first error.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from pages import at_toy_size, blocks, toy_sizes

RUN = ("sh", "python")


def cpu_seconds() -> float:
    """Seconds of processor time of this process and of those that it has waited for."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def run_page(page: Path, folder: Path, toy: bool = False) -> None:
    """Run a page in `folder`, which becomes the working directory.

    Raises:
        subprocess.CalledProcessError: for a shell block that fails; Python blocks raise what they raise.
    """
    text = page.read_text(encoding="utf-8")
    os.chdir(folder)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    sys.path.insert(0, str(Path.cwd()))
    names: dict[str, object] = {"__name__": page.stem}
    for block in blocks(text):
        if block.language not in RUN:
            continue
        code = at_toy_size(block.text, toy_sizes()) if toy and block.language == "sh" else block.text
        print(f"```{block.language}\n{code}```", flush=True)
        start, cpu = time.monotonic(), cpu_seconds()
        if block.file is not None:
            Path(block.file).write_text(code, encoding="utf-8")
        elif block.language == "sh":
            subprocess.run(["bash", "-euc", code], check=True)
        else:
            exec(compile(code, f"{page.name}", "exec"), names)
        print(f"({time.monotonic() - start:.1f} s, {cpu_seconds() - cpu:.1f} s of a core)\n", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("folder", type=Path, help="an empty folder to work in")
    parser.add_argument("--toy", action="store_true", help="with the sizes of docs/tutorials/toy.toml")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    run_page(options.page, options.folder, options.toy)
