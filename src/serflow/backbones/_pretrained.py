"""A pretrained network as a module in the graph, and which of its parts training changes."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from torch import nn

from serflow.errors import ConfigError

ALL, NONE = "all", "none"


class PretrainedNetwork(nn.Module):
    """A network that can be trained further, as a whole or in part.

    ``PARTS`` names the parts that can be trained alone, and the modules and parameters that each has; together they
    have them all. A network without has no such parts.
    """

    PARTS: ClassVar[Mapping[str, Sequence[str]]] = {}

    def __init__(self) -> None:
        super().__init__()
        self._frozen: tuple[str, ...] = ()
        self._mode = True

    def fine_tune(self, part: str) -> Self:
        """Train ``all``, ``none`` or one of ``PARTS``; the rest is frozen.

        What is frozen keeps its parameters and stays in evaluation mode (no dropout, statistics as they are), whatever
        ``train()`` says of the whole. Gradients pass through it to what comes before.

        Raises
        ------
        ConfigError
            If there is no such part.
        """
        if part not in (ALL, NONE, *self.PARTS):
            known = ", ".join((ALL, *self.PARTS, NONE))
            raise ConfigError(f"{type(self).__name__} has no part {part!r} to train; known: {known}")
        others = (name for other, names in self.PARTS.items() if other != part for name in names)
        self._frozen = {ALL: (), NONE: ("",)}.get(part, tuple(others))
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(not self._is_frozen(name))
        return self.train(self._mode)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of what is trained; what is frozen stays in evaluation mode."""
        self._mode = mode
        super().train(mode)
        for name, module in self.named_modules():
            if self._is_frozen(name):
                module.training = False
        return self

    def _is_frozen(self, name: str) -> bool:
        return any(frozen in ("", name) or name.startswith(f"{frozen}.") for frozen in self._frozen)
