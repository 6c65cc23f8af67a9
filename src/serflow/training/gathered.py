"""Rows of small tensors, gathered batch by batch."""

import torch
from torch import Tensor

BLOCK = 1024
"""Rows of a block."""


class Gathered:
    """Rows of tensors, copied to where they stay on their device, in blocks of `BLOCK` rows.

    Kept one by one, small tensors would lie among the large ones that a step takes and gives back, and the next step
    would not find their memory in one piece: a process grew with each batch.
    """

    def __init__(self) -> None:
        self._blocks: list[Tensor] = []
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def add(self, rows: Tensor) -> None:
        """Take in rows ``(n, ...)``, of one shape and type all of them."""
        rows = rows.detach()
        while len(rows):
            place = self._n % BLOCK
            if place == 0:
                self._blocks.append(rows.new_empty((BLOCK, *rows.shape[1:])))
            taken = rows[: BLOCK - place]
            self._blocks[-1][place : place + len(taken)] = taken
            self._n += len(taken)
            rows = rows[len(taken) :]

    def read(self) -> Tensor:
        """Return all rows; there must be one."""
        return torch.cat(self._blocks)[: self._n]
