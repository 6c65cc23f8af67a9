"""What a piece of torch code starts: operations that compute, and values that the host waits for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

# what computes nothing, besides views: memory alone
ALLOCATES = ("empty", "new_empty", "_unsafe_view", "lift_fresh", "is_same_size")
READS = "_local_scalar_dense"


class Kernels(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Count, while it is entered, the operations that torch starts, by name: on a GPU each is at least one kernel.

    Views and allocations do not count. ``reads`` counts values that the host asked for: there a GPU is waited for.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.started: Counter[str] = Counter()
        self.reads = 0

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
        elif not function.is_view and not name.startswith(ALLOCATES):
            self.started[name] += 1
        return function(*args, **(kwargs or {}))
