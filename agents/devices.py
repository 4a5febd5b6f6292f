"""Torch devices by the names that users give."""

from __future__ import annotations

import re

import torch

from toccata.settings.options import ConfigError, shown


def resolve_device(name: str, setting: str = "device") -> torch.device:
    """The torch device of a name, the value of a setting; "auto" is CUDA if there is one.

    Raises:
        ConfigError: for one that this machine lacks.
    """
    if not isinstance(name, str) or not re.fullmatch(r"auto|cpu(:0)?|cuda(:[0-9]{1,3})?", name):
        raise ConfigError(f"{setting} must be cpu, cuda, cuda:N or auto, got {shown(name)}")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    number = int(name.partition(":")[2] or 0)
    if name.startswith("cuda") and number >= torch.cuda.device_count():
        raise ConfigError(
            f"{setting} {name!r}: there are {torch.cuda.device_count()} CUDA devices here; use cpu or auto"
        )
    return torch.device(name)


def resolve_reward_device(name: str, device: torch.device) -> torch.device:
    """The torch device of reward models; "auto" is `device`, that of the agent.

    Raises:
        ConfigError: for one that this machine lacks.
    """
    return device if name == "auto" else resolve_device(name, "reward_device")
