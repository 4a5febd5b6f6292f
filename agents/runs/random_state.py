"""The state of every random number generator of a run, as JSON holds it."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

# Chance, so that a resumed run goes on exactly


def random_state(**generators: np.random.Generator) -> dict[str, Any]:
    """The state of every source of chance as what JSON holds: Python's, NumPy's, torch's and `generators`."""
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
    """Put every source of chance back to what `random_state` noted."""
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
