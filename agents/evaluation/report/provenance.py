"""Where figures come from: date, machine, versions, hashes, settings, command, and how to cite."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from toccata._version import __version__
from toccata.agents.evaluation.report.style import scrolling
from toccata.agents.evaluation.report.text import safe
from toccata.agents.runs.run_folder import versions
from toccata.reward_models import WeightedSum

MAX_COMMANDS = 20  # lines of command.txt that are shown, the last ones
BIBTEX = f"""@software{{toccata,
  title   = {{Toccata: a Gymnasium piano on which reinforcement-learning agents compose}},
  author  = {{{{Toccata contributors}}}},
  version = {{{__version__}}},
  license = {{MIT}}
}}"""


def provenance(rewards: WeightedSum | None = None, model_sha256: str | None = None) -> dict[str, str]:
    """Date, machine and versions of this process, and SHA-256 of the model and of the weights of its rewards.

    Neither the name of the machine nor that of the user is in it.
    """
    found = {
        "date": datetime.now().astimezone().isoformat(timespec="minutes"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count() or 1} logical processors",
        **{name: version for name, version in versions().items() if name != "platform"},
    }
    if model_sha256:
        found["model.zip, SHA-256"] = model_sha256
    for term, model in (rewards.models if rewards else {}).items():
        if type(model).__module__.startswith("toccata.") and hasattr(model, "weights_hash"):
            found[f"reward model {term}, SHA-256"] = model.weights_hash()
    return found


def provenance_section(command: str, settings: Mapping[str, Any], found: Mapping[str, str]) -> str:
    """The last section of a report."""
    lines = command.splitlines()[-MAX_COMMANDS:]
    commands = f"<h3>Command of the training</h3><pre>{'<br>'.join(map(safe, lines))}</pre>" if lines else ""
    return (
        f"<section><h2>Provenance</h2>{commands}{folded('Settings of the training', settings)}"
        f"{folded('This evaluation: date, machine, versions, hashes', found)}"
        f"<h3>How to cite</h3><pre>{safe_lines(BIBTEX)}</pre></section>"
    )


def folded(title: str, values: Mapping[str, Any]) -> str:
    """A folded table of names and values; empty without any."""
    if not values:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{safe(name)}</th><td>{safe(_shown(value))}</td></tr>' for name, value in values.items()
    )
    table = f'<table class="settings"><tbody>{rows}</tbody></table>'
    return f"<details><summary>{safe(title)}</summary>{scrolling(table, title)}</details>"


def safe_lines(text: str) -> str:
    """Lines of text, each escaped."""
    return "\n".join(map(safe, text.splitlines()))


def _shown(value: Any) -> str:
    """A setting as a reader would write it."""
    if isinstance(value, (list, tuple)):
        return (
            ", ".join(" ".join(map(str, each)) if isinstance(each, (list, tuple)) else str(each) for each in value)
            or "none"
        )
    return "none" if value is None else "yes" if value is True else "no" if value is False else str(value)
