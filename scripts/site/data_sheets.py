"""docs/data-sheets.md: the docstrings of the environments, which are their data sheets."""

from __future__ import annotations

import inspect
import re

import gymnasium as gym

import toccata.envs

INTRODUCTION = """# Data sheets of the environments

Each environment's docstring, as `help(toccata.envs.PianoEnv)` prints it: actions, observations, rewards, beginning and
end of an episode, arguments, versions. This page is made from the code (`python scripts/site/generate.py`); tests
compare the tables with the live spaces. What to do with them is in [environment](environment.md).
"""


def environments() -> dict[str, type]:
    """The class of each registered environment of Toccata, by its id: `toccata/Piano-v0` is a `PianoEnv`."""
    names = [name for name in gym.registry if name.startswith("toccata/")]  # as registered: the plain piano first
    return {name: getattr(toccata.envs, f"{re.split('[/-]', name)[1]}Env") for name in names}


def sheet(name: str, env_class: type) -> str:
    """The docstring of an environment below its id, its headings one level lower."""
    text = re.sub(r"^##", "###", inspect.cleandoc(env_class.__doc__ or ""), flags=re.MULTILINE)
    return f"## {name}\n\nClass `{env_class.__module__}.{env_class.__qualname__}`. {text}\n"


def data_sheets_page() -> str:
    """The text of docs/data-sheets.md."""
    return "\n".join([INTRODUCTION, *(sheet(*each) for each in environments().items())])
