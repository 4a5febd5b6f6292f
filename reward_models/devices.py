"""Networks of rewards on a device: what their scores need to be equal to those of a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def full_precision() -> Iterator[None]:
    """A block without gradients whose products and convolutions are in float32, also on a GPU.

    By default cuDNN rounds the factors of convolutions to TensorFloat-32, and `torch.set_float32_matmul_precision` lets
    matrix products do so: an error of 1e-3, by which the scores of a GPU would differ from those of a CPU.
    """
    products, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions
