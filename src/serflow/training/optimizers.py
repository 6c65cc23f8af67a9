"""Adam (also with decoupled weight decay), Adadelta, RMSprop and SGD with Nesterov's momentum: what the papers use.

The update rules are those of :mod:`torch.optim`, to the same bits (a test compares them step by step). That package
imports torch's compiler as soon as an optimizer is made: 2 s of computing and 70 MB in every process, longer than a
small fit takes, and a study has some two hundred processes. As there, all parameters are moved by one call an
operation (``torch._foreach_...``): their number, not their size, is what takes time in a small network.
A parameter without a gradient is left as it is, and so is its state: the expert of a condition that was not
in the batch does not move.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

Parameters = Iterable[Tensor] | Iterable[Mapping[str, Any]]
"""Parameters, or groups as :mod:`torch.optim` takes them: each has ``params``, and what of the rest is its own."""

BETAS = (0.9, 0.999)
"""Of Kingma and Ba (2015, algorithm 1)."""


class _Kept(NamedTuple):
    """What is kept of a group: how often each parameter moved, and lists of running tensors, one for each."""

    steps: list[int]
    running: list[list[Tensor]]


class _Moved(NamedTuple):
    """Parameters of a group that a step moves: what it takes of each, in lists of the same order.

    ``running`` are their running tensors, a list of each kind; ``steps`` count each one's moves.
    """

    parameters: list[Tensor]
    gradients: list[Tensor]
    running: list[list[Tensor]]
    steps: list[int]


class _Optimizer(ABC):
    """Moves groups of parameters; ``lr`` of `param_groups` may be set between steps."""

    n_running: ClassVar[int]
    """Running tensors that each parameter has."""

    def __init__(self, parameters: Parameters, learning_rate: float, **others: float) -> None:
        given: list[Any] = list(parameters)
        groups = given if given and isinstance(given[0], Mapping) else [{"params": given}]
        self.param_groups: list[dict[str, Any]] = [
            {"lr": learning_rate, **others, **group, "params": list(group["params"])} for group in groups
        ]
        self._kept = [
            _Kept(
                [0] * len(group["params"]),
                [[torch.zeros_like(parameter) for parameter in group["params"]] for _ in range(self.n_running)],
            )
            for group in self.param_groups
        ]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move each parameter that has a gradient."""
        for group, kept in zip(self.param_groups, self._kept, strict=True):
            moved = [index for index, parameter in enumerate(group["params"]) if parameter.grad is not None]
            if not moved:
                continue
            for index in moved:
                kept.steps[index] += 1
            parameters = [group["params"][index] for index in moved]
            running = [[tensors[index] for index in moved] for tensors in kept.running]
            gradients = [parameter.grad for parameter in parameters]
            self._update(group, _Moved(parameters, gradients, running, [kept.steps[index] for index in moved]))

    @abstractmethod
    def _update(self, group: Mapping[str, Any], moved: _Moved) -> None:
        """Move parameters of a group in place, and their running tensors."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a later `load_state_dict` needs to go on."""
        return {
            "rates": [group["lr"] for group in self.param_groups],
            "steps": [kept.steps for kept in self._kept],
            "running": [kept.running for kept in self._kept],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        for group, kept, rate, steps, running in zip(
            self.param_groups, self._kept, state["rates"], state["steps"], state["running"], strict=True
        ):
            group["lr"] = rate
            kept.steps[:] = steps
            for tensors, loaded in zip(kept.running, running, strict=True):
                for tensor, values in zip(tensors, loaded, strict=True):
                    tensor.copy_(values)


class Adam(_Optimizer):
    """Adam (Kingma and Ba, 2015), with the first beta of adversarial training by default.

    ``weight_decay`` is decoupled from the gradients (Loshchilov and Hutter, 2019: AdamW); a group may have its own.
    """

    n_running = 2

    def __init__(
        self,
        parameters: Parameters,
        learning_rate: float = 1e-3,
        betas: tuple[float, float] = (0.5, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, learning_rate, weight_decay=weight_decay)
        self.betas = betas
        self.eps = eps

    def _update(self, group: Mapping[str, Any], moved: _Moved) -> None:
        parameters, gradients, running, steps = moved
        first, second = running
        beta1, beta2 = self.betas
        rate = group["lr"]
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, 1 - rate * group["weight_decay"])
        torch._foreach_lerp_(first, gradients, 1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - beta2)
        denominators = torch._foreach_sqrt(second)
        torch._foreach_div_(denominators, [(1 - beta2**step) ** 0.5 for step in steps])
        torch._foreach_add_(denominators, self.eps)
        torch._foreach_addcdiv_(parameters, first, denominators, [-rate / (1 - beta1**step) for step in steps])


class Adadelta(_Optimizer):
    """Adadelta (Zeiler, 2012) with the defaults of Keras, which the DLC paper used."""

    n_running = 2

    def __init__(
        self, parameters: Parameters, learning_rate: float = 1e-3, rho: float = 0.95, eps: float = 1e-7
    ) -> None:
        super().__init__(parameters, learning_rate)
        self.rho = rho
        self.eps = eps

    def _update(self, group: Mapping[str, Any], moved: _Moved) -> None:
        parameters, gradients, running, _ = moved
        squared, squared_moves = running
        torch._foreach_mul_(squared, self.rho)
        torch._foreach_addcmul_(squared, gradients, gradients, 1 - self.rho)
        moves = torch._foreach_add(squared_moves, self.eps)
        torch._foreach_sqrt_(moves)
        scales = torch._foreach_add(squared, self.eps)
        torch._foreach_sqrt_(scales)
        torch._foreach_div_(moves, scales)
        torch._foreach_mul_(moves, gradients)
        torch._foreach_mul_(squared_moves, self.rho)
        torch._foreach_addcmul_(squared_moves, moves, moves, 1 - self.rho)
        torch._foreach_add_(parameters, moves, alpha=-group["lr"])


class RMSprop(_Optimizer):
    """RMSprop (Tieleman and Hinton, 2012) with the defaults of Keras."""

    n_running = 1

    def __init__(
        self, parameters: Parameters, learning_rate: float = 1e-3, rho: float = 0.9, eps: float = 1e-7
    ) -> None:
        super().__init__(parameters, learning_rate)
        self.rho = rho
        self.eps = eps

    def _update(self, group: Mapping[str, Any], moved: _Moved) -> None:
        parameters, gradients, running, _ = moved
        (squared,) = running
        torch._foreach_mul_(squared, self.rho)
        torch._foreach_addcmul_(squared, gradients, gradients, 1 - self.rho)
        denominators = torch._foreach_sqrt(squared)
        torch._foreach_add_(denominators, self.eps)
        torch._foreach_addcdiv_(parameters, gradients, denominators, -group["lr"])


class NesterovSgd(_Optimizer):
    """Stochastic gradient descent with Nesterov's momentum (Sutskever et al., 2013); without it where that is 0."""

    n_running = 1

    def __init__(self, parameters: Parameters, learning_rate: float, momentum: float) -> None:
        super().__init__(parameters, learning_rate)
        self.momentum = momentum

    def _update(self, group: Mapping[str, Any], moved: _Moved) -> None:
        parameters, gradients, running, _ = moved
        (velocities,) = running
        torch._foreach_mul_(velocities, self.momentum)
        torch._foreach_add_(velocities, gradients)
        moves = torch._foreach_add(gradients, velocities, alpha=self.momentum)
        torch._foreach_add_(parameters, moves, alpha=-group["lr"])


OPTIMIZERS: dict[str, type[Adam] | type[Adadelta] | type[RMSprop]] = {
    "adam": Adam,
    "adadelta": Adadelta,
    "rmsprop": RMSprop,
}
