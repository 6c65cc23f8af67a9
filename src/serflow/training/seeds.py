"""Random numbers from names, and settings under which the same seed gives the same bytes."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_from(*names: str | int) -> int:
    """Return 63 bits made from names by SHA-256, e.g. ``seed_from("batches", 0, "epoch", 3)``."""
    digest = hashlib.sha256(json.dumps(names).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def numpy_generator(*names: str | int) -> np.random.Generator:
    """Return a NumPy generator seeded by `seed_from`."""
    return np.random.default_rng(seed_from(*names))


def seed_torch(*names: str | int) -> None:
    """Seed torch's own generators (initial weights, dropout) by `seed_from`."""
    torch.manual_seed(seed_from(*names))


class Stream:
    """Random numbers of torch of one of several fits that are trained at once: those that it would draw by itself.

    Parameters
    ----------
    device
        Where the fit draws them, besides the CPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._state = self._get()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Draw from this stream within the block; others go on where they were after it."""
        outer = self._get()
        self._set(self._state)
        try:
            yield
        finally:
            self._state = self._get()
            self._set(outer)

    def _get(self) -> list[torch.Tensor]:
        on_gpu = [torch.cuda.get_rng_state(self._device)] if self._device.type == "cuda" else []
        return [torch.get_rng_state(), *on_gpu]

    def _set(self, states: list[torch.Tensor]) -> None:
        torch.set_rng_state(states[0])
        for state in states[1:]:
            torch.cuda.set_rng_state(state, self._device)


@contextmanager
def reproducible() -> Iterator[None]:
    """One thread, and deterministic kernels only, within the block.

    An operation that has no deterministic kernel on the device in use is an error there.
    """
    # what cuBLAS asks for, read when CUDA starts
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(1)
    mode = torch.get_deterministic_debug_mode()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    # not use_deterministic_algorithms: the same switch, but it imports the compiler (over 2 s)
    torch.set_deterministic_debug_mode("error")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
