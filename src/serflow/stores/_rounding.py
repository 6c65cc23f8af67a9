"""Rounding the mantissa of float32 values, so that they compress better and stay plain float32 for every reader."""

import numpy as np
import numpy.typing as npt

from serflow.errors import StoreError

MANTISSA_BITS = 23

FloatArray = npt.NDArray[np.float32]


def check_mantissa_bits(bits: int | None) -> None:
    """Refuse a number of bits that a float32 has not.

    Raises
    ------
    StoreError
        If ``bits`` is neither None nor 1 to 23.
    """
    if bits is not None and not 1 <= bits <= MANTISSA_BITS:
        raise StoreError(f"stores.mantissa_bits is {bits}: give 1 to {MANTISSA_BITS}, or null to keep values whole")


def round_mantissa(values: FloatArray, bits: int) -> FloatArray:
    """Return ``values`` rounded to ``bits`` bits of mantissa, to nearest, ties to even.

    The relative error is at most ``2 ** -(bits + 1)``. Below the smallest normal number (1.2e-38) the mantissa has a
    fixed step, and so has the error. What would round up to infinity is rounded towards zero instead.

    Parameters
    ----------
    values
        Finite float32 values of any shape.
    bits
        Bits to keep, 1 to 23.

    Raises
    ------
    StoreError
        If ``bits`` is out of its range.
    """
    check_mantissa_bits(bits)
    dropped = np.uint32(MANTISSA_BITS - bits)
    pattern = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    if not dropped:
        return values.copy()
    kept = ~np.uint32((1 << int(dropped)) - 1)
    rounded = pattern >> dropped
    rounded &= np.uint32(1)
    rounded += np.uint32((1 << (int(dropped) - 1)) - 1)
    rounded += pattern
    rounded &= kept
    result: FloatArray = rounded.view(np.float32)
    overflown = np.isinf(result)
    if overflown.any():
        result[overflown] = (pattern[overflown] & kept).view(np.float32)
    return result
