"""What a piece of torch code starts: operations that compute, and values that the host waits for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# what computes nothing, besides views: memory alone
ALLOCATES = ("empty", "new_empty", "_unsafe_view", "lift_fresh", "is_same_size")
READS = "_local_scalar_dense"
CHECKS = "_linalg_check_errors"
INDEXES = ("index", "index_put", "index_put_", "_index_put_impl_")
COPIES = ("_to_copy", "copy_")


class Kernels(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Count, while it is entered, the operations that torch starts, by name: on a GPU each is at least one kernel.

    Views and allocations do not count. ``reads`` counts values that the host asked for, and what it would ask of a GPU
    by itself: how many a mask selects, whether a matrix could be inverted. There a GPU is waited for. ``sent`` counts
    operations for which something came from the host onto a device, but for numbers, which come with the operation.
    ``moved`` is the bytes of all that they read and write, as if none was in a cache.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.started: Counter[str] = Counter()
        self.reads = 0
        self.sent = 0
        self.moved = 0

    @property
    def n(self) -> int:
        """Operations started."""
        return self.started.total()

    def __torch_dispatch__(
        self,
        function: OpOverload,
        types: Sequence[Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = function.__name__.partition(".")[0]
        if name == READS:
            self.reads += 1
            return function(*args, **(kwargs or {}))
        found = function(*args, **(kwargs or {}))
        given = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        self.reads += name == CHECKS or (name in INDEXES and any(value.dtype == torch.bool for value in given[1:]))
        if any(value.device.type != "cpu" for value in tree_leaves((given, found)) if isinstance(value, Tensor)):
            self.sent += any(value.device.type == "cpu" and (value.dim() > 0 or name in COPIES) for value in given)
        if not function.is_view and not name.startswith(ALLOCATES):
            self.started[name] += 1
            self.moved += sum(map(_n_bytes, tree_leaves((args, kwargs, found))))
        return found


def _n_bytes(value: object) -> int:
    """Return the bytes of a tensor; of one that is spread over an axis without a copy, those that it has."""
    if not isinstance(value, Tensor):
        return 0
    return min(value.numel() * value.element_size(), value.untyped_storage().nbytes())
