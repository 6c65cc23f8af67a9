"""Adversarial training: gradient reversal with its ramp (Ganin et al., 2016), and clipping of a critic's weights."""

import math
from typing import Any

import torch
from torch import Tensor, nn


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, factor: Tensor) -> Tensor:
        ctx.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.factor * gradients[0], None


class GradientReversal(nn.Module):
    """Identity whose gradient is ``-strength`` times what comes back; ``strength`` is set by the training.

    Steps read it from a tensor that is changed in place, so that a captured step goes on with the strength of its time.
    """

    factor: Tensor

    def __init__(self, strength: float = 1.0) -> None:
        super().__init__()
        self._strength = strength
        # as exact as the number itself; where it is multiplied it is rounded to what the gradient has
        self.register_buffer("factor", torch.tensor(-strength, dtype=torch.float64), persistent=False)

    @property
    def strength(self) -> float:
        """What gradients are multiplied by, with the sign turned."""
        return self._strength

    @strength.setter
    def strength(self, strength: float) -> None:
        self._strength = strength
        self.factor.fill_(-strength)

    def forward(self, values: Tensor) -> Tensor:
        """Return ``values``, of any shape but that of a number."""
        reversed_: Tensor = _Reverse.apply(values, self.factor)  # type: ignore[no-untyped-call]
        return reversed_


def reversal_ramp(progress: float) -> float:
    """Return ``2 / (1 + exp(-10 p)) - 1`` of the progress, 0 to 1 (Ganin et al., 2016, section 5.2.2)."""
    return 2.0 / (1.0 + math.exp(-10.0 * min(progress, 1.0))) - 1.0


@torch.no_grad()
def clip_weights(module: nn.Module, limit: float) -> None:
    """Clip all weights of a module to ``-limit .. limit`` in place (Arjovsky et al., 2017, algorithm 1)."""
    for parameter in module.parameters():
        parameter.clamp_(-limit, limit)
