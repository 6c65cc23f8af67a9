"""How wide a network has to be to have as many weights as another."""

from collections.abc import Callable

from torch import nn

from serflow.nn.parameters import count_parameters


def matching_maps(build: Callable[[int], nn.Module], other: nn.Module, maps: int) -> int:
    """Return the number of maps, ``maps`` or more, with which ``build`` comes closest to the weights of ``other``."""
    wanted = count_parameters(other)
    while count_parameters(build(maps + 1)) <= wanted:
        maps += 1
    below, above = (count_parameters(build(width)) for width in (maps, maps + 1))
    return maps if wanted - below <= above - wanted else maps + 1
