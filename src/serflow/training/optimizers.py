"""Adam, Adadelta and RMSprop, as the DLC paper uses them.

The update rules are those of :mod:`torch.optim`, to the same bits (a test compares them step by step). That package
imports torch's compiler as soon as an optimizer is made: 2 s of computing and 70 MB in every process, longer than a
small fit takes, and the study has some two hundred processes. As there, all parameters are moved by one call an
operation (``torch._foreach_...``): their number, not their size, is what takes time in a small network.
A parameter without a gradient is left as it is, and so is its state: the expert of a condition that was not
in the batch does not move.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class _Optimizer(ABC):
    """One group of parameters, and per parameter a count of steps and two running tensors."""

    def __init__(self, parameters: Iterable[Tensor], learning_rate: float) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": list(parameters), "lr": learning_rate}]
        self._parameters: list[Tensor] = self.param_groups[0]["params"]
        self._steps = [0] * len(self._parameters)
        self._first = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._second = [torch.zeros_like(parameter) for parameter in self._parameters]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move each parameter that has a gradient."""
        moved = [index for index, parameter in enumerate(self._parameters) if parameter.grad is not None]
        if not moved:
            return
        for index in moved:
            self._steps[index] += 1
        self._update(
            [self._parameters[index] for index in moved],
            [gradient for parameter in self._parameters if (gradient := parameter.grad) is not None],
            [self._first[index] for index in moved],
            [self._second[index] for index in moved],
            [self._steps[index] for index in moved],
            self.param_groups[0]["lr"],
        )

    @abstractmethod
    def _update(
        self,
        parameters: list[Tensor],
        gradients: list[Tensor],
        first: list[Tensor],
        second: list[Tensor],
        steps: list[int],
        rate: float,
    ) -> None:
        """Move ``parameters`` in place, and the two running tensors of each; ``steps`` count each one's moves."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a later `load_state_dict` needs to go on."""
        return {
            "lr": self.param_groups[0]["lr"],
            "steps": self._steps,
            "first": self._first,
            "second": self._second,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.param_groups[0]["lr"] = state["lr"]
        self._steps = list(state["steps"])
        for mine, loaded in ((self._first, state["first"]), (self._second, state["second"])):
            for tensor, values in zip(mine, loaded, strict=True):
                tensor.copy_(values)


class Adam(_Optimizer):
    """Adam (Kingma and Ba, 2015), with the first beta of adversarial training by default."""

    def __init__(
        self,
        parameters: Iterable[Tensor],
        learning_rate: float = 1e-3,
        betas: tuple[float, float] = (0.5, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(parameters, learning_rate)
        self.betas = betas
        self.eps = eps

    def _update(
        self,
        parameters: list[Tensor],
        gradients: list[Tensor],
        first: list[Tensor],
        second: list[Tensor],
        steps: list[int],
        rate: float,
    ) -> None:
        beta1, beta2 = self.betas
        torch._foreach_lerp_(first, gradients, 1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - beta2)
        denominators = torch._foreach_sqrt(second)
        torch._foreach_div_(denominators, [(1 - beta2**step) ** 0.5 for step in steps])
        torch._foreach_add_(denominators, self.eps)
        torch._foreach_addcdiv_(parameters, first, denominators, [-rate / (1 - beta1**step) for step in steps])


class Adadelta(_Optimizer):
    """Adadelta (Zeiler, 2012) with the defaults of Keras, which the DLC paper used."""

    def __init__(
        self, parameters: Iterable[Tensor], learning_rate: float = 1e-3, rho: float = 0.95, eps: float = 1e-7
    ) -> None:
        super().__init__(parameters, learning_rate)
        self.rho = rho
        self.eps = eps

    def _update(
        self,
        parameters: list[Tensor],
        gradients: list[Tensor],
        first: list[Tensor],
        second: list[Tensor],
        steps: list[int],
        rate: float,
    ) -> None:
        squared, squared_steps = first, second
        torch._foreach_mul_(squared, self.rho)
        torch._foreach_addcmul_(squared, gradients, gradients, 1 - self.rho)
        moves = torch._foreach_add(squared_steps, self.eps)
        torch._foreach_sqrt_(moves)
        scales = torch._foreach_add(squared, self.eps)
        torch._foreach_sqrt_(scales)
        torch._foreach_div_(moves, scales)
        torch._foreach_mul_(moves, gradients)
        torch._foreach_mul_(squared_steps, self.rho)
        torch._foreach_addcmul_(squared_steps, moves, moves, 1 - self.rho)
        torch._foreach_add_(parameters, moves, alpha=-rate)


class RMSprop(_Optimizer):
    """RMSprop (Tieleman and Hinton, 2012) with the defaults of Keras."""

    def __init__(
        self, parameters: Iterable[Tensor], learning_rate: float = 1e-3, rho: float = 0.9, eps: float = 1e-7
    ) -> None:
        super().__init__(parameters, learning_rate)
        self.rho = rho
        self.eps = eps

    def _update(
        self,
        parameters: list[Tensor],
        gradients: list[Tensor],
        first: list[Tensor],
        second: list[Tensor],
        steps: list[int],
        rate: float,
    ) -> None:
        torch._foreach_mul_(first, self.rho)
        torch._foreach_addcmul_(first, gradients, gradients, 1 - self.rho)
        denominators = torch._foreach_sqrt(first)
        torch._foreach_add_(denominators, self.eps)
        torch._foreach_addcdiv_(parameters, gradients, denominators, -rate)


OPTIMIZERS: dict[str, type[Adam] | type[Adadelta] | type[RMSprop]] = {
    "adam": Adam,
    "adadelta": Adadelta,
    "rmsprop": RMSprop,
}
