"""Torch devices by the names that users give."""

from __future__ import annotations

import torch

from toccata.options import ConfigError


def resolve_device(name: str) -> torch.device:
    """The torch device of a name; "auto" is CUDA if there is one.

    Raises:
        ConfigError: for one that this machine lacks.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device must be cpu, cuda, cuda:N or auto, got {name!r}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device {name!r}: there are {torch.cuda.device_count()} CUDA devices here; use cpu or auto")
    return device
