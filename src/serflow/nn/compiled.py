"""Functions over arrays compiled to machine code: loops of so few values that each operation of torch costs more."""

from collections.abc import Callable

import numba


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Compile a function when it is first called, and keep the code for other processes where a folder takes it.

    That is the cache beside its module, the user's, or the one that ``NUMBA_CACHE_DIR`` names.
    """
    try:
        kept: Callable[..., None] = numba.njit(cache=True)(function)
    except RuntimeError:
        # no such folder can be written
        kept = numba.njit(function)
    return kept
