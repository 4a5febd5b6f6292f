"""A bound on the rounding of float32 sums, as a tolerance where two orders of summation are compared."""

from __future__ import annotations

import numpy as np


def float32_rounding(terms: int, size: float = 1.0) -> float:
    """Bound on the rounding error of a float32 sum whatever the order of its addends.

    Processors, BLAS kernels and numbers of threads add in different orders, so that float32 results differ by up to
    this much, usually by far less.

    Args:
        terms: number of addends, those of all sums together where each is an addend of the next one.
        size: largest absolute value of the addends and partial sums.
    """
    return terms * float(np.finfo(np.float32).eps) * size
