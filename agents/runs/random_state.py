"""The state of every random number generator of a run, as JSON holds it."""

from __future__ import annotations

import random
from typing import Any

import numpy as np


def random_state(**generators: np.random.Generator) -> dict[str, Any]:
    """The state of Python's, NumPy's and torch's (CPU) generators and of `generators`, as JSON holds it."""
    import torch

    version, internal, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002  # SB3 draws from it
    return {
        "python": [version, list(internal), gauss],
        "numpy": [name, list(map(int, keys)), position, has_gauss, cached],
        "torch": torch.get_rng_state().tolist(),
        **{key: generator.bit_generator.state for key, generator in generators.items()},
    }


def set_random_state(state: dict[str, Any], **generators: np.random.Generator) -> None:
    """Set all generators to what `random_state` returned."""
    import torch

    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state(  # noqa: NPY002  # SB3 draws from it
        (name, np.array(keys, np.uint32), position, has_gauss, cached)
    )
    torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
    for key, generator in generators.items():
        generator.bit_generator.state = state[key]
