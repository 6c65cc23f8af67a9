"""Rows in groups of bounded size: what is written a row group at a time, and read so by whoever comes later."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def grouped(
    items: Iterable[Item], size: int, n_bytes: Callable[[Item], int] = lambda _: 0, most_bytes: int = 1
) -> Iterator[list[Item]]:
    """Yield items in lists of ``size``, the last one shorter; one that has ``most_bytes`` sooner ends there.

    Parameters
    ----------
    items
        In order; no more than a list of them is held.
    size
        The most of a list.
    n_bytes, most_bytes
        How large an item is, and how large a list may become before it is yielded. Not asked for, nothing is large.
    """
    group: list[Item] = []
    held = 0
    for item in items:
        group.append(item)
        held += n_bytes(item)
        if len(group) == size or held >= most_bytes:
            yield group
            group, held = [], 0
    if group:
        yield group
