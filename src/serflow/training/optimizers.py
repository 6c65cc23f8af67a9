"""Adam, Adadelta and RMSprop, as the DLC paper uses them.

The update rules are those of :mod:`torch.optim`, to the same bits (a test compares them step by step). That package
imports torch's compiler as soon as an optimizer is made: 2 s of computing and 70 MB in every process, longer than a
small fit takes, and the study has some two hundred processes.
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
        rate = self.param_groups[0]["lr"]
        for index, parameter in enumerate(self._parameters):
            if parameter.grad is not None:
                self._steps[index] += 1
                first, second, step = self._first[index], self._second[index], self._steps[index]
                self._update(parameter, parameter.grad, first, second, step, rate)

    @abstractmethod
    def _update(
        self, parameter: Tensor, gradient: Tensor, first: Tensor, second: Tensor, step: int, rate: float
    ) -> None:
        """Move ``parameter`` in place, and its two running tensors."""

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
        self, parameter: Tensor, gradient: Tensor, first: Tensor, second: Tensor, step: int, rate: float
    ) -> None:
        beta1, beta2 = self.betas
        first.lerp_(gradient, 1 - beta1)
        second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        denominator = second.sqrt().div_((1 - beta2**step) ** 0.5).add_(self.eps)
        parameter.addcdiv_(first, denominator, value=-rate / (1 - beta1**step))


class Adadelta(_Optimizer):
    """Adadelta (Zeiler, 2012) with the defaults of Keras, which the DLC paper used."""

    def __init__(
        self, parameters: Iterable[Tensor], learning_rate: float = 1e-3, rho: float = 0.95, eps: float = 1e-7
    ) -> None:
        super().__init__(parameters, learning_rate)
        self.rho = rho
        self.eps = eps

    def _update(
        self, parameter: Tensor, gradient: Tensor, first: Tensor, second: Tensor, step: int, rate: float
    ) -> None:
        squared, squared_steps = first, second
        squared.mul_(self.rho).addcmul_(gradient, gradient, value=1 - self.rho)
        move = (squared_steps + self.eps).sqrt_().div_((squared + self.eps).sqrt_()).mul_(gradient)
        squared_steps.mul_(self.rho).addcmul_(move, move, value=1 - self.rho)
        parameter.add_(move, alpha=-rate)


class RMSprop(_Optimizer):
    """RMSprop (Tieleman and Hinton, 2012) with the defaults of Keras."""

    def __init__(
        self, parameters: Iterable[Tensor], learning_rate: float = 1e-3, rho: float = 0.9, eps: float = 1e-7
    ) -> None:
        super().__init__(parameters, learning_rate)
        self.rho = rho
        self.eps = eps

    def _update(
        self, parameter: Tensor, gradient: Tensor, first: Tensor, second: Tensor, step: int, rate: float
    ) -> None:
        first.mul_(self.rho).addcmul_(gradient, gradient, value=1 - self.rho)
        parameter.addcdiv_(gradient, first.sqrt().add_(self.eps), value=-rate)


OPTIMIZERS: dict[str, type[Adam] | type[Adadelta] | type[RMSprop]] = {
    "adam": Adam,
    "adadelta": Adadelta,
    "rmsprop": RMSprop,
}
