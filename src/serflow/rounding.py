"""How much of a difference can be rounding: the one rule by which what is to be normalised counts as constant.

A sum of n terms in floating point differs from the exact one by no more than n u times the sum of their magnitudes, u
half of eps, in whatever order it is taken and with or without fused multiply-adds (Higham, Accuracy and Stability of
Numerical Algorithms, 2002, section 3.1): on every CPU and with every BLAS. Two such sums that ought to be equal differ
by twice that. A deviation within this bound says nothing of the data; divided by itself it becomes noise of order 1.

The magnitudes are those of the terms, not of their sum: cepstra of silence are sums that cancel, and their own size is
rounding already.
"""

from typing import Any

import numpy as np

EPS = float(np.finfo(np.float32).eps)
FEW = 8
"""Roundings that values which came through a handful of operations have behind them."""


def rounding(scale: Any, n_terms: int = FEW, eps: float = EPS) -> Any:
    """Return the largest difference between equal values that rounding explains.

    Parameters
    ----------
    scale
        Sum of the magnitudes of the terms that each value was computed from; the largest magnitude, for values that
        were read, or computed without cancelling. A number, an array or a tensor.
    n_terms
        Number of terms.
    eps
        Of the precision that it was computed in: 2^-23 for single.

    Returns
    -------
    ``n_terms * eps * scale``, of the shape of ``scale``.
    """
    return n_terms * eps * scale
