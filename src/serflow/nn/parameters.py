"""Counting weights."""

from torch import nn


def count_parameters(network: nn.Module) -> int:
    """Return the number of weights that training changes."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
