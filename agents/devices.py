"""Torch devices by the names that users give."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import torch

from toccata.errors import one_line
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


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for matrix products in bfloat16; without them these are many times slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # recent versions have it
    return any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16"))


def torch_compiled(function: Callable[..., Any], device: torch.device, what: str) -> Callable[..., Any]:
    """The function as torch compiles it for a device.

    Warns:
        UserWarning: where there is no compiler, that `what` ("updates are") not compiled; then it is the function
            itself, which is slower.
    """
    try:
        x = torch.ones(8, device=device, requires_grad=True)
        torch.compile(_probe)(x).backward()
    except Exception as error:  # a missing compiler, or Triton, shows in many ways
        warnings.warn(f"{what} not compiled, so slower: {one_line(error)}", stacklevel=3)
        return function
    warnings.filterwarnings("ignore", "TensorFloat32 tensor cores", UserWarning)  # what is in float32 needs its digits
    return torch.compile(function)


def _probe(x: torch.Tensor) -> torch.Tensor:
    return (x.sin() + 1.0).sum()
