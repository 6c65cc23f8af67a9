"""Dynamic layer customisation: each row of a batch through the layer of its condition, order kept.

Wilf and Mower Provost, section IV-B: instances are separated by noise condition, each group trains its own
encoder, and the results are put back in their original order.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


def route(
    experts: Sequence[nn.Module] | nn.ModuleList,
    conditions: Tensor,
    *inputs: Tensor,
    sizes: Sequence[int] | None = None,
) -> Tensor:
    """Run each row through the expert of its condition and put the results back in order.

    An expert sees its own rows only, so it gets their gradient and no other; the expert of a condition that
    is not in the batch gets none.

    Parameters
    ----------
    experts
        One module a condition; all give the same shape but for the number of rows.
    conditions
        Index of the expert of each row, ``(batch,)`` int64.
    inputs
        What the experts are called with, each ``(batch, ...)``.
    sizes
        Rows of each condition, where the host knows them; None to count them, which waits for a GPU.

    Returns
    -------
    Tensor
        ``(batch, ...)``, rows in the order of the inputs.

    Raises
    ------
    ValueError
        If a condition has no expert.
    """
    if sizes is None:
        counts = Counter(conditions.tolist())
        if not counts.keys() <= set(range(len(experts))):
            raise ValueError(f"conditions must be 0 to {len(experts) - 1}: got {sorted(counts)}")
        sizes = [counts[index] for index in range(len(experts))]
    elif len(sizes) > len(experts) or sum(sizes) != len(conditions):
        raise ValueError(f"{len(conditions)} rows for {len(experts)} experts: got conditions of {list(sizes)} rows")
    sizes = [*sizes, *(0 for _ in range(len(experts) - len(sizes)))]
    order = torch.argsort(conditions, stable=True)
    groups = zip(*(torch.split(values.index_select(0, order), sizes) for values in inputs), strict=True)
    outputs = [expert(*group) for expert, group, size in zip(experts, groups, sizes, strict=True) if size]
    return torch.cat(outputs).index_select(0, torch.argsort(order))


class RoutedExperts(nn.Module):
    """One expert a condition, with `route` between them."""

    def __init__(self, experts: Iterable[nn.Module]) -> None:
        super().__init__()
        self.experts = nn.ModuleList(experts)

    def forward(self, conditions: Tensor, *inputs: Tensor, sizes: Sequence[int] | None = None) -> Tensor:
        """Route; see `route`."""
        return route(self.experts, conditions, *inputs, sizes=sizes)
